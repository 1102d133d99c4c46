//! Differences of trees are differences of maps, and cost no more than they are many.

use proptest::prelude::{any, prop_assert_eq, proptest};
use snap::entry::Entry;
use snap::tree::builder::Root;
use snap::tree::diff::{Diff, Difference};
use snap::tree::memory::MemoryPages;

use super::generate::{Model, build, entry, model, page_entries, pages, parameters, path};

fn differences(pages: &MemoryPages, old: Root, new: Root) -> Vec<Difference> {
    Diff::new(pages, old.id, new.id, |old: &Entry, new: &Entry| old == new)
        .collect::<Result<_, _>>()
        .expect("every page is there")
}

fn model_differences(old: &Model, new: &Model) -> Vec<Difference> {
    let mut paths: Vec<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let both = |path: &Vec<u8>| (old.get(path).map(|v| entry(path, *v)), new.get(path).map(|v| entry(path, *v)));
    let differences = paths.into_iter().filter_map(|path| match both(path) {
        (Some(old), Some(new)) => (old != new).then_some(Difference::Changed { old, new }),
        (Some(old), None) => Some(Difference::Removed(old)),
        (None, new) => new.map(Difference::Added),
    });
    differences.collect()
}

proptest! {
    #[test]
    fn diff_of_any_trees_is_the_diff_of_their_maps(left in model(), right in model(), n in page_entries()) {
        let pages = pages();
        let (old, new) = (build(&pages, parameters(n), &left), build(&pages, parameters(n), &right));
        prop_assert_eq!(differences(&pages, old, new), model_differences(&left, &right));
    }

    #[test]
    fn diff_of_like_trees_is_the_diff_of_their_maps(
        left in model(),
        changes in proptest::collection::vec((path(), any::<Option<u8>>()), 0..8),
        n in page_entries()
    ) {
        let mut right = left.clone();
        for (path, change) in changes {
            match change {
                Some(version) => right.insert(path, version),
                None => right.pop_first().map(|(_, version)| version),
            };
        }
        let pages = pages();
        let (old, new) = (build(&pages, parameters(n), &left), build(&pages, parameters(n), &right));
        prop_assert_eq!(differences(&pages, old, new), model_differences(&left, &right));
    }
}

fn large(count: u32) -> Model {
    (0..count).map(|i| (format!("folder{:03}/file{:05}", i / 100, i).into_bytes(), 0)).collect()
}

#[test]
fn equal_trees_are_compared_without_reading() {
    let pages = pages();
    let root = build(&pages, parameters(16), &large(5_000));
    pages.take_reads();
    assert_eq!(differences(&pages, root, root), []);
    assert_eq!(pages.take_reads(), 0);
}

#[test]
fn reads_are_proportional_to_the_changes() {
    let mut map = large(50_000);
    let pages = pages();
    let old = build(&pages, parameters(16), &map);
    for i in 0..10 {
        map.insert(format!("folder{:03}/new", i * 50).into_bytes(), 1);
        map.remove(format!("folder{:03}/file{:05}", i * 50 + 7, (i * 50 + 7) * 100).as_bytes());
    }
    let new = build(&pages, parameters(16), &map);
    pages.take_reads();
    assert_eq!(differences(&pages, old, new).len(), 20);
    let reads = pages.take_reads();
    assert!(reads <= 20 * 2 * 8, "{reads} pages read for 20 changes");
}

#[test]
fn pages_are_skipped_though_the_trees_differ_in_height() {
    let small = large(300);
    let mut tall = small.clone();
    tall.extend((0..20_000).map(|i| (format!("later/{i:06}").into_bytes(), 0)));
    let pages = pages();
    let (old, new) = (build(&pages, parameters(16), &small), build(&pages, parameters(16), &tall));
    let added = Diff::new(&pages, old.id, new.id, |_: &Entry, _: &Entry| true);
    pages.take_reads();
    let first = added.take(1).next().expect("there is one").expect("every page is there");
    assert!(matches!(first, Difference::Added(entry) if entry.path.as_bytes() == b"later/000000"));
    let reads = pages.take_reads();
    assert!(reads <= 20, "{reads} pages read before the first difference");
}

#[test]
fn caller_decides_what_counts_as_equal() {
    let pages = pages();
    let old = build(&pages, parameters(4), &Model::from([(b"a".to_vec(), 0), (b"b".to_vec(), 0)]));
    let new = build(&pages, parameters(4), &Model::from([(b"a".to_vec(), 1), (b"b".to_vec(), 1)]));
    let mut diff = Diff::new(&pages, old.id, new.id, |old: &Entry, new: &Entry| {
        old.kind == new.kind && (old.path.as_bytes() == b"a" || old.content == new.content)
    });
    let only = diff.next().expect("b differs").expect("every page is there");
    assert!(matches!(only, Difference::Changed { old, .. } if old.path.as_bytes() == b"b"));
    assert!(diff.next().is_none());
}

#[test]
fn diff_ends_after_a_lost_page() {
    let pages = pages();
    let old = build(&pages, parameters(4), &large(500));
    let mut map = large(500);
    map.insert(b"folder002/x".to_vec(), 1);
    let kept: Vec<_> = pages.ids();
    let new = build(&pages, parameters(4), &map);
    for id in pages.ids() {
        if !kept.contains(&id) && id != new.id {
            pages.remove(&id);
        }
    }
    let results: Vec<_> = Diff::new(&pages, old.id, new.id, |old: &Entry, new: &Entry| old == new).collect();
    assert!(matches!(results.as_slice(), [Err(_)]), "one error and no difference that is none");
}
