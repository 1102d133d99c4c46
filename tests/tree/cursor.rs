//! Reading a tree is reading the map it was built of.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use snap::entry::Entry;
use snap::tree::cursor::{Cursor, find};

use super::generate::{build, entry, model, page_entries, pages, parameters, path};

fn entries(iterator: impl Iterator<Item = Result<Entry, snap::tree::error::TreeError>>) -> Vec<Entry> {
    iterator.collect::<Result<_, _>>().expect("every page is there")
}

proptest! {
    #[test]
    fn cursor_gives_the_sorted_map(map in model(), n in page_entries()) {
        let pages = pages();
        let root = build(&pages, parameters(n), &map);
        let expected: Vec<Entry> = map.iter().map(|(path, version)| entry(path, *version)).collect();
        prop_assert_eq!(root.totals.entries, map.len() as u64);
        prop_assert_eq!(entries(Cursor::new(&pages, root.id)), expected);
    }

    #[test]
    fn seek_finds_the_first_entry_at_or_after_any_path(
        map in model(), n in page_entries(), targets in proptest::collection::vec(path(), 1..20)
    ) {
        let pages = pages();
        let root = build(&pages, parameters(n), &map);
        let mut cursor = Cursor::new(&pages, root.id);
        for target in targets {
            cursor.seek(&target).expect("every page is there");
            let mut expected = map.range(target.clone()..).map(|(path, version)| entry(path, *version));
            for _ in 0..3 {
                prop_assert_eq!(cursor.next().transpose().expect("every page is there"), expected.next());
            }
            let found = find(&pages, root.id, &target).expect("every page is there");
            prop_assert_eq!(found, map.get(&target).map(|version| entry(&target, *version)));
        }
    }

    #[test]
    fn advance_goes_forward_only(
        map in model(), n in page_entries(), targets in proptest::collection::vec(path(), 1..40)
    ) {
        let pages = pages();
        let root = build(&pages, parameters(n), &map);
        let mut cursor = Cursor::new(&pages, root.id);
        let mut reached = Vec::new();
        for (step, target) in targets.into_iter().enumerate() {
            cursor.advance_to(&target).expect("every page is there");
            reached = reached.max(target);
            let expected = map.range(reached.clone()..).next().map(|(path, version)| entry(path, *version));
            prop_assert_eq!(cursor.peek().expect("every page is there").cloned(), expected.clone());
            if let (Some(expected), true) = (expected, step % 3 == 0) {
                cursor.next().expect("it was ahead").expect("every page is there");
                reached = [expected.path.as_bytes(), &[0]].concat();
            }
        }
    }

    #[test]
    fn merging_in_step_reads_each_page_once(map in model(), n in page_entries()) {
        let pages = pages();
        let root = build(&pages, parameters(n), &map);
        pages.take_reads();
        let mut cursor = Cursor::new(&pages, root.id);
        for path in map.keys() {
            cursor.advance_to(path).expect("every page is there");
            let entry = cursor.next().expect("it is there").expect("and whole");
            prop_assert_eq!(entry.path.as_bytes(), path.as_slice());
        }
        prop_assert!(pages.take_reads() <= pages.count() as u64);
    }
}
