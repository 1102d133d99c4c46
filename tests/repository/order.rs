//! The order in which a backup puts objects, which is what makes it safe to interrupt.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use snap::repository::Repository;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Put, Storage, StorageError, StoredObject};

use super::{epoch, key};
use crate::damage::fixture::capture;

/// Writes down what is asked, when it is answered.
#[derive(Debug, Default)]
struct Recording {
    inner: MemoryStorage,
    calls: Mutex<Vec<Call>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Put(ObjectName),
    Get(ObjectName),
    List(Prefix),
}

impl Recording {
    fn note(&self, call: Call) {
        self.calls.lock().expect("no holder panics").push(call);
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Storage for Recording {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        let put = self.inner.put_if_absent(name, content);
        self.note(Call::Put(name.clone()));
        put
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        self.note(Call::Get(name.clone()));
        self.inner.get(name, range)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.note(Call::List(*prefix));
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.inner.delete(name)
    }
}

#[test]
fn the_mark_comes_first_then_packs_then_the_delta_that_names_them_then_the_cell() {
    let storage = Arc::new(Recording::default());
    let repository = Repository::init(storage.clone(), &[(key(), "key")], epoch(), None).expect("a new repository");
    let repository = Arc::new(repository);
    let folder = tempfile::tempdir().expect("a folder");
    for day in 1..4_u8 {
        std::fs::write(folder.path().join(format!("file {day}")), vec![day; 40_000]).expect("a file");
        storage.calls.lock().expect("no holder panics").clear();
        let id = capture(&repository, folder.path(), i64::from(day));
        let calls = storage.calls.lock().expect("no holder panics").clone();
        let puts: Vec<&ObjectName> =
            calls.iter().filter_map(|c| if let Call::Put(name) = c { Some(name) } else { None }).collect();
        assert_eq!(*puts[0], ObjectName::session(&id));
        assert_eq!(**puts.last().expect("there are some"), ObjectName::commit_cell(&id));
        let first_look = calls.iter().position(|call| *call == Call::List(Prefix::Index)).expect("the index is read");
        let marked = calls.iter().position(|call| *call == Call::Put(puts[0].clone())).expect("it was put");
        assert!(marked < first_look, "the mark is put before the index is read");
        let place = |name: &ObjectName| puts.iter().position(|put| *put == name);
        let (index, _) = repository.index().expect("an index");
        let packs: Vec<&&ObjectName> = puts.iter().filter(|name| name.pack_id().is_some()).collect();
        assert!(packs.len() >= 2, "chunks and pages");
        let delta = place(&ObjectName::index_delta(0, &id, 0)).expect("a delta");
        for pack in packs {
            assert!(place(pack) < Some(delta), "a pack is durable before a delta names it");
            assert!(index.packs().any(|indexed| Some(indexed.id) == pack.pack_id()));
        }
    }
}
