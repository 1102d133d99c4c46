//! Maps to build trees of, and trees of maps.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::{Strategy, any};
use proptest::{collection, sample};
use snap::entry::{Content, Entry, EntryKind, EntryPath, Metadata};
use snap::tree::boundary::TreeParameters;
use snap::tree::builder::{Root, TreeBuilder};
use snap::tree::memory::MemoryPages;

/// A map from path to what tells one version of an entry from another.
pub(crate) type Model = BTreeMap<Vec<u8>, u8>;

/// Every path ends a page; some do; none does, and only the limits act.
pub(crate) fn page_entries() -> impl Strategy<Value = u32> {
    sample::select(vec![1, 2, 3, 8, 4_000_000_000])
}

/// Paths over a small alphabet, `/` in it, so that many share prefixes and none is far from another.
pub(crate) fn path() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(sample::select(b"ab/\x00\xff".to_vec()), 0..7)
}

/// Maps from nothing to a few hundred entries.
pub(crate) fn model() -> impl Strategy<Value = Model> {
    collection::btree_map(path(), any::<u8>(), 0..300)
}

pub(crate) fn parameters(page_entries: u32) -> TreeParameters {
    TreeParameters { page_boundary: [3; 32], page_entries: NonZeroU32::new(page_entries).expect("not zero") }
}

pub(crate) fn pages() -> MemoryPages {
    MemoryPages::new([5; 32])
}

pub(crate) fn entry(path: &[u8], version: u8) -> Entry {
    let kind = if path.ends_with(b"/") { EntryKind::Directory } else { EntryKind::File };
    let content = if path.ends_with(b"/") { Content::Empty } else { Content::Inline(vec![version; 3]) };
    Entry { path: EntryPath(path.to_vec()), kind, metadata: Metadata::None, token: None, content }
}

pub(crate) fn build<'a>(
    pages: &MemoryPages,
    parameters: TreeParameters,
    map: impl IntoIterator<Item = (&'a Vec<u8>, &'a u8)>,
) -> Root {
    let mut builder = TreeBuilder::new(parameters, pages);
    for (path, version) in map {
        builder.push(&entry(path, *version)).expect("paths of a map are in order");
    }
    builder.finish().expect("memory takes every page")
}
