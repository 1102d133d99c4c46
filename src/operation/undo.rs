//! `undo`: brings forgotten snapshots back.
//!
//! A mark is never taken away: a new snapshot amends the forgotten one (`amend`), after a proof that all of it is still
//! there. An undo that comes after a prune has taken some of it says so.

use std::sync::Arc;

use thiserror::Error;

use crate::id::SnapshotId;
use crate::operation::amend::{AmendError, Amending, amend};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::forgotten::Forgotten;
use crate::repository::session::Mode;
use crate::repository::snapshot::Snapshot;

/// Why a snapshot stays forgotten.
#[derive(Debug, Error)]
pub enum UndoError {
    /// The repository failed.
    #[error(transparent)]
    Repository(RepositoryError),
    /// Part of it is gone.
    #[error("it is too late to bring snapshot {id} back, part of it is gone: {path}: {reason}")]
    TooLate {
        /// Which snapshot.
        id: SnapshotId,
        /// Path in the layout, escaped.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// A prune under way may take part of it, and may keep it.
    #[error("a prune is under way that may take part of snapshot {id}: {path}")]
    PruneUnderWay {
        /// Which snapshot.
        id: SnapshotId,
        /// Path in the layout, escaped.
        path: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A snapshot that is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// Under this id.
    As(SnapshotId),
    /// It was back before, under this id.
    Before(SnapshotId),
    /// It would be.
    Possible,
}

/// Those of the forgotten snapshots that no other took the place of since (`undo`, `tag`).
pub fn still_forgotten<'f>(forgotten: &'f [Forgotten], valid: &[Snapshot]) -> Vec<&'f Forgotten> {
    let known = forgotten.iter().map(|forgotten| &forgotten.snapshot).chain(valid);
    let amended: Vec<SnapshotId> = known.filter_map(|snapshot| snapshot.record.amends).collect();
    forgotten.iter().filter(|forgotten| !amended.contains(&forgotten.snapshot.id)).collect()
}

/// Those of them that the last `forget` marked: all that carry the newest mark.
pub fn last_forgotten<'f>(forgotten: &'f [Forgotten], valid: &[Snapshot]) -> Vec<&'f Forgotten> {
    let mut last = still_forgotten(forgotten, valid);
    let newest = last.iter().filter_map(|forgotten| forgotten.mark.as_ref()).max();
    last.retain(|forgotten| newest.is_some() && forgotten.mark.as_ref() == newest);
    last
}

/// Brings one back, unless a snapshot in its place is among the `valid` ones; `forgotten` are all that are.
pub fn undo(
    repository: &Arc<Repository>,
    snapshot: &Forgotten,
    (forgotten, valid): (&[Forgotten], &[Snapshot]),
    amending: &Amending<'_>,
    progress: &dyn Progress,
) -> Result<Undone, UndoError> {
    if let Some(id) = in_its_place(snapshot.snapshot.id, forgotten, valid) {
        return Ok(Undone::Before(id));
    }
    match amend(repository, &snapshot.snapshot, |_| {}, amending, progress) {
        Ok(_) if amending.mode == Mode::DryRun => Ok(Undone::Possible),
        Ok(id) => Ok(Undone::As(id)),
        Err(AmendError::Repository(error)) => Err(UndoError::Repository(error)),
        Err(AmendError::Incomplete { id, path, reason }) => Err(UndoError::TooLate { id, path, reason }),
        Err(AmendError::PruneUnderWay { id, path }) => Err(UndoError::PruneUnderWay { id, path }),
        Err(AmendError::Interrupted) => Err(UndoError::Interrupted),
    }
}

/// The valid snapshot that amends this one, or amends one that does.
fn in_its_place(id: SnapshotId, forgotten: &[Forgotten], valid: &[Snapshot]) -> Option<SnapshotId> {
    let amends = |snapshot: &Snapshot, ids: &[SnapshotId]| {
        snapshot.record.amends.is_some_and(|amended| ids.contains(&amended)) && !ids.contains(&snapshot.id)
    };
    let mut line = vec![id];
    loop {
        if let Some(found) = valid.iter().find(|snapshot| amends(snapshot, &line)) {
            return Some(found.id);
        }
        let next = forgotten.iter().map(|forgotten| &forgotten.snapshot).find(|snapshot| amends(snapshot, &line))?;
        line.push(next.id);
    }
}
