//! Pages that are not what they should be: an error or another valid page, never a panic, a loop or a flood.

use proptest::prelude::{any, prop_assert, proptest};
use proptest::sample::Index;
use serde::Serialize;
use snap::codec::encode;
use snap::entry::{Content, Entry, EntryPath, Profile};
use snap::id::PageId;
use snap::resource::Totals;
use snap::tree::cursor::{Cursor, find};
use snap::tree::diff::Diff;
use snap::tree::error::{EntryFault, PageFault, TreeError};
use snap::tree::list::PieceIter;
use snap::tree::list_page::{ListLink, ListPage};
use snap::tree::memory::MemoryPages;
use snap::tree::page::{Page, PageLink};
use snap::tree::store::PageSource;
use snap::tree::totals::totals_under;

use super::generate::{Model, build, entry, model, pages, parameters};
use super::golden::golden_leaf;

fn golden_bytes() -> Vec<u8> {
    let (pages, id, _) = golden_leaf();
    pages.page(&id).expect("it was just written").to_vec()
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::encode_into(value, &mut bytes).expect("it is small");
    bytes
}

/// An inner page with these links, whatever they say.
fn inner(level: u8, links: &[PageLink]) -> Vec<u8> {
    encoded(&(1_u32, level, links))
}

fn link(first: &str, id: PageId) -> PageLink {
    PageLink { first: EntryPath::from(first), id, totals: Totals::default() }
}

/// A leaf whose items are (shared, suffix) of otherwise empty files.
fn leaf(items: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = encoded(&(0_u32, items.len() as u64));
    for (shared, suffix) in items {
        encode::encode_into(&(*shared, suffix.to_vec(), [0_u8; 4]), &mut bytes).expect("it is small");
    }
    bytes
}

fn only_fault(pages: &MemoryPages, root: PageId) -> PageFault {
    let mut results: Vec<_> = Cursor::new(pages, root).filter_map(Result::err).collect();
    match (results.pop(), results.len()) {
        (Some(TreeError::Malformed { fault, .. }), 0) => fault,
        other => panic!("one malformed page, not {other:?}"),
    }
}

#[test]
fn no_prefix_of_a_page_is_a_page() {
    let bytes = golden_bytes();
    for length in 0..bytes.len() {
        assert!(Page::decode(&bytes[..length]).is_err(), "the first {length} bytes");
    }
    assert!(Page::decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "a byte after the end");
}

#[test]
fn page_with_any_byte_changed_decodes_or_errs() {
    let bytes = golden_bytes();
    for place in 0..bytes.len() {
        for value in 0..=u8::MAX {
            let mut changed = bytes.clone();
            changed[place] = value;
            if let Ok(Page::Leaf(entries)) = Page::decode(&changed) {
                assert!(entries.is_sorted_by(|a, b| a.path < b.path), "byte {place} = {value}");
            }
            let _ = ListPage::decode(&changed);
        }
    }
}

#[test]
fn written_by_hand_the_leaf_is_valid() {
    let entries = [entry(b"a", 0), entry(b"ab", 0)].map(|entry| Entry { content: Content::Empty, ..entry });
    assert_eq!(Page::decode(&leaf(&[(0, b"a"), (1, b"b")])).expect("it is valid"), Page::Leaf(entries.to_vec()));
}

#[test]
fn paths_out_of_order_or_out_of_bounds_are_refused() {
    let long = vec![b'x'; EntryPath::LENGTH_MAX + 1];
    let cases: [&[(u64, &[u8])]; 7] = [
        &[(1, b"a")],
        &[(0, b"a"), (0, b"a")],
        &[(0, b"b"), (0, b"a")],
        &[(0, b"ab"), (1, b"a")],
        &[(0, b"a"), (2, b"b")],
        &[(0, b"a"), (u64::MAX, b"b")],
        &[(0, &long)],
    ];
    for case in cases {
        assert!(Page::decode(&leaf(case)).is_err(), "{:?}", case.iter().map(|item| item.0).collect::<Vec<_>>());
    }
}

#[test]
fn shared_prefixes_do_not_flood_memory() {
    let long = vec![b'x'; EntryPath::LENGTH_MAX - 1];
    let mut items: Vec<(u64, &[u8])> = vec![(0, &long)];
    let suffixes: Vec<[u8; 1]> = (0..200).map(|i| [i]).collect();
    items.extend(suffixes.iter().map(|suffix| (long.len() as u64, suffix.as_slice())));
    let fault = Page::decode(&leaf(&items)).expect_err("its paths have 13 MB");
    assert!(fault.to_string().contains("longer"), "{fault}");
}

#[test]
fn counts_beyond_the_bytes_are_refused() {
    for count in [1_u64, 1000, u64::from(u32::MAX), u64::MAX] {
        for head in [encoded(&(0_u32, count)), encoded(&(1_u32, 1_u8, count))] {
            assert!(Page::decode(&head).is_err());
            assert!(ListPage::decode(&head).is_err());
        }
    }
}

#[test]
fn page_that_names_itself_ends_at_once() {
    let pages = pages();
    let id = PageId([9; 32]);
    pages.replace(id, inner(1, &[link("a", id), link("b", id)]));
    let errors = Cursor::new(&pages, id).inspect(|result| assert!(result.is_err())).count();
    assert_eq!(errors, 2);
    assert!(totals_under(&pages, id, b"a/").is_err());
    assert!(find(&pages, id, b"b").is_err());
    let other = PageId([8; 32]);
    pages.replace(other, inner(2, &[link("a", id), link("b", id)]));
    assert!(Diff::new(&pages, id, other, |_: &Entry, _: &Entry| true).count() <= 2);
}

#[test]
fn pages_out_of_place_are_refused() {
    let pages = pages();
    let [top, left, right] = [1, 2, 3].map(|number| PageId([number; 32]));
    pages.replace(right, leaf(&[(0, b"m")]));
    let fault_of = |left_page: Vec<u8>, top_page: Vec<u8>| {
        pages.replace(left, left_page);
        pages.replace(top, top_page);
        only_fault(&pages, top)
    };
    let links = [link("a", left), link("m", right)];
    assert!(matches!(fault_of(leaf(&[(0, b"b")]), inner(1, &links)), PageFault::First { .. }));
    assert!(matches!(fault_of(leaf(&[(0, b"a"), (0, b"m")]), inner(1, &links)), PageFault::Range { .. }));
    assert!(matches!(fault_of(leaf(&[]), inner(1, &links)), PageFault::Empty));
    let deep = inner(1, &[link("a", right)]);
    assert!(matches!(fault_of(deep, inner(1, &links)), PageFault::Level { expected: 0, actual: 1 }));
    assert!(matches!(fault_of(Vec::new(), inner(1, &[])), PageFault::Empty));
    assert!(matches!(fault_of(Vec::new(), inner(0, &links)), PageFault::Level { .. }));
    assert!(matches!(fault_of(Vec::new(), inner(64, &links)), PageFault::Level { .. }));
    let unordered = [link("m", right), link("a", left)];
    assert!(matches!(fault_of(Vec::new(), inner(1, &unordered)), PageFault::Encoding(_)));
}

#[test]
fn list_page_that_names_itself_ends_at_once() {
    let pages = pages();
    let root = PageId([9; 32]);
    let links = [ListLink { id: root, size: 10, pieces: 10 }; 2];
    pages.replace(root, encoded(&(1_u32, 1_u8, &links[..])));
    let content = Content::List { profile: Profile::Bulk, size: 20, root };
    assert!(PieceIter::new(&pages, &content).inspect(|result| assert!(result.is_err())).count() <= 2);
    assert!(PieceIter::new(&pages, &content).seek(15).is_err());
}

#[test]
fn entries_that_could_not_be_read_back_are_not_written() {
    let refused = |entry: Entry| {
        let pages = pages();
        let mut builder = snap::tree::builder::TreeBuilder::new(parameters(4), &pages);
        match builder.push(&entry) {
            Err(TreeError::Entry { fault, .. }) => fault,
            other => panic!("refused, not {other:?}"),
        }
    };
    let long = refused(entry(&vec![b'x'; EntryPath::LENGTH_MAX + 1], 0));
    assert_eq!(long, EntryFault::PathTooLong { length: EntryPath::LENGTH_MAX + 1 });
    let inline = refused(Entry { content: Content::Inline(vec![0; 513]), ..entry(b"a", 0) });
    assert_eq!(inline, EntryFault::InlineTooLong { length: 513 });
    let kind = snap::entry::EntryKind::Symlink(vec![0; 2 << 20]);
    assert!(matches!(refused(Entry { kind, ..entry(b"a", 0) }), EntryFault::TooLarge { .. }));
}

#[test]
fn pages_of_large_entries_stay_readable() {
    let pages = pages();
    let mut builder = snap::tree::builder::TreeBuilder::new(parameters(4_000_000_000), &pages);
    for i in 0..40 {
        let kind = snap::entry::EntryKind::Symlink(vec![0; 900_000]);
        builder.push(&Entry { kind, ..entry(format!("{i:02}").as_bytes(), 0) }).expect("it is within limits");
    }
    let root = builder.finish().expect("memory takes every page");
    assert_eq!(Cursor::new(&pages, root.id).filter(Result::is_ok).count(), 40);
}

proptest! {
    #[test]
    fn damaged_trees_give_ordered_entries_and_end(map in model(), page in any::<Index>(), place in any::<Index>(), value in any::<u8>()) {
        let pages = pages();
        let root = build(&pages, parameters(3), &map);
        let mut ids = pages.ids();
        ids.sort_unstable();
        let id = ids[page.index(ids.len())];
        let mut bytes = pages.page(&id).expect("it is there").to_vec();
        let place = place.index(bytes.len());
        bytes[place] = value;
        pages.replace(id, bytes);
        let paths: Vec<EntryPath> = Cursor::new(&pages, root.id).filter_map(Result::ok).map(|entry| entry.path).collect();
        prop_assert!(paths.is_sorted_by(|a, b| a < b));
        prop_assert!(paths.len() <= map.len() + 1);
        let _ = totals_under(&pages, root.id, b"a");
        let other = build(&pages, parameters(3), &Model::new());
        prop_assert!(Diff::new(&pages, root.id, other.id, |_: &Entry, _: &Entry| true).count() <= map.len() + 2);
    }

    #[test]
    fn any_bytes_decode_or_err(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Page::decode(&bytes);
        let _ = ListPage::decode(&bytes);
    }
}
