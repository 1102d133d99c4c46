//! Snapshots: commit cells that count (FORMAT.md §7), newest last.
//!
//! Which snapshot is meant by a reference is `operation::reference`'s business; what one holds is the tree's.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{SessionId, SnapshotId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation};
use crate::resource::SnapshotRecord;
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::{Nearby, both, each};
use crate::storage::{Put, Storage, StorageError, StorageErrorKind, StoredObject};

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

/// Commit cells as they are listed, less those that are forgotten.
#[derive(Debug)]
pub(super) struct ListedCells {
    cells: Vec<(SnapshotId, StoredObject)>,
}

impl ListedCells {
    /// Marks before cells: a prune deletes the cell first, so a cell without a mark was never forgotten.
    pub(super) fn list(storage: &dyn Storage) -> Result<Self, StorageError> {
        let forgotten: HashSet<SnapshotId> =
            storage.list(&Prefix::Forgets)?.iter().filter_map(|object| object.name.forget_mark_id()).collect();
        let cells = storage.list(&Prefix::Cells)?.into_iter();
        let known = cells.filter_map(|object| Some((object.name.commit_cell_id()?, object)));
        Ok(Self { cells: known.filter(|(id, _)| !forgotten.contains(id)).collect() })
    }
}

/// What these cells say.
pub(super) struct Cells(Vec<(SnapshotId, Result<CommitCell, RepositoryError>)>);

impl Repository {
    /// The snapshots that count now.
    pub fn snapshots(&self) -> Result<Snapshots, RepositoryError> {
        let (generation, cells) =
            both(self.storage.as_ref(), || self.generation(Access::Read), || self.unforgotten_cells());
        self.counting(&generation?, cells?)
    }

    /// The snapshots that count at a generation (V): every commit cell that is not forgotten, and not a sleeper's.
    pub fn snapshots_of(&self, generation: &Generation) -> Result<Snapshots, RepositoryError> {
        self.counting(generation, self.unforgotten_cells()?)
    }

    /// What changed of the snapshots that count since the commit cells were the `known` ones; only new cells are read.
    pub fn snapshots_since(&self, known: &HashSet<SnapshotId>) -> Result<SnapshotChanges, RepositoryError> {
        let generation = self.generation(Access::Read)?;
        let mut listed = ListedCells::list(self.storage.as_ref())?;
        let cells: HashSet<SnapshotId> = listed.cells.iter().map(|(id, _)| *id).collect();
        let gone = known.difference(&cells).copied().collect();
        listed.cells.retain(|(id, _)| !known.contains(id));
        let read = self.counting(&generation, self.read_cells(listed)?)?;
        Ok(SnapshotChanges { new: read.valid, gone, damaged: read.damaged, cells })
    }

    /// Every commit cell that is not forgotten.
    pub(super) fn unforgotten_cells(&self) -> Result<Cells, RepositoryError> {
        self.read_cells(ListedCells::list(self.storage.as_ref())?)
    }

    pub(super) fn read_cells(&self, listed: ListedCells) -> Result<Cells, RepositoryError> {
        let ListedCells { cells } = listed;
        let read = each(self.storage.as_ref(), Nearby::AtOnce, &cells, |(_, object)| self.listed_cell(object));
        Ok(Cells(cells.into_iter().map(|(id, _)| id).zip(read).collect()))
    }

    /// Those of the cells that are snapshots which count.
    pub(super) fn counting(&self, generation: &Generation, cells: Cells) -> Result<Snapshots, RepositoryError> {
        let mut snapshots = Snapshots { valid: Vec::new(), damaged: Vec::new() };
        for (id, cell) in cells.0 {
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

    /// What a commit cell says that a listing showed.
    pub fn listed_cell(&self, listed: &StoredObject) -> Result<CommitCell, RepositoryError> {
        let (_, document) = self.read_listed(listed)?;
        let damaged = |reason| RepositoryError::ObjectDamaged { name: listed.name.clone(), reason };
        parse_cell(&document).map_err(damaged)
    }

    /// Marks a snapshot as forgotten; its data stays until a prune. Marking twice is fine.
    pub fn forget(&self, id: SnapshotId, time: jiff::Timestamp, host: &str) -> Result<(), RepositoryError> {
        self.config.writable()?;
        let document = serde_json::to_vec(&ForgetMark { time, host }).expect("because a mark is plain data");
        let put = || self.put_object(&ObjectName::forget_mark(&id), &document);
        let _created_or_there = match put() {
            // Who forgets on a full disk means to make room: the reserve is there for this.
            Err(error) if error.is_full() => {
                self.free_reserve()?;
                put()?
            }
            put => put?,
        };
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
