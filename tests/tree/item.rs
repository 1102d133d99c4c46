//! Leaf pages read by hand, against what bincode itself reads: the same entries, and the same bytes refused.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;
use serde::Deserialize;
use snap::codec::encode::decode;
use snap::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata};
use snap::tree::builder::TreeBuilder;
use snap::tree::page::Page;
use snap::tree::store::PageSource;

use super::generate::{pages, parameters};
use super::golden::{golden_entries, golden_leaf};

#[derive(Deserialize)]
enum Encoded {
    Leaf(Vec<Item>),
}

#[derive(Deserialize)]
struct Item {
    shared: u64,
    suffix: Vec<u8>,
    kind: EntryKind,
    metadata: Metadata,
    token: Option<ChangeToken>,
    content: Content,
}

/// The entries as bincode reads them; `None` where it cannot, or where a page may not hold them.
fn by_bincode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let Ok(Encoded::Leaf(items)) = decode(bytes) else { return None };
    let (source, mut path) = (pages(), Vec::new());
    let mut builder = TreeBuilder::new(parameters(4_000_000_000), &source);
    let mut entries = Vec::new();
    for item in items {
        let prefix = path.get(..usize::try_from(item.shared).ok()?)?;
        path = [prefix, &item.suffix].concat();
        let Item { kind, metadata, token, content, .. } = item;
        entries.push(Entry { path: EntryPath(path.clone()), kind, metadata, token, content });
        builder.push(entries.last()?).ok()?;
    }
    Some(entries)
}

fn by_hand(bytes: &[u8]) -> Option<Vec<Entry>> {
    match Page::decode(bytes) {
        Ok(Page::Leaf(entries)) => Some(entries),
        _ => None,
    }
}

fn golden_bytes() -> Vec<u8> {
    let (pages, id, _) = golden_leaf();
    pages.page(&id).expect("it was just written").to_vec()
}

#[test]
fn bincode_reads_the_same_entries() {
    let bytes = golden_bytes();
    assert_eq!(by_hand(&bytes), Some(golden_entries()));
    assert_eq!(by_hand(&bytes), by_bincode(&bytes));
}

#[test]
fn bincode_refuses_the_same_bytes() {
    let bytes = golden_bytes();
    for length in 0..bytes.len() {
        assert_eq!(by_hand(&bytes[..length]), by_bincode(&bytes[..length]), "the first {length} bytes");
    }
    for place in 0..bytes.len() {
        for value in 0..=u8::MAX {
            let mut changed = bytes.clone();
            changed[place] = value;
            assert_eq!(by_hand(&changed), by_bincode(&changed), "byte {place} = {value}");
        }
    }
}

proptest! {
    #[test]
    fn numbers_written_long_are_read_alike(places in vec((any::<Index>(), 250..=255_u8, any::<u16>()), 1..6)) {
        let mut bytes = golden_bytes();
        for (place, marker, number) in places {
            // Where a number stands, the same or another in a longer form.
            let place = place.index(bytes.len());
            let long = match marker {
                251 => [&[251][..], &number.to_le_bytes()].concat(),
                252 => [&[252][..], &u32::from(number).to_le_bytes()].concat(),
                253 => [&[253][..], &u64::from(number).to_le_bytes()].concat(),
                other => vec![other],
            };
            drop(bytes.splice(place..=place, long));
        }
        assert_eq!(by_hand(&bytes), by_bincode(&bytes));
    }
}
