//! `stats`: how much there is, before and after deduplication and compression, and what one snapshot alone keeps.
//!
//! Figures of the whole repository come from records, index and listings; only what is asked of one snapshot walks trees.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::id::{ChunkId, PageId, SnapshotId};
use crate::operation::reach::{Fault, Reach, Witness};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::Index;
use crate::repository::index::segment::Location;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::snapshot::Snapshot;
use crate::resource::Totals;
use crate::storage::name::Prefix;

/// Chunks or pages of one kind, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many.
    pub count: u64,
    /// Their bytes before compression.
    pub bytes: u64,
    /// About what they take as stored: their share of the frames they are in.
    pub stored: u64,
}

impl Held {
    fn add(&mut self, location: &Location) {
        self.count += 1;
        self.bytes += u64::from(location.length);
        self.stored += stored_share(location);
    }
}

/// What a chunk takes of its frame.
fn stored_share(location: &Location) -> u64 {
    let frame = location.frame.record;
    frame.size() * u64::from(location.length) / u64::from(frame.plain_length.max(1))
}

/// Figures of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepositoryStats {
    /// Snapshots.
    pub snapshots: u64,
    /// What they hold together, as if each stood alone.
    pub held: Totals,
    /// Chunks of content.
    pub chunks: Held,
    /// Pages of trees and lists.
    pub pages: Held,
    /// Packs on storage.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Bytes of index deltas.
    pub index_bytes: u64,
    /// Bytes of all objects, of whatever kind.
    pub bytes: u64,
}

/// Figures of the whole repository.
pub fn repository_stats(
    repository: &Repository,
    index: &Index,
    snapshots: &[Snapshot],
) -> Result<RepositoryStats, RepositoryError> {
    let mut stats = RepositoryStats { snapshots: snapshots.len() as u64, ..RepositoryStats::default() };
    for snapshot in snapshots {
        stats.held.add(&snapshot.record.summary.totals);
    }
    for object in repository.storage().list(&Prefix::All)? {
        stats.bytes += object.size;
        if object.name.pack_id().is_some() {
            stats.packs += 1;
            stats.pack_bytes += object.size;
        } else if object.name.index_delta_parts().is_some() || object.name.base_segment_id().is_some() {
            stats.index_bytes += object.size;
        }
    }
    for (id, location) in index.chunks() {
        // A chunk with several copies is counted at the first of them.
        if index.find(&id).next().is_none_or(|first| first == location) {
            match location.header.kind {
                PackKind::Data => stats.chunks.add(&location),
                PackKind::Pages => stats.pages.add(&location),
            }
        }
    }
    Ok(stats)
}

/// Figures of one snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStats {
    /// What it holds.
    pub held: Totals,
    /// Chunks it needs.
    pub chunks: Held,
    /// Pages it needs.
    pub pages: Held,
    /// Chunks and pages that no other snapshot needs: what forgetting it would free.
    pub unique: Held,
    /// Things it needs that cannot be had; `check` names them.
    pub faults: u64,
}

/// Figures of the snapshot `id` among `snapshots`; memory grows with its chunks.
pub fn snapshot_stats(
    reader: &Reader<'_>,
    snapshots: &[Snapshot],
    id: SnapshotId,
    progress: &dyn Progress,
) -> SnapshotStats {
    let needed = Needed { progress, shards: (0..SHARDS).map(|_| Mutex::default()).collect(), faults: Mutex::new(0) };
    let mut stats = SnapshotStats::default();
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.id == id) {
        stats.held = snapshot.record.summary.totals;
        walk(snapshot, &Reach::new(reader, &needed));
    }
    let sum = |kind: Option<PackKind>| {
        let mut held = Held::default();
        for shard in &needed.shards {
            for id in shard.lock().expect("because no holder panics").iter() {
                let location = reader.index().find(id).find(|location| kind.is_none_or(|k| location.header.kind == k));
                location.iter().for_each(|location| held.add(location));
            }
        }
        held
    };
    stats.chunks = sum(Some(PackKind::Data));
    stats.pages = sum(Some(PackKind::Pages));
    let others = Others { needed: &needed };
    let reach = Reach::new(reader, &others);
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.id != id) {
        walk(snapshot, &reach);
    }
    stats.unique = sum(None);
    stats.faults = *needed.faults.lock().expect("because no holder panics");
    stats
}

fn walk<W: Witness>(snapshot: &Snapshot, reach: &Reach<'_, '_, W>) {
    for record in &snapshot.record.resources {
        reach.resource(snapshot.id, record);
    }
}

const SHARDS: usize = 64;

/// Ids of chunks and pages that a snapshot needs and no other one was seen to.
struct Needed<'p> {
    progress: &'p dyn Progress,
    shards: Vec<Mutex<HashSet<[u8; 32]>>>,
    faults: Mutex<u64>,
}

impl Needed<'_> {
    fn shard(&self, id: &[u8; 32]) -> &Mutex<HashSet<[u8; 32]>> {
        &self.shards[usize::from(id[31]) % SHARDS]
    }

    fn insert(&self, id: [u8; 32]) {
        self.shard(&id).lock().expect("because no holder panics").insert(id);
    }

    fn remove(&self, id: &[u8; 32]) {
        self.shard(id).lock().expect("because no holder panics").remove(id);
    }
}

impl Witness for Needed<'_> {
    fn chunk(&self, id: &ChunkId, _length: u32) -> Result<(), String> {
        self.insert(id.0);
        Ok(())
    }

    fn page(&self, id: &PageId) -> Result<(), String> {
        self.insert(id.0);
        Ok(())
    }

    fn fault(&self, _fault: Fault) {
        *self.faults.lock().expect("because no holder panics") += 1;
    }

    fn goes_on(&self) -> bool {
        !self.progress.interrupted()
    }
}

/// Takes away what the other snapshots need too.
struct Others<'o> {
    needed: &'o Needed<'o>,
}

impl Witness for Others<'_> {
    fn chunk(&self, id: &ChunkId, _length: u32) -> Result<(), String> {
        self.needed.remove(&id.0);
        Ok(())
    }

    fn page(&self, id: &PageId) -> Result<(), String> {
        self.needed.remove(&id.0);
        Ok(())
    }

    fn fault(&self, _fault: Fault) {}

    fn goes_on(&self) -> bool {
        self.needed.goes_on()
    }
}
