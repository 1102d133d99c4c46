//! Chunk lists: any sequence of pieces comes back, from any offset, and the same sequence has the same root.

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use snap::codec::hash;
use snap::entry::{Content, Piece, Profile};
use snap::id::ChunkId;
use snap::tree::error::{PageFault, TreeError};
use snap::tree::list::{ListBuilder, PieceIter};
use snap::tree::memory::MemoryPages;

use super::generate::pages;

fn chunk(number: u32) -> Piece {
    Piece::Chunk { id: ChunkId(hash::digest(&number.to_le_bytes())), length: number % 1000 + 1 }
}

/// A chunk whose id ends every page it may.
fn ending_chunk(length: u32) -> Piece {
    Piece::Chunk { id: ChunkId([0; 32]), length }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        8 => (0_u32..5000).prop_map(chunk),
        1 => (1_u32..9).prop_map(ending_chunk),
        1 => (0_u64..9).prop_map(|length| Piece::Zeros { length }),
    ];
    proptest::collection::vec(piece, 0..200)
}

fn build(pages: &MemoryPages, pieces: impl IntoIterator<Item = Piece>) -> Content {
    let mut builder = ListBuilder::new(pages, Profile::Bulk);
    for piece in pieces {
        builder.push(piece).expect("sizes are small");
    }
    builder.finish().expect("memory takes every page")
}

fn merged(pieces: &[Piece]) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.length() > 0) {
        match (merged.last_mut(), piece) {
            (Some(Piece::Zeros { length }), Piece::Zeros { length: more }) => *length += more,
            _ => merged.push(*piece),
        }
    }
    merged
}

fn read(pages: &MemoryPages, content: &Content) -> Vec<Piece> {
    PieceIter::new(pages, content).collect::<Result<_, _>>().expect("every page is there")
}

proptest! {
    #[test]
    fn pieces_come_back_merged_and_in_order(pieces in pieces()) {
        let pages = pages();
        let expected = merged(&pieces);
        let content = build(&pages, pieces.iter().copied());
        match &content {
            Content::Empty => prop_assert!(expected.is_empty()),
            Content::Pieces { pieces, .. } => prop_assert!((1..=16).contains(&pieces.len())),
            Content::List { .. } => prop_assert!(expected.len() > 16),
            Content::Inline(_) => prop_assert!(false, "lists never are inline"),
        }
        prop_assert_eq!(content.size(), pieces.iter().map(Piece::length).sum::<u64>());
        prop_assert_eq!(read(&pages, &content), expected);
    }

    #[test]
    fn seek_stands_at_the_piece_that_holds_the_byte(
        pieces in pieces(), offsets in proptest::collection::vec(0_u64..100_000, 1..20)
    ) {
        let pages = pages();
        let content = build(&pages, pieces.iter().copied());
        let mut iterator = PieceIter::new(&pages, &content);
        for offset in offsets {
            iterator.seek(offset).expect("every page is there");
            let mut start = 0;
            let mut expected = None;
            for piece in merged(&pieces) {
                if offset < start + piece.length() {
                    expected = Some(piece);
                    break;
                }
                start += piece.length();
            }
            prop_assert_eq!(iterator.offset(), start);
            prop_assert_eq!(iterator.next().transpose().expect("every page is there"), expected);
        }
    }

    #[test]
    fn different_sequences_have_different_content(left in pieces(), right in pieces()) {
        let pages = pages();
        let same = build(&pages, left.iter().copied()) == build(&pages, right.iter().copied());
        prop_assert_eq!(same, merged(&left) == merged(&right));
    }
}

#[test]
fn one_changed_piece_rewrites_few_pages_and_a_seek_reads_few() {
    let pages = pages();
    let mut pieces: Vec<Piece> = (0..100_000).map(chunk).collect();
    let content = build(&pages, pieces.iter().copied());
    let before = pages.count();
    assert!(before > 100, "the list has many pages");
    pieces[50_000] = Piece::Zeros { length: 7 };
    pieces.insert(70_000, chunk(7));
    build(&pages, pieces.iter().copied());
    assert!(pages.count() - before <= 8);
    pages.take_reads();
    PieceIter::new(&pages, &content).seek(content.size() / 2).expect("every page is there");
    assert!(pages.take_reads() <= 3);
}

#[test]
fn pages_of_equal_pieces_and_of_zeros_are_bounded() {
    let pages = pages();
    let equal = build(&pages, (0..10_000).map(|_| ending_chunk(1)));
    assert_eq!(read(&pages, &equal).len(), 10_000);
    let never = Piece::Chunk { id: ChunkId([1; 32]), length: 1 };
    assert_eq!(read(&pages, &build(&pages, (0..10_000).map(|_| never))).len(), 10_000);
}

#[test]
fn size_that_does_not_fit_is_refused() {
    let pages = pages();
    let mut builder = ListBuilder::new(&pages, Profile::Bulk);
    builder.push(Piece::Zeros { length: u64::MAX }).expect("it fits");
    assert!(matches!(builder.push(chunk(1)), Err(TreeError::Content { .. })));
}

#[test]
fn list_that_is_not_as_long_as_its_entry_says_is_refused() {
    let pages = pages();
    let Content::List { profile, size, root } = build(&pages, (0..5000).map(chunk)) else {
        panic!("5000 pieces make a list");
    };
    let content = Content::List { profile, size: size + 1, root };
    let results: Vec<_> = PieceIter::new(&pages, &content).collect();
    assert!(matches!(results.as_slice(), [Err(TreeError::Malformed { fault: PageFault::Size { .. }, .. })]));
}

#[test]
fn list_goes_on_behind_a_lost_page_at_the_right_offset() {
    let pages = pages();
    let content = build(&pages, (0..5000).map(chunk));
    let Content::List { root, .. } = &content else { panic!("5000 pieces make a list") };
    let lost = pages.ids().into_iter().find(|id| id != root).expect("the list has more than its root");
    pages.remove(&lost);
    let mut iterator = PieceIter::new(&pages, &content);
    let mut errors = 0;
    for piece in iterator.by_ref() {
        errors += usize::from(piece.is_err());
    }
    assert_eq!((errors, iterator.offset()), (1, content.size()));
}
