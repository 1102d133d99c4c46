//! What looking a chunk up costs: `cargo bench --bench index [chunks]` (a million if not given).
//!
//! Nanoseconds for one look-up on one thread, of ids that are there and of others, through one segment and through several.
//! Held against 100 ns: two reads from memory that no cache has.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use snap::codec::hash::digest;
use snap::codec::key::secret::FileKey;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::pack::PackKind;
use snap::repository::session::{Mode, Origin, Session, SessionMark};
use snap::storage::memory::MemoryStorage;

const LOOK_UPS: u64 = 1_000_000;

fn main() {
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
