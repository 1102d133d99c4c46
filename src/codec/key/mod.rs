//! The secrets of a repository: root secrets and every key derived of them (FORMAT.md §4).
//!
//! `slot` wraps root secrets for storage, `secret` holds what a person or a machine unlocks them with. Secrets are
//! zeroed when dropped and never printed. Which epoch's key seals what is decided by `repository`.

pub mod secret;
pub mod slot;

use std::fmt;

use zeroize::Zeroize;

use crate::codec::hash::HashKey;

/// The secret of one key epoch, of which every other key is derived.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct RootSecret(pub(crate) [u8; 32]);

impl RootSecret {
    /// Bytes in a root secret.
    pub const SIZE: usize = 32;

    /// A new secret from the system's random source.
    pub fn random() -> Self {
        let mut secret = Self([0; Self::SIZE]);
        fill_random(&mut secret.0);
        secret
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSecret(…)")
    }
}

/// Fills `target` from the system's random source.
fn fill_random(target: &mut [u8]) {
    getrandom::fill(target).expect("because without the system's random source no secret can be made");
}

/// Every key of one epoch, derived from its root secret (FORMAT.md §4).
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

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, RootSecret};

    #[test]
    fn derived_keys_stay_what_they_were() {
        let keys = Keys::derive(&RootSecret([7; 32]));
        let all = [
            keys.chunk_id,
            keys.page_id,
            keys.chunker,
            keys.page_boundary,
            keys.data_packs,
            keys.page_packs,
            keys.objects,
            keys.config,
        ];
        let heads = all.map(|key| hex::encode(&key[..8]));
        assert_eq!(
            heads.each_ref().map(String::as_str),
            [
                "08414ace3c07a084",
                "98a49e3391b52e21",
                "28fd5abb29922c63",
                "44ad91ddb21fd6f5",
                "ae170738ede24fb7",
                "89dbbb172ec4cb81",
                "193b72d7dc7f7c9b",
                "2515a94162a5bd66"
            ]
        );
        assert_eq!(keys.chunk_id, blake3::derive_key("snap-backup 2026 v1 chunk id", &[7; 32]));
    }

    #[test]
    fn random_roots_differ_and_are_never_printed() {
        let (one, other) = (RootSecret::random(), RootSecret::random());
        assert_ne!(one.0, other.0);
        assert_eq!(format!("{one:?} {:?}", Keys::derive(&one)), "RootSecret(…) Keys(…)");
    }
}
