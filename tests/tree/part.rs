//! Folders, prefixes and their totals, read without what they do not need.

use std::collections::BTreeSet;

use proptest::prelude::{prop_assert_eq, proptest};
use snap::entry::Entry;
use snap::resource::Totals;
use snap::tree::listing::{Child, children, under};
use snap::tree::totals::totals_under;

use super::generate::{Model, build, entry, model, page_entries, pages, parameters, path};

proptest! {
    #[test]
    fn prefix_gives_its_entries_and_their_totals(map in model(), n in page_entries(), prefix in path()) {
        let pages = pages();
        let root = build(&pages, parameters(n), &map);
        let inside = map.iter().filter(|(path, _)| path.starts_with(&prefix));
        let expected: Vec<Entry> = inside.map(|(path, version)| entry(path, *version)).collect();
        let found: Result<Vec<Entry>, _> = under(&pages, root.id, &prefix).expect("every page is there").collect();
        prop_assert_eq!(&found.expect("every page is there"), &expected);
        let files = expected.iter().filter(|entry| !entry.path.as_bytes().ends_with(b"/")).count() as u64;
        let totals = Totals { entries: expected.len() as u64, files, bytes: 3 * files };
        prop_assert_eq!(totals_under(&pages, root.id, &prefix).expect("every page is there"), totals);
    }

    #[test]
    fn folder_gives_what_stands_directly_in_it(map in model(), n in page_entries(), folder in path()) {
        let pages = pages();
        let root = build(&pages, parameters(n), &map);
        let mut folder = folder;
        folder.truncate(2);
        if !folder.is_empty() {
            folder.push(b'/');
        }
        let mut expected = BTreeSet::new();
        for rest in map.keys().filter_map(|path| path.strip_prefix(folder.as_slice())) {
            let end = rest.iter().position(|byte| *byte == b'/').map_or(rest.len(), |slash| slash + 1);
            if end > 0 {
                expected.insert([&folder, &rest[..end]].concat());
            }
        }
        let found: Result<Vec<Child>, _> = children(&pages, root.id, &folder).collect();
        for (child, path) in found.expect("every page is there").iter().zip(&expected) {
            prop_assert_eq!(child.path().as_bytes(), path.as_slice());
            prop_assert_eq!(matches!(child, Child::Entry(_)), map.contains_key(path));
        }
        prop_assert_eq!(children(&pages, root.id, &folder).count(), expected.len());
    }
}

fn wide() -> Model {
    (0..30_000).map(|i| (format!("folder{:02}/file{:05}", i / 1000, i).into_bytes(), 0)).collect()
}

#[test]
fn listing_a_folder_does_not_read_what_is_below_its_folders() {
    let pages = pages();
    let root = build(&pages, parameters(16), &wide());
    pages.take_reads();
    assert_eq!(children(&pages, root.id, b"").count(), 30);
    let reads = pages.take_reads();
    assert!(reads <= 30 * 4, "{reads} pages read for 30 folders");
}

#[test]
fn totals_of_a_folder_read_its_edges_only() {
    let pages = pages();
    let root = build(&pages, parameters(16), &wide());
    pages.take_reads();
    assert_eq!(totals_under(&pages, root.id, b"folder07/").expect("every page is there").entries, 1000);
    assert_eq!(totals_under(&pages, root.id, b"").expect("every page is there"), root.totals);
    let reads = pages.take_reads();
    assert!(reads <= 16, "{reads} pages read");
}
