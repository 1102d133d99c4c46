//! Packs and index deltas whose numbers lie.

use snap::codec::compress::{Compressor, Method};
use snap::codec::hash::keyed;
use snap::entry::{Content, EntryKind, Piece, Profile};
use snap::id::ChunkId;
use snap::repository::pack::{FrameRecord, PackKind};

use super::forge::{Forge, PackForge, delta, entry, file, number};

const CHUNK: &[u8] = b"0123456789";

fn honest(forge: &Forge) -> PackForge {
    PackForge::of_chunks(PackKind::Data, &[CHUNK], &[keyed(&forge.keys.chunk_id, CHUNK)])
}

/// Commits a file of the chunk that the packs are to hold, and another that needs none.
fn commit(forge: &Forge) {
    let id = ChunkId(keyed(&forge.keys.chunk_id, CHUNK));
    let pieces = vec![Piece::Chunk { id, length: number(CHUNK.len()) }];
    let content = Content::Pieces { profile: Profile::Bulk, pieces };
    forge.commit_entries(&[entry(b"f", EntryKind::File, content), file(b"z")]);
}

/// Puts the pack and a delta that names it.
fn put(forge: &Forge, pack: &PackForge) {
    let (id, bytes) = forge.put_pack(pack);
    forge.put_delta(&delta(&[pack.delta_row(id, bytes.len())]));
    commit(forge);
}

#[test]
fn a_pack_made_by_hand_is_as_good_as_any() {
    let forge = Forge::new();
    put(&forge, &honest(&forge));
    forge.withstand("an honest pack").check_says(0, &[]).restore_says(0, &[]).restores("local/x/f");
}

#[test]
fn frames_that_lie_in_their_header_are_refused() {
    for said in
        [[1, 18, 18], [2, 18, 18], [u32::MAX, 18, 18], [0, u32::MAX, 18], [0, 18, u32::MAX], [0, 0, 0], [0, 17, 18]]
    {
        let forge = Forge::new();
        let mut pack = honest(&forge);
        pack.frames[0].1 = said;
        put(&forge, &pack);
        forge.withstand("a frame header").restore_says(1, &["contradicts"]).lacks("f").restores("local/x/z");
    }
}

#[test]
fn tables_that_do_not_fill_their_frame_are_refused() {
    let bodies: [(&str, [u32; 2]); 5] = [
        ("short", [9, 1]),
        ("long", [11, 1]),
        ("longest", [u32::MAX, 1]),
        ("count", [10, 2]),
        ("counts", [10, u32::MAX]),
    ];
    for (name, words) in bodies {
        let forge = Forge::new();
        let mut pack = honest(&forge);
        let body = [CHUNK, &words[0].to_le_bytes(), &words[1].to_le_bytes()].concat();
        pack.frames[0].0 = body;
        put(&forge, &pack);
        forge.withstand(name).restore_says(1, &["do not fill"]).lacks("f").restores("local/x/z");
    }
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    let method = Compressor::new(3).expect("a level").compress(plain, &mut stored).expect("compressed");
    assert_eq!(method, Method::Zstd);
    stored
}

#[test]
fn zstd_bombs_make_no_more_than_was_said() {
    let plain = vec![0; 256 << 20];
    let bomb = compressed(&plain);
    for said in [18, 1 << 20, 16 << 20] {
        let forge = Forge::new();
        let mut pack = honest(&forge);
        let stored = number(bomb.len());
        pack.frames[0] = (bomb.clone(), [1, stored, said]);
        let record = FrameRecord { stored_length: stored, plain_length: said, chunk_count: 1, method: Method::Zstd };
        pack.directory.frames[0] = record;
        pack.directory.lengths[0] = said - 8;
        put(&forge, &pack);
        forge.withstand("a frame bomb").lacks("f").restores("local/x/z");
    }
}

#[test]
fn directories_that_lie_are_refused_in_deltas_and_in_packs() {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let trailers: [(&str, Vec<u8>); 12] = [
        ("empty", Vec::new()),
        ("counts of 2^32", words(&[u32::MAX, u32::MAX])),
        ("frames without rows", words(&[1 << 20, 0])),
        ("chunks without rows", words(&[0, 1 << 20])),
        ("no frames but a chunk", [words(&[0, 1]), vec![7; 32], words(&[10])].concat()),
        ("stored longer than plain", [words(&[1, 1, 19, 18, 1, 0]), vec![7; 32], words(&[10])].concat()),
        ("plain beyond a frame", [words(&[1, 1, 18, 17 << 20, 1, 0]), vec![7; 32], words(&[10])].concat()),
        ("plain of 4 GiB", [words(&[1, 1, u32::MAX, u32::MAX, 1, 0]), vec![7; 32], words(&[u32::MAX - 8])].concat()),
        ("method", [words(&[1, 1, 18, 18, 1, 9]), vec![7; 32], words(&[10])].concat()),
        ("chunk count", [words(&[1, 1, 18, 18, u32::MAX, 0]), vec![7; 32], words(&[10])].concat()),
        ("chunk length", [words(&[1, 1, 18, 18, 1, 0]), vec![7; 32], words(&[u32::MAX])].concat()),
        ("a byte too many", [words(&[0, 0]), vec![0]].concat()),
    ];
    for (name, trailer) in trailers {
        let forge = Forge::new();
        let pack = PackForge { trailer: Some(trailer), ..honest(&forge) };
        put(&forge, &pack);
        forge.withstand(name).restore_says(1, &["f"]).lacks("f").restores("local/x/z");
    }
}

#[test]
fn footers_that_lie_are_refused() {
    let lies: [(&str, [u32; 2], [u8; 4]); 7] = [
        ("trailer longer", [1, 0], *b"SNPT"),
        ("trailer shorter", [u32::MAX, 0], *b"SNPT"),
        ("trailer of 2 GiB", [1 << 31, 0], *b"SNPT"),
        ("trailer of nearly 4 GiB", [u32::MAX - 200, 0], *b"SNPT"),
        ("padding", [0, 1], *b"SNPT"),
        ("padding of 4 GiB", [0, u32::MAX], *b"SNPT"),
        ("magic", [0, 0], *b"XXXX"),
    ];
    for (name, footer, magic) in lies {
        let forge = Forge::new();
        forge.put_pack(&PackForge { footer, magic, ..honest(&forge) });
        // A delta that cannot be read makes every reader ask the packs themselves.
        forge.put_delta(b"SNAPIDX2");
        commit(&forge);
        forge.withstand(name).restore_says(1, &["f"]).lacks("f").restores("local/x/z");
    }
}

#[test]
fn deltas_that_lie_are_set_aside() {
    let forge = Forge::new();
    let row = honest(&forge).delta_row([5; 32], 500);
    let with = |at: usize, bytes: &[u8]| {
        let mut row = row.clone();
        row[at..at + bytes.len()].copy_from_slice(bytes);
        delta(&[row])
    };
    let deltas: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("no packs, but bytes", [delta(&[]), vec![0]].concat()),
        ("packs of 2^32", [&b"SNAPIDX1"[..], &u32::MAX.to_le_bytes()].concat()),
        ("pack shorter than its frames", with(32, &1_u32.to_le_bytes())),
        ("pack of another kind", with(36 + 9, &[9])),
        ("pack of another cipher", with(36 + 10, &[9])),
        ("pack of another version", with(36 + 8, &[2])),
        ("directory of 4 GiB", with(100, &u32::MAX.to_le_bytes())),
        ("directory shorter", with(100, &8_u32.to_le_bytes())),
    ];
    for (name, plain) in deltas {
        let forge = Forge::new();
        forge.put_delta(&plain);
        forge.put_pack(&honest(&forge));
        commit(&forge);
        // The pack itself says what the delta does not.
        forge.withstand(name).check_says(20, &["i/0/"]).restore_says(0, &[]).restores("local/x/f");
    }
}

#[test]
fn a_delta_of_packs_that_are_not_there_loses_only_what_they_should_hold() {
    for size in [0, 200, 1 << 20, u32::MAX] {
        let forge = Forge::new();
        let mut row = honest(&forge).delta_row([5; 32], 0);
        row[32..36].copy_from_slice(&size.max(200).to_le_bytes());
        forge.put_delta(&delta(&[row]));
        commit(&forge);
        forge
            .withstand("a phantom")
            .check_says(21, &["missing"])
            .restore_says(1, &["local/x/f"])
            .restores("local/x/z")
            .lacks("f");
    }
}

#[test]
fn thousands_of_phantoms_with_the_same_chunk_end() {
    let forge = Forge::new();
    let rows: Vec<Vec<u8>> = (0..5000_u32)
        .map(|at| {
            let mut id = [5; 32];
            id[..4].copy_from_slice(&at.to_le_bytes());
            honest(&forge).delta_row(id, 500)
        })
        .collect();
    forge.put_delta(&delta(&rows));
    commit(&forge);
    forge.withstand("5,000 copies that are not there").check_says(21, &["missing"]).restores("local/x/z").lacks("f");
}

#[test]
fn a_chunk_that_is_not_what_its_id_says_is_never_restored() {
    let forge = Forge::new();
    let pack = PackForge::of_chunks(PackKind::Data, &[b"evil567890"], &[keyed(&forge.keys.chunk_id, CHUNK)]);
    put(&forge, &pack);
    forge.withstand("a swapped chunk").restore_says(1, &["local/x/f"]).lacks("f").restores("local/x/z");
}
