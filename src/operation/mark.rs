//! Marking: which chunks and pages snapshots refer to, one bit for each copy that the index knows.
//!
//! The walk is `reach`'s: each page once, on all processors. A bit a copy is 13 MB for 100 million of them.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{ChunkId, PageId};
use crate::operation::reach::{Fault, Reach, Reached, Soundness, Witness};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::index::Index;
use crate::repository::reader::Reader;
use crate::repository::snapshot::Snapshot;

/// Bytes of frames kept open: the pages of one snapshot lie in the frames of all those before it.
const READER_CACHE_SIZE: usize = 48 << 20;

/// What is marked in an index.
#[derive(Debug)]
pub struct Marks {
    words: Vec<AtomicU64>,
}

impl Marks {
    /// Nothing is marked.
    pub fn new(index: &Index) -> Self {
        Self { words: (0..index.chunk_count().div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether the copy of this ordinal is of a chunk or page that was marked.
    pub fn contains(&self, ordinal: usize) -> bool {
        self.words[ordinal / 64].load(Ordering::Relaxed) & (1 << (ordinal % 64)) != 0
    }

    /// Marks every copy of an id; whether there is one.
    fn mark(&self, index: &Index, id: &[u8; 32]) -> bool {
        let mut is_there = false;
        for ordinal in index.ordinals(id) {
            let (word, bit) = (&self.words[ordinal / 64], 1 << (ordinal % 64));
            // Most are met more than once, and reading does not take the line from other processors.
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
            is_there = true;
        }
        is_there
    }
}

/// Why marking found no end: then nothing may be deleted.
#[derive(Debug)]
pub enum Unmarked {
    /// A snapshot refers to something that cannot be had.
    Fault(Box<Fault>),
    /// The user asked to stop.
    Interrupted,
}

/// Marks all that these snapshots refer to.
pub fn mark(
    repository: &Repository,
    index: &Index,
    snapshots: &[Snapshot],
    progress: &dyn Progress,
) -> Result<(Marks, Reached), Unmarked> {
    let reader = Reader::with_cache(repository, index, READER_CACHE_SIZE);
    let marker = Marker { marks: Marks::new(index), index, progress, fault: Mutex::default() };
    let reach = Reach::new(&reader, &marker);
    let mut roots = HashSet::new();
    // Newest first: what most of them share is met early.
    for snapshot in snapshots.iter().rev() {
        for record in snapshot.record.resources.iter().filter(|record| roots.insert(record.root)) {
            if reach.resource(snapshot.id, record) == Soundness::Faulty {
                break;
            }
        }
    }
    let reached = reach.reached();
    drop(reach);
    match marker.fault.into_inner().expect("because no holder panicked") {
        Some(fault) => Err(Unmarked::Fault(Box::new(fault))),
        None if progress.interrupted() => Err(Unmarked::Interrupted),
        None => Ok((marker.marks, reached)),
    }
}

struct Marker<'m> {
    marks: Marks,
    index: &'m Index,
    progress: &'m dyn Progress,
    fault: Mutex<Option<Fault>>,
}

impl Marker<'_> {
    fn refer(&self, kind: &str, id: &[u8; 32]) -> Result<(), String> {
        if !self.marks.mark(self.index, id) {
            return Err(format!("{kind} {} is in no pack that the index names", hex::encode(id)));
        }
        // Every copy has an ordinal, those in packs that do not count among them.
        if !self.index.counts_all() && !self.index.contains(id) {
            return Err(format!("the packs that held {kind} {} are not there", hex::encode(id)));
        }
        Ok(())
    }
}

impl Witness for Marker<'_> {
    fn chunk(&self, id: &ChunkId, _length: u32) -> Result<(), String> {
        self.refer("chunk", &id.0)
    }

    fn page(&self, id: &PageId) -> Result<(), String> {
        self.refer("page", &id.0)
    }

    fn fault(&self, fault: Fault) {
        self.fault.lock().expect("because no holder panics").get_or_insert(fault);
    }

    fn goes_on(&self) -> bool {
        !self.progress.interrupted()
    }
}
