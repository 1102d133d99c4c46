//! Index deltas: the headers and trailers of the packs a session put (FORMAT.md §8).

use crate::id::PackId;
use crate::repository::pack::{HEADER_SIZE, PackDirectory, PackHeader, count};

const MAGIC: &[u8; 8] = b"SNAPIDX1";

/// A pack as a delta names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRecord {
    /// Its id.
    pub id: PackId,
    /// Bytes it has on storage.
    pub size: u32,
    /// Its header.
    pub header: PackHeader,
    /// Its directory.
    pub directory: PackDirectory,
}

impl PackRecord {
    /// Bytes it takes in a delta or segment.
    pub fn encoded_size(&self) -> usize {
        PackId::SIZE + 2 * size_of::<u32>() + HEADER_SIZE + self.directory.encode().len()
    }
}

/// The plaintext of a delta of these packs.
pub(crate) fn encode_delta(packs: &[PackRecord]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&count(packs.len()).to_le_bytes());
    for pack in packs {
        let directory = pack.directory.encode();
        bytes.extend_from_slice(&pack.id.0);
        bytes.extend_from_slice(&pack.size.to_le_bytes());
        bytes.extend_from_slice(&pack.header.encode());
        bytes.extend_from_slice(&count(directory.len()).to_le_bytes());
        bytes.extend_from_slice(&directory);
    }
    bytes
}

/// The packs a delta's plaintext names; says what is wrong with it otherwise.
pub(crate) fn decode_delta(bytes: &[u8]) -> Result<Vec<PackRecord>, String> {
    let mut rest = Rest(bytes);
    if rest.take(8)? != MAGIC {
        return Err("it does not begin as an index delta".to_owned());
    }
    let pack_count = rest.word()?;
    let mut packs = Vec::new();
    for _ in 0..pack_count {
        let id = PackId(rest.take(32)?.try_into().expect("because 32 bytes were taken"));
        let size = rest.word()?;
        let header = PackHeader::decode(rest.take(HEADER_SIZE)?)?;
        let directory_length = rest.word()? as usize;
        let directory = PackDirectory::decode(rest.take(directory_length)?)?;
        if directory.frames_end() > u64::from(size) {
            return Err(format!("pack {id} is said to be shorter than its frames"));
        }
        packs.push(PackRecord { id, size, header, directory });
    }
    if rest.0.is_empty() { Ok(packs) } else { Err(format!("{} bytes follow its end", rest.0.len())) }
}

struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("because 4 bytes were taken")))
    }
}
