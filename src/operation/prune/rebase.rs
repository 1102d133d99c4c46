//! The base of the index at a new generation (P5): what the base before and the deltas since it say, less what goes.

use std::collections::{HashMap, HashSet};

use crate::id::{PackId, SegmentId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{BaseSegment, Generation};
use crate::repository::index::Index;
use crate::repository::index::delta::PackRecord;
use crate::storage::name::ObjectName;

/// Bytes of encoded index from which a segment of the base is closed.
const SEGMENT_SIZE: usize = 16 << 20;
/// A segment is rewritten when this part of its packs, one in so many, does not count any more.
const DEAD_PART: u64 = 4;
/// Most packs that a manifest lists as gone: what it names is bounded, however large the repository.
const GONE_MAX: usize = 1 << 18;
/// A segment is merged with what is written where it has less than so many times its packs, so that few stay.
const MERGED_FACTOR: u64 = 4;

/// The new base.
pub(super) struct Rebased {
    pub(super) segments: Vec<BaseSegment>,
    /// Those among them that were put just now.
    pub(super) put: Vec<SegmentId>,
}

/// Where it is known from what the base before names.
#[derive(Clone, Copy)]
pub(super) enum Base<'i> {
    /// From the index, of which nothing is damaged.
    Indexed(&'i Index),
    /// From storage; where that is damaged, the packs themselves say what they hold.
    Mended,
}

impl Base<'_> {
    fn is_mended(self) -> bool {
        matches!(self, Self::Mended)
    }

    fn read<T>(self, read: Result<T, RepositoryError>) -> Result<Option<T>, RepositoryError> {
        if self.is_mended() { unless_damaged(read) } else { read.map(Some) }
    }
}

fn unless_damaged<T>(read: Result<T, RepositoryError>) -> Result<Option<T>, RepositoryError> {
    match read {
        Err(error) if error.is_damage() => Ok(None),
        read => read.map(Some),
    }
}

/// The base of the index at the new generation (P5): that of the one before and the deltas since, less what goes and what is
/// not there. Segments of which little goes stay, and the manifest lists what of them is gone; small ones are merged.
pub(super) fn rebase(
    repository: &Repository,
    before: &Generation,
    goes: &HashSet<PackId>,
    stored: &HashMap<PackId, u64>,
    base: Base<'_>,
) -> Result<Rebased, RepositoryError> {
    let gone: HashSet<PackId> = match base {
        Base::Indexed(_) => before.manifest.segments.iter().flat_map(|segment| &segment.gone).copied().collect(),
        // What was only missing may be there again.
        Base::Mended => deleted_until(repository, before.number)?,
    };
    let counts = |pack: &PackId| stored.contains_key(pack) && !goes.contains(pack) && !gone.contains(pack);
    let mut named = HashSet::new();
    let mut fresh = Segments { repository, packs: Vec::new(), size: 0, total: 0, put: Vec::new() };
    for delta in repository.deltas_of(before.number)? {
        let Some(records) = base.read(delta)? else { continue };
        named.extend(records.iter().map(|record| record.id).filter(|_| base.is_mended()));
        fresh.extend(records.into_iter().filter(|record| counts(&record.id)))?;
    }
    let indexed = match base {
        Base::Indexed(index) => gone_by_object(index, counts),
        Base::Mended => HashMap::new(),
    };
    let (mut segments, mut listed) = (Vec::new(), 0);
    // The smallest first, so that what they are merged into outgrows as few as can be.
    let mut olds: Vec<&BaseSegment> = before.manifest.segments.iter().collect();
    olds.sort_by_key(|old| old.packs);
    for old in olds {
        let mut records = None;
        let mut gone: Vec<PackId> = match indexed.get(ObjectName::base_segment(&old.id).as_str()) {
            // Less is known where the cache is damaged.
            Some((packs, gone)) if *packs == old.packs => gone.clone(),
            _ => {
                let Some(read) = base.read(repository.base_segment(&old.id))? else { continue };
                named.extend(read.iter().map(|record| record.id));
                records.insert(read).iter().map(|record| record.id).filter(|pack| !counts(pack)).collect()
            }
        };
        gone.sort();
        let stay = old.packs.saturating_sub(gone.len() as u64);
        let is_sparse = gone.len() as u64 * DEAD_PART >= old.packs || listed + gone.len() > GONE_MAX;
        if !is_sparse && stay >= fresh.total * MERGED_FACTOR {
            listed += gone.len();
            segments.push(BaseSegment { id: old.id, packs: old.packs, gone });
            continue;
        }
        let records = match records {
            Some(records) => records,
            None => repository.base_segment(&old.id)?,
        };
        fresh.extend(records.into_iter().filter(|record| counts(&record.id)))?;
    }
    if base.is_mended() {
        // What sessions of the open generation put stays in their deltas.
        for delta in repository.deltas_of(before.number + 1)? {
            named.extend(unless_damaged(delta)?.into_iter().flatten().map(|record| record.id));
        }
        named.extend(gone);
        fresh.extend(unnamed(repository, &named, stored)?)?;
    }
    let put = fresh.finish()?;
    let ours = put.iter().map(|segment| segment.id).collect();
    segments.extend(put);
    Ok(Rebased { segments, put: ours })
}

/// Of each object of the index, how many packs it names and which of them do not count.
fn gone_by_object(index: &Index, counts: impl Fn(&PackId) -> bool) -> HashMap<&str, (u64, Vec<PackId>)> {
    let mut objects: HashMap<&str, (u64, Vec<PackId>)> = HashMap::new();
    for (pack, object) in index.packs_by_object() {
        let (packs, gone) = objects.entry(object).or_default();
        *packs += 1;
        gone.extend(Some(pack).filter(|pack| !counts(pack)));
    }
    objects
}

/// The packs that the generations up to `number` deleted, as far as their manifests can be read. They may be on storage all the
/// same: a delete may be cut short, or taken back by a power cut.
pub(in crate::operation) fn deleted_until(
    repository: &Repository,
    number: u64,
) -> Result<HashSet<PackId>, RepositoryError> {
    let mut deleted = HashSet::new();
    for number in 1..=number {
        deleted.extend(unless_damaged(repository.manifest(number))?.into_iter().flat_map(|(of, _)| of.deleted));
    }
    Ok(deleted)
}

/// The packs on storage that are not `named`, by what their own ends say.
pub(in crate::operation) fn unnamed(
    repository: &Repository,
    named: &HashSet<PackId>,
    stored: &HashMap<PackId, u64>,
) -> Result<Vec<PackRecord>, RepositoryError> {
    let mut records = Vec::new();
    for (pack, size) in stored.iter().filter(|(pack, _)| !named.contains(*pack)) {
        records.extend(unless_damaged(repository.read_directory(pack, *size))?);
    }
    records.sort_by_key(|record| record.id);
    Ok(records)
}

/// Segments being written.
struct Segments<'s> {
    repository: &'s Repository,
    packs: Vec<PackRecord>,
    size: usize,
    /// Packs that came in.
    total: u64,
    put: Vec<BaseSegment>,
}

impl Segments<'_> {
    fn extend(&mut self, records: impl IntoIterator<Item = PackRecord>) -> Result<(), RepositoryError> {
        for record in records {
            self.size += record.encoded_size();
            self.total += 1;
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
            self.put.push(BaseSegment { id, packs: self.packs.len() as u64, gone: Vec::new() });
            self.packs.clear();
        }
        self.size = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<BaseSegment>, RepositoryError> {
        self.close()?;
        Ok(self.put)
    }
}
