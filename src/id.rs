//! Names of things: distinct types for the 32- and 16-byte ids of the format.
//!
//! An id never knows how it was computed; `codec::hash` makes them, `repository` places them.
//! Hex is lower case. Prefixes resolve against a list the caller holds.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Text that is not the id it should be.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum IdError {
    /// The text is not hex, or not of the right length.
    #[error("{text:?} is not an id of {expected} hex digits")]
    Malformed {
        /// What was given.
        text: String,
        /// How many hex digits such an id has.
        expected: usize,
    },
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// Bytes in an id of this kind.
            pub const SIZE: usize = $size;

            /// The raw bytes.
            pub fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let malformed = || IdError::Malformed { text: text.to_owned(), expected: 2 * $size };
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(malformed());
                }
                let mut bytes = [0; $size];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed())?;
                Ok(Self(bytes))
            }
        }

        /// Hex where people read (JSON), raw bytes where they do not.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    Ok(Self(<[u8; $size]>::deserialize(deserializer)?))
                }
            }
        }
    };
}

id_type!(
    /// A data chunk: keyed BLAKE3 of its plaintext.
    ChunkId, 32
);
id_type!(
    /// A tree or chunk-list page: keyed BLAKE3 of its plaintext under the page id key.
    PageId, 32
);
id_type!(
    /// A pack: BLAKE3 of its stored bytes, so that `b3sum` verifies it without a key.
    PackId, 32
);
id_type!(
    /// A base index segment: BLAKE3 of its stored bytes.
    SegmentId, 32
);
id_type!(
    /// A repository, drawn at `init`.
    RepositoryId, 16
);
id_type!(
    /// A key slot: one way to unlock a repository. Random; it is the slot's name under `keys/`.
    SlotId, 16
);
id_type!(
    /// A writing session, 128 random bits; the snapshot it commits has the same id.
    SessionId, 16
);

/// A snapshot: the id of the session that committed it.
pub type SnapshotId = SessionId;

/// Hashes ids for tables in memory: they are uniform already, so their first eight bytes are hash enough.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}
