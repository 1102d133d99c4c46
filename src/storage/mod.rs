//! Immutable objects in four verbs: create, read, list, delete.
//!
//! [`Storage`] is what the repository asks of any store; `local`, `memory` and `s3` are stores, `retry` and `faulty` wrap
//! one. Names stand in [`name`]. Nothing here knows what the bytes mean: they arrive sealed and leave sealed.

use std::fmt::{Debug, Display};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rustix::io::Errno;
use thiserror::Error;

use crate::storage::name::{ObjectName, Prefix};

pub mod faulty;
pub mod local;
pub mod memory;
pub mod name;
pub mod retry;
pub mod s3;
pub mod together;

/// A store of immutable objects. `Display` is the location shown in errors. Nothing is ever overwritten.
pub trait Storage: Debug + Display + Send + Sync {
    /// Creates an object whole, unless its name is taken. Either answer means: the object under that name survives
    /// a power cut. After an error the object may or may not be there, but never in part.
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError>;

    /// Reads an object or part of it. The answer has exactly the length asked for; a range that does not lie within
    /// the object is [`StorageErrorKind::OutOfRange`], except a suffix, which may ask for more than there is.
    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError>;

    /// All objects under a prefix, sorted by name. Whatever was there during the whole listing is in it; objects
    /// that come or go meanwhile may be. Files that are no objects (unfinished puts among them) are left out.
    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError>;

    /// Removes an object; one that is not there is fine. A power cut may bring it back.
    fn delete(&self, name: &ObjectName) -> Result<(), StorageError>;

    /// Makes what a listing of `prefix` showed survive a power cut, also what others put and had no time to make
    /// durable. Stores that show only what is durable have nothing to do.
    fn settle(&self, prefix: &Prefix) -> Result<(), StorageError> {
        let _ = prefix;
        Ok(())
    }

    /// Whether [`Storage::put_if_absent`] decides between writers here. A service may take the request and ignore the
    /// condition in it, so it is tried on `name`, which must be there with this `content`; other stores know it of themselves.
    fn probe(&self, name: &ObjectName, content: Bytes) -> Result<Writers, StorageError> {
        let _ = (name, content);
        Ok(Writers::Many)
    }

    /// How long an answer takes, so that callers know what to ask at once and what to keep.
    fn distance(&self) -> Distance {
        Distance::Near
    }
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        (**self).put_if_absent(name, content)
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        (**self).get(name, range)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        (**self).list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        (**self).delete(name)
    }

    fn settle(&self, prefix: &Prefix) -> Result<(), StorageError> {
        (**self).settle(prefix)
    }

    fn probe(&self, name: &ObjectName, content: Bytes) -> Result<Writers, StorageError> {
        (**self).probe(name, content)
    }

    fn distance(&self) -> Distance {
        (**self).distance()
    }
}

/// How long a store takes to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// As long as this machine's own disk.
    Near,
    /// A round trip through a network, whatever is asked for.
    Far,
}

/// How many may write to a store at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Any number: the store itself decides whose object was first.
    Many,
    /// One: the store lets a second put of a name replace the first, so nobody else may write meanwhile.
    One,
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whether the object is ours decides what may be done next"]
pub enum Put {
    /// The object was not there and is now.
    Created,
    /// The name was taken; nothing was changed.
    Exists,
}

/// Which bytes of an object are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// The whole object.
    All,
    /// Exactly `length` bytes from `offset`.
    From {
        /// First byte wanted.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// The last bytes; the whole object where it is shorter.
    Suffix(u64),
}

impl ByteRange {
    /// Where the range lies in an object of `size` bytes; `None` if it reaches beyond its end.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        match self {
            ByteRange::All => Some(0..size),
            ByteRange::From { offset, length } => {
                let end = offset.checked_add(length)?;
                (end <= size).then_some(offset..end)
            }
            ByteRange::Suffix(length) => Some(size.saturating_sub(length)..size),
        }
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its name.
    pub name: ObjectName,
    /// Its length in bytes.
    pub size: u64,
    /// When it was stored, by the store's own clock.
    pub modified: SystemTime,
}

/// What was being tried when a store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attempt {
    /// Opening or creating the store itself.
    Open,
    /// [`Storage::put_if_absent`].
    Put,
    /// [`Storage::get`].
    Get,
    /// [`Storage::list`].
    List,
    /// [`Storage::delete`].
    Delete,
    /// [`Storage::settle`].
    Settle,
}

impl Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Attempt::Open => "open",
            Attempt::Put => "store",
            Attempt::Get => "read",
            Attempt::List => "list",
            Attempt::Delete => "delete",
            Attempt::Settle => "make durable",
        })
    }
}

/// A store did not do what it was asked to.
#[derive(Debug, Error)]
#[error("cannot {attempt} {}: {kind}", place(location, name))]
pub struct StorageError {
    /// The store, as its `Display` says.
    pub location: String,
    /// The object or prefix; empty where it is about the store itself.
    pub name: String,
    /// What was tried.
    pub attempt: Attempt,
    /// Why it failed, as far as callers decide by it.
    pub kind: StorageErrorKind,
    /// What the system or the service said.
    pub source: Option<io::Error>,
}

fn place(location: &str, name: &str) -> String {
    if name.is_empty() { location.to_owned() } else { format!("{name} in {location}") }
}

impl StorageError {
    /// Whether the same call may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, StorageErrorKind::Unreachable | StorageErrorKind::Conflict)
    }
}

/// Why a store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum StorageErrorKind {
    /// No such object, or no such store.
    #[error("it is not there")]
    NotFound,
    /// The store knows who asks and refuses.
    #[error("permission denied")]
    Denied,
    /// The disk or the quota is full.
    #[error("no space is left")]
    NoSpace,
    /// The store takes no changes.
    #[error("the store is read-only")]
    ReadOnly,
    /// The object ends before the range does.
    #[error("the object is shorter than the range asked for")]
    OutOfRange,
    /// Timeout, reset, throttling, server error: no answer, or none that says anything.
    #[error("the store does not answer")]
    Unreachable,
    /// Another put of the same name is in flight.
    #[error("another request for the same object is under way")]
    Conflict,
    /// What is stored under the name cannot be an object, or did not arrive whole.
    #[error("what is stored there is damaged")]
    Corrupt,
    /// The store lacks something that is needed.
    #[error("the store cannot do this")]
    Unsupported,
    /// Anything else; see the source.
    #[error("the store failed")]
    Other,
}

impl From<&io::Error> for StorageErrorKind {
    fn from(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound => Self::NotFound,
            Io::PermissionDenied => Self::Denied,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => Self::NoSpace,
            Io::ReadOnlyFilesystem => Self::ReadOnly,
            Io::UnexpectedEof => Self::OutOfRange,
            Io::TimedOut
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::ConnectionRefused
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::StaleNetworkFileHandle => Self::Unreachable,
            Io::InvalidData | Io::NotADirectory | Io::IsADirectory => Self::Corrupt,
            Io::Unsupported => Self::Unsupported,
            // A symbolic link where an object should be; `io::ErrorKind` has no stable name for it.
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Self::Corrupt,
            _ => Self::Other,
        }
    }
}
