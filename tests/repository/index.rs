//! The index: the same answers however it is had, and none that is wrong when part of it is damaged or gone.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::{ProptestConfig, any, proptest};
use snap::codec::hash::digest;
use snap::id::{ChunkId, PackId};
use snap::repository::Repository;
use snap::repository::index::Index;
use snap::repository::keyring::Opener;
use snap::repository::reader::Reader;
use snap::storage::Storage;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};

use super::{begin, content, files_below, flip, fresh, names, noise, store, text};

fn open(storage: &Arc<MemoryStorage>, opener: &Opener, cache: Option<&Path>) -> Arc<Repository> {
    Arc::new(Repository::open(storage.clone(), opener, cache.map(Path::to_path_buf)).expect("it opens"))
}

/// A repository of several small sessions, with the content of every id.
fn several(sessions: u64) -> (Arc<MemoryStorage>, Opener, HashMap<[u8; 32], Vec<u8>>) {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, opener) = fresh(storage.clone());
    let mut known = HashMap::new();
    for session in 0..sessions {
        let chunks: Vec<Vec<u8>> = (0..3).map(|at| text(600, session * 3 + at)).collect();
        let (_, ids) = store(&repository, &chunks).expect("stored");
        known.extend(ids.into_iter().zip(chunks));
    }
    (storage, opener, known)
}

/// Holds an index against what is known: every id is there and reads back, and no other is.
fn assert_knows(repository: &Repository, index: &Index, known: &HashMap<[u8; 32], Vec<u8>>) {
    let reader = Reader::new(repository, index);
    for (id, chunk) in known {
        assert!(index.contains(id));
        assert_eq!(reader.chunk(&ChunkId(*id)).expect("a chunk"), chunk.as_slice());
        let absent = digest(id);
        assert!(!index.contains(&absent) && index.find(&absent).next().is_none());
    }
    assert_eq!(index.chunk_count(), known.len());
}

#[test]
fn cached_segments_answer_as_the_deltas_do_and_stay_few() {
    let (storage, opener, known) = several(30);
    let cache = tempfile::tempdir().expect("a folder");
    for _ in 0..3 {
        for place in [None, Some(cache.path())] {
            let repository = open(&storage, &opener, place);
            let (index, damaged) = repository.index().expect("an index");
            assert!(damaged.is_empty() && index.is_whole());
            assert_knows(&repository, &index, &known);
        }
    }
}

#[test]
fn more_sessions_than_segments_are_merged_and_lose_nothing() {
    let cache = tempfile::tempdir().expect("a folder");
    let storage = Arc::new(MemoryStorage::new());
    let (_, opener) = fresh(storage.clone());
    let repository = open(&storage, &opener, Some(cache.path()));
    let mut known = HashMap::new();
    for session in 0..25 {
        let (_, ids) = store(&repository, &[text(700, session)]).expect("stored");
        known.insert(ids[0], text(700, session));
        let (index, _) = repository.index().expect("an index");
        assert_knows(&repository, &index, &known);
    }
    let segments = files_below(cache.path()).len();
    assert!(segments <= 9, "{segments} segments are kept");
}

#[test]
fn a_cached_segment_with_any_byte_wrong_or_any_length_is_made_anew() {
    let (storage, opener, known) = several(2);
    let cache = tempfile::tempdir().expect("a folder");
    let answer = || {
        let repository = open(&storage, &opener, Some(cache.path()));
        let (index, damaged) = repository.index().expect("an index");
        assert!(damaged.is_empty());
        assert_knows(&repository, &index, &known);
    };
    answer();
    let [segment] = &files_below(cache.path())[..] else { panic!("one segment") };
    let whole = std::fs::read(segment).expect("a file");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(segment, &bytes).expect("written");
        answer();
        assert_eq!(std::fs::read(segment).expect("made anew").len(), whole.len());
        if at % 7 == 0 {
            std::fs::write(segment, &whole[..at]).expect("written");
            answer();
        }
    }
}

#[test]
fn a_cached_segment_is_made_anew_wherever_in_it_the_damage_is() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, opener) = fresh(storage.clone());
    let chunks: Vec<Vec<u8>> = (0..5000_u32).map(|number| number.to_le_bytes().to_vec()).collect();
    let (_, ids) = store(&repository, &chunks).expect("stored");
    let known: HashMap<[u8; 32], Vec<u8>> = ids.into_iter().zip(chunks).collect();
    let cache = tempfile::tempdir().expect("a folder");
    let answer = || {
        let repository = open(&storage, &opener, Some(cache.path()));
        let (index, _) = repository.index().expect("an index");
        assert_knows(&repository, &index, &known);
    };
    answer();
    let [segment] = &files_below(cache.path())[..] else { panic!("one segment") };
    let whole = std::fs::read(segment).expect("a file");
    assert!(whole.len() > 3 * 65_536, "more than one block");
    for at in (0..whole.len()).step_by(30_011) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(segment, &bytes).expect("written");
        answer();
    }
}

#[test]
fn a_damaged_delta_is_read_from_the_packs_but_not_counted_on_whichever_byte_it_is() {
    let (storage, opener, known) = several(2);
    let delta = names(&*storage, Prefix::Index).remove(0);
    for at in 0..content(&*storage, &delta).len() {
        flip(&storage, &delta, at);
        let repository = open(&storage, &opener, None);
        let (index, damaged) = repository.index().expect("an index");
        assert_eq!(damaged.len(), 1, "byte {at}");
        assert!(!index.is_whole());
        let reader = Reader::new(&repository, &index);
        let readable =
            known.iter().filter(|(id, chunk)| reader.chunk(&ChunkId(**id)).is_ok_and(|read| read == **chunk));
        assert_eq!(readable.count(), known.len(), "byte {at}");
        assert_eq!(known.keys().filter(|id| index.contains(id)).count(), known.len() / 2, "byte {at}");
        flip(&storage, &delta, at);
    }
}

#[test]
fn a_missing_delta_loses_nothing() {
    let (storage, opener, known) = several(2);
    for delta in names(&*storage, Prefix::Index) {
        storage.delete(&delta).expect("deleted");
    }
    let repository = open(&storage, &opener, None);
    let (index, damaged) = repository.index().expect("an index");
    assert!(damaged.is_empty() && index.chunk_count() == 0, "nothing tells of it");
    let reader = Reader::new(&repository, &index);
    for (id, chunk) in &known {
        assert_eq!(reader.chunk(&ChunkId(*id)).expect("found beside"), chunk.as_slice());
        assert!(!index.contains(id));
    }
    let (whole, _) = repository.whole_index().expect("an index");
    assert_eq!(whole.chunk_count(), known.len());
    assert!(known.keys().all(|id| whole.find(id).next().is_some() && !whole.contains(id)));
}

#[test]
fn a_lost_or_shortened_pack_is_sent_again_by_who_still_has_its_content() {
    let chunks = [noise(30_000, 1), text(30_000, 2)];
    for shorten in [false, true] {
        let storage = Arc::new(MemoryStorage::new());
        let (repository, _) = fresh(storage.clone());
        store(&repository, &chunks[..1]).expect("stored");
        let lost = names(&*storage, Prefix::Packs).remove(0);
        store(&repository, &chunks[1..]).expect("stored");
        match shorten {
            true => storage.tamper(&lost, content(&*storage, &lost).slice(1..)),
            false => storage.delete(&lost).expect("deleted"),
        }
        let session = begin(&repository);
        assert_eq!(session.damaged().len(), 1);
        assert!(!session.index().is_whole());
        drop(session);
        let (_, ids) = store(&repository, &chunks).expect("stored");
        let (index, _) = repository.index().expect("an index");
        assert_eq!(index.chunk_count(), 3, "only the lost one was sent again");
        let reader = Reader::new(&repository, &index);
        for (id, chunk) in ids.iter().zip(&chunks) {
            assert_eq!(reader.chunk(&ChunkId(*id)).expect("healed"), chunk.as_slice());
        }
    }
}

#[test]
fn one_damaged_copy_of_a_chunk_is_stepped_over() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let sessions = [begin(&repository), begin(&repository)];
    let ids: Vec<[u8; 32]> = sessions
        .iter()
        .map(|session| {
            let mut writer = session.writer(snap::repository::pack::PackKind::Data).expect("a writer");
            let id = writer.store(&noise(5000, 1), snap::repository::session::Origin::Small).expect("stored");
            writer.flush().expect("flushed");
            session.commit(super::record(super::epoch())).expect("committed");
            id
        })
        .collect();
    let (index, _) = repository.index().expect("an index");
    let packs: Vec<PackId> = index.find(&ids[0]).map(|location| location.pack).collect();
    assert_eq!(packs.len(), 2, "neither session knew of the other");
    for pack in packs {
        let name = ObjectName::pack(&pack);
        flip(&storage, &name, 200);
        assert!(Reader::new(&repository, &index).chunk(&ChunkId(ids[0])).is_ok());
        flip(&storage, &name, 200);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_sessions_make_an_index_that_answers_as_a_map_would(
        sessions in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..14),
    ) {
        let cache = tempfile::tempdir().expect("a folder");
        let storage = Arc::new(MemoryStorage::new());
        let (_, opener) = fresh(storage.clone());
        let repository = open(&storage, &opener, Some(cache.path()));
        let mut known = HashMap::new();
        for chunks in sessions {
            let chunks: Vec<Vec<u8>> = chunks.into_iter().map(|seed| vec![seed; 600]).collect();
            let (_, ids) = store(&repository, &chunks).expect("stored");
            known.extend(ids.into_iter().zip(chunks));
            let (index, _) = repository.index().expect("an index");
            assert_knows(&repository, &index, &known);
        }
    }
}
