//! The base of the index at a new generation (P5): what the base before and the deltas since it say, less what goes.

use std::collections::{HashMap, HashSet};

use crate::id::{PackId, SegmentId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{BaseSegment, Generation};
use crate::repository::index::delta::PackRecord;

/// Bytes of encoded index from which a segment of the base is closed.
const SEGMENT_SIZE: usize = 16 << 20;
/// A segment is rewritten when this part of its packs, one in so many, does not count any more.
const DEAD_PART: usize = 4;

/// The new base.
pub(super) struct Rebased {
    pub(super) segments: Vec<BaseSegment>,
    /// Those among them that were put just now.
    pub(super) put: Vec<SegmentId>,
}

/// What to do where part of the index cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Nothing is decided.
    Stops,
    /// The packs themselves say what they hold.
    IsMended,
}

impl Damage {
    fn of<T>(self, read: Result<T, RepositoryError>) -> Result<Option<T>, RepositoryError> {
        match read {
            Err(error) if self == Self::IsMended && error.is_damage() => Ok(None),
            read => read.map(Some),
        }
    }
}

/// The base of the index at the new generation (P5): that of the one before and the deltas since, less what goes. Returns
/// its segments.
pub(super) fn rebase(
    repository: &Repository,
    before: &Generation,
    gone: &HashSet<PackId>,
    stored: &HashMap<PackId, u64>,
    damage: Damage,
) -> Result<Rebased, RepositoryError> {
    let counts = |pack: &PackId| !gone.contains(pack) && stored.contains_key(pack);
    let (mut segments, mut fresh) =
        (Vec::new(), Segments { repository, packs: Vec::new(), size: 0, named: HashSet::new(), put: Vec::new() });
    for segment in &before.manifest.segments {
        let packs: Vec<PackId> = segment.packs.iter().filter(|pack| counts(pack)).copied().collect();
        let Some(records) = damage.of(repository.base_segment(&segment.id))? else { continue };
        let is_mostly_dead = (records.len() - packs.len().min(records.len())) * DEAD_PART >= records.len();
        if is_mostly_dead || records.len() < SEGMENT_PACKS_MIN {
            let alive: HashSet<&PackId> = packs.iter().collect();
            fresh.extend(records.into_iter().filter(|record| alive.contains(&record.id)))?;
        } else {
            segments.push(BaseSegment { id: segment.id, packs });
        }
    }
    for delta in repository.deltas_of(before.number)? {
        let Some(records) = damage.of(delta)? else { continue };
        fresh.extend(records.into_iter().filter(|record| counts(&record.id)))?;
    }
    if damage == Damage::IsMended {
        let named = segments.iter().flat_map(|segment| &segment.packs).chain(&fresh.named).copied().collect();
        fresh.extend(unnamed(repository, before.number, &named, stored)?)?;
    }
    let put = fresh.finish()?;
    let ours = put.iter().map(|segment| segment.id).collect();
    segments.extend(put);
    Ok(Rebased { segments, put: ours })
}

/// The packs on storage that are not `named`, by what their own ends say, unless a generation up to `number` deleted them: a
/// delete may be cut short, or taken back by a power cut.
pub(in crate::operation) fn unnamed(
    repository: &Repository,
    number: u64,
    named: &HashSet<PackId>,
    stored: &HashMap<PackId, u64>,
) -> Result<Vec<PackRecord>, RepositoryError> {
    let mut deleted: HashSet<PackId> = HashSet::new();
    for number in 1..=number {
        deleted.extend(Damage::IsMended.of(repository.manifest(number))?.into_iter().flat_map(|(of, _)| of.deleted));
    }
    let mut records = Vec::new();
    for (pack, size) in stored.iter().filter(|(pack, _)| !named.contains(*pack) && !deleted.contains(*pack)) {
        records.extend(Damage::IsMended.of(repository.read_directory(pack, *size))?);
    }
    records.sort_by_key(|record| record.id);
    Ok(records)
}

/// A segment of fewer packs is written anew with others, so that they do not become many.
const SEGMENT_PACKS_MIN: usize = 64;

/// Segments being written.
struct Segments<'s> {
    repository: &'s Repository,
    packs: Vec<PackRecord>,
    size: usize,
    /// All packs that came in.
    named: HashSet<PackId>,
    put: Vec<BaseSegment>,
}

impl Segments<'_> {
    fn extend(&mut self, records: impl IntoIterator<Item = PackRecord>) -> Result<(), RepositoryError> {
        for record in records {
            self.size += record.encoded_size();
            self.named.insert(record.id);
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
