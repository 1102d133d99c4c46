//! A store in S3, or in any other that speaks its protocol.
//!
//! An object is created by `PutObject` with `If-None-Match: *` and a checksum over all of it, so the store itself decides
//! who was first and whether what arrived is what was sent. Nothing here repeats a request: [`retry`](super::retry)
//! does, for every store alike, and the SDK's own retries are off. The SDK is asynchronous, the store is not: each call
//! waits on a small runtime of its own, and calls from many threads are under way at once.
//!
//! Without the feature `s3` only addresses are understood, and policies can be printed.

pub mod address;
pub mod policy;

#[cfg(feature = "s3")]
mod connection;
#[cfg(feature = "s3")]
mod error;
#[cfg(feature = "s3")]
mod gate;
#[cfg(feature = "s3")]
mod listing;
#[cfg(feature = "s3")]
mod movement;
#[cfg(feature = "s3")]
mod range;
#[cfg(feature = "s3")]
pub mod store;

use crate::storage::name::ObjectName;

/// Storage classes by kind of object; where nothing is said, the bucket's default, which is `STANDARD`.
///
/// Packs are nearly all of the bytes and are read by restores and checks only. All else is small and read by every
/// command: classes that charge for reading or for a least size or age make it dearer, not cheaper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageClasses {
    /// Of `packs/`.
    pub packs: Option<String>,
    /// Of everything else.
    pub rest: Option<String>,
}

/// Classes from which an object can be read at once. Archives are none: a backup reads what earlier ones wrote.
pub const STORAGE_CLASSES: &[&str] = &["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"];

impl StorageClasses {
    /// The class that an object is put in, if one is asked for.
    pub fn class_of(&self, name: &ObjectName) -> Option<&str> {
        let class = if name.pack_id().is_some() { &self.packs } else { &self.rest };
        class.as_deref()
    }
}
