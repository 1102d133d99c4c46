//! Bytes that are frozen: fixed entries have these pages and roots for ever (FORMAT.md §10).

use bytes::Bytes;
use snap::entry::{
    ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata, Piece, PosixMetadata, Profile,
    Timestamp, Xattr,
};
use snap::id::{ChunkId, PageId};
use snap::resource::Totals;
use snap::tree::builder::TreeBuilder;
use snap::tree::list::ListBuilder;
use snap::tree::memory::MemoryPages;
use snap::tree::page::Page;
use snap::tree::store::PageSource;

use super::generate::{Model, build, pages, parameters};

/// Every kind, metadata, token and content there is.
pub(crate) fn golden_entries() -> Vec<Entry> {
    let plain = |path: &str, kind| Entry {
        path: EntryPath::from(path),
        kind,
        metadata: Metadata::None,
        token: None,
        content: Content::Empty,
    };
    let posix = PosixMetadata {
        mode: 0o4755,
        uid: 1000,
        gid: 70_000,
        user: Some("anna".into()),
        group: None,
        modified: Timestamp { seconds: -1, nanoseconds: 999_999_999 },
        xattrs: vec![Xattr { name: b"user.note".to_vec(), value: Content::Inline(b"x".to_vec()) }],
        link_to: Some(EntryPath::from("a/first")),
        flags: PosixMetadata::SPARSE | PosixMetadata::CHANGED_WHILE_READ,
    };
    let object = ObjectMetadata {
        modified: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
        etag: Some("\"e\"".to_owned()),
        version_id: Some("v1".to_owned()),
        fields: vec![("content-type".to_owned(), "text/html".to_owned())],
        tags: vec![("k".to_owned(), "v".to_owned())],
        delete_marker: true,
    };
    let changed = Timestamp { seconds: 1_700_000_001, nanoseconds: 250 };
    let chunk = Piece::Chunk { id: ChunkId([0x11; 32]), length: 65_536 };
    vec![
        plain("", EntryKind::Directory),
        plain("a/", EntryKind::Directory),
        Entry {
            metadata: Metadata::Posix(Box::new(posix)),
            token: Some(ChangeToken::Posix { changed, inode: 1 << 40 }),
            content: Content::Pieces {
                profile: Profile::Record,
                pieces: vec![chunk, Piece::Zeros { length: 1 << 33 }],
            },
            ..plain("a/file", EntryKind::File)
        },
        plain("a/link", EntryKind::Symlink(b"../target".to_vec())),
        plain("b", EntryKind::BlockDevice { major: 8, minor: 300 }),
        plain("c", EntryKind::CharacterDevice { major: 1, minor: 3 }),
        plain("f", EntryKind::Fifo),
        Entry {
            metadata: Metadata::Object(Box::new(object)),
            token: Some(ChangeToken::Opaque(b"etag".to_vec())),
            content: Content::List { profile: Profile::Zip, size: 1 << 20, root: PageId([0x22; 32]) },
            ..plain("o", EntryKind::Object)
        },
        Entry { content: Content::Inline(b"{}".to_vec()), ..plain("o.json", EntryKind::Document) },
        plain("s\u{e9}", EntryKind::Socket),
    ]
}

pub(crate) fn golden_leaf() -> (MemoryPages, PageId, Totals) {
    let pages = pages();
    let mut builder = TreeBuilder::new(parameters(4_000_000_000), &pages);
    golden_entries().iter().for_each(|entry| builder.push(entry).expect("they are in order"));
    let root = builder.finish().expect("memory takes every page");
    (pages, root.id, root.totals)
}

fn bytes_of(pages: &MemoryPages, id: &PageId) -> Bytes {
    pages.page(id).expect("it was just written")
}

#[test]
fn leaf_page_has_these_bytes() {
    let (pages, id, totals) = golden_leaf();
    let bytes = bytes_of(&pages, &id);
    assert_eq!(hex::encode(&bytes), GOLDEN_LEAF);
    assert_eq!(id.to_string(), GOLDEN_LEAF_ID);
    assert_eq!(totals, Totals { entries: 10, files: 3, bytes: 65_536 + (1 << 33) + (1 << 20) + 2 });
    assert_eq!(Page::decode(&bytes).expect("it is a page"), Page::Leaf(golden_entries()));
}

#[test]
fn empty_tree_is_an_empty_leaf() {
    let pages = pages();
    let root = build(&pages, parameters(4), &Model::new());
    assert_eq!(hex::encode(bytes_of(&pages, &root.id)), "0000");
    assert_eq!(root.totals, Totals::default());
}

#[test]
fn inner_page_has_these_bytes() {
    let pages = pages();
    let map = Model::from([(b"".to_vec(), 0), (b"d/".to_vec(), 0), (b"d/e".to_vec(), 1)]);
    let root = build(&pages, parameters(1), &map);
    let bytes = bytes_of(&pages, &root.id);
    assert_eq!(hex::encode(&bytes), GOLDEN_INNER);
    assert!(matches!(Page::decode(&bytes), Ok(Page::Inner { level: 2, links }) if links.len() == 2));
}

#[test]
fn larger_tree_has_this_root() {
    let pages = pages();
    let map: Model = (0..10_000_u32).map(|i| (format!("{:03}/{i}", i / 50).into_bytes(), (i % 7) as u8)).collect();
    assert_eq!(build(&pages, parameters(32), &map).id.to_string(), GOLDEN_TREE_ID);
}

#[test]
fn chunk_list_has_this_root_and_these_bytes() {
    let pages = pages();
    let list = |count: u32| {
        let mut builder = ListBuilder::new(&pages, Profile::Bulk);
        for i in 0..count {
            let piece = match i % 5 {
                4 => Piece::Zeros { length: u64::from(i) },
                _ => Piece::Chunk { id: ChunkId(snap::codec::hash::digest(&i.to_le_bytes())), length: i + 1 },
            };
            builder.push(piece).expect("sizes are small");
        }
        match builder.finish().expect("memory takes every page") {
            Content::List { root, .. } => root,
            other => panic!("{count} pieces make a list, not {other:?}"),
        }
    };
    assert_eq!(list(20_000).to_string(), GOLDEN_LIST_ID);
    let bytes = bytes_of(&pages, &list(17));
    assert_eq!((bytes.len(), &bytes[..3]), (GOLDEN_LIST_LENGTH, &[0, 17, 0][..]));
}

const GOLDEN_LEAF: &str = "000a0000010000000002612f01000000020466696c650001fbed09fbe803fc701101000104616e6e610001fcffc99a3b0109757365722e6e6f74650101780107612f6669727374030100fc02e2a7cafafd0000000000010000020102001111111111111111111111111111111111111111111111111111111111111111fc0000010001fd000000000200000002046c696e6b02092e2e2f7461726765740000000001620308fb2c010000000001630401030000000001660500000000016f0702fc00e2a7ca00010322652201027631010c636f6e74656e742d7479706509746578742f68746d6c01016b017601010104657461670302fc00001000222222222222222222222222222222222222222222222222222222222222222201052e6a736f6e08000001027b7d000373c3a906000000";
const GOLDEN_LEAF_ID: &str = "e484a56796965a2edc91eb05ff34d202289076172cd8fa5495f878901eb1f705";
const GOLDEN_INNER: &str = "01020200d5e761b33899ad6ff2afc16835306fdec69c4e665cef89dfc180f9b6e7afea2502010303642f65d9f0cd20ecc412a53460eff74c964d75fef668d29a407c098a8270209cc75b99010103";
const GOLDEN_TREE_ID: &str = "8808c4afff536483689261789c255ba8d9d1227cab427db779e3eecefe38044f";
const GOLDEN_LIST_ID: &str = "f744d2ae3bed46f4f511dc7573b25c0dc01a5235b234c53a66d2992ce3806d97";
const GOLDEN_LIST_LENGTH: usize = 484;
