//! Filling packs: chunks into frames, frames into a pack, the pack closed with its directory.
//!
//! One `PackWriter` belongs to one thread and one kind, so packs hold neighbours. Compressible and incompressible chunks wait in
//! separate frames. What becomes of a closed pack is `session`'s business.

use crate::codec::compress::looks_incompressible;
use crate::codec::hash::Digest;
use crate::codec::key::Keys;
use crate::codec::seal::{Cipher, Sealed, TAG_SIZE};
use crate::id::{PackId, RepositoryId};
use crate::repository::config::PackSizes;
use crate::repository::error::RepositoryError;
use crate::repository::frame::{Effort, FrameSealer, PendingFrame};
use crate::repository::pack::{
    FOOTER_SIZE, FRAME_CHUNKS_MAX, HEADER_SIZE, PackDirectory, PackFooter, PackHeader, PackKeys, PackKind, count,
    seal_trailer,
};
use crate::repository::random::{Randomness, random_bytes};

/// Chunks shorter than this are not worth a look at their entropy.
const PROBE_LENGTH_MIN: usize = 4096;
/// Full packs are padded to a multiple of this.
const PADDING_UNIT: usize = 4096;

/// In the order of their numbers.
const EFFORTS: [Effort; 3] = [Effort::Dense, Effort::Fast, Effort::Store];

/// A pack ready to be put.
#[derive(Debug)]
pub(crate) struct ClosedPack {
    pub(crate) id: PackId,
    pub(crate) header: PackHeader,
    pub(crate) directory: PackDirectory,
    pub(crate) sealed: Sealed,
}

/// Why a pack is closed, which decides how it is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    Full,
    Last,
}

/// What one thread fills.
pub(crate) struct PackWriter<'k> {
    keys: &'k Keys,
    repository: RepositoryId,
    kind: PackKind,
    cipher: Cipher,
    sizes: PackSizes,
    randomness: &'k dyn Randomness,
    sealer: FrameSealer,
    /// What waits for each effort, in the order of [`EFFORTS`].
    pending: [PendingFrame; EFFORTS.len()],
    pack: Option<OpenPack>,
    spare: Vec<u8>,
}

struct OpenPack {
    header: PackHeader,
    keys: PackKeys,
    bytes: Vec<u8>,
    digest: Digest,
    directory: PackDirectory,
}

impl<'k> PackWriter<'k> {
    pub(crate) fn new(
        keys: &'k Keys,
        repository: RepositoryId,
        kind: PackKind,
        cipher: Cipher,
        sizes: PackSizes,
        randomness: &'k dyn Randomness,
    ) -> Result<Self, RepositoryError> {
        Ok(Self {
            keys,
            repository,
            kind,
            cipher,
            sizes,
            randomness,
            sealer: FrameSealer::new()?,
            pending: Default::default(),
            pack: None,
            spare: Vec::new(),
        })
    }

    /// Takes a chunk that is worth `effort`, unless it looks incompressible; where that fills the pack, returns it closed.
    pub(crate) fn push(
        &mut self,
        id: [u8; 32],
        chunk: &[u8],
        effort: Effort,
    ) -> Result<Option<ClosedPack>, RepositoryError> {
        let is_probed = chunk.len() >= PROBE_LENGTH_MIN && looks_incompressible(chunk);
        let effort = if is_probed { Effort::Store } else { effort };
        let pending = &mut self.pending[effort as usize];
        pending.push(id, chunk);
        if pending.len() < self.sizes.frame && count(pending.chunks().0.len()) < FRAME_CHUNKS_MAX {
            return Ok(None);
        }
        self.seal_pending(effort)
    }

    /// Seals what waits and closes the pack, if there is anything.
    pub(crate) fn finish(&mut self) -> Result<Vec<ClosedPack>, RepositoryError> {
        let mut closed = Vec::new();
        for effort in EFFORTS {
            closed.extend(self.seal_pending(effort)?);
        }
        if let Some(pack) = self.pack.take() {
            closed.push(pack.close(Closing::Last));
        }
        Ok(closed)
    }

    /// Gives a buffer back for the next pack.
    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        self.spare = buffer;
    }

    fn seal_pending(&mut self, effort: Effort) -> Result<Option<ClosedPack>, RepositoryError> {
        let pending = &mut self.pending[effort as usize];
        if pending.is_empty() {
            return Ok(None);
        }
        let id_key = self.kind.id_key(self.keys);
        let mut given_up = None;
        loop {
            let pack = match &mut self.pack {
                Some(pack) => pack,
                None => {
                    let buffer = std::mem::take(&mut self.spare);
                    let header =
                        PackHeader { kind: self.kind, cipher: self.cipher, salt: random_bytes(self.randomness)? };
                    self.pack.insert(OpenPack::new(header, self.keys, self.repository, buffer))
                }
            };
            let number = pack.directory.frames.len() as u64;
            let start = pack.bytes.len();
            match self.sealer.seal(&pack.keys, id_key, number, pending, effort, &mut pack.bytes) {
                Ok(record) => {
                    pack.digest.update(&pack.bytes[start..]);
                    let (ids, lengths) = pending.chunks();
                    pack.directory.frames.push(record);
                    pack.directory.ids.extend_from_slice(ids);
                    pack.directory.lengths.extend_from_slice(lengths);
                    pending.clear();
                    break;
                }
                // The number is spent under this pack's key: the pack is closed without it, and the frame is sealed
                // once more under another salt. Failing twice is the machine's fault and ends the run.
                Err(RepositoryError::VerificationFailed) if given_up.is_none() => {
                    let pack = self.pack.take().expect("because a frame was just sealed into it");
                    given_up = Some((!pack.directory.frames.is_empty()).then(|| pack.close(Closing::Last)));
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(Some(closed)) = given_up {
            return Ok(Some(closed));
        }
        let target = match self.kind {
            PackKind::Data => self.sizes.data_pack,
            PackKind::Pages => self.sizes.page_pack,
        };
        // The directory counts, or many tiny chunks that compress well would make one larger than any may be.
        if self.pack.as_ref().is_some_and(|pack| pack.bytes.len() + pack.directory.encoded_length() >= target) {
            return Ok(self.pack.take().map(|pack| pack.close(Closing::Full)));
        }
        Ok(None)
    }
}

impl OpenPack {
    fn new(header: PackHeader, keys: &Keys, repository: RepositoryId, mut bytes: Vec<u8>) -> Self {
        let encoded = header.encode();
        bytes.clear();
        bytes.extend_from_slice(&encoded);
        let mut digest = Digest::default();
        digest.update(&encoded);
        let keys = header.keys(keys, repository);
        Self { header, keys, bytes, digest, directory: PackDirectory::default() }
    }

    fn close(mut self, closing: Closing) -> ClosedPack {
        let frames_end = self.bytes.len();
        let directory = self.directory.encode();
        let bare = frames_end + directory.len() + TAG_SIZE + FOOTER_SIZE;
        let padding = padded_length(bare, closing) - bare;
        self.bytes.resize(frames_end + padding, 0);
        self.keys.fill_padding(&mut self.bytes[frames_end..]);
        let trailer_start = self.bytes.len();
        let trailer_length = seal_trailer(&self.keys, &directory, &mut self.bytes);
        let trailer_checksum = crc32c::crc32c(&self.bytes[trailer_start..]);
        let footer = PackFooter { trailer_length, padding_length: count(padding), trailer_checksum };
        self.bytes.extend_from_slice(&footer.encode());
        self.digest.update(&self.bytes[frames_end..]);
        ClosedPack {
            id: PackId(self.digest.finish()),
            header: self.header,
            directory: self.directory,
            sealed: Sealed::of_sealed_parts(self.bytes),
        }
    }
}

const _: () = assert!(PADDING_UNIT > HEADER_SIZE);

/// The length a pack of `length` bytes is padded to: full ones to the next 4 KiB, the last of a session by Padmé
/// (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019).
fn padded_length(length: usize, closing: Closing) -> usize {
    match closing {
        Closing::Full => length.next_multiple_of(PADDING_UNIT),
        Closing::Last => {
            let exponent = length.ilog2();
            let mantissa = exponent.ilog2() + 1;
            length.next_multiple_of(1 << (exponent - mantissa))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Closing, PackWriter, padded_length};
    use crate::codec::hash::keyed;
    use crate::codec::key::{Keys, RootSecret};
    use crate::codec::seal::Cipher;
    use crate::id::RepositoryId;
    use crate::repository::config::PackSizes;
    use crate::repository::error::RepositoryError;
    use crate::repository::frame::Effort;
    use crate::repository::pack::PackKind;
    use crate::repository::random::SystemRandomness;

    #[test]
    fn padme_hides_lengths_behind_few_sizes_at_little_cost() {
        for length in [100, 1000, 4097, 65_537, 1_000_001, 9_999_999] {
            let padded = padded_length(length, Closing::Last);
            assert!(padded >= length && padded < length + length / 8, "{length} became {padded}");
        }
        assert_eq!(padded_length(1_000_001, Closing::Last), 1_015_808);
        assert_eq!(padded_length(16_777_217, Closing::Full), 16_781_312);
    }

    fn writer(keys: &Keys, data_pack: usize) -> PackWriter<'_> {
        let sizes = PackSizes { frame: 4096, data_pack, page_pack: data_pack };
        PackWriter::new(keys, RepositoryId([1; 16]), PackKind::Data, Cipher::Aes256Gcm, sizes, &SystemRandomness)
            .expect("a writer")
    }

    #[test]
    fn a_directory_counts_as_part_of_the_pack_it_stands_in() {
        let keys = Keys::derive(&RootSecret::random());
        let mut writer = writer(&keys, 65_536);
        let mut sizes = Vec::new();
        for number in 0..20_000_u32 {
            let chunk = number.to_le_bytes();
            let id = keyed(&keys.chunk_id, &chunk);
            let closed = writer.push(id, &chunk, Effort::Dense).expect("taken");
            sizes.extend(closed.map(|pack| pack.sealed.bytes().len()));
        }
        assert!(sizes.len() > 5 && sizes.iter().all(|&size| size < 2 * 65_536), "{sizes:?}");
    }

    #[test]
    fn a_frame_that_does_not_open_to_its_ids_twice_ends_the_run() {
        let keys = Keys::derive(&RootSecret::random());
        let mut writer = writer(&keys, 65_536);
        let good = vec![1; 4096];
        writer.push(keyed(&keys.chunk_id, &good), &good, Effort::Fast).expect("taken");
        writer.push([0; 32], b"not what its id says", Effort::Dense).expect("not sealed yet");
        assert!(matches!(writer.finish(), Err(RepositoryError::VerificationFailed)));
    }
}
