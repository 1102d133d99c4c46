//! Deleting what a manifest has decided (P7). Anyone may do it, at any time and as often as they like: names never come back.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::id::{PackId, SegmentId, SessionId};
use crate::operation::prune::{AGENT, PruneError};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::generation::Manifest;
use crate::repository::snapshot::CommitCell;
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::{Nearby, each, try_each};

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Packs.
    pub packs: u64,
    /// Their bytes on storage.
    pub bytes: u64,
    /// Everything else: index deltas, superseded segments, marks.
    pub others: u64,
}

/// Deletes what generation `number` decided, and those of the segments `before` it that it does not name.
pub(super) fn sweep(
    repository: &Repository,
    number: u64,
    manifest: &Manifest,
    before: &[SegmentId],
    progress: &dyn Progress,
) -> Result<Swept, PruneError> {
    let storage = repository.storage();
    // What says that these may go must outlive them in a power cut.
    for prefix in [Prefix::Generations, Prefix::Base, Prefix::Forgets] {
        storage.settle(&prefix)?;
    }
    let mut swept = sweep_packs(repository, &manifest.deleted, progress)?;
    let kept: HashSet<SegmentId> = manifest.segments.iter().map(|segment| segment.id).collect();
    let mut index: Vec<ObjectName> =
        before.iter().filter(|old| !kept.contains(*old)).map(ObjectName::base_segment).collect();
    for object in storage.list(&Prefix::Index)? {
        if object.name.index_delta_parts().is_some_and(|(epoch, _, _)| epoch < number) {
            index.push(object.name);
        }
    }
    let Ended { marks, cells, forgets } = ended_sessions(repository, number, manifest)?;
    for names in [index, marks, cells, forgets] {
        try_each(storage.as_ref(), &names, |name| delete(repository, name, progress))?;
        swept.others += names.len() as u64;
    }
    Ok(swept)
}

fn delete(repository: &Repository, name: &ObjectName, progress: &dyn Progress) -> Result<(), PruneError> {
    if progress.interrupted() {
        return Err(PruneError::Interrupted);
    }
    Ok(repository.storage().delete(name)?)
}

fn sweep_packs(repository: &Repository, deleted: &[PackId], progress: &dyn Progress) -> Result<Swept, PruneError> {
    let mut swept = Swept::default();
    if deleted.is_empty() {
        return Ok(swept);
    }
    let stored = repository.stored_packs()?;
    let there: Vec<(&PackId, u64)> = deleted.iter().filter_map(|pack| Some((pack, *stored.get(pack)?))).collect();
    let bytes_total = there.iter().map(|(_, size)| size).sum();
    let gone = Mutex::new(&mut swept);
    try_each(repository.storage().as_ref(), &there, |(pack, size)| {
        delete(repository, &ObjectName::pack(pack), progress)?;
        let mut swept = gone.lock().unwrap_or_else(PoisonError::into_inner);
        swept.packs += 1;
        swept.bytes += size;
        progress.report(Event::Advanced {
            agent: AGENT.to_owned(),
            items: swept.packs,
            items_total: there.len() as u64,
            bytes: swept.bytes,
            bytes_total,
            listed: true,
        });
        Ok::<(), PruneError>(())
    })?;
    Ok(swept)
}

/// What is left of sessions that ended, in the order in which it goes: no run that is cut short brings a snapshot back, nor
/// leaves a session without a cell, which would be waited for.
struct Ended {
    marks: Vec<ObjectName>,
    /// Of closed sessions and of forgotten snapshots.
    cells: Vec<ObjectName>,
    /// The marks that those snapshots are forgotten.
    forgets: Vec<ObjectName>,
}

/// The cell of a snapshot that counts never goes, nor a revoked one, on which its writer may still run.
fn ended_sessions(repository: &Repository, number: u64, manifest: &Manifest) -> Result<Ended, PruneError> {
    let storage = repository.storage();
    let live: HashSet<&SessionId> = manifest.live.iter().collect();
    let mut marks: Vec<ObjectName> = storage.list(&Prefix::Sessions)?.into_iter().map(|object| object.name).collect();
    let marked: HashSet<SessionId> = marks.iter().filter_map(ObjectName::session_id).collect();
    let forgotten: HashSet<SessionId> =
        storage.list(&Prefix::Forgets)?.iter().filter_map(|object| object.name.forget_mark_id()).collect();
    let listed = storage.list(&Prefix::Cells)?.into_iter();
    let mut known: Vec<_> = listed.filter_map(|object| Some((object.name.commit_cell_id()?, object))).collect();
    let there: HashSet<SessionId> = known.iter().map(|(id, _)| *id).collect();
    // Most are old and stay: they need not be read.
    known.retain(|(id, _)| marked.contains(id) || forgotten.contains(id) || !live.contains(id));
    let read = each(storage.as_ref(), Nearby::InTurn, &known, |(_, object)| repository.listed_cell(object));
    let (mut cells, mut forgets, mut ended) = (Vec::new(), Vec::new(), HashSet::new());
    for ((id, object), cell) in known.into_iter().zip(read) {
        let cell = match cell {
            // Another prune sweeps too.
            Err(error) if error.is_not_found() => continue,
            // It was forgotten because nobody can read it (P0), and stays: nobody knows whose it is.
            Err(error) if error.is_damage() && forgotten.contains(&id) => continue,
            cell => cell?,
        };
        match cell {
            CommitCell::Revoked => {}
            CommitCell::Closed { epoch } => {
                ended.insert(id);
                if epoch < number {
                    cells.push(object.name);
                }
            }
            CommitCell::Snapshot { epoch, .. } => {
                ended.insert(id);
                if forgotten.contains(&id) && epoch < number && !live.contains(&id) {
                    cells.push(object.name);
                    forgets.push(ObjectName::forget_mark(&id));
                }
            }
        }
    }
    // A mark whose cell went in a run that was cut short.
    forgets.extend(forgotten.difference(&there).map(ObjectName::forget_mark));
    marks.retain(|mark| {
        let session = mark.session_id().or_else(|| mark.heartbeat_parts().map(|(session, _)| session));
        session.is_some_and(|session| ended.contains(&session))
    });
    Ok(Ended { marks, cells, forgets })
}
