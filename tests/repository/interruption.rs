//! A small backup cut off at each call to storage, or refused room, or left without replies: nothing half-done counts, and
//! the next run ends well without sending again what a delta names.

use std::path::Path;
use std::sync::Arc;

use snap::operation::backup::{BackupError, BackupRequest, Rereading, SnapshotLabel, backup};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::session::Mode;
use snap::source::local::LocalRoot;
use snap::storage::faulty::{Effect, Fault, FaultyStorage, Lasting};
use snap::storage::memory::MemoryStorage;
use snap::storage::name::Prefix;
use snap::storage::{Attempt, StorageErrorKind};

use super::{begin, epoch, fresh, names, noise, text};

type Faulty = FaultyStorage<MemoryStorage>;
/// A store, the repository in it, and how the backup ended.
type Struck = (Arc<Faulty>, Arc<Repository>, Result<(), BackupError>);

fn run(repository: &Arc<Repository>, folder: &Path) -> Result<(), BackupError> {
    let label = SnapshotLabel {
        time: epoch(),
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: None,
        tags: Vec::new(),
        description: String::new(),
        scope: Vec::new(),
    };
    let (roots, rereading) = (vec![LocalRoot::new(folder)], Rereading::Changed);
    let request = BackupRequest { roots, sources: Vec::new(), label, rereading, mode: Mode::Write, threads: 2 };
    backup(repository, &request, &Silent).map(drop)
}

fn source() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in 0..4 {
        let bytes = if file % 2 == 0 { noise(30_000, file) } else { text(30_000, file) };
        std::fs::write(folder.path().join(file.to_string()), bytes).expect("a file");
    }
    folder
}

fn faulty() -> (Arc<Faulty>, Arc<Repository>) {
    let storage = Arc::new(FaultyStorage::scripted(MemoryStorage::new(), Vec::new()));
    let (repository, _) = fresh(storage.clone());
    (storage, repository)
}

/// A backup that meets `effect` at its `at`-th call of a kind; `None` where it makes fewer.
fn struck(folder: &Path, attempt: Option<Attempt>, at: u64, lasting: Lasting, effect: Effect) -> Option<Struck> {
    let (storage, repository) = faulty();
    let calls = |storage: &Faulty| attempt.map_or_else(|| storage.calls_total(), |attempt| storage.calls(attempt));
    let before = calls(&storage);
    storage.plan(Fault { attempt, at: before + at, lasting, effect });
    let result = run(&repository, folder);
    let struck = calls(&storage) >= before + at;
    storage.recover();
    struck.then_some((storage, repository, result))
}

/// After whatever happened: the next backup commits, sends no chunk that a delta named, and everything proves whole.
fn assert_goes_on(storage: &Faulty, repository: &Arc<Repository>, folder: &Path) {
    let known: Vec<[u8; 32]> = {
        let (index, damaged) = repository.index().expect("an index");
        assert!(damaged.is_empty());
        index.chunks().map(|(id, _)| id).collect()
    };
    let deltas_before = names(storage.inner(), Prefix::Index);
    run(repository, folder).expect("the next run commits");
    let (index, _) = repository.index().expect("an index");
    for id in known {
        assert_eq!(index.find(&id).count(), 1, "what a delta names is not sent again");
    }
    assert!(names(storage.inner(), Prefix::Index).len() <= deltas_before.len() + 1);
    for pack in index.packs() {
        repository.verify_pack(&pack.id).expect("every pack that an index names is whole");
    }
    assert!(!repository.snapshots().expect("snapshots").valid.is_empty());
}

#[test]
fn a_crash_at_any_call_commits_nothing_in_part_and_is_gone_on_from() {
    let folder = source();
    let mut at = 1;
    while let Some((storage, repository, result)) = struck(folder.path(), None, at, Lasting::Once, Effect::Crash) {
        assert!(result.is_err(), "call {at}");
        assert!(repository.snapshots().expect("snapshots").valid.is_empty(), "call {at}");
        assert_goes_on(&storage, &repository, folder.path());
        at += 1;
    }
    assert!(at > 8, "a backup makes more than {at} calls");
}

#[test]
fn without_room_the_run_says_so_commits_nothing_and_succeeds_later() {
    let folder = source();
    let full = Effect::Fail(StorageErrorKind::NoSpace);
    let mut at = 1;
    while let Some((storage, repository, result)) =
        struck(folder.path(), Some(Attempt::Put), at, Lasting::Forever, full)
    {
        let is_said = |error: &dyn std::error::Error| snap_says(error, "no space is left");
        assert!(result.is_err_and(|error| is_said(&error)), "put {at}");
        assert!(repository.snapshots().expect("snapshots").valid.is_empty(), "put {at}");
        assert_goes_on(&storage, &repository, folder.path());
        at += 1;
    }
    assert!(at > 4, "mark, packs, delta and cell");
}

fn snap_says(error: &dyn std::error::Error, words: &str) -> bool {
    error.to_string().contains(words) || error.source().is_some_and(|source| snap_says(source, words))
}

#[test]
fn a_reply_lost_for_good_is_an_error_or_a_snapshot_but_never_half_of_one() {
    let folder = source();
    let lost = Effect::LoseReply(StorageErrorKind::Unreachable);
    let mut at = 1;
    while let Some((storage, repository, result)) = struck(folder.path(), Some(Attempt::Put), at, Lasting::Once, lost) {
        assert!(result.is_err(), "put {at}");
        let committed = repository.snapshots().expect("snapshots").valid.len();
        let cells = names(storage.inner(), Prefix::Cells).len();
        assert_eq!(committed, cells, "a cell is there as a whole or not at all");
        assert_goes_on(&storage, &repository, folder.path());
        at += 1;
    }
}

#[test]
fn an_upload_that_fails_is_told_once_and_the_session_stays_uncommitted() {
    let (storage, repository) = faulty();
    let session = begin(&repository);
    let mut writer = session.writer(snap::repository::pack::PackKind::Data).expect("a writer");
    writer.store(&noise(10_000, 1), snap::repository::session::Origin::Small).expect("taken");
    let at = storage.calls(Attempt::Put) + 1;
    let effect = Effect::Fail(StorageErrorKind::Denied);
    storage.plan(Fault { attempt: Some(Attempt::Put), at, lasting: Lasting::Forever, effect });
    writer.flush().expect("handed over");
    assert!(matches!(session.settle(), Err(RepositoryError::Storage(error)) if error.kind == StorageErrorKind::Denied));
    assert!(matches!(session.commit(super::record(epoch())), Err(RepositoryError::UploadStopped)));
    storage.recover();
    assert!(matches!(session.commit(super::record(epoch())), Err(RepositoryError::UploadStopped)));
    assert!(names(storage.inner(), Prefix::Cells).is_empty());
}
