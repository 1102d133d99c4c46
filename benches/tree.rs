//! What a tree costs: pages in and out, reading, seeking, comparing, building.
//!
//! `cargo bench --bench tree [entries]` (a million if not given) prints one figure a line, and at last the peak of memory.
#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use std::hint::black_box;
use std::num::NonZeroU32;

use rustix::time::{ClockId, clock_gettime};
use snap::codec::hash;
use snap::entry::{
    ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, Piece, PosixMetadata, Profile, Timestamp,
};
use snap::id::{ChunkId, PageId};
use snap::tree::boundary::TreeParameters;
use snap::tree::builder::{Root, TreeBuilder};
use snap::tree::cursor::Cursor;
use snap::tree::diff::Diff;
use snap::tree::join::join;
use snap::tree::memory::MemoryPages;
use snap::tree::page::Page;
use snap::tree::store::{PageError, PageSink, PageSource};

/// Names pages and forgets them, so that what is measured is the builder.
struct Nowhere;

impl PageSink for Nowhere {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        Ok(hash::page_id(&[5; 32], plaintext))
    }
}

fn parameters() -> TreeParameters {
    TreeParameters { page_boundary: [3; 32], page_entries: NonZeroU32::new(512).expect("512 is not zero") }
}

/// A file as a backup of a home directory has it: POSIX metadata, a token, one chunk.
fn entry(number: u64) -> Entry {
    let modified = Timestamp { seconds: 1_700_000_000 + i64::try_from(number).unwrap_or(0), nanoseconds: 123_456_789 };
    let posix = PosixMetadata {
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: Some("anna".into()),
        group: Some("users".into()),
        modified,
        ..PosixMetadata::default()
    };
    let id = ChunkId(hash::digest(&number.to_le_bytes()));
    Entry {
        path: EntryPath::from(format!("project{:05}/source/module_{number:09}.rs", number / 100).as_str()),
        kind: EntryKind::File,
        metadata: Metadata::Posix(Box::new(posix)),
        token: Some(ChangeToken::Posix { changed: modified, inode: number }),
        content: Content::Pieces { profile: Profile::Bulk, pieces: vec![Piece::Chunk { id, length: 7000 }] },
    }
}

/// Processor time of this thread, in seconds: on a shared machine other work does not count.
fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

/// Runs `work` and prints the processor time that each of `count` took.
fn measure<T>(what: &str, count: u64, work: impl FnOnce() -> T) -> T {
    let start = thread_seconds();
    let value = black_box(work());
    let seconds = thread_seconds() - start;
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let count = count as f64;
    println!("{what:36} {:10.1} ns each {:14.0} a second", seconds * 1e9 / count, count / seconds);
    value
}

fn build(sink: impl PageSink, entries: &[Entry]) -> Root {
    let mut builder = TreeBuilder::new(parameters(), sink);
    entries.iter().for_each(|entry| builder.push(entry).expect("they are in order"));
    builder.finish().expect("the sink takes every page")
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown").to_owned()
}

fn streaming(count: u64) {
    measure("build, entries made on the way", count, || {
        let mut builder = TreeBuilder::new(parameters(), Nowhere);
        (0..count).for_each(|number| builder.push(&entry(number)).expect("they are in order"));
        builder.finish().expect("nowhere takes every page")
    });
    println!("after building {count} entries: {}", peak_memory());
}

fn reading(entries: &[Entry]) {
    let count = entries.len() as u64;
    let pages = MemoryPages::new([5; 32]);
    let root = measure("build into memory", count, || build(&pages, entries));
    let bytes: Vec<_> = pages.ids().iter().map(|id| pages.page(id).expect("it is there")).collect();
    println!("{} pages, {} bytes", bytes.len(), bytes.iter().map(bytes::Bytes::len).sum::<usize>());
    measure("decode every page", count, || bytes.iter().filter(|page| Page::decode(page).is_ok()).count());
    measure("cursor over all", count, || Cursor::new(&pages, root.id).filter(Result::is_ok).count());
    let mut cursor = Cursor::new(&pages, root.id);
    measure("seek at random", 10_000, || {
        for number in 0..10_000_u64 {
            let target = &entries[usize::try_from(number * 7_919_777 % count).expect("it is an index")];
            cursor.seek(target.path.as_bytes()).expect("every page is there");
        }
    });
    let mut cursor = Cursor::new(&pages, root.id);
    measure("advance to each in step", count, || {
        entries.iter().for_each(|entry| cursor.advance_to(entry.path.as_bytes()).expect("every page is there"));
    });
    let is_same = |old: &Entry, new: &Entry| old == new;
    measure("diff of equal trees", 1, || Diff::new(&pages, root.id, root.id, is_same).count());
    for (what, every) in [("diff, scattered 1 % changed", 100), ("diff, one in 10,000 changed", 10_000)] {
        let mut changed = entries.to_vec();
        changed.iter_mut().step_by(every).for_each(|entry| entry.token = None);
        let new = build(&pages, &changed);
        measure(what, count, || Diff::new(&pages, root.id, new.id, is_same).count());
    }
    let half = entries.len() / 2;
    let parts = [build(&pages, &entries[..half]), build(&pages, &entries[half..])];
    let joined = measure("join of two halves", 1, || join(parameters(), &pages, &pages, &parts));
    assert_eq!(joined.expect("every page is there"), root);
}

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    streaming(count);
    let entries: Vec<Entry> = (0..count.min(1_000_000)).map(entry).collect();
    measure("encode, hash and end pages", entries.len() as u64, || build(Nowhere, &entries));
    reading(&entries);
}
