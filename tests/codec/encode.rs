//! The encoding of pages: the bytes that FORMAT.md §10 gives, and bytes that must not decode.

use snap::codec::encode::{EncodeError, PAGE_SIZE_MAX, decode, encode_into};
use snap::entry::{
    ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, Piece, PosixMetadata, Profile, Timestamp, Xattr,
};
use snap::id::ChunkId;

fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut target = Vec::new();
    encode_into(value, &mut target).expect("it encodes");
    target
}

#[test]
fn integers_are_varints() {
    assert_eq!(encoded(&250_u64), [250]);
    assert_eq!(encoded(&251_u64), [251, 251, 0]);
    assert_eq!(encoded(&65_536_u64), [252, 0, 0, 1, 0]);
    assert_eq!(encoded(&u64::MAX), [253, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(encoded(&-1_i64), [1]);
    assert_eq!(encoded(&1_i64), [2]);
}

#[test]
fn entry_is_encoded_as_the_format_says() {
    let posix = PosixMetadata {
        mode: 0o644,
        uid: 1000,
        gid: 5,
        user: Some("ada".into()),
        group: None,
        modified: Timestamp { seconds: -1, nanoseconds: 7 },
        xattrs: vec![Xattr { name: b"user.x".to_vec(), value: Content::Inline(b"v".to_vec()) }],
        link_to: Some(EntryPath::from("a")),
        flags: PosixMetadata::SPARSE,
    };
    let entry = Entry {
        path: EntryPath::from("dir/b"),
        kind: EntryKind::File,
        metadata: Metadata::Posix(Box::new(posix)),
        token: Some(ChangeToken::Posix { changed: Timestamp { seconds: 2, nanoseconds: 0 }, inode: 300 }),
        content: Content::Pieces {
            profile: Profile::Record,
            pieces: vec![Piece::Chunk { id: ChunkId([0xcc; 32]), length: 9 }, Piece::Zeros { length: 70_000 }],
        },
    };
    let expected = [
        &b"\x05dir/b"[..],
        b"\x00",                                 // a file
        b"\x01\xfb\xa4\x01\xfb\xe8\x03\x05",     // POSIX: mode, uid, gid
        b"\x01\x03ada\x00",                      // user, no group
        b"\x01\x07",                             // modified
        b"\x01\x06user.x\x01\x01v",              // one attribute, inline
        b"\x01\x01a\x01",                        // link, flags
        b"\x01\x00\x04\x00\xfb\x2c\x01",         // token
        b"\x02\x01\x02",                         // two pieces cut as records
        &[&[0][..], &[0xcc; 32], &[9]].concat(), // a chunk
        b"\x01\xfc\x70\x11\x01\x00",             // zeros
    ]
    .concat();
    assert_eq!(hex::encode(encoded(&entry)), hex::encode(&expected));
    assert_eq!(decode::<Entry>(&expected).expect("it decodes"), entry);
    for length in 0..expected.len() {
        assert!(decode::<Entry>(&expected[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn bytes_after_the_value_are_refused() {
    assert!(matches!(decode::<u64>(&[5, 0]), Err(EncodeError::TrailingBytes { count: 1 })));
}

#[test]
fn lengths_that_cannot_be_are_refused_without_allocating_them() {
    let content = [&[1][..], &[253, 0, 0, 0, 0, 0, 1, 0, 0]].concat();
    assert!(matches!(decode::<Content>(&content), Err(EncodeError::Malformed { .. })));
    let path = [253, 255, 255, 255, 255, 255, 255, 255, 255];
    assert!(matches!(decode::<EntryPath>(&path), Err(EncodeError::Malformed { .. })));
}

#[test]
fn unknown_variants_are_refused() {
    assert!(decode::<Profile>(&[3]).is_err());
    assert!(decode::<EntryKind>(&[9]).is_err());
}

#[test]
fn value_over_the_page_limit_is_not_encoded() {
    let mut target = b"before".to_vec();
    let long = EntryPath(vec![b'x'; PAGE_SIZE_MAX]);
    assert!(matches!(encode_into(&long, &mut target), Err(EncodeError::TooLarge { .. })));
}
