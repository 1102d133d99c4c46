//! Contents that lie about how long they are, or are as long as no disk.

use snap::codec::hash::keyed;
use snap::entry::{Content, Entry, EntryKind, Piece, PosixMetadata, Profile};
use snap::id::{ChunkId, PageId};
use snap::repository::pack::PackKind;
use snap::resource::Totals;
use snap::tree::list_page::ListLink;

use super::forge::{Forge, encoded, entry, file, with_metadata};

fn pieces(pieces: Vec<Piece>) -> Content {
    Content::Pieces { profile: Profile::Bulk, pieces }
}

fn list(size: u64, root: PageId) -> Content {
    Content::List { profile: Profile::Bulk, size, root }
}

fn big(content: Content, flags: u32) -> Entry {
    with_metadata(entry(b"big", EntryKind::File, content), |metadata| metadata.flags = flags)
}

fn list_leaf(pieces: &[Piece]) -> Vec<u8> {
    encoded(&(0_u32, pieces))
}

fn chunk(forge: &Forge, bytes: &[u8]) -> ChunkId {
    ChunkId(forge.store(PackKind::Data, &[bytes.to_vec()])[0])
}

/// Makes the bytes of a page that points at another.
type Pointing = fn(PageId) -> Vec<u8>;

#[test]
fn zeros_of_exabytes_become_a_hole_or_a_message() {
    for length in [1_u64 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for flags in [0, PosixMetadata::SPARSE] {
            let forge = Forge::new();
            forge.commit_entries(&[big(pieces(vec![Piece::Zeros { length }]), flags), file(b"z")]);
            let outcome = forge.withstand("zeros").check_says(0, &[]).restores("local/x/z");
            if outcome.restore.code != 0 {
                let code = outcome.restore.code;
                assert!(code == 1 || code == 3, "{outcome:?}");
                outcome.restore_says(code, &["local/x/big"]).lacks("big");
            }
        }
    }
}

#[test]
fn lengths_that_add_up_to_more_than_any_file_are_refused() {
    let zeros = |length| Piece::Zeros { length };
    let forge = Forge::new();
    forge.commit_entries(&[big(pieces(vec![zeros(u64::MAX), zeros(2)]), 0)]);
    forge.withstand("pieces").check_says(21, &["longer than any file"]).restore_says(1, &["longer than any file"]);

    let forge = Forge::new();
    let root = forge.page(list_leaf(&[zeros(u64::MAX), zeros(u64::MAX)]));
    forge.commit_entries(&[big(list(u64::MAX, root), 0), file(b"z")]);
    forge
        .withstand("a list")
        .check_says(21, &["longer than any file"])
        .restore_says(1, &["local/x/big"])
        .restores("local/x/z");
}

#[test]
fn pieces_of_no_bytes_are_refused() {
    for piece in [Piece::Zeros { length: 0 }, Piece::Chunk { id: ChunkId([1; 32]), length: 0 }] {
        let forge = Forge::new();
        forge.commit_entries(&[big(pieces(vec![piece]), 0)]);
        forge.withstand("an empty piece").check_says(21, &["no bytes"]);
        let forge = Forge::new();
        let root = forge.page(list_leaf(&[piece]));
        forge.commit_entries(&[big(list(0, root), 0), file(b"z")]);
        forge.withstand("an empty piece in a list").check_says(21, &["big"]).restores("local/x/z").lacks("big");
    }
}

#[test]
fn lists_that_lie_about_their_size_are_refused() {
    for size in [0, 9, 11, 1 << 40, u64::MAX] {
        let forge = Forge::new();
        let root = forge.page(list_leaf(&[Piece::Chunk { id: chunk(&forge, b"0123456789"), length: 10 }]));
        forge.commit_entries(&[big(list(size, root), 0), file(b"z")]);
        let outcome = forge.withstand("a list").check_says(21, &["local/x/big"]);
        outcome.restore_says(1, &["local/x/big"]).restores("local/x/z").lacks("big");
    }
}

#[test]
fn chunks_of_another_length_than_said_are_refused() {
    for length in [1, 9, 11, 1 << 23, u32::MAX] {
        let forge = Forge::new();
        let id = chunk(&forge, b"0123456789");
        forge.commit_entries(&[big(pieces(vec![Piece::Chunk { id, length }]), 0), file(b"z")]);
        let outcome = forge.withstand("a chunk").check_says(21, &["10 bytes"]);
        outcome.restore_says(1, &["local/x/big"]).restores("local/x/z").lacks("big");
    }
}

#[test]
fn inner_list_pages_are_held_to_what_is_said_of_them() {
    let cases: [(&str, Pointing); 5] = [
        ("level", |id| encoded(&(1_u32, 2_u8, &[ListLink { id, size: 10, pieces: 1 }][..]))),
        ("level 255", |id| encoded(&(1_u32, 255_u8, &[ListLink { id, size: 10, pieces: 1 }][..]))),
        ("pieces", |id| encoded(&(1_u32, 1_u8, &[ListLink { id, size: 10, pieces: 7 }][..]))),
        ("size", |id| {
            encoded(&(
                1_u32,
                1_u8,
                &[ListLink { id, size: 11, pieces: 1 }, ListLink { id, size: u64::MAX, pieces: 1 }][..],
            ))
        }),
        ("count", |_| encoded(&(1_u32, 1_u8, 1_u64 << 32))),
    ];
    for (name, make) in cases {
        let forge = Forge::new();
        let below = forge.page(list_leaf(&[Piece::Chunk { id: chunk(&forge, b"0123456789"), length: 10 }]));
        let root = forge.page(make(below));
        forge.commit_entries(&[big(list(10, root), 0), file(b"z")]);
        let outcome = forge.withstand(name).check_says(21, &["local/x/big"]);
        outcome.restore_says(1, &["local/x/big"]).restores("local/x/z").lacks("big");
    }
}

/// A list of a few pages that stands for 2,048^`levels` pieces.
fn laughing_list(forge: &Forge, piece: Piece, levels: u8) -> Content {
    let mut link = ListLink { id: forge.page(list_leaf(&[piece; 2048])), size: piece.length() * 2048, pieces: 2048 };
    for level in 1..levels {
        let links = vec![link; 2048];
        let id = forge.page(encoded(&(1_u32, level, &links)));
        link = ListLink { id, size: link.size * 2048, pieces: link.pieces * 2048 };
    }
    list(link.size, link.id)
}

#[test]
fn a_list_of_few_pages_for_exabytes_is_checked_once_and_not_written() {
    let forge = Forge::new();
    let id = chunk(&forge, &[b'x'; 4096]);
    let content = laughing_list(&forge, Piece::Chunk { id, length: 4096 }, 4);
    let bytes = content.size();
    let root = forge.page(super::forge::leaf(&[big(content, 0)]));
    forge.commit_root(root, Totals { entries: 1, files: 1, bytes });
    let outcome = forge.withstand("72 petabytes of x");
    outcome.check_says(0, &[]).restore_says(1, &["local/x/big"]).lacks("big");
}

#[test]
fn chunks_whose_frame_says_another_size_are_refused() {
    let forge = Forge::new();
    let id = keyed(&forge.keys.chunk_id, b"0123456789");
    forge.commit_entries(&[big(pieces(vec![Piece::Chunk { id: ChunkId(id), length: 10 }]), 0), file(b"z")]);
    let outcome = forge.withstand("a chunk nobody has").check_says(21, &["local/x/big"]);
    outcome.restore_says(1, &["local/x/big"]).restores("local/x/z").lacks("big");
}
