//! Under construction.

use zeroize::Zeroize;

use crate::codec::hash::HashKey;

/// The secret of one key epoch, of which every other key is derived.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct RootSecret(pub(crate) [u8; 32]);

/// Every key of a repository, derived from its root secrets (FORMAT.md §4).
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct Keys {
    /// Names data chunks.
    pub chunk_id: HashKey,
    /// Names pages.
    pub page_id: HashKey,
    /// Decides where content is cut.
    pub chunker: HashKey,
    /// Decides where pages end.
    pub page_boundary: HashKey,
    /// Derives the keys of data packs.
    pub data_packs: HashKey,
    /// Derives the keys of page packs.
    pub page_packs: HashKey,
    /// Derives the keys of sealed objects.
    pub objects: HashKey,
    /// Authenticates `config`.
    pub config: HashKey,
}

impl Keys {
    /// Derives every key of `root`.
    pub fn derive(root: &RootSecret) -> Self {
        let derive = |purpose: &str| blake3::derive_key(&format!("snap-backup 2026 v1 {purpose}"), &root.0);
        Self {
            chunk_id: derive("chunk id"),
            page_id: derive("page id"),
            chunker: derive("chunker"),
            page_boundary: derive("page boundary"),
            data_packs: derive("data packs"),
            page_packs: derive("page packs"),
            objects: derive("objects"),
            config: derive("config"),
        }
    }
}
