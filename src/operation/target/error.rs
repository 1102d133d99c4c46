//! What can go wrong in the folder a restore writes into: errors that lose an entry, and warnings that lose part of one.
//!
//! [`TargetError::ends_the_run`] tells an entry's own trouble from one that every further entry would meet too.
//! Paths in messages are escaped as `resource::escape_path` says.

use std::io;

use rustix::io::Errno;
use thiserror::Error;

use crate::platform::beneath::Refusal;
use crate::resource::escape_path;

/// An entry that could not be restored, or a target that cannot take any.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The path would lead out of the target, or is none.
    #[error("{path:?} cannot be restored: {refusal}")]
    Refused {
        /// The path as the snapshot has it.
        path: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// Something else stands there and the overwrite policy, or its being a folder with things in it, keeps it.
    #[error("{path:?} is not restored: {found} stands in its way")]
    InTheWay {
        /// The path that is taken.
        path: String,
        /// What stands there (`a folder`, `a symbolic link`, …).
        found: &'static str,
    },
    /// The file system takes two names for one, and this run has already written the other.
    #[error(
        "{path:?} is not restored under its own name: another name of this snapshot is the same to the file system"
    )]
    Collision {
        /// The path that came second.
        path: String,
    },
    /// The file system cannot hold such a name.
    #[error("the file system cannot hold the name {path:?}")]
    Unrepresentable {
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The first path of a group of hard links is not what the group should be.
    #[error("{path:?} is not linked to {first:?}, which is not the restored file")]
    LinkedElsewhere {
        /// The path that should have become a link.
        path: String,
        /// The first path of the group.
        first: String,
    },
    /// No space, no inodes or no quota left.
    #[error("no space is left for {path:?}")]
    Full {
        /// What was being written.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error("the file system of {path:?} is read-only")]
    ReadOnly {
        /// What was being written.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that the system refused.
    #[error("cannot {action} {path:?}")]
    System {
        /// What was attempted, as a verb (`create`, `rename`).
        action: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl TargetError {
    /// Whether every further entry would fail alike, so that the restore had better stop.
    pub fn ends_the_run(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::ReadOnly { .. })
    }

    /// Whether an escaped name (`escape::escape_name`) may get the entry restored after all.
    pub fn asks_for_an_escaped_name(&self) -> bool {
        matches!(self, Self::Collision { .. } | Self::Unrepresentable { .. })
    }

    pub(super) fn refused(path: &[u8], refusal: Refusal) -> Self {
        Self::Refused { path: escape_path(path), refusal }
    }

    pub(super) fn system(action: &'static str, path: &[u8], errno: Errno) -> Self {
        let path = escape_path(path);
        let source = io::Error::from(errno);
        match errno {
            Errno::NOSPC | Errno::DQUOT => Self::Full { path, source },
            Errno::ROFS => Self::ReadOnly { path, source },
            Errno::NAMETOOLONG | Errno::ILSEQ => Self::Unrepresentable { path, source },
            // A name that only this file system forbids (`a:b` on some): nothing else that is asked here can be invalid.
            Errno::INVAL if action == "create" => Self::Unrepresentable { path, source },
            _ => Self::System { action, path, source },
        }
    }
}

/// A part of an entry that could not be restored; the rest of it was.
#[derive(Debug, Error)]
#[error("{path:?}: {part} could not be restored")]
pub struct TargetWarning {
    /// The entry, escaped as `resource::escape_path` says.
    pub path: String,
    /// Which part of it.
    pub part: Part,
    /// Why.
    pub source: io::Error,
}

/// The parts of an entry beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Part {
    /// Its owner or group.
    #[error("the owner")]
    Owner,
    /// Its permission bits.
    #[error("the mode")]
    Mode,
    /// Its set-user-id or set-group-id bit: left out where the owner is not the snapshot's.
    #[error("the set-id bit")]
    SetId,
    /// Its times.
    #[error("the time")]
    Times,
    /// One extended attribute (or ACL), by name.
    #[error("the attribute {0}")]
    Attribute(String),
    /// Something that is not in the snapshot and should have been deleted.
    #[error("the deletion")]
    Deletion,
}
