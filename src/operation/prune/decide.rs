//! Deciding a generation (P3 to P6): wait for whoever may count on what is condemned, see what is still needed, write it down.
//!
//! Everything is read anew here, after the intent was put: what the plan was made of may have changed since, and the intent
//! may be another pruner's.

use std::collections::{HashMap, HashSet};

use crate::id::{PackId, SegmentId};
use crate::operation::mark::{Marks, mark};
use crate::operation::prune::{PruneError, PruneRequest, has_decided};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{BaseSegment, Generation, Intent, Manifest};
use crate::repository::index::Index;
use crate::repository::index::delta::PackRecord;
use crate::repository::liveness::OpenSession;
use crate::repository::reader::Reader;
use crate::storage::Put;

/// Bytes of encoded index from which a segment of the base is closed.
const SEGMENT_SIZE: usize = 16 << 20;
/// A segment is rewritten when this part of its packs, one in so many, does not count any more.
const DEAD_PART: usize = 4;

/// Waits until no session is under way that may have begun before the intent (P3). Returns those that it gave up on.
pub(super) fn await_writers(
    repository: &Repository,
    request: &PruneRequest<'_>,
    epoch: u64,
    progress: &dyn Progress,
) -> Result<Vec<OpenSession>, PruneError> {
    let mut now = None;
    loop {
        let mut waited_for = Vec::new();
        for session in repository.open_sessions()? {
            if session.has_ended_here(&request.mark.host) {
                repository.revoke(session.id)?;
                continue;
            }
            let time = match now {
                Some(time) => time,
                None => *now.insert(repository.store_time(&request.mark, epoch)?),
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
        if !request.patience.pause() {
            return Ok(waited_for);
        }
    }
}

/// What was decided, and segments of the base that nothing refers to any more.
pub(super) struct Decided {
    pub(super) manifest: Manifest,
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
    let (index, damaged) = repository.index_at(before)?;
    PruneError::stop_at(damaged)?;
    let stored = repository.stored_packs()?;
    let reader = Reader::new(repository, &index);
    let (marks, _) = mark(&reader, &snapshots.valid, progress)?;
    let condemned: HashSet<PackId> = intent.condemned.iter().copied().collect();
    let kept = still_needed(&index, &marks, &stored, &condemned);
    let mut deleted: Vec<PackId> = condemned.difference(&kept).copied().collect();
    deleted.sort();
    let gone: HashSet<PackId> = deleted.iter().copied().collect();
    let mut distrusted = before.manifest.distrusted.clone();
    distrusted.retain(|pack| !gone.contains(pack));
    let (segments, ours) = rebase(repository, before, &gone, &stored)?;
    let mut live: Vec<_> = snapshots.valid.iter().map(|snapshot| snapshot.id).collect();
    live.sort();
    let manifest = Manifest { deleted, segments, live, distrusted, previous: before.hash.clone() };
    // P7i: what is listed before the manifest is put cannot be of a generation after it.
    let listed = repository.base_segments()?;
    let (manifest, candidates) = match repository.put_manifest(number, &manifest)? {
        Put::Created => (manifest, listed),
        // P6b: another decided first, or our own reply was lost. What is recorded holds.
        Put::Exists => (repository.manifest(number)?.0, ours),
    };
    repository.put_manifest_copy(number, &manifest)?;
    let holding: HashSet<SegmentId> = manifest.segments.iter().map(|segment| segment.id).collect();
    let orphans = candidates.into_iter().filter(|segment| !holding.contains(segment)).collect();
    Ok(Decided { manifest, orphans })
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

/// The base of the index at the new generation (P5): that of the one before and the deltas since, less what goes. Returns
/// its segments, and those among them that were put just now.
fn rebase(
    repository: &Repository,
    before: &Generation,
    gone: &HashSet<PackId>,
    stored: &HashMap<PackId, u64>,
) -> Result<(Vec<BaseSegment>, Vec<SegmentId>), RepositoryError> {
    let counts = |pack: &PackId| !gone.contains(pack) && stored.contains_key(pack);
    let (mut segments, mut fresh) = (Vec::new(), Segments { repository, packs: Vec::new(), size: 0, put: Vec::new() });
    for segment in &before.manifest.segments {
        let packs: Vec<PackId> = segment.packs.iter().filter(|pack| counts(pack)).copied().collect();
        let records = repository.base_segment(&segment.id)?;
        let is_mostly_dead = (records.len() - packs.len().min(records.len())) * DEAD_PART >= records.len();
        if is_mostly_dead || records.len() < SEGMENT_PACKS_MIN {
            let alive: HashSet<&PackId> = packs.iter().collect();
            fresh.extend(records.into_iter().filter(|record| alive.contains(&record.id)))?;
        } else {
            segments.push(BaseSegment { id: segment.id, packs });
        }
    }
    for delta in repository.deltas_of(before.number)? {
        fresh.extend(delta?.into_iter().filter(|record| counts(&record.id)))?;
    }
    let put = fresh.finish()?;
    let ours = put.iter().map(|segment| segment.id).collect();
    segments.extend(put);
    Ok((segments, ours))
}

/// A segment of fewer packs is written anew with others, so that they do not become many.
const SEGMENT_PACKS_MIN: usize = 64;

/// Segments being written.
struct Segments<'s> {
    repository: &'s Repository,
    packs: Vec<PackRecord>,
    size: usize,
    put: Vec<BaseSegment>,
}

impl Segments<'_> {
    fn extend(&mut self, records: impl Iterator<Item = PackRecord>) -> Result<(), RepositoryError> {
        for record in records {
            self.size += record.encoded_size();
            self.packs.push(record);
            if self.size >= SEGMENT_SIZE {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), RepositoryError> {
        if !self.packs.is_empty() {
            let id = self.repository.put_base_segment(&self.packs)?;
            self.put.push(BaseSegment { id, packs: self.packs.drain(..).map(|record| record.id).collect() });
        }
        self.size = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<BaseSegment>, RepositoryError> {
        self.close()?;
        Ok(self.put)
    }
}
