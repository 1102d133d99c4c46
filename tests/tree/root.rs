//! The same map has the same root, however it was built.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use snap::tree::builder::{Root, TreeBuilder};
use snap::tree::error::TreeError;
use snap::tree::join::join;

use super::generate::{Model, build, entry, model, page_entries, pages, parameters};

proptest! {
    #[test]
    fn parts_join_to_the_root_of_the_whole(
        map in model(), n in page_entries(), cuts in proptest::collection::vec(0_usize..300, 0..5)
    ) {
        let whole = pages();
        let expected = build(&whole, parameters(n), &map);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(map.len())).chain([0, map.len()]).collect();
        cuts.sort_unstable();
        let shards = pages();
        let items: Vec<_> = map.iter().collect();
        let parts: Vec<Root> =
            cuts.windows(2).map(|cut| build(&shards, parameters(n), items[cut[0]..cut[1]].iter().copied())).collect();
        let joined = join(parameters(n), &shards, &shards, &parts).expect("parts follow one another");
        prop_assert_eq!(joined, expected);
        let mut read = snap::tree::cursor::Cursor::new(&shards, joined.id);
        prop_assert!(read.all(|entry| entry.is_ok()));
    }

    #[test]
    fn different_maps_have_different_roots(left in model(), right in model(), n in page_entries()) {
        let pages = pages();
        let same = build(&pages, parameters(n), &left).id == build(&pages, parameters(n), &right).id;
        prop_assert_eq!(same, left == right);
    }
}

fn large(count: u32) -> Model {
    (0..count).map(|i| (format!("folder{:03}/file{:05}", i / 100, i).into_bytes(), 0)).collect()
}

#[test]
fn one_changed_entry_rewrites_one_page_a_level() {
    let mut map = large(20_000);
    let pages = pages();
    build(&pages, parameters(16), &map);
    for path in [&b"folder000/file00000"[..], b"folder077/file07777", b"folder199/file19999"] {
        let before = pages.count();
        map.insert(path.to_vec(), 9);
        build(&pages, parameters(16), &map);
        let written = pages.count() - before;
        assert!((1..=8).contains(&written), "{written} pages for one change");
    }
}

#[test]
fn one_added_or_removed_entry_rewrites_few_pages() {
    let mut map = large(20_000);
    let pages = pages();
    let original = build(&pages, parameters(16), &map);
    let mut written = Vec::new();
    for i in 0..50 {
        let before = pages.count();
        let path = format!("folder{:03}/inserted{i}", i * 3).into_bytes();
        map.insert(path.clone(), 1);
        build(&pages, parameters(16), &map);
        written.push(pages.count() - before);
        map.remove(&path);
    }
    assert!(written.iter().all(|count| (1..=24).contains(count)), "{written:?}");
    assert_eq!(build(&pages, parameters(16), &map), original);
}

#[test]
fn joining_large_parts_costs_their_edges_only() {
    let map = large(20_000);
    let pages = pages();
    let whole = build(&pages, parameters(16), &map);
    let left = build(&pages, parameters(16), map.iter().take(7_777));
    let right = build(&pages, parameters(16), map.iter().skip(7_777));
    pages.take_reads();
    let before = pages.count();
    assert_eq!(join(parameters(16), &pages, &pages, &[left, right]).expect("they follow one another"), whole);
    assert!(pages.take_reads() <= 40, "reads stay at the edges");
    assert_eq!(pages.count(), before, "the whole was built before");
}

#[test]
fn memory_of_the_builder_does_not_grow_with_the_map() {
    let pages = pages();
    let mut builder = TreeBuilder::new(parameters(512), &pages);
    let mut bytes_max = 0;
    for i in 0..200_000 {
        builder.push(&entry(format!("folder{:04}/file{i:07}", i / 100).as_bytes(), 0)).expect("in order");
        let (count, bytes) = builder.open_pages();
        assert!(count <= 3, "one page a level");
        bytes_max = bytes_max.max(bytes);
    }
    assert!(bytes_max < 400_000, "{bytes_max} bytes in open pages");
    assert_eq!(builder.finish().expect("memory takes every page").totals.entries, 200_000);
}

#[test]
fn entries_out_of_order_are_refused() {
    let pages = pages();
    let mut builder = TreeBuilder::new(parameters(16), &pages);
    builder.push(&entry(b"", 0)).expect("the root folder is a path");
    builder.push(&entry(b"b", 0)).expect("in order");
    assert!(matches!(builder.push(&entry(b"b", 0)), Err(TreeError::OutOfOrder { .. })));
    assert!(matches!(builder.push(&entry(b"a", 0)), Err(TreeError::OutOfOrder { .. })));
    let part = build(&pages, parameters(16), &Model::from([(b"a".to_vec(), 0)]));
    assert!(matches!(builder.append(&pages, &part), Err(TreeError::OutOfOrder { .. })));
}
