//! How many names a file has: its resource's leaf pages say, for the first name of a group knows nothing of the others.
//!
//! They are read once for each tree, by every processor, when somebody first asks for the attributes of a file in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use crate::codec::hash::digest;
use crate::entry::{Entry, EntryPath, Metadata};
use crate::id::PageId;
use crate::operation::mount::cache::Cache;
use crate::repository::reader::Reader;
use crate::resource::ResourceRecord;
use crate::tree::leaves::Leaves;

/// Trees whose counts are kept.
const TREES_MAX: usize = 16;
/// Leaf pages under way at once.
const BATCH_LENGTH: usize = 32;
/// Entries of a resource up to which names are counted: about a second's work. In a larger one the first name of a file says
/// 1, and each other one 2.
pub(super) const ENTRIES_COUNTED_MAX: u64 = 2_000_000;

/// Further names by a hash of the first.
type Counts = HashMap<u64, u32>;

/// Counts of names, as they were asked for.
pub(super) struct Links {
    trees: Mutex<Cache<PageId, Arc<OnceLock<Counts>>>>,
}

impl Links {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { trees: Mutex::new(Cache::new(TREES_MAX)) }
    }

    /// How many names the file has whose first is `path`.
    pub(super) fn names(&self, reader: &Reader<'_>, record: &ResourceRecord, path: &EntryPath) -> u32 {
        if record.totals.entries > ENTRIES_COUNTED_MAX {
            return 1;
        }
        let tree = {
            let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
            trees.find(&record.root).unwrap_or_else(|| {
                let tree = Arc::new(OnceLock::new());
                trees.keep(record.root, Arc::clone(&tree), 1);
                tree
            })
        };
        let further = tree.get_or_init(|| count(reader, record.root));
        further.get(&hash_of(path)).map_or(1, |further| further.saturating_add(1))
    }
}

/// The first name of the group of hard links that the entry is a further name in.
pub(super) fn first_name(entry: &Entry) -> Option<&EntryPath> {
    let Metadata::Posix(posix) = &entry.metadata else { return None };
    posix.link_to.as_ref().filter(|first| **first != entry.path)
}

/// Pages that are lost have no names to count; whoever lists them is told.
fn count(reader: &Reader<'_>, root: PageId) -> Counts {
    let mut leaves = Leaves::new(reader, root, b"");
    let mut counts = Counts::new();
    loop {
        let batch: Vec<_> = leaves.by_ref().take(BATCH_LENGTH).collect();
        if batch.is_empty() {
            return counts;
        }
        let read = batch.into_par_iter().filter_map(|leaf| leaf.and_then(|leaf| leaf.read(&reader)).ok());
        let firsts: Vec<Vec<u64>> =
            read.map(|entries| entries.iter().filter_map(first_name).map(hash_of).collect()).collect();
        for first in firsts.into_iter().flatten() {
            let count = counts.entry(first).or_default();
            *count = count.saturating_add(1);
        }
    }
}

fn hash_of(path: &EntryPath) -> u64 {
    let hash = digest(path.as_bytes());
    u64::from_le_bytes(hash[..8].try_into().expect("because the slice has 8 bytes"))
}
