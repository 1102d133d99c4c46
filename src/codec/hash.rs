//! Names of bytes: keyed BLAKE3 for chunks and pages, plain BLAKE3 for what is stored.
//!
//! The kinds have keys of their own, so a page can never be mistaken for a chunk of the same bytes.

use crate::id::{ChunkId, PackId, PageId};

/// A 32-byte key for naming or deriving; zeroed when dropped by whoever holds the root secret.
pub type HashKey = [u8; 32];

/// The name of a data chunk.
pub fn chunk_id(key: &HashKey, plaintext: &[u8]) -> ChunkId {
    ChunkId(keyed(key, plaintext))
}

/// The name of a tree or list page.
pub fn page_id(key: &HashKey, plaintext: &[u8]) -> PageId {
    PageId(keyed(key, plaintext))
}

/// The name of a pack: the BLAKE3 of its stored bytes, as `b3sum` prints it.
pub fn pack_id(stored: &[u8]) -> PackId {
    PackId(*blake3::hash(stored).as_bytes())
}

/// BLAKE3 of bytes, unkeyed.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// BLAKE3 of bytes, keyed.
pub fn keyed(key: &HashKey, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key, bytes).as_bytes()
}

/// A running [`digest`], for what is built piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// Fills `target` with the keystream that BLAKE3 gives for `purpose` under `key`.
pub fn fill_keystream(key: &HashKey, purpose: &[u8], target: &mut [u8]) {
    let mut reader = blake3::Hasher::new_keyed(key).update(purpose).finalize_xof();
    reader.fill(target);
}
