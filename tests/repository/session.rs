//! Sessions: what is stored comes back, once, from any number of threads; and how a session can end.

use std::collections::HashSet;
use std::sync::Arc;

use snap::id::{ChunkId, PageId};
use snap::repository::error::RepositoryError;
use snap::repository::pack::PackKind;
use snap::repository::reader::Reader;
use snap::repository::session::{Mode, Origin, Session};
use snap::storage::faulty::FaultyStorage;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{Attempt, Storage};

use super::{begin, content, epoch, flip, fresh, mark, names, noise, record, store, text};

const LENGTHS: [usize; 12] = [0, 1, 2, 511, 4095, 4096, 4097, 65_536, 200_000, 1 << 20, (1 << 20) + 1, 3 << 20];

#[test]
fn chunks_of_every_length_come_back_whatever_they_hold() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage);
    let chunks: Vec<Vec<u8>> = LENGTHS.iter().flat_map(|&length| [text(length, 1), noise(length, 2)]).collect();
    let (_, ids) = store(&repository, &chunks).expect("stored");
    let (index, damaged) = repository.index().expect("an index");
    assert!(damaged.is_empty());
    let reader = Reader::new(&repository, &index);
    for (id, chunk) in ids.iter().zip(&chunks) {
        assert!(reader.chunk(&ChunkId(*id)).expect("a chunk") == chunk.as_slice(), "{} bytes", chunk.len());
        assert!(reader.page(&PageId(*id)).is_err(), "a chunk is not a page");
    }
}

#[test]
fn what_is_there_is_not_stored_again_by_any_thread_or_session() {
    let (repository, _) = fresh(Arc::new(MemoryStorage::new()));
    let chunks: Vec<Vec<u8>> = (0..40).map(|seed| noise(20_000, seed)).collect();
    for new_expected in [40 * 20_000, 0] {
        let session = begin(&repository);
        std::thread::scope(|scope| {
            for origin in [Origin::Small, Origin::Large, Origin::Small] {
                let (session, chunks) = (&session, &chunks);
                scope.spawn(move || {
                    let mut writer = session.writer(PackKind::Data).expect("a writer");
                    chunks.iter().for_each(|chunk| drop(writer.store(chunk, origin).expect("stored")));
                    writer.flush().expect("flushed");
                });
            }
        });
        let stored = session.settle().expect("settled");
        assert_eq!(stored.new, new_expected);
        session.commit(record(epoch())).expect("committed");
    }
    let (index, _) = repository.index().expect("an index");
    assert_eq!(index.chunk_count(), 40);
    let reader = Reader::new(&repository, &index);
    let read: HashSet<Vec<u8>> =
        index.chunks().map(|(id, _)| reader.chunk(&ChunkId(id)).expect("a chunk").to_vec()).collect();
    assert_eq!(read, chunks.into_iter().collect());
}

#[test]
fn pages_and_chunks_of_the_same_bytes_have_other_ids_and_packs() {
    let (repository, _) = fresh(Arc::new(MemoryStorage::new()));
    let session = begin(&repository);
    let ids = [PackKind::Data, PackKind::Pages].map(|kind| {
        let mut writer = session.writer(kind).expect("a writer");
        let id = writer.store(b"the same", Origin::Small).expect("stored");
        writer.flush().expect("flushed");
        id
    });
    session.commit(record(epoch())).expect("committed");
    assert_ne!(ids[0], ids[1]);
    let (index, _) = repository.index().expect("an index");
    let reader = Reader::new(&repository, &index);
    assert_eq!(reader.page(&PageId(ids[1])).expect("a page"), &b"the same"[..]);
    let packs: HashSet<_> = ids.iter().flat_map(|id| index.find(id)).map(|location| location.pack).collect();
    assert_eq!(packs.len(), 2);
}

#[test]
fn a_session_with_a_writer_that_was_not_flushed_is_not_committed() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let session = begin(&repository);
    let mut writer = session.writer(PackKind::Data).expect("a writer");
    writer.store(b"held back", Origin::Small).expect("taken");
    drop(writer);
    assert!(matches!(session.commit(record(epoch())), Err(RepositoryError::WriterNotFlushed)));
    assert!(names(&*storage, Prefix::Cells).is_empty());
}

#[test]
fn a_cell_that_is_taken_means_revoked() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let session = begin(&repository);
    // Whoever closes the session first decides; here another process under the same id.
    session.close().expect("closed");
    assert!(matches!(session.commit(record(epoch())), Err(RepositoryError::Revoked)));
    assert!(repository.snapshots().expect("snapshots").valid.is_empty());
}

#[test]
fn a_dry_run_puts_nothing_and_counts_what_it_would() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let before = names(&*storage, Prefix::All);
    let session = Session::begin(Arc::clone(&repository), &mark(), Mode::DryRun).expect("a session");
    let mut writer = session.writer(PackKind::Data).expect("a writer");
    writer.store(&noise(50_000, 1), Origin::Small).expect("taken");
    writer.flush().expect("flushed");
    session.keep_alive().expect("nothing to do");
    let stored = session.settle().expect("settled");
    session.commit(record(epoch())).expect("nothing is committed");
    assert!(stored.new == 50_000 && stored.written > 50_000);
    assert_eq!(names(&*storage, Prefix::All), before);
}

#[test]
fn showing_that_a_session_lives_asks_nothing_of_storage_within_the_hour() {
    let storage = Arc::new(FaultyStorage::scripted(MemoryStorage::new(), Vec::new()));
    let (repository, _) = fresh(storage.clone());
    let session = begin(&repository);
    let before = storage.calls_total();
    (0..1000).for_each(|_| session.keep_alive().expect("alive"));
    assert_eq!(storage.calls_total(), before);
    assert!(storage.calls(Attempt::Put) > 0, "calls are counted");
}

#[test]
fn snapshots_come_by_time_and_a_forgotten_one_not_at_all() {
    let (repository, _) = fresh(Arc::new(MemoryStorage::new()));
    let at = |second| jiff::Timestamp::from_second(second).expect("a time");
    let ids = [30, 10, 20].map(|second| begin(&repository).commit(record(at(second))).expect("committed"));
    let listed = || repository.snapshots().expect("snapshots").valid.iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(listed(), [ids[1], ids[2], ids[0]]);
    repository.forget(ids[2], epoch(), "host").expect("marked");
    repository.forget(ids[2], epoch(), "host").expect("twice is fine");
    assert_eq!(listed(), [ids[1], ids[0]]);
}

#[test]
fn a_damaged_cell_hides_no_other_snapshot_whichever_byte_it_is() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let ids = [1, 2].map(|_| begin(&repository).commit(record(epoch())).expect("committed"));
    let cell = ObjectName::commit_cell(&ids[0]);
    for at in 0..content(&*storage, &cell).len() {
        flip(&storage, &cell, at);
        let snapshots = repository.snapshots().expect("the other is read");
        assert!(snapshots.valid.iter().map(|snapshot| snapshot.id).eq([ids[1]]), "byte {at}");
        assert_eq!(snapshots.damaged.len(), 1, "byte {at}");
        flip(&storage, &cell, at);
    }
}
