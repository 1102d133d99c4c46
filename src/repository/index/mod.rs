//! The index: which chunk or page lies where. The union of immutable segments, nothing is rewritten at a commit.
//!
//! `delta` is what storage holds, `segment` what the local cache holds of it (memory-mapped), `build` makes the one
//! of the other. A delta that is damaged is set aside and the trailers of the packs that no readable delta names are
//! used instead: reading never fails for it, but chunks known only so are not deduplicated against.

use std::collections::{HashMap, HashSet};

use crate::codec::hash::digest;
use crate::entry::{Content, Piece};
use crate::id::PackId;
use crate::repository::error::RepositoryError;
use crate::repository::generation::Manifest;
use crate::repository::index::build::{Part, Plan, names_of};
use crate::repository::index::cache::IndexCache;
use crate::repository::index::delta::PackRecord;
use crate::repository::index::segment::{Backing, IndexedPack, Location, Segment};

mod build;
pub mod cache;
pub(crate) mod delta;
pub mod segment;

/// Segments beyond this many are merged.
const SEGMENTS_MAX: usize = 8;

/// Objects of the index that are read at once, at most 16 MiB each where a prune wrote them.
const READ_AT_ONCE: usize = 16;
/// Chunks of objects that become one segment.
const GATHERED_CHUNKS_MAX: usize = 1 << 20;

/// What is known of where chunks lie.
#[derive(Default)]
pub struct Index {
    segments: Vec<Segment>,
    /// Made of pack trailers because their delta is damaged.
    from_trailers: Vec<Segment>,
    /// Packs that segments of the base name and that no longer count: a prune deleted them.
    gone: HashSet<PackId>,
    /// Packs that are damaged: read last.
    distrusted: HashSet<PackId>,
    /// Packs that no writer may count on: lost, condemned or distrusted.
    uncounted: HashSet<PackId>,
    /// Which objects and which manifest it was made of.
    made_of: [u8; 32],
}

/// How an object's packs are had when no cached segment covers it.
pub(crate) trait DeltaSource: Sync {
    /// The packs that the delta or base segment of this name names.
    fn packs_of(&self, name: &str) -> Result<Vec<PackRecord>, RepositoryError>;
    /// The same of several, in their order.
    fn packs_of_each(&self, names: &[&String]) -> Vec<Result<Vec<PackRecord>, RepositoryError>>;
    /// The packs on storage that `index` does not name, read from their trailers; unreadable ones are left out.
    fn packs_beside(&self, index: &Index) -> Result<Vec<PackRecord>, RepositoryError>;
}

impl Index {
    /// The index of the objects `names`, as the manifest has it; those that could not be read are returned with the reason.
    pub(crate) fn open(
        names: &[String],
        manifest: &Manifest,
        source: &dyn DeltaSource,
        cache: &IndexCache,
    ) -> Result<(Self, Vec<RepositoryError>), RepositoryError> {
        let (mut segments, covered) = cache.load(names);
        let missing: Vec<&String> = names.iter().filter(|name| !covered.contains(name.as_str())).collect();
        let (mut gathered, mut damaged) = (Gathered::default(), Vec::new());
        // Some at once, for all of them need not fit in memory.
        for names in missing.chunks(READ_AT_ONCE) {
            for (name, result) in names.iter().zip(source.packs_of_each(names)) {
                match result {
                    Ok(found) => gathered.add(name, found),
                    // Also where it is not there any more: a pruner merged it into a base segment while we looked.
                    Err(error) if error.is_damage() => damaged.push(error),
                    Err(error) => return Err(error),
                }
            }
            if gathered.chunks > GATHERED_CHUNKS_MAX {
                segments.extend(gathered.end(cache)?);
            }
        }
        segments.extend(gathered.end(cache)?);
        let segments = merge_smallest(segments, cache);
        let distrusted = manifest.distrusted.iter().copied().collect();
        let made_of = made_of(names, manifest);
        let gone = manifest.segments.iter().flat_map(|segment| &segment.gone).copied().collect();
        let mut index = Self { gone, segments, distrusted, made_of, ..Self::default() };
        if !damaged.is_empty() {
            index.adopt(&source.packs_beside(&index)?)?;
        }
        Ok((index, damaged))
    }

    /// Whether it was made of these objects and this manifest.
    pub(crate) fn is_made_of(&self, names: &[String], manifest: &Manifest) -> bool {
        self.made_of == made_of(names, manifest)
    }

    /// Takes packs in whose index delta is lost; their chunks are found from now on, but writers do not count on them.
    pub fn adopt(&mut self, packs: &[PackRecord]) -> Result<(), RepositoryError> {
        self.from_trailers.push(segment_of(&[Part { name: "", packs }], &IndexCache::none())?);
        Ok(())
    }

    /// Every copy of the chunk or page of this id, those that a writer may count on first, those in damaged packs last.
    pub fn find<'s>(&'s self, id: &'s [u8; 32]) -> impl Iterator<Item = Location> + 's {
        let copies = move || {
            let found = self.all_segments().flat_map(move |segment| segment.find(id));
            found.filter(|location| self.gone.is_empty() || !self.gone.contains(&location.pack))
        };
        let is_last = |location: &Location| !self.distrusted.is_empty() && self.distrusted.contains(&location.pack);
        let last = (!self.distrusted.is_empty()).then(|| copies().filter(move |location| is_last(location)));
        copies().filter(move |location| !is_last(location)).chain(last.into_iter().flatten())
    }

    /// Whether a writer may count on the chunk or page being there.
    pub fn contains(&self, id: &[u8; 32]) -> bool {
        if self.uncounted.is_empty() && self.gone.is_empty() {
            return self.segments.iter().any(|segment| segment.contains(id));
        }
        let mut copies = self.segments.iter().flat_map(|segment| segment.find(id));
        copies.any(|location| !self.uncounted.contains(&location.pack) && !self.gone.contains(&location.pack))
    }

    /// Whether every chunk of the content is known to be stored, so that a lost one is sent again while somebody has it.
    pub fn holds(&self, content: &Content) -> bool {
        match content {
            Content::Empty | Content::Inline(_) => true,
            Content::Pieces { pieces, .. } => pieces.iter().all(|piece| match piece {
                Piece::Chunk { id, .. } => self.contains(&id.0),
                Piece::Zeros { .. } => true,
            }),
            // The pieces of a list are not looked up one by one, so nothing may be lost that could be one of them.
            Content::List { root, .. } => self.is_whole() && self.contains(&root.0),
        }
    }

    /// Whether every pack that is known of is named by a readable delta and is there, so that what was stored once still is.
    pub fn is_whole(&self) -> bool {
        self.uncounted.is_empty() && self.from_trailers.is_empty()
    }

    /// Whether writers may count on every copy that has an ordinal.
    pub(crate) fn counts_all(&self) -> bool {
        self.is_whole() && self.gone.is_empty() && self.segments.iter().all(Segment::counts_all)
    }

    /// Whether a cached segment was found damaged; what stands in it is not found until the index is opened again.
    pub(crate) fn is_cache_damaged(&self) -> bool {
        self.segments.iter().any(Segment::is_damaged)
    }

    /// Whether a pack that counts is not on storage, or not as long as it was.
    pub(crate) fn lacks_any(&self, stored: &HashMap<PackId, u64>) -> bool {
        self.counted_packs().any(|pack| stored.get(&pack.id) != Some(&u64::from(pack.size)))
    }

    /// Compares with what storage holds: writers no longer count on packs that are gone or cut short. Returns those.
    pub(crate) fn set_lost_packs_aside(&mut self, stored: &HashMap<PackId, u64>) -> Vec<PackId> {
        let is_lost = |pack: &IndexedPack| stored.get(&pack.id) != Some(&u64::from(pack.size));
        let mut lost: Vec<PackId> = self.counted_packs().filter(is_lost).map(|pack| pack.id).collect();
        lost.sort();
        lost.dedup();
        self.uncounted.extend(&lost);
        lost
    }

    /// Nobody counts any longer on packs that are not on storage at all.
    pub fn set_absent_packs_aside(&mut self, stored: &HashMap<PackId, u64>) {
        let absent: Vec<PackId> =
            self.counted_packs().map(|pack| pack.id).filter(|pack| !stored.contains_key(pack)).collect();
        self.uncounted.extend(absent);
    }

    /// Writers no longer count on these packs (W3).
    pub(crate) fn forbid(&mut self, packs: &HashSet<PackId>) {
        if !packs.is_empty() {
            let named: Vec<PackId> = self.counted_packs().map(|pack| pack.id).filter(|id| packs.contains(id)).collect();
            self.uncounted.extend(named);
        }
    }

    fn counted_packs(&self) -> impl Iterator<Item = IndexedPack> {
        self.segments.iter().flat_map(Segment::packs).filter(|pack| !self.gone.contains(&pack.id))
    }

    fn all_segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().chain(&self.from_trailers)
    }

    /// The packs that are named anywhere; one that several segments name comes several times.
    pub fn packs(&self) -> impl Iterator<Item = IndexedPack> {
        self.all_segments().flat_map(Segment::packs).filter(|pack| !self.gone.contains(&pack.id))
    }

    /// The ordinal of every copy of the chunk or page of this id, among all copies that the index knows.
    pub fn ordinals<'s>(&'s self, id: &'s [u8; 32]) -> impl Iterator<Item = usize> + 's {
        let mut base = 0;
        self.all_segments().flat_map(move |segment| {
            let first = base;
            base += segment.chunk_count();
            segment.ordinals(id).map(move |ordinal| first + ordinal)
        })
    }

    /// Every copy by its ordinal: id and place. Copies in packs that do not count any more are left out.
    pub fn copies(&self) -> impl Iterator<Item = (usize, [u8; 32], Location)> {
        let mut base = 0;
        let copies = self.all_segments().flat_map(move |segment| {
            let first = base;
            base += segment.chunk_count();
            segment.expect_pass();
            (0..segment.chunk_count())
                .filter_map(move |ordinal| segment.chunk(ordinal).map(|(id, location)| (first + ordinal, id, location)))
        });
        copies.filter(|(_, _, location)| !self.gone.contains(&location.pack))
    }

    /// Where the copy of this ordinal lies.
    pub fn place(&self, mut ordinal: usize) -> Option<Location> {
        for segment in self.all_segments() {
            match ordinal.checked_sub(segment.chunk_count()) {
                Some(rest) => ordinal = rest,
                None => return segment.chunk(ordinal).map(|(_, location)| location),
            }
        }
        None
    }

    /// Every copy, in no particular order: id and place.
    pub fn chunks(&self) -> impl Iterator<Item = ([u8; 32], Location)> {
        self.copies().map(|(_, id, location)| (id, location))
    }

    /// Whether the pack is damaged, so that what is in it does not count as there.
    pub fn is_distrusted(&self, pack: &PackId) -> bool {
        self.distrusted.contains(pack)
    }

    /// The packs that each object of the index names, those that no longer count among them. What a damaged cache does not
    /// know is missing.
    pub(crate) fn packs_by_object(&self) -> impl Iterator<Item = (PackId, &str)> {
        self.segments.iter().flat_map(Segment::packs_by_object)
    }

    /// Copies of chunks and pages in all.
    pub fn chunk_count(&self) -> usize {
        self.all_segments().map(Segment::chunk_count).sum()
    }
}

/// A hash of what an index is made of. Which manifest it is, the one before it and what it deletes say.
fn made_of(names: &[String], manifest: &Manifest) -> [u8; 32] {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    let deleted: Vec<String> = manifest.deleted.iter().map(PackId::to_string).collect();
    digest([names.join("\n"), deleted.join("\n"), manifest.previous.clone()].join("\n\n").as_bytes())
}

/// Objects that will be one segment.
#[derive(Default)]
struct Gathered {
    parts: Vec<(String, Vec<PackRecord>)>,
    chunks: usize,
}

impl Gathered {
    fn add(&mut self, name: &str, packs: Vec<PackRecord>) {
        self.chunks += packs.iter().map(|pack| pack.directory.ids.len()).sum::<usize>();
        self.parts.push((name.to_owned(), packs));
    }

    /// The segment of what was gathered, if anything was; gathers anew.
    fn end(&mut self, cache: &IndexCache) -> Result<Option<Segment>, RepositoryError> {
        let parts = std::mem::take(self).parts;
        let parts: Vec<Part<'_>> = parts.iter().map(|(name, packs)| Part { name, packs }).collect();
        if parts.is_empty() { Ok(None) } else { segment_of(&parts, cache).map(Some) }
    }
}

/// Makes the cached segment of packs whose delta was just written, so that the next command need not read it again.
pub(crate) fn remember(name: &str, packs: &[PackRecord], cache: &IndexCache) {
    // The cache is a convenience: where it cannot be written, the next command reads the delta.
    drop(segment_of(&[Part { name, packs }], cache));
}

fn segment_of(parts: &[Part<'_>], cache: &IndexCache) -> Result<Segment, RepositoryError> {
    let plan = Plan::of_parts(parts).ok_or(RepositoryError::IndexTooLarge)?;
    let write = |target: &mut [u8]| {
        plan.write_parts(parts, target);
        Some(())
    };
    match cache.create(&names_of(parts), plan.file_size(), &write) {
        Some(segment) => Ok(segment),
        None => {
            let mut bytes = vec![0; plan.file_size()];
            plan.write_parts(parts, &mut bytes);
            Ok(Segment::open(Backing::Heap(bytes), None).expect("because it was written just now"))
        }
    }
}

/// Merges all but the largest segment into one where they are many. Where the cache cannot hold the result, nothing changes.
fn merge_smallest(mut segments: Vec<Segment>, cache: &IndexCache) -> Vec<Segment> {
    if segments.len() <= SEGMENTS_MAX {
        return segments;
    }
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.chunk_count()));
    // The largest stays apart while it outweighs the others, so that it is not rewritten for a little.
    let rest: usize = segments[1..].iter().map(Segment::chunk_count).sum();
    let first = if segments[0].chunk_count() > 4 * rest { 1 } else { 0 };
    let parts: Vec<&Segment> = segments[first..].iter().collect();
    let names: String = parts.iter().flat_map(|part| part.names()).flat_map(|name| [name, "\n"]).collect();
    let Some(plan) = Plan::of_segments(&names, &parts) else { return segments };
    let write = |target: &mut [u8]| plan.write_segments(&names, &parts, target);
    let Some(merged) = cache.create(&names, plan.file_size(), &write) else { return segments };
    for part in &parts {
        cache.forget(&part.names().flat_map(|name| [name, "\n"]).collect::<String>());
    }
    segments.truncate(first);
    segments.push(merged);
    segments
}
