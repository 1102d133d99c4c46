//! What is fuzzed: every function that is given bytes or text from outside. Shared by the fuzzers, the replay of the
//! corpus in the suite, and the mutator of `cargo bench --bench fuzz`.
//!
//! A target takes any bytes; it fails by a panic. Where a result can be told to be right, the target asserts it.

use std::path::Path;

use snap::cli::config::file;
use snap::cli::environment::Environment;
use snap::codec::chunk::{Chunker, ChunkerParameters, Cut, Window};
use snap::codec::compress::{Compressor, Decompressor, Method};
use snap::codec::key::slot::KeySlot;
use snap::entry::{Content, Entry, EntryKind, Metadata, PosixMetadata, Profile};
use snap::operation::reference::Reference;
use snap::repository::fuzzing;
use snap::repository::pack::{PackDirectory, PackFooter, PackHeader};
use snap::resource::{SnapshotRecord, escape_path, unescape_path};
use snap::source::local::exclude::Excludes;
use snap::storage::name::ObjectName;
use snap::tree::list_page::ListPage;
use snap::tree::page::Page;

/// A target: its name, what it does, and a few valid inputs.
pub(crate) struct Target {
    /// Names its corpus in `fixtures/fuzz`.
    pub(crate) name: &'static str,
    /// Must not panic.
    pub(crate) run: fn(&[u8]),
    /// Where a corpus begins.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub(crate) const TARGETS: [Target; 17] = [
    Target { name: "page", run: page, seeds: page_seeds },
    Target { name: "list_page", run: list_page, seeds: list_page_seeds },
    Target { name: "directory", run: directory, seeds: directory_seeds },
    Target { name: "pack_ends", run: pack_ends, seeds: pack_ends_seeds },
    Target { name: "delta", run: fuzzing::delta, seeds: delta_seeds },
    Target { name: "config", run: fuzzing::config, seeds: config_seeds },
    Target { name: "slot", run: slot, seeds: slot_seeds },
    Target { name: "envelope", run: fuzzing::envelope, seeds: envelope_seeds },
    Target { name: "cell", run: fuzzing::cell, seeds: cell_seeds },
    Target { name: "record", run: record, seeds: record_seeds },
    Target { name: "reference", run: reference, seeds: reference_seeds },
    Target { name: "settings", run: settings, seeds: settings_seeds },
    Target { name: "pattern", run: pattern, seeds: pattern_seeds },
    Target { name: "path", run: path, seeds: path_seeds },
    Target { name: "object_name", run: object_name, seeds: object_name_seeds },
    Target { name: "cutter", run: cutter, seeds: cutter_seeds },
    Target { name: "decompress", run: decompress, seeds: decompress_seeds },
];

fn page(bytes: &[u8]) {
    if let Ok(Page::Leaf(entries)) = Page::decode(bytes) {
        assert!(entries.is_sorted_by(|one, other| one.path < other.path), "entries are in order");
    }
}

fn list_page(bytes: &[u8]) {
    if let Ok(page) = ListPage::decode(bytes) {
        let _no_overflow = page.sums();
    }
}

fn directory(bytes: &[u8]) {
    if let Ok(directory) = PackDirectory::decode(bytes) {
        assert_eq!(directory.encode(), bytes, "a directory has one encoding");
    }
}

fn pack_ends(bytes: &[u8]) {
    if let Ok(header) = PackHeader::decode(bytes) {
        assert_eq!(header.encode(), bytes, "a header has one encoding");
    }
    if let Ok(footer) = PackFooter::decode(bytes) {
        assert_eq!(footer.encode(), bytes, "a footer has one encoding");
    }
}

fn slot(bytes: &[u8]) {
    drop(KeySlot::parse_document(bytes));
    // Nothing behind the checksum is reached by chance.
    let line = [bytes, b"\n"].concat();
    let checksum = format!("blake3 {}\n", hex(&snap::codec::hash::digest(&line)));
    drop(KeySlot::parse_document(&[&line, checksum.as_bytes()].concat()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(bytes: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<SnapshotRecord>(bytes) {
        let again = serde_json::to_vec(&record).expect("a record is plain data");
        assert_eq!(serde_json::from_slice::<SnapshotRecord>(&again).expect("it was just written"), record);
    }
}

fn reference(bytes: &[u8]) {
    drop(Reference::parse(bytes));
}

fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    thread_local!(static ENVIRONMENT: Environment = Environment::of_process());
    ENVIRONMENT.with(|environment| drop(file::parse(Path::new("/etc/snap/config.toml"), text, environment)));
}

fn pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let patterns: Vec<String> = text.lines().map(str::to_owned).collect();
    drop(Excludes::none().with_patterns(&patterns));
}

fn path(bytes: &[u8]) {
    let escaped = escape_path(bytes);
    assert_eq!(unescape_path(&escaped).as_deref(), Some(bytes), "escaping is reversible");
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(unescape_path(text));
    }
    let shown = snap::cli::text::printable(bytes);
    assert!(!shown.contains(|c: char| c.is_control()), "nothing that a terminal obeys is shown");
}

fn object_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<ObjectName>() {
        assert_eq!(name.as_str(), text);
        let canonical = name.pack_id().map(|id| ObjectName::pack(&id));
        let canonical =
            canonical.or_else(|| name.index_delta_parts().map(|(e, s, k)| ObjectName::index_delta(e, &s, k)));
        let canonical = canonical.or_else(|| name.commit_cell_id().map(|id| ObjectName::commit_cell(&id)));
        assert!(canonical.is_none_or(|canonical| canonical == name), "a name has one spelling");
    }
}

/// The first byte says how the content is cut and in what windows it arrives.
fn cutter(bytes: &[u8]) {
    let Some((&head, content)) = bytes.split_first() else { return };
    let limits = snap::codec::chunk::ChunkLimits { min: 8, max: 24 };
    let parameters = ChunkerParameters { bulk: limits, record: limits, zip: limits, zip_member_min: 4 };
    let chunker = Chunker::new(&[7; 32], &parameters);
    let profile = [Profile::Bulk, Profile::Record, Profile::Zip][usize::from(head) % 3];
    let whole = pieces(&chunker, profile, content, usize::MAX);
    let window = chunker.cutter(profile).window_size();
    assert_eq!(whole, pieces(&chunker, profile, content, window + usize::from(head / 3)), "windows do not matter");
}

fn pieces(chunker: &Chunker, profile: Profile, content: &[u8], window: usize) -> Vec<(bool, u64)> {
    let mut cutter = chunker.cutter(profile);
    let (mut pieces, mut start): (Vec<(bool, u64)>, usize) = (Vec::new(), 0);
    while start < content.len() {
        let end = start.saturating_add(window).min(content.len());
        let more = if end == content.len() { Window::Last } else { Window::More };
        let (is_zeros, length) = match cutter.next(&content[start..end], more) {
            Cut::Chunk(length) => (false, length as u64),
            Cut::Zeros(length) => (true, length),
            Cut::NeedMore => panic!("the window was large enough"),
        };
        assert!(length > 0, "every piece has bytes");
        start += usize::try_from(length).expect("it lies in the content");
        match pieces.last_mut() {
            Some(last) if last.0 && is_zeros => last.1 += length,
            _ => pieces.push((is_zeros, length)),
        }
    }
    assert_eq!(start, content.len(), "the pieces are the content");
    pieces
}

/// The first three bytes are the length that is said.
fn decompress(bytes: &[u8]) {
    let Some((said, stored)) = bytes.split_first_chunk::<3>() else { return };
    let said = said.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let mut target = vec![1, 2, 3];
    let mut decompressor = Decompressor::new().expect("a context");
    match decompressor.decompress(Method::Zstd, stored, said, &mut target) {
        Ok(()) => assert_eq!(target.len(), said + 3, "no more and no less than was said"),
        Err(_) => assert_eq!(target, [1, 2, 3], "an error leaves what was there"),
    }
    assert!(target.capacity() <= said.max(8) + 64, "no more is set aside than was said");
}

fn entries() -> Vec<Entry> {
    let metadata = || Metadata::Posix(Box::new(PosixMetadata { mode: 0o644, ..PosixMetadata::default() }));
    let entry =
        |path: &str, kind, content| Entry { path: path.into(), kind, metadata: metadata(), token: None, content };
    let piece = snap::entry::Piece::Chunk { id: snap::id::ChunkId([5; 32]), length: 70_000 };
    let zeros = snap::entry::Piece::Zeros { length: 1 << 33 };
    vec![
        entry("", EntryKind::Directory, Content::Empty),
        entry("a", EntryKind::File, Content::Inline(b"inline".to_vec())),
        entry("a.b", EntryKind::File, Content::Pieces { profile: Profile::Record, pieces: vec![piece, zeros] }),
        entry("b", EntryKind::Symlink(b"a".to_vec()), Content::Empty),
        entry("c", EntryKind::File, Content::List { profile: Profile::Zip, size: 9, root: snap::id::PageId([6; 32]) }),
    ]
}

fn page_seeds() -> Vec<Vec<u8>> {
    let pages = snap::tree::memory::MemoryPages::new([7; 32]);
    let entries_max = std::num::NonZeroU32::new(2).expect("not zero");
    let parameters = snap::tree::boundary::TreeParameters { page_boundary: [7; 32], page_entries: entries_max };
    let mut builder = snap::tree::builder::TreeBuilder::new(parameters, &pages);
    for entry in entries() {
        builder.push(&entry).expect("in order");
    }
    builder.finish().expect("memory takes every page");
    stored(&pages)
}

fn stored(pages: &snap::tree::memory::MemoryPages) -> Vec<Vec<u8>> {
    use snap::tree::store::PageSource;
    let mut all: Vec<Vec<u8>> = pages.ids().iter().map(|id| pages.page(id).expect("it is there").to_vec()).collect();
    all.sort();
    all
}

fn list_page_seeds() -> Vec<Vec<u8>> {
    let pages = snap::tree::memory::MemoryPages::new([7; 32]);
    let mut builder = snap::tree::list::ListBuilder::new(&pages, Profile::Bulk);
    for number in 0..20_u8 {
        let piece = snap::entry::Piece::Chunk { id: snap::id::ChunkId([number; 32]), length: 70_000 };
        builder.push(piece).expect("it is short");
        builder.push(snap::entry::Piece::Zeros { length: 1 << number }).expect("it is short");
    }
    builder.finish().expect("memory takes every page");
    stored(&pages)
}

fn directory_of_one() -> PackDirectory {
    let frame = snap::repository::pack::FrameRecord {
        stored_length: 9,
        plain_length: 18,
        chunk_count: 1,
        method: Method::Zstd,
    };
    PackDirectory { frames: vec![frame], ids: vec![[5; 32]], lengths: vec![10] }
}

fn directory_seeds() -> Vec<Vec<u8>> {
    vec![PackDirectory::default().encode(), directory_of_one().encode()]
}

fn header() -> PackHeader {
    let (kind, cipher) = (snap::repository::pack::PackKind::Data, snap::codec::seal::Cipher::Aes256Gcm);
    PackHeader { kind, cipher, salt: [7; 32] }
}

fn pack_ends_seeds() -> Vec<Vec<u8>> {
    let footer = PackFooter { trailer_length: 80, padding_length: 4000, trailer_checksum: 7 };
    vec![header().encode().to_vec(), footer.encode().to_vec()]
}

fn delta_seeds() -> Vec<Vec<u8>> {
    let directory = directory_of_one().encode();
    let mut bytes = b"SNAPIDX1\x01\0\0\0".to_vec();
    bytes.extend_from_slice(&[3; 32]);
    bytes.extend_from_slice(&5000_u32.to_le_bytes());
    bytes.extend_from_slice(&header().encode());
    bytes.extend_from_slice(&u32::try_from(directory.len()).expect("it is short").to_le_bytes());
    bytes.extend_from_slice(&directory);
    vec![b"SNAPIDX1\0\0\0\0".to_vec(), bytes]
}

fn config_seeds() -> Vec<Vec<u8>> {
    let config = snap::repository::config::Config::new(snap::id::RepositoryId([7; 16]), jiff::Timestamp::UNIX_EPOCH);
    let line = serde_json::to_string(&config).expect("it is plain data");
    let body = format!("{line}\nmac {}\n", "00".repeat(32));
    let checksum = hex(&snap::codec::hash::digest(body.as_bytes()));
    vec![format!("{body}blake3 {checksum}\n").into_bytes()]
}

fn slot_seeds() -> Vec<Vec<u8>> {
    let zeros = |bytes: usize| "00".repeat(bytes);
    let slot = |kind: &str, kdf: String| {
        format!(
            "{{\"version\":1,\"kind\":\"{kind}\",\"label\":\"l\",\"created\":\"2026-01-01T00:00:00Z\",\"kdf\":{kdf},\
             \"commitment\":\"{}\",\"wrapped\":\"{}\"}}",
            zeros(32),
            zeros(48)
        )
    };
    let salt = zeros(32);
    vec![
        slot("password", format!("{{\"algorithm\":\"argon2id\",\"t\":3,\"m\":65536,\"p\":4,\"salt\":\"{salt}\"}}"))
            .into_bytes(),
        slot("key-file", format!("{{\"algorithm\":\"blake3\",\"salt\":\"{salt}\"}}")).into_bytes(),
    ]
}

fn envelope_seeds() -> Vec<Vec<u8>> {
    vec![fuzzing::open_envelope(b"{}"), fuzzing::open_envelope(&[b'x'; 5000])]
}

fn record_text() -> String {
    let zeros = |bytes: usize| "00".repeat(bytes);
    format!(
        "{{\"time\":\"2026-01-01T00:00:00Z\",\"host\":\"h\",\"user\":\"u\",\"series\":\"s\",\"tags\":[\"t\"],\"parent\":\"{}\",\
         \"tool\":\"snap\",\"resources\":[{{\"source\":\"local\",\"path\":\"local/a%25\",\"root\":\"{}\",\
         \"totals\":{{\"entries\":1,\"files\":1,\"bytes\":9}},\"coverage\":{{\"state\":\"partial\",\"gaps\":[{{\"path\":\"a\",\
         \"action\":\"open\",\"reason\":\"denied\"}}],\"count\":1}},\"scope\":[\"*.o\"],\"attributes\":{{\"a\":\"b\"}}}}],\
         \"summary\":{{\"totals\":{{\"entries\":1,\"files\":1,\"bytes\":9}},\"new\":1,\"changed\":0,\"unchanged\":0,\"removed\":0,\
         \"bytes_read\":9,\"bytes_new\":9,\"bytes_stored\":9,\"milliseconds\":1}}}}",
        zeros(16),
        zeros(32)
    )
}

fn record_seeds() -> Vec<Vec<u8>> {
    vec![record_text().into_bytes()]
}

fn cell_seeds() -> Vec<Vec<u8>> {
    let snapshot = format!("{{\"state\":\"snapshot\",\"epoch\":0,\"snapshot\":{}}}", record_text());
    vec![snapshot.into_bytes(), b"{\"state\":\"closed\",\"epoch\":0}".to_vec(), b"{\"state\":\"revoked\"}".to_vec()]
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn reference_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "latest",
        "latest~3:local/a",
        "@2026-11-01",
        "@2026-11-01T10:00:00Z",
        "@yesterday",
        "@2 hours ago",
        "tag:prod",
        "0123abcd^",
    ])
}

fn settings_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "repository = \"/backup\"\nkey-file = \"~/key\"\n",
        "[profile.work]\nrepository = \"x\"\nexclude = [\"*.o\"]\ncompression = 3\n",
        "include = [\"a\"]\n'a b' = { c = 1e9, d = 2026-01-01 }\n",
    ])
}

fn pattern_seeds() -> Vec<Vec<u8>> {
    texts(&["*.o\n/target/\n!keep\n", "**/a/**\n[a-z]?\n\\!x\n", "{a,b}{c,d}\n[!a]\n"])
}

fn path_seeds() -> Vec<Vec<u8>> {
    let mut all = texts(&["a/b", "%25%zz%", "Größe", "a\u{9b}b\u{202e}\n\u{7f}"]);
    all.push(b"a\xff\xfe/\x1b[2J\0".to_vec());
    all
}

fn object_name_seeds() -> Vec<Vec<u8>> {
    let hex = "5a".repeat(32);
    let pack = format!("packs/5a/{hex}");
    let sid = &hex[..32];
    let (cell, delta, beat) = (format!("c/{sid}"), format!("i/0/{sid}-7"), format!("s/{sid}.hb.3"));
    texts(&["config", &pack, &cell, &delta, &beat, "g/7.commit.copy", "../evil", "a//b"])
}

fn cutter_seeds() -> Vec<Vec<u8>> {
    let mut records = vec![1];
    (0..40).for_each(|number| records.extend_from_slice(format!("line {number}\n").as_bytes()));
    let zip = [&[2][..], b"PK\x03\x04aaaaaaaaaaPK\x03\x04bbbbPK\x01\x02ccccccccccccPK", &[0; 70]].concat();
    vec![records, zip, vec![0; 200], [&[200][..], &[9; 100], &[0; 60], &[9; 30]].concat()]
}

fn decompress_seeds() -> Vec<Vec<u8>> {
    let plain = b"a text that repeats itself, a text that repeats itself, a text that repeats itself".repeat(4);
    let mut bytes = u32::try_from(plain.len()).expect("it is short").to_le_bytes()[..3].to_vec();
    Compressor::new(3).expect("a level").compress(&plain, &mut bytes).expect("compressed");
    let mut wrong = bytes.clone();
    wrong[0] ^= 1;
    vec![bytes, wrong]
}
