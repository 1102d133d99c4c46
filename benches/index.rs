//! What looking a chunk up costs: `cargo bench --bench index [chunks]` (a million if not given); of an index of any size, which
//! is made once: `… -- make FOLDER CHUNKS`, then `… -- ask FOLDER` (best under a limit of memory).
//!
//! Nanoseconds for one look-up on one thread, of ids that are there and of others, through one segment and through several.
//! Held against 100 ns: two reads from memory that no cache has.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use snap::codec::hash::digest;
use snap::codec::key::secret::FileKey;
use snap::platform::Ways;
use snap::repository::Repository;
use snap::repository::fuzzing::put_invented_base;
use snap::repository::generation::{Intent, Manifest};
use snap::repository::keyring::Opener;
use snap::repository::pack::PackKind;
use snap::repository::session::{Mode, Origin, Session, SessionMark};
use snap::storage::Put;
use snap::storage::local::LocalStorage;
use snap::storage::memory::MemoryStorage;

const LOOK_UPS: u64 = 1_000_000;
/// Chunks in a segment of the base: 16 MiB of it.
const SEGMENT_CHUNKS: usize = 400_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["make", folder, chunks] => make(Path::new(folder), chunks.parse().expect("a number of chunks")),
        ["ask", folder] => ask(Path::new(folder)),
        _ => compare(),
    }
}

fn secret() -> Opener {
    Opener::Key(Arc::new(FileKey::parse_file_text(&"17".repeat(32)).expect("a key")))
}

/// A repository in the folder whose first generation names so many chunks that are not there.
fn make(folder: &Path, chunks: u64) {
    let storage = Arc::new(LocalStorage::create(folder, Ways::Native).expect("a folder"));
    let repository =
        Repository::init(storage, &[(secret(), "")], jiff::Timestamp::UNIX_EPOCH, None).expect("a repository");
    let put = repository.put_intent(1, &Intent::default()).expect("an intent");
    assert_eq!(put, Put::Created);
    let starts: Vec<u64> = (0..chunks).step_by(SEGMENT_CHUNKS).collect();
    let segment =
        |start: &u64| put_invented_base(&repository, *start..chunks.min(start + SEGMENT_CHUNKS as u64)).expect("put");
    let segments = starts.iter().map(segment).collect();
    let manifest = Manifest { segments, ..Manifest::default() };
    assert_eq!(repository.put_manifest(1, &manifest).expect("a manifest"), Put::Created);
    repository.put_manifest_copy(1, &manifest).expect("its copy");
    println!("{chunks} chunks in {} segments", starts.len());
}

/// Opens the index, without its cache where there is none yet, and asks it.
fn ask(folder: &Path) {
    let storage = Arc::new(LocalStorage::open(folder, Ways::Native).expect("a folder"));
    let cache = folder.with_extension("cache");
    let repository = Repository::open(storage, &secret(), Some(cache)).expect("a repository");
    let started = Instant::now();
    let (index, damaged) = repository.index().expect("an index");
    let opened = started.elapsed();
    assert!(damaged.is_empty(), "{damaged:?}");
    let chunks = index.chunk_count() as u64;
    let started = Instant::now();
    let there = (0..LOOK_UPS)
        .filter(|at| index.contains(&digest(&(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % chunks).to_le_bytes())))
        .count();
    let asked = started.elapsed();
    let absent = (0..LOOK_UPS).filter(|at| index.contains(&digest(&(chunks + at).to_le_bytes()))).count();
    assert_eq!((there as u64, absent), (LOOK_UPS, 0));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("RssAnon")).collect::<Vec<_>>();
    println!("{chunks} chunks: opened in {opened:.1?}, a million look-ups in {asked:.1?}; {}", peak.join(", "));
}

fn compare() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000_u64);
    let opener = Opener::Key(Arc::new(FileKey::generate()));
    let now = jiff::Timestamp::UNIX_EPOCH;
    for sessions in [1, 8] {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Some(folder.path().to_owned());
        let storage = Arc::new(MemoryStorage::new());
        let repository = Repository::init(storage, &[(opener.clone(), "")], now, cache).expect("a repository");
        let repository = Arc::new(repository);
        let mut ids = Vec::new();
        for session in 0..sessions {
            ids.extend(fill(&repository, session * count / sessions..(session + 1) * count / sessions));
        }
        let started = Instant::now();
        let (index, damaged) = repository.index().expect("an index");
        let opened = started.elapsed();
        assert!(damaged.is_empty() && index.chunk_count() as u64 >= count, "all of it is known");
        let measure = |of: &dyn Fn(u64) -> [u8; 32]| {
            let wanted: Vec<[u8; 32]> = (0..LOOK_UPS).map(of).collect();
            let started = Instant::now();
            let found = wanted.iter().filter(|id| index.contains(black_box(id))).count();
            (started.elapsed().as_nanos() / u128::from(LOOK_UPS), found)
        };
        let spread = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count;
        let (there, found) = measure(&|number| ids[usize::try_from(spread(number)).expect("it is an index")]);
        assert_eq!(found as u64, LOOK_UPS, "each is there");
        let (absent, found) = measure(&|number| digest(&number.to_le_bytes()));
        assert_eq!(found, 0, "none is there");
        println!(
            "{count} chunks in {sessions} segments: opened in {opened:.1?}, {there} ns there, {absent} ns not there"
        );
    }
}

/// Stores chunks of these numbers in one session; returns their ids.
fn fill(repository: &Arc<Repository>, numbers: std::ops::Range<u64>) -> Vec<[u8; 32]> {
    let mark = SessionMark {
        time: jiff::Timestamp::UNIX_EPOCH,
        host: "bench".to_owned(),
        boot: None,
        pid_namespace: None,
        pid: 1,
        started: None,
        tool: "bench".to_owned(),
    };
    let session = Session::begin(Arc::clone(repository), &mark, Mode::Write).expect("a session");
    let mut writer = session.writer(PackKind::Data).expect("a writer");
    let ids = numbers.map(|number| writer.store(&number.to_le_bytes(), Origin::Small).expect("stored")).collect();
    writer.flush().expect("flushed");
    session.close().expect("closed");
    ids
}
