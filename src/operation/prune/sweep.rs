//! Deleting what a manifest has decided (P7). Anyone may do it, at any time and as often as they like: names never come back.

use std::collections::HashSet;

use crate::id::{PackId, SegmentId, SessionId};
use crate::operation::prune::{AGENT, PruneError};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::generation::Manifest;
use crate::repository::snapshot::CommitCell;
use crate::storage::name::{ObjectName, Prefix};

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
    let mut names: Vec<ObjectName> =
        before.iter().filter(|old| !kept.contains(*old)).map(ObjectName::base_segment).collect();
    for object in storage.list(&Prefix::Index)? {
        if object.name.index_delta_parts().is_some_and(|(epoch, _, _)| epoch < number) {
            names.push(object.name);
        }
    }
    names.extend(ended_sessions(repository, number, manifest)?);
    for name in names {
        if progress.interrupted() {
            return Err(PruneError::Interrupted);
        }
        storage.delete(&name)?;
        swept.others += 1;
    }
    Ok(swept)
}

fn sweep_packs(repository: &Repository, deleted: &[PackId], progress: &dyn Progress) -> Result<Swept, PruneError> {
    let mut swept = Swept::default();
    if deleted.is_empty() {
        return Ok(swept);
    }
    let stored = repository.stored_packs()?;
    let there: Vec<(&PackId, u64)> = deleted.iter().filter_map(|pack| Some((pack, *stored.get(pack)?))).collect();
    let bytes_total = there.iter().map(|(_, size)| size).sum();
    for (pack, size) in &there {
        if progress.interrupted() {
            return Err(PruneError::Interrupted);
        }
        repository.storage().delete(&ObjectName::pack(pack))?;
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
    }
    Ok(swept)
}

/// The marks of sessions that ended, the cells of closed ones and of forgotten snapshots, in an order in which no run that
/// is cut short brings a snapshot back: the cell before the mark that it is forgotten. The cell of a snapshot that counts
/// never goes, nor a revoked one, on which its writer may still run.
fn ended_sessions(repository: &Repository, number: u64, manifest: &Manifest) -> Result<Vec<ObjectName>, PruneError> {
    let storage = repository.storage();
    let live: HashSet<&SessionId> = manifest.live.iter().collect();
    let marks: Vec<ObjectName> = storage.list(&Prefix::Sessions)?.into_iter().map(|object| object.name).collect();
    let marked: HashSet<SessionId> = marks.iter().filter_map(ObjectName::session_id).collect();
    let forgotten: HashSet<SessionId> =
        storage.list(&Prefix::Forgets)?.iter().filter_map(|object| object.name.forget_mark_id()).collect();
    let (mut names, mut ended, mut cells) = (Vec::new(), HashSet::new(), HashSet::new());
    for object in storage.list(&Prefix::Cells)? {
        let Some(id) = object.name.commit_cell_id() else { continue };
        cells.insert(id);
        if !marked.contains(&id) && !forgotten.contains(&id) && live.contains(&id) {
            // Most are old and stay: they need not be read.
            continue;
        }
        let cell = match repository.cell(id) {
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
                    names.push(object.name);
                }
            }
            CommitCell::Snapshot { epoch, .. } => {
                ended.insert(id);
                if forgotten.contains(&id) && epoch < number && !live.contains(&id) {
                    names.push(object.name);
                    names.push(ObjectName::forget_mark(&id));
                }
            }
        }
    }
    // A mark whose cell went in a run that was cut short.
    names.extend(forgotten.difference(&cells).map(ObjectName::forget_mark));
    let is_of_ended = |mark: &ObjectName| {
        let session = mark.session_id().or_else(|| mark.heartbeat_parts().map(|(session, _)| session));
        session.is_some_and(|session| ended.contains(&session))
    };
    // Before the cells: a session without a cell would be waited for.
    let mut order: Vec<ObjectName> = marks.into_iter().filter(is_of_ended).collect();
    order.append(&mut names);
    Ok(order)
}
