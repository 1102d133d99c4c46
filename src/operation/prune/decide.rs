//! Deciding a generation (P3 to P6): wait for whoever may count on what is condemned, see what is still needed, write it down.
//!
//! Everything is read anew here, after the intent was put: what the plan was made of may have changed since, and the intent
//! may be another pruner's.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::id::{PackId, SegmentId};
use crate::operation::mark::{Marks, mark};
use crate::operation::prune::rebase::{Base, Rebased, rebase};
use crate::operation::prune::{Patience, PruneError, has_decided};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::generation::{Generation, Intent, Manifest};
use crate::repository::index::Index;
use crate::repository::liveness::OpenSession;
use crate::repository::session::SessionMark;
use crate::storage::Put;

/// Waits until no session is under way that may have begun before the intent (P3). Returns those that it gave up on.
pub(in crate::operation) fn await_writers(
    repository: &Repository,
    mark: &SessionMark,
    patience: &dyn Patience,
    epoch: u64,
    progress: &dyn Progress,
) -> Result<Vec<OpenSession>, PruneError> {
    let mut now = None;
    loop {
        let mut waited_for = Vec::new();
        for session in repository.open_sessions()? {
            if session.has_ended_here(&mark.host) {
                repository.revoke(session.id)?;
                continue;
            }
            let time = match now {
                Some(time) => time,
                None => *now.insert(repository.store_time(mark, epoch)?),
            };
            if session.is_silent(time) { repository.revoke(session.id)? } else { waited_for.push(session) }
        }
        if progress.interrupted() {
            return Err(PruneError::Interrupted);
        }
        // P3e: another may have ended the wait, and what it decided and swept would be waited for for ever.
        if waited_for.is_empty() || has_decided(repository, epoch)? {
            return Ok(Vec::new());
        }
        if !patience.pause() {
            return Ok(waited_for);
        }
    }
}

/// What was decided, and segments of the base that nothing refers to any more.
pub(in crate::operation) struct Decided {
    pub(in crate::operation) manifest: Manifest,
    /// Whether it is what was put here, and not what another decided first.
    pub(in crate::operation) is_ours: bool,
    pub(super) orphans: Vec<SegmentId>,
}

/// Decides generation `number` by its intent, or finds it decided.
pub(super) fn decide(
    repository: &Repository,
    number: u64,
    intent: &Intent,
    before: &Generation,
    progress: &dyn Progress,
) -> Result<Decided, PruneError> {
    // P4: only now, for whoever counted on what is condemned has committed by now.
    let snapshots = repository.snapshots_of(before)?;
    PruneError::stop_at(snapshots.damaged)?;
    let (mut index, damaged) = repository.index_at(before)?;
    PruneError::stop_at(damaged)?;
    let stored = repository.stored_packs()?;
    index.set_absent_packs_aside(&stored);
    let (marks, _) = mark(repository, &index, &snapshots.valid, progress)?;
    let condemned: HashSet<PackId> = intent.condemned.iter().copied().collect();
    let mut kept = still_needed(&index, &marks, &stored, &condemned);
    // Whoever finds damage deletes nothing: the next prune sees what has an intact copy by then.
    kept.extend(&intent.distrusted);
    let mut deleted: Vec<PackId> = condemned.difference(&kept).copied().collect();
    deleted.sort();
    let gone: HashSet<PackId> = deleted.iter().copied().collect();
    let Rebased { segments, put } = rebase(repository, before, &gone, &stored, Base::Indexed(&index))?;
    let mut live: Vec<_> = snapshots.valid.iter().map(|snapshot| snapshot.id).collect();
    live.sort();
    let distrusted = distrusted(before, intent, &gone);
    let manifest = Manifest { deleted, segments, live, distrusted, previous: before.hash.clone() };
    record(repository, number, manifest, put)
}

/// The packs that the new manifest distrusts: those of the one before and (D4) of the intent, less what goes (D6).
fn distrusted(before: &Generation, intent: &Intent, gone: &HashSet<PackId>) -> Vec<PackId> {
    let known = before.manifest.distrusted.iter().chain(&intent.distrusted);
    let distrusted: BTreeSet<PackId> = known.filter(|pack| !gone.contains(*pack)).copied().collect();
    distrusted.into_iter().collect()
}

/// Puts the manifest and its copy, or takes the one that is there; `put` are the segments that were put for ours.
fn record(
    repository: &Repository,
    number: u64,
    manifest: Manifest,
    put: Vec<SegmentId>,
) -> Result<Decided, PruneError> {
    // P7i: what is listed before the manifest is put cannot be of a generation after it.
    let listed = repository.base_segments()?;
    let (manifest, is_ours, candidates) = match repository.put_manifest(number, &manifest)? {
        Put::Created => (manifest, true, listed),
        // P6b: another decided first, or our own reply was lost. What is recorded holds.
        Put::Exists => {
            let recorded = repository.manifest(number)?.0;
            let is_ours = recorded == manifest;
            (recorded, is_ours, put)
        }
    };
    repository.put_manifest_copy(number, &manifest)?;
    let holding: HashSet<SegmentId> = manifest.segments.iter().map(|segment| segment.id).collect();
    let orphans = candidates.into_iter().filter(|segment| !holding.contains(segment)).collect();
    Ok(Decided { manifest, is_ours, orphans })
}

/// Decides generation `number` so that nothing is deleted, whatever its intent condemns, and what of the index is damaged is
/// made anew from the packs themselves. Only the index, and what is trusted, changes by it.
pub(in crate::operation) fn mend(
    repository: &Repository,
    number: u64,
    intent: &Intent,
    before: &Generation,
) -> Result<Decided, PruneError> {
    let snapshots = repository.snapshots_of(before)?;
    let mut live: Vec<_> = snapshots.valid.iter().map(|snapshot| snapshot.id).collect();
    // What cannot be read now may count again once somebody has put its bytes back.
    live.extend(snapshots.damaged.iter().map(|cell| cell.id));
    live.sort();
    let stored = repository.stored_packs()?;
    let Rebased { segments, put } = rebase(repository, before, &HashSet::new(), &stored, Base::Mended)?;
    let distrusted = distrusted(before, intent, &HashSet::new());
    let manifest = Manifest { deleted: Vec::new(), segments, live, distrusted, previous: before.hash.clone() };
    record(repository, number, manifest, put)
}

/// The condemned packs that hold the last present, trusted copy of something in use.
fn still_needed(
    index: &Index,
    marks: &Marks,
    stored: &HashMap<PackId, u64>,
    condemned: &HashSet<PackId>,
) -> HashSet<PackId> {
    let mut kept = HashSet::new();
    let is_sound = |pack: &PackId, size: u32| stored.get(pack) == Some(&u64::from(size)) && !index.is_distrusted(pack);
    let sizes: HashMap<PackId, u32> = index.packs().map(|pack| (pack.id, pack.size)).collect();
    for (ordinal, id, location) in index.copies() {
        if !condemned.contains(&location.pack) || !marks.contains(ordinal) {
            continue;
        }
        let mut copies: Vec<PackId> = index.find(&id).map(|copy| copy.pack).collect();
        copies.retain(|pack| stored.contains_key(pack));
        let survives = |pack: &PackId| !condemned.contains(pack) || kept.contains(pack);
        let sound = |pack: &PackId| sizes.get(pack).is_some_and(|size| is_sound(pack, *size));
        if copies.iter().any(|pack| survives(pack) && sound(pack)) {
            continue;
        }
        // A sound copy among the condemned is kept; where there is none, every copy is, for any may be the one that opens.
        match copies.iter().find(|pack| sound(pack)) {
            Some(pack) => drop(kept.insert(*pack)),
            None => kept.extend(copies),
        }
    }
    kept
}
