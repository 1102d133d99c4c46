//! Pages that lie: about their order, level, place, counts and totals.

use serde::Serialize;
use snap::entry::{Content, EntryKind, EntryPath, Piece, Profile};
use snap::id::{ChunkId, PageId};
use snap::repository::pack::PackKind;
use snap::resource::Totals;
use snap::tree::page::PageLink;

use super::forge::{Forge, PackForge, delta, encoded, entry, file, folder, leaf};

const ONE_FILE: Totals = Totals { entries: 1, files: 1, bytes: 4 };

fn link(first: &str, id: PageId) -> PageLink {
    PageLink { first: EntryPath::from(first), id, totals: ONE_FILE }
}

fn inner<T: Serialize>(level: u8, links: &[T]) -> Vec<u8> {
    encoded(&(1_u32, level, links))
}

fn totals(entries: u64) -> Totals {
    Totals { entries, files: entries, bytes: entries * 4 }
}

/// Makes the bytes of a page that points at another.
type Pointing = fn(PageId) -> Vec<u8>;

#[test]
fn entries_twice_or_out_of_order_are_no_page() {
    for (name, paths) in [("twice", ["a", "a"]), ("out of order", ["b", "a"])] {
        let forge = Forge::new();
        forge.commit_entries(&paths.map(|path| file(path.as_bytes())));
        forge.withstand(name).check_says(21, &["not in order"]).restore_says(1, &["not in order"]).lacks("a");
    }
}

#[test]
fn counts_beyond_the_bytes_are_refused_before_anything_is_set_aside() {
    for count in [2_u64, 1 << 20, 1 << 32, u64::MAX / 2, u64::MAX] {
        for variant in [0_u32, 1] {
            let forge = Forge::new();
            let page = if variant == 0 { encoded(&(variant, count)) } else { encoded(&(variant, 1_u8, count)) };
            forge.commit_root(forge.page(page), ONE_FILE);
            forge.withstand("a count").check_says(21, &["malformed"]).restore_says(1, &["malformed"]);
        }
    }
}

#[test]
fn lengths_beyond_the_bytes_are_refused_in_every_field() {
    let long = 1_u64 << 40;
    let head = |rest: Vec<u8>| [encoded(&(0_u32, 1_u64)), rest].concat();
    let pages: [(&str, Vec<u8>); 6] = [
        ("suffix", head(encoded(&(0_u64, long)))),
        ("link target", head(encoded(&(0_u64, b"a".to_vec(), 2_u32, long)))),
        ("attributes", head(encoded(&(0_u64, b"a".to_vec(), 0_u32, (1_u32, [0_u8; 3], [0_u8; 2], [0_u8; 2], long))))),
        ("token", head(encoded(&(0_u64, b"a".to_vec(), [0_u8; 2], (1_u8, 1_u32, long))))),
        ("inline content", head(encoded(&(0_u64, b"a".to_vec(), [0_u8; 3], (1_u32, long))))),
        ("pieces", head(encoded(&(0_u64, b"a".to_vec(), [0_u8; 3], (2_u32, 0_u32, long))))),
    ];
    for (name, page) in pages {
        let forge = Forge::new();
        forge.commit_root(forge.page(page), ONE_FILE);
        forge.withstand(name).check_says(21, &["malformed"]).restore_says(1, &["malformed"]);
    }
}

#[test]
fn pages_at_another_level_than_said_are_refused() {
    let cases: [(&str, Pointing); 5] = [
        ("level 0", |leaf| inner(0, &[link("a", leaf)])),
        ("level 64", |leaf| inner(64, &[link("a", leaf)])),
        ("level 255", |leaf| inner(255, &[link("a", leaf)])),
        ("too high", |leaf| inner(2, &[link("a", leaf)])),
        ("no page in it", |_| inner(1, &[] as &[PageLink])),
    ];
    for (name, make) in cases {
        let forge = Forge::new();
        let below = forge.page(leaf(&[file(b"a")]));
        forge.commit_root(forge.page(make(below)), ONE_FILE);
        forge.withstand(name).check_says(21, &["malformed"]).restore_says(1, &["malformed"]).lacks("a");
    }
}

#[test]
fn a_tower_of_pages_ends() {
    let forge = Forge::new();
    let mut root = forge.page(leaf(&[file(b"a")]));
    for level in 1..=63 {
        root = forge.page(inner(level, &[link("a", root)]));
    }
    forge.commit_root(root, ONE_FILE);
    forge.withstand("63 levels").check_says(0, &[]).restore_says(0, &[]).restores("local/x/a");
}

#[test]
fn pages_that_hold_other_paths_than_said_are_refused() {
    let cases = [("first path", ["b", "m"]), ("same page twice", ["a", "m"]), ("out of order", ["m", "a"])];
    for (name, firsts) in cases {
        let forge = Forge::new();
        let below = forge.page(leaf(&[file(b"a"), file(b"z")]));
        let links = firsts.map(|first| PageLink { totals: totals(2), ..link(first, below) });
        forge.commit_root(forge.page(inner(1, &links)), totals(4));
        forge.withstand(name).check_says(21, &["malformed"]).restore_says(1, &["malformed"]);
    }
}

#[test]
fn totals_that_lie_are_found_by_a_check() {
    let lies = [totals(2), Totals::default(), Totals { entries: u64::MAX, files: u64::MAX, bytes: u64::MAX }];
    for lie in lies {
        let forge = Forge::new();
        let root = forge.page(leaf(&[file(b"a")]));
        forge.commit_root(root, lie);
        forge.withstand("of a root").check_says(21, &["as is said above it"]).restores("local/x/a");

        let forge = Forge::new();
        let below = forge.page(leaf(&[file(b"a")]));
        forge.commit_root(forge.page(inner(1, &[PageLink { totals: lie, ..link("a", below) }])), lie);
        forge.withstand("of an inner page").check_says(21, &["as is said above it"]).restores("local/x/a");
    }
}

#[test]
fn totals_that_lie_the_other_way_are_found_though_the_page_was_met_before() {
    let forge = Forge::new();
    let below = forge.page(leaf(&[file(b"a")]));
    let honest = forge.page(inner(1, &[link("a", below)]));
    let lying = forge.page(inner(1, &[PageLink { totals: totals(9), ..link("a", below) }]));
    forge.commit_root(honest, ONE_FILE);
    forge.commit_root(lying, totals(9));
    forge.withstand("the same page under two claims").check_says(21, &["as is said above it"]);
}

#[test]
fn an_index_that_gives_one_page_for_another_makes_no_cycle() {
    let forge = Forge::new();
    let claimed = PageId([9; 32]);
    let page = inner(1, &[link("a", claimed), link("b", claimed)]);
    let pack = PackForge::of_chunks(PackKind::Pages, &[&page], &[claimed.0]);
    let (id, bytes) = forge.put_pack(&pack);
    forge.put_delta(&delta(&[pack.delta_row(id, bytes.len())]));
    forge.commit_root(claimed, ONE_FILE);
    forge
        .withstand("a page that names itself")
        .check_says(21, &["not what its id says"])
        .restore_says(1, &["not what its id says"]);
}

#[test]
fn a_chunk_is_no_page_and_a_page_no_chunk() {
    let forge = Forge::new();
    let page = leaf(&[file(b"a")]);
    let chunk = forge.store(PackKind::Data, std::slice::from_ref(&page))[0];
    forge.commit_root(PageId(chunk), ONE_FILE);
    forge.withstand("a chunk as a page").check_says(21, &["page"]).restore_says(1, &["page"]);

    let forge = Forge::new();
    let page = forge.page(page);
    let pieces = vec![Piece::Chunk { id: ChunkId(page.0), length: 8 }];
    let content = Content::Pieces { profile: Profile::Bulk, pieces };
    forge.commit_entries(&[entry(b"secret-page", EntryKind::File, content), file(b"z")]);
    forge
        .withstand("a page as a chunk")
        .check_says(21, &["chunk"])
        .restore_says(1, &["secret-page"])
        .lacks("secret-page")
        .restores("local/x/z");
}

#[test]
fn a_snapshot_whose_page_is_nowhere_is_named() {
    let forge = Forge::new();
    forge.commit_root(PageId([3; 32]), ONE_FILE);
    forge
        .withstand("a missing root")
        .check_says(21, &["0303030303"])
        .restore_says(1, &["0303030303"])
        .ls_says(1, &["0303030303"]);
}

#[test]
fn folders_in_the_millions_by_shared_prefixes_do_not_flood_memory() {
    let forge = Forge::new();
    let long = vec![b'x'; EntryPath::LENGTH_MAX - 1];
    let mut bytes = encoded(&(0_u32, 201_u64));
    let item = |shared: u64, suffix: &[u8]| encoded(&(shared, suffix.to_vec(), [0_u8; 4]));
    bytes.extend(item(0, &long));
    (0..200_u8).for_each(|number| bytes.extend(item(long.len() as u64, &[number])));
    forge.commit_root(forge.page(bytes), ONE_FILE);
    forge.withstand("13 MB of paths in a small page").check_says(21, &["malformed"]);

    let forge = Forge::new();
    let entries: Vec<_> = (0..60_000).map(|number| folder(format!("{number:06}/").as_bytes())).collect();
    let page = leaf(&entries);
    forge.commit_root(forge.page(page), Totals { entries: 60_000, ..Totals::default() });
    forge.withstand("a page of 60,000 entries").check_says(0, &[]).restores("local/x/059999");
}
