//! What can go wrong between operations and storage, with the thing it went wrong with.

use std::path::PathBuf;

use thiserror::Error;

use crate::codec::compress::CompressError;
use crate::codec::key::slot::KeyError;
use crate::id::PackId;
use crate::storage::name::ObjectName;
use crate::storage::{StorageError, StorageErrorKind};

/// Why a repository could not be opened, read or written.
#[derive(Debug, Error)]
pub enum RepositoryError {
    /// There is no `config`, nor a copy of it.
    #[error("there is no repository at {location}")]
    NoRepository {
        /// Where it was looked for.
        location: String,
    },
    /// There is one already.
    #[error("there is a repository at {location} already")]
    AlreadyExists {
        /// Where.
        location: String,
    },
    /// Written by a newer program.
    #[error("{what} was written by a newer version of the program: {reason}")]
    NewerFormat {
        /// Which object.
        what: String,
        /// What is unknown here.
        reason: String,
    },
    /// Both copies of `config` are damaged.
    #[error("config is damaged, and so is its copy: {reason}")]
    ConfigDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// `config` is whole, but was not written by whoever holds the key.
    #[error("config does not carry the mark of this repository's key: it was tampered with")]
    ConfigForged,
    /// No key slot opens with the secret at hand.
    #[error("the password or key opens none of the {slots} key slots of {location}")]
    WrongSecret {
        /// Slots that were tried.
        slots: usize,
        /// Where.
        location: String,
    },
    /// No key slot could be read.
    #[error("none of the {slots} key slots can be read: {reason}")]
    KeysDamaged {
        /// Slots that exist.
        slots: usize,
        /// What is wrong with the last of them.
        reason: String,
    },
    /// Removing the slot would leave none that opens the repository.
    #[error("this is the last key slot that can be read: without it nothing would open the repository")]
    LastKey,
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A sealed object is not what was written.
    #[error("{name} is damaged: {reason}")]
    ObjectDamaged {
        /// Which object.
        name: ObjectName,
        /// What is wrong with it.
        reason: String,
    },
    /// A pack is not what was written.
    #[error("pack {pack} is damaged: {reason}")]
    PackDamaged {
        /// Which pack.
        pack: PackId,
        /// What is wrong with it.
        reason: String,
    },
    /// No copy of a chunk or page can be read.
    #[error("{kind} {id} cannot be had: {reason}")]
    Missing {
        /// `chunk` or `page`.
        kind: &'static str,
        /// Its id in hex.
        id: String,
        /// Why not.
        reason: String,
    },
    /// A view of stored bytes cannot be made, though they are there: they are not what they say they are.
    #[error("{reason}")]
    NoView {
        /// What is wrong with them.
        reason: String,
    },
    /// What was just sealed does not open to what it was made of.
    #[error("a frame just sealed does not open to its content: memory or processor of this machine fails")]
    VerificationFailed,
    /// The store is older than it was: somebody put back a copy of it, or deleted what the last prunes wrote.
    #[error("the store went back from generation {seen} to {found}: writing to it could lose what came after")]
    WentBack {
        /// The generation that was seen from here.
        seen: u64,
        /// The generation it says it is in.
        found: u64,
        /// Where it is remembered.
        place: PathBuf,
    },
    /// The commit cell was taken by a pruner that held this session for dead.
    #[error("the session was revoked by a prune while it slept")]
    Revoked,
    /// Compression failed.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// What would be written could not be read again.
    #[error("{name} would have {size} bytes, more than any document may have: nothing was written")]
    DocumentTooLarge {
        /// Which object.
        name: ObjectName,
        /// Its length.
        size: u64,
    },
    /// More than an index can address.
    #[error("the index has more frames or chunks than a segment can address")]
    IndexTooLarge,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// A commit was asked for while chunks were still held back.
    #[error("a writer was not flushed, so chunks of this session are missing")]
    WriterNotFlushed,
    /// A writer's thread ended before its work.
    #[error("an upload thread stopped early")]
    UploadStopped,
}

impl RepositoryError {
    /// Whether nothing is there under the name it speaks of.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Storage(error) if error.kind == StorageErrorKind::NotFound)
    }

    /// The pack it speaks of.
    pub(crate) fn pack(&self) -> Option<PackId> {
        match self {
            Self::PackDamaged { pack, .. } => Some(*pack),
            Self::Storage(error) => error.name.parse().ok().and_then(|name: ObjectName| name.pack_id()),
            _ => None,
        }
    }

    /// Whether storage has no room left.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Storage(error) if error.kind == StorageErrorKind::NoSpace)
    }

    /// Whether it says that this one object is lost, as against storage that does not answer or refuses: then the others are
    /// read all the same. An object whose header speaks of a newer version belongs here too, as `config` would say so first.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::ObjectDamaged { .. } | Self::PackDamaged { .. } | Self::NewerFormat { .. } => true,
            Self::Storage(error) => matches!(
                error.kind,
                StorageErrorKind::NotFound
                    | StorageErrorKind::Corrupt
                    | StorageErrorKind::OutOfRange
                    | StorageErrorKind::Other
            ),
            _ => false,
        }
    }

    /// Whether what was asked for is gone for good as far as this one object tells: damaged, or known to nobody.
    pub fn is_loss(&self) -> bool {
        self.is_damage() || matches!(self, Self::Missing { .. })
    }
}
