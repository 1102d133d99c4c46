//! A pack's fixed parts: header, trailer (its directory) and footer (FORMAT.md §5).
//!
//! Only the bytes of these; frames are `frame`'s, filling a pack is `pack_writer`'s, reading one `reader`'s.

use crate::codec::compress::Method;
use crate::codec::hash::{HashKey, keyed};
use crate::codec::key::Keys;
use crate::codec::seal::{Cipher, NonceCounter, SealKey, TAG_SIZE};
use crate::id::RepositoryId;

const MAGIC: &[u8; 8] = b"SNAPPACK";
const FOOTER_MAGIC: &[u8; 4] = b"SNPT";
const VERSION: u8 = 1;

/// Bytes of a pack's header.
pub const HEADER_SIZE: usize = 64;
/// Bytes of a pack's footer.
pub const FOOTER_SIZE: usize = 16;
/// Bytes before a frame's stored body: sync word and sealed frame header.
pub const FRAME_HEAD_SIZE: usize = 8 + 12 + TAG_SIZE;
/// Bytes a frame takes beside its stored body.
pub const FRAME_OVERHEAD: usize = FRAME_HEAD_SIZE + TAG_SIZE;
/// Most bytes a frame may have, decompressed.
pub const FRAME_PLAIN_MAX: u32 = 16 * 1024 * 1024;
/// Most bytes a chunk may have.
pub const CHUNK_SIZE_MAX: u32 = 8 * 1024 * 1024;
/// Most chunks a frame may have.
pub const FRAME_CHUNKS_MAX: u32 = 262_144;
/// Most bytes a pack may have.
pub const PACK_SIZE_MAX: u64 = 256 * 1024 * 1024;
/// Most bytes a trailer may have.
pub const TRAILER_SIZE_MAX: usize = 64 * 1024 * 1024;
const FRAME_RECORD_SIZE: usize = 16;
const CHUNK_RECORD_SIZE: usize = 36;

/// What a pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackKind {
    /// Chunks of content.
    Data = 1,
    /// Pages of maps and chunk lists.
    Pages = 2,
}

impl PackKind {
    /// What its members are called in errors.
    pub fn member(self) -> &'static str {
        match self {
            Self::Data => "chunk",
            Self::Pages => "page",
        }
    }

    /// The key that names its members.
    pub(crate) fn id_key(self, keys: &Keys) -> &HashKey {
        match self {
            Self::Data => &keys.chunk_id,
            Self::Pages => &keys.page_id,
        }
    }
}

/// The first 64 bytes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHeader {
    /// What the pack holds.
    pub kind: PackKind,
    /// What seals it.
    pub cipher: Cipher,
    /// Makes its key and its name unique.
    pub salt: [u8; 32],
}

impl PackHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        bytes[9] = self.kind as u8;
        bytes[10] = self.cipher as u8;
        bytes[32..].copy_from_slice(&self.salt);
        bytes
    }

    /// Reads a header; says what is wrong with it otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let bytes: &[u8; HEADER_SIZE] = bytes.try_into().map_err(|_| "it is shorter than a header".to_owned())?;
        if &bytes[..8] != MAGIC {
            return Err("it does not begin as a pack".to_owned());
        }
        if bytes[8] != VERSION || bytes[11] != 0 || bytes[12..16] != [0; 4] {
            return Err(format!("version {} and wrap kind {} are unknown here", bytes[8], bytes[11]));
        }
        if bytes[16..32] != [0; 16] {
            return Err("its reserved bytes are not zero".to_owned());
        }
        let kind = match bytes[9] {
            1 => PackKind::Data,
            2 => PackKind::Pages,
            other => return Err(format!("kind {other} is unknown")),
        };
        let cipher = Cipher::from_number(bytes[10]).ok_or_else(|| format!("cipher {} is unknown", bytes[10]))?;
        let salt = bytes[32..].try_into().expect("because 32 of 64 bytes are left");
        Ok(Self { kind, cipher, salt })
    }

    /// The keys of this pack.
    pub(crate) fn keys(&self, keys: &Keys, repository: RepositoryId) -> PackKeys {
        let base = match self.kind {
            PackKind::Data => &keys.data_packs,
            PackKind::Pages => &keys.page_packs,
        };
        let key = keyed(base, &self.salt);
        let associated = [&repository.0[..], &self.encode()[..]].concat();
        PackKeys { seal: SealKey::new(self.cipher, &key), key, associated }
    }
}

/// What seals and opens one pack.
#[derive(Debug)]
pub(crate) struct PackKeys {
    pub(crate) seal: SealKey,
    key: HashKey,
    pub(crate) associated: Vec<u8>,
}

impl PackKeys {
    /// The word that frame `number` begins with.
    pub(crate) fn sync_word(&self, number: u64) -> [u8; 8] {
        let mut text = *b"sync........";
        text[4..].copy_from_slice(&number.to_le_bytes());
        keyed(&self.key, &text)[..8].try_into().expect("because a hash has more than 8 bytes")
    }

    /// Fills padding.
    pub(crate) fn fill_padding(&self, target: &mut [u8]) {
        crate::codec::hash::fill_keystream(&self.key, b"padding", target);
    }
}

impl Drop for PackKeys {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

/// One frame in a pack's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    /// Bytes of its body as stored, without the tag.
    pub stored_length: u32,
    /// Bytes of its body, decompressed.
    pub plain_length: u32,
    /// Chunks in it.
    pub chunk_count: u32,
    /// How it is compressed.
    pub method: Method,
}

impl FrameRecord {
    /// Bytes the whole frame takes in the pack.
    pub fn size(&self) -> u64 {
        u64::from(self.stored_length) + FRAME_OVERHEAD as u64
    }
}

/// What a pack's trailer says: its frames and the chunks in each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackDirectory {
    /// The frames, in order.
    pub frames: Vec<FrameRecord>,
    /// The ids of all chunks, in frame order.
    pub ids: Vec<[u8; 32]>,
    /// The length of each chunk, in the same order.
    pub lengths: Vec<u32>,
}

impl PackDirectory {
    /// Bytes of the trailer's plaintext.
    pub fn encoded_length(&self) -> usize {
        8 + self.frames.len() * FRAME_RECORD_SIZE + self.ids.len() * CHUNK_RECORD_SIZE
    }

    /// The trailer's plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_length());
        bytes.extend_from_slice(&count(self.frames.len()).to_le_bytes());
        bytes.extend_from_slice(&count(self.ids.len()).to_le_bytes());
        for frame in &self.frames {
            for word in [frame.stored_length, frame.plain_length, frame.chunk_count, frame.method as u32] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        bytes.extend_from_slice(self.ids.as_flattened());
        for length in &self.lengths {
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes
    }

    /// Reads a trailer's plaintext, every bound checked before anything is allocated; says what is wrong otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("because the slice has 4 bytes"));
        if bytes.len() < 8 || bytes.len() > TRAILER_SIZE_MAX {
            return Err("its directory has an impossible length".to_owned());
        }
        let (frame_count, chunk_count) = (word(0) as usize, word(4) as usize);
        if 8 + frame_count as u64 * FRAME_RECORD_SIZE as u64 + chunk_count as u64 * CHUNK_RECORD_SIZE as u64
            != bytes.len() as u64
        {
            return Err("its directory's counts do not fit its length".to_owned());
        }
        let mut frames = Vec::with_capacity(frame_count);
        for at in (0..frame_count).map(|frame| 8 + frame * FRAME_RECORD_SIZE) {
            let method = Method::from_number(word(at + 12)).ok_or("a frame's compression is unknown")?;
            frames.push(FrameRecord {
                stored_length: word(at),
                plain_length: word(at + 4),
                chunk_count: word(at + 8),
                method,
            });
        }
        let ids_at = 8 + frame_count * FRAME_RECORD_SIZE;
        let lengths_at = ids_at + chunk_count * 32;
        let ids = bytes[ids_at..lengths_at].as_chunks::<32>().0.to_vec();
        let lengths = (0..chunk_count).map(|chunk| word(lengths_at + chunk * 4)).collect();
        let directory = Self { frames, ids, lengths };
        directory.validate()?;
        Ok(directory)
    }

    /// Bytes that header and frames take together.
    pub fn frames_end(&self) -> u64 {
        self.frames.iter().fold(HEADER_SIZE as u64, |sum, frame| sum.saturating_add(frame.size()))
    }

    fn validate(&self) -> Result<(), String> {
        let mut lengths = self.lengths.iter();
        let mut chunks_named = 0_usize;
        for frame in &self.frames {
            if frame.plain_length > FRAME_PLAIN_MAX
                || frame.stored_length > frame.plain_length
                || frame.chunk_count > FRAME_CHUNKS_MAX
            {
                return Err("a frame is larger than any may be".to_owned());
            }
            chunks_named += frame.chunk_count as usize;
            let mut content = 0_u64;
            for &length in lengths.by_ref().take(frame.chunk_count as usize) {
                if length > CHUNK_SIZE_MAX {
                    return Err("a chunk is larger than any may be".to_owned());
                }
                content += u64::from(length);
            }
            if content + u64::from(frame.chunk_count) * 4 + 4 != u64::from(frame.plain_length) {
                return Err("the chunks of a frame do not fill it".to_owned());
            }
        }
        if chunks_named != self.ids.len() || self.frames_end() > PACK_SIZE_MAX {
            return Err("its frames and chunks do not add up".to_owned());
        }
        Ok(())
    }
}

/// The last 16 bytes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackFooter {
    /// Bytes of the sealed trailer before it.
    pub trailer_length: u32,
    /// Bytes of padding before that.
    pub padding_length: u32,
    /// CRC32C of the sealed trailer.
    pub trailer_checksum: u32,
}

impl PackFooter {
    /// The footer's bytes.
    pub fn encode(&self) -> [u8; FOOTER_SIZE] {
        let mut bytes = [0; FOOTER_SIZE];
        bytes[..4].copy_from_slice(&self.trailer_length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.padding_length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.trailer_checksum.to_le_bytes());
        bytes[12..].copy_from_slice(FOOTER_MAGIC);
        bytes
    }

    /// Reads a footer; says what is wrong with it otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() != FOOTER_SIZE || &bytes[12..] != FOOTER_MAGIC {
            return Err("it does not end as a pack".to_owned());
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("because the slice has 4 bytes"));
        Ok(Self { trailer_length: word(0), padding_length: word(4), trailer_checksum: word(8) })
    }
}

/// Seals a directory as the trailer of its pack, appended to `target`; returns the trailer's sealed length.
pub(crate) fn seal_trailer(keys: &PackKeys, directory: &[u8], target: &mut Vec<u8>) -> u32 {
    let start = target.len();
    target.extend_from_slice(directory);
    keys.seal.seal_in_place(TRAILER_NONCE, &keys.associated, target, start);
    count(target.len() - start)
}

/// Opens a sealed trailer; says what is wrong with it otherwise.
pub(crate) fn open_trailer(keys: &PackKeys, sealed: &[u8]) -> Result<PackDirectory, String> {
    let mut sealed = sealed.to_vec();
    let plain = keys.seal.open_in_place(TRAILER_NONCE, &keys.associated, &mut sealed).map_err(|e| e.to_string())?;
    PackDirectory::decode(plain)
}

const TRAILER_NONCE: NonceCounter = NonceCounter { number: NonceCounter::TRAILER, part: 0 };

/// A length or count that the format's limits keep within 32 bits.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).expect("because packs are bounded far below 4 GiB")
}
