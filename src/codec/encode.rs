//! The binary encoding of pages (FORMAT.md §10): bincode 2 in its standard configuration, under a size limit.
//!
//! The only file that names `bincode`. Its bytes are specified in FORMAT.md and frozen by golden vectors,
//! so the crate could be replaced without a new format.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Most bytes a page may have, encoded.
pub const PAGE_SIZE_MAX: usize = 8 * 1024 * 1024;

/// Bytes that do not decode as what they should be.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// The bytes are not an encoding of the value.
    #[error("the bytes do not decode: {reason}")]
    Malformed {
        /// What the decoder found.
        reason: String,
    },
    /// Bytes are left after the value.
    #[error("{count} bytes follow the end of the value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The encoded value is longer than may be read back.
    #[error("the value takes {length} bytes, more than {PAGE_SIZE_MAX}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
}

/// Appends the encoding of `value` to `target`; an error if it alone is over [`PAGE_SIZE_MAX`] bytes.
pub fn encode_into<T: Serialize>(value: &T, target: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = target.len();
    bincode::serde::encode_into_std_write(value, target, bincode::config::standard())
        .map_err(|error| EncodeError::Malformed { reason: error.to_string() })?;
    let length = target.len() - start;
    if length > PAGE_SIZE_MAX { Err(EncodeError::TooLarge { length }) } else { Ok(()) }
}

/// Decodes a value that takes all of `bytes`; allocations are bounded by [`PAGE_SIZE_MAX`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EncodeError> {
    let (value, length) =
        bincode::serde::decode_from_slice(bytes, bincode::config::standard().with_limit::<PAGE_SIZE_MAX>())
            .map_err(|error| EncodeError::Malformed { reason: error.to_string() })?;
    match bytes.len() - length {
        0 => Ok(value),
        count => Err(EncodeError::TrailingBytes { count }),
    }
}
