//! What every store promises, one function a promise.

use std::sync::Barrier;

use bytes::Bytes;
use snap::id::{PackId, SegmentId, SessionId};
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Put, Storage, StorageErrorKind};

pub(super) fn pack(first: u8, last: u8) -> ObjectName {
    let mut id = [0x5a; 32];
    (id[0], id[31]) = (first, last);
    ObjectName::pack(&PackId(id))
}

fn put(store: &dyn Storage, name: &ObjectName, content: &'static [u8]) -> Put {
    store.put_if_absent(name, Bytes::from_static(content)).unwrap()
}

fn create(store: &dyn Storage, name: &ObjectName, content: &'static [u8]) {
    assert_eq!(put(store, name, content), Put::Created);
}

fn all(store: &dyn Storage, name: &ObjectName) -> Bytes {
    store.get(name, ByteRange::All).unwrap()
}

pub(super) fn what_was_put_is_read_back(store: &dyn Storage) {
    let large: Bytes = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(store.put_if_absent(&pack(1, 1), large.clone()).unwrap(), Put::Created);
    assert_eq!(put(store, &ObjectName::config(), b"config"), Put::Created);
    assert!(all(store, &pack(1, 1)) == large);
    assert_eq!(all(store, &ObjectName::config()), "config");
}

pub(super) fn an_object_is_never_overwritten(store: &dyn Storage) {
    for name in [ObjectName::config(), ObjectName::prune_intent(1), pack(1, 1)] {
        assert_eq!(put(store, &name, b"first"), Put::Created);
        assert_eq!(put(store, &name, b"second"), Put::Exists);
        assert_eq!(all(store, &name), "first");
    }
}

pub(super) fn of_many_puts_of_one_name_exactly_one_creates(store: &dyn Storage) {
    let name = ObjectName::commit_cell(&SessionId([7; 16]));
    for name in [name, pack(9, 9)] {
        let barrier = Barrier::new(8);
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let writer = |number: u8| {
                let (barrier, name) = (&barrier, &name);
                scope.spawn(move || {
                    let content = Bytes::from(vec![number; 100_000]);
                    barrier.wait();
                    (store.put_if_absent(name, content).unwrap() == Put::Created).then_some(number)
                })
            };
            let writers: Vec<_> = (0..8).map(writer).collect();
            writers.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1, "one put creates, {winners:?} did");
        assert!(all(store, &name) == vec![winners[0]; 100_000]);
    }
}

pub(super) fn many_objects_are_put_at_once(store: &dyn Storage) {
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for first in 0..4 {
                    let content = Bytes::from(vec![thread; 1000]);
                    assert_eq!(store.put_if_absent(&pack(first, thread), content).unwrap(), Put::Created);
                }
            });
        }
    });
    let names: Vec<_> = store.list(&Prefix::Packs).unwrap().into_iter().map(|object| object.name).collect();
    let expected: Vec<_> = (0..4).flat_map(|first| (0..8).map(move |last| pack(first, last))).collect();
    assert_eq!(names, expected);
}

pub(super) fn ranges_are_read_exactly(store: &dyn Storage) {
    create(store, &pack(1, 1), b"0123456789");
    let range = |range| store.get(&pack(1, 1), range).unwrap();
    assert_eq!(range(ByteRange::From { offset: 0, length: 3 }), "012");
    assert_eq!(range(ByteRange::From { offset: 4, length: 3 }), "456");
    assert_eq!(range(ByteRange::From { offset: 4, length: 6 }), "456789");
    assert_eq!(range(ByteRange::From { offset: 4, length: 0 }), "");
    assert_eq!(range(ByteRange::From { offset: 10, length: 0 }), "");
    assert_eq!(range(ByteRange::Suffix(0)), "");
    assert_eq!(range(ByteRange::Suffix(4)), "6789");
    assert_eq!(range(ByteRange::Suffix(10)), "0123456789");
}

pub(super) fn a_range_beyond_the_end_is_an_error(store: &dyn Storage) {
    create(store, &pack(1, 1), b"0123456789");
    for (offset, length) in [(0, 11), (10, 1), (11, 0), (9, 2), (u64::MAX, 1), (1, u64::MAX), (0, u64::MAX)] {
        let error = store.get(&pack(1, 1), ByteRange::From { offset, length }).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::OutOfRange, "{offset} + {length}");
    }
}

pub(super) fn a_suffix_longer_than_the_object_is_all_of_it(store: &dyn Storage) {
    create(store, &pack(1, 1), b"0123456789");
    assert_eq!(store.get(&pack(1, 1), ByteRange::Suffix(11)).unwrap(), "0123456789");
    assert_eq!(store.get(&pack(1, 1), ByteRange::Suffix(u64::MAX)).unwrap(), "0123456789");
}

pub(super) fn an_absent_object_is_not_found(store: &dyn Storage) {
    create(store, &pack(1, 1), b"other");
    for name in [pack(1, 2), pack(2, 2), ObjectName::config(), ObjectName::index_delta(3, &SessionId([1; 16]), 0)] {
        for range in [ByteRange::All, ByteRange::Suffix(3), ByteRange::From { offset: 0, length: 1 }] {
            assert_eq!(store.get(&name, range).unwrap_err().kind, StorageErrorKind::NotFound);
        }
    }
}

pub(super) fn a_listing_is_sorted_and_bounded_by_its_prefix(store: &dyn Storage) {
    let session = SessionId([3; 16]);
    let mut names = vec![
        ObjectName::reserve(),
        ObjectName::config(),
        ObjectName::config_copy(),
        pack(0xb0, 1),
        pack(0x0b, 2),
        pack(0x0b, 1),
        ObjectName::session(&session),
        ObjectName::heartbeat(&session, 2),
        ObjectName::heartbeat(&session, 10),
        ObjectName::index_delta(2, &session, 0),
        ObjectName::index_delta(10, &session, 0),
        ObjectName::commit_cell(&session),
        ObjectName::forget_mark(&session),
        ObjectName::prune_intent(1),
        ObjectName::prune_manifest(1),
        ObjectName::prune_manifest_copy(1),
        ObjectName::base_segment(&SegmentId([4; 32])),
        ObjectName::key_slot(&"ab".repeat(16)).unwrap(),
        ObjectName::key_slot_copy(&"ab".repeat(16)).unwrap(),
    ];
    for (size, name) in names.iter().enumerate() {
        assert_eq!(store.put_if_absent(name, Bytes::from(vec![0; size])).unwrap(), Put::Created);
    }
    let sizes: std::collections::BTreeMap<_, _> = names.iter().cloned().zip(0_u64..).collect();
    names.sort();
    for (prefix, count) in [
        (Prefix::Packs, 3),
        (Prefix::Sessions, 3),
        (Prefix::Index, 2),
        (Prefix::Cells, 1),
        (Prefix::Forgets, 1),
        (Prefix::Generations, 3),
        (Prefix::Base, 1),
        (Prefix::Keys, 2),
        (Prefix::All, 19),
    ] {
        let listed = store.list(&prefix).unwrap();
        let expected: Vec<_> = names.iter().filter(|name| name.as_str().starts_with(prefix.as_str())).collect();
        assert_eq!(listed.iter().map(|object| &object.name).collect::<Vec<_>>(), expected);
        assert_eq!(listed.len(), count, "{prefix:?}");
        assert!(listed.iter().all(|object| object.size == sizes[&object.name]));
    }
}

pub(super) fn a_listing_of_an_empty_store_is_empty(store: &dyn Storage) {
    assert_eq!(store.list(&Prefix::All).unwrap(), []);
    assert_eq!(store.list(&Prefix::Packs).unwrap(), []);
}

pub(super) fn a_deleted_object_is_gone(store: &dyn Storage) {
    create(store, &pack(1, 1), b"gone");
    create(store, &pack(1, 2), b"kept");
    store.delete(&pack(1, 1)).unwrap();
    assert_eq!(store.get(&pack(1, 1), ByteRange::All).unwrap_err().kind, StorageErrorKind::NotFound);
    let listed = store.list(&Prefix::All).unwrap();
    assert_eq!(listed.into_iter().map(|object| object.name).collect::<Vec<_>>(), [pack(1, 2)]);
}

pub(super) fn an_absent_object_is_deleted(store: &dyn Storage) {
    store.delete(&pack(1, 1)).unwrap();
    create(store, &pack(1, 1), b"once");
    store.delete(&pack(1, 1)).unwrap();
    store.delete(&pack(1, 1)).unwrap();
    store.delete(&ObjectName::reserve()).unwrap();
}

pub(super) fn a_deleted_name_can_be_put_again(store: &dyn Storage) {
    create(store, &ObjectName::reserve(), b"first");
    store.delete(&ObjectName::reserve()).unwrap();
    assert_eq!(put(store, &ObjectName::reserve(), b"second"), Put::Created);
    assert_eq!(all(store, &ObjectName::reserve()), "second");
}

pub(super) fn an_empty_object_is_an_object(store: &dyn Storage) {
    assert_eq!(put(store, &pack(1, 1), b""), Put::Created);
    assert_eq!(put(store, &pack(1, 1), b"more"), Put::Exists);
    assert_eq!(all(store, &pack(1, 1)), "");
    assert_eq!(store.get(&pack(1, 1), ByteRange::Suffix(16)).unwrap(), "");
    assert_eq!(store.list(&Prefix::Packs).unwrap()[0].size, 0);
}

pub(super) fn settling_is_always_possible(store: &dyn Storage) {
    store.settle(&Prefix::Forgets).unwrap();
    create(store, &pack(1, 1), b"pack");
    create(store, &ObjectName::prune_intent(1), b"intent");
    for prefix in [Prefix::Generations, Prefix::Base, Prefix::Packs, Prefix::All] {
        store.settle(&prefix).unwrap();
    }
    assert_eq!(all(store, &pack(1, 1)), "pack");
}

pub(super) fn errors_name_the_object_and_the_store(store: &dyn Storage) {
    let error = store.get(&ObjectName::prune_manifest(7), ByteRange::All).unwrap_err();
    let expected = format!("cannot read g/7.commit in {store}: it is not there");
    assert_eq!(error.to_string(), expected);
}
