//! Snapshots: commit cells that count (FORMAT.md §7), newest last.
//!
//! Which snapshot is meant by a reference is `operation::reference`'s business; what one holds is the tree's.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{SessionId, SnapshotId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation};
use crate::resource::SnapshotRecord;
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{Put, StorageErrorKind};

/// Most commas in a commit cell. What a list of empty words takes in memory is many times its text; a record of ten
/// thousand resources with all their gaps has half as many.
const MEMBERS_MAX: usize = 1 << 20;

/// A snapshot that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id: that of the session that committed it.
    pub id: SnapshotId,
    /// What it says of itself.
    pub record: SnapshotRecord,
}

/// What a commit cell says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum CommitCell {
    /// The session committed a snapshot.
    Snapshot {
        /// The generation in which it began.
        epoch: u64,
        /// What the snapshot says of itself.
        snapshot: Box<SnapshotRecord>,
    },
    /// It ended without one.
    Closed {
        /// The generation in which it began.
        epoch: u64,
    },
    /// A prune held its writer for dead.
    Revoked,
}

#[derive(Serialize)]
struct ForgetMark<'a> {
    time: jiff::Timestamp,
    host: &'a str,
}

/// All snapshots that count, oldest first, and the cells that cannot be read.
pub struct Snapshots {
    /// The snapshots, by time, then id.
    pub valid: Vec<Snapshot>,
    /// Cells that are damaged; what they hold is unknown.
    pub damaged: Vec<DamagedCell>,
}

/// A commit cell that cannot be read.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct DamagedCell {
    /// Whose it is.
    pub id: SnapshotId,
    /// What is wrong with it.
    pub error: RepositoryError,
}

/// What changed among the snapshots since they were looked at.
pub struct SnapshotChanges {
    /// Snapshots that were not known, by time, then id.
    pub new: Vec<Snapshot>,
    /// Known ones that are forgotten.
    pub gone: Vec<SnapshotId>,
    /// Cells that were not known and are damaged.
    pub damaged: Vec<DamagedCell>,
    /// All cells that are there now, whatever they say, but for those of forgotten snapshots.
    pub cells: HashSet<SnapshotId>,
}

impl Repository {
    /// The snapshots that count now.
    pub fn snapshots(&self) -> Result<Snapshots, RepositoryError> {
        self.snapshots_of(&self.generation(Access::Read)?)
    }

    /// The snapshots that count at a generation (V): every commit cell that is not forgotten, and not a sleeper's.
    pub fn snapshots_of(&self, generation: &Generation) -> Result<Snapshots, RepositoryError> {
        let cells = self.unforgotten_cells()?;
        self.read_cells(generation, cells)
    }

    /// What changed of the snapshots that count since the commit cells were the `known` ones; only new cells are read.
    pub fn snapshots_since(&self, known: &HashSet<SnapshotId>) -> Result<SnapshotChanges, RepositoryError> {
        let generation = self.generation(Access::Read)?;
        let cells: HashSet<SnapshotId> = self.unforgotten_cells()?.into_iter().collect();
        let gone = known.difference(&cells).copied().collect();
        let unknown: Vec<SnapshotId> = cells.difference(known).copied().collect();
        let read = self.read_cells(&generation, unknown)?;
        Ok(SnapshotChanges { new: read.valid, gone, damaged: read.damaged, cells })
    }

    fn unforgotten_cells(&self) -> Result<Vec<SnapshotId>, RepositoryError> {
        let marks = self.storage.list(&Prefix::Forgets)?;
        let forgotten: HashSet<SnapshotId> = marks.iter().filter_map(|object| object.name.forget_mark_id()).collect();
        let cells = self.storage.list(&Prefix::Cells)?;
        let ids = cells.iter().filter_map(|object| object.name.commit_cell_id());
        Ok(ids.filter(|id| !forgotten.contains(id)).collect())
    }

    fn read_cells(&self, generation: &Generation, cells: Vec<SnapshotId>) -> Result<Snapshots, RepositoryError> {
        let read: Vec<_> = cells.into_par_iter().map(|id| (id, self.cell(id))).collect();
        let mut snapshots = Snapshots { valid: Vec::new(), damaged: Vec::new() };
        for (id, cell) in read {
            match cell {
                Ok(CommitCell::Snapshot { epoch, snapshot }) if generation.counts(&id, epoch) => {
                    snapshots.valid.push(Snapshot { id, record: *snapshot });
                }
                Ok(CommitCell::Snapshot { .. } | CommitCell::Closed { .. } | CommitCell::Revoked) => {}
                // Forgotten and pruned since the listing.
                Err(RepositoryError::Storage(error)) if error.kind == StorageErrorKind::NotFound => {}
                Err(error) if error.is_damage() => snapshots.damaged.push(DamagedCell { id, error }),
                Err(error) => return Err(error),
            }
        }
        snapshots.valid.sort_by_key(|snapshot| (snapshot.record.time, snapshot.id));
        Ok(snapshots)
    }

    /// Marks a snapshot as forgotten; its data stays until a prune. Marking twice is fine.
    pub fn forget(&self, id: SnapshotId, time: jiff::Timestamp, host: &str) -> Result<(), RepositoryError> {
        self.config.writable()?;
        let document = serde_json::to_vec(&ForgetMark { time, host }).expect("because a mark is plain data");
        let _created_or_there = self.put_object(&ObjectName::forget_mark(&id), &document)?;
        Ok(())
    }

    /// What the commit cell of a session says.
    pub fn cell(&self, id: SessionId) -> Result<CommitCell, RepositoryError> {
        let name = ObjectName::commit_cell(&id);
        let document = self.read_document(&name)?;
        parse_cell(&document).map_err(|reason| RepositoryError::ObjectDamaged { name, reason })
    }

    /// Puts the commit cell of a session: whoever creates it first decides.
    pub(crate) fn decide_cell(&self, id: SnapshotId, cell: &CommitCell) -> Result<(), RepositoryError> {
        let name = ObjectName::commit_cell(&id);
        let document = serde_json::to_vec(cell).expect("because a cell is plain data");
        match self.put_object(&name, &document)? {
            Put::Created => Ok(()),
            // Our own cell after a lost reply is a success; anything else was decided by a pruner.
            Put::Exists if self.cell(id)? == *cell => Ok(()),
            Put::Exists => Err(RepositoryError::Revoked),
        }
    }
}

/// What a cell's document says; what is wrong with it otherwise.
pub(super) fn parse_cell(document: &[u8]) -> Result<CommitCell, String> {
    if memchr::memchr_iter(b',', document).count() > MEMBERS_MAX {
        return Err("it lists more than any snapshot does".to_owned());
    }
    serde_json::from_slice(document).map_err(|error| error.to_string())
}
