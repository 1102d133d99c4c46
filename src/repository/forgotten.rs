//! Snapshots that were forgotten and not pruned yet: their cells are still there, beside a mark (FORMAT.md §7).
//!
//! Whether one can come back is `operation::undo`'s business: its chunks may be gone already.

use serde::Deserialize;

use crate::id::SnapshotId;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::snapshot::{CommitCell, Snapshot};
use crate::storage::StorageErrorKind;
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::{Nearby, both, each};

/// A snapshot that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The snapshot as it was.
    pub snapshot: Snapshot,
    /// Who forgot it and when; `None` where the mark cannot be read, which counts all the same.
    pub mark: Option<ForgottenBy>,
}

/// Who forgot a snapshot and when. One run of `forget` gives all its marks the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ForgottenBy {
    /// When.
    pub time: jiff::Timestamp,
    /// On which machine.
    pub host: String,
}

/// What is forgotten, oldest snapshot first, and what of it cannot be read.
#[derive(Debug)]
pub struct ForgottenSnapshots {
    /// The snapshots, by time, then id.
    pub readable: Vec<Forgotten>,
    /// Cells and marks that are damaged.
    pub damaged: Vec<RepositoryError>,
}

impl Repository {
    /// Reads the mark and the cell of every snapshot that is forgotten and not pruned.
    pub fn forgotten(&self) -> Result<ForgottenSnapshots, RepositoryError> {
        let marks = self.storage().list(&Prefix::Forgets)?;
        let ids: Vec<SnapshotId> = marks.iter().filter_map(|object| object.name.forget_mark_id()).collect();
        let storage = self.storage().as_ref();
        let read = each(storage, Nearby::AtOnce, &ids, |id| {
            let (cell, mark) = both(storage, || self.cell(*id), || self.read_mark(*id));
            (*id, cell, mark)
        });
        let mut forgotten = ForgottenSnapshots { readable: Vec::new(), damaged: Vec::new() };
        for (id, cell, mark) in read {
            let record = match cell {
                Ok(CommitCell::Snapshot { snapshot, .. }) => *snapshot,
                Ok(CommitCell::Closed { .. } | CommitCell::Revoked) => continue,
                Err(error) => {
                    forgotten.damaged.extend(damage(error)?);
                    continue;
                }
            };
            let mark = match mark {
                Ok(mark) => Some(mark),
                Err(error) => {
                    forgotten.damaged.extend(damage(error)?);
                    None
                }
            };
            forgotten.readable.push(Forgotten { snapshot: Snapshot { id, record }, mark });
        }
        forgotten.readable.sort_by_key(|forgotten| (forgotten.snapshot.record.time, forgotten.snapshot.id));
        Ok(forgotten)
    }

    fn read_mark(&self, id: SnapshotId) -> Result<ForgottenBy, RepositoryError> {
        let name = ObjectName::forget_mark(&id);
        let document = self.read_document(&name)?;
        serde_json::from_slice(&document)
            .map_err(|error| RepositoryError::ObjectDamaged { name, reason: error.to_string() })
    }
}

/// The damage that an error tells of; none where the object was pruned since the listing. Other errors end the reading.
fn damage(error: RepositoryError) -> Result<Option<RepositoryError>, RepositoryError> {
    match error {
        RepositoryError::Storage(error) if error.kind == StorageErrorKind::NotFound => Ok(None),
        error if error.is_damage() => Ok(Some(error)),
        error => Err(error),
    }
}
