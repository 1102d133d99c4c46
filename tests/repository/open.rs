//! Making and opening: every secret, every copy, and the word for each way it can fail.

use std::sync::Arc;

use snap::codec::hash::digest;
use snap::codec::key::secret::Passphrase;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::keyring::Opener;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{Put, Storage};

use super::{content, epoch, flip, fresh, key, names};

fn open(storage: &Arc<MemoryStorage>, opener: &Opener) -> Result<Repository, RepositoryError> {
    Repository::open(storage.clone(), opener, None)
}

/// A repository in memory, and what opens it.
fn made() -> (Arc<MemoryStorage>, Opener) {
    let storage = Arc::new(MemoryStorage::new());
    let (_, opener) = fresh(storage.clone());
    (storage, opener)
}

fn slots(storage: &MemoryStorage) -> Vec<ObjectName> {
    names(storage, Prefix::Keys)
}

#[test]
fn password_and_key_open_what_was_made_and_others_do_not() {
    let storage = Arc::new(MemoryStorage::new());
    let password = |text: &str| Opener::Password(Arc::new(Passphrase::new(text.to_owned())));
    let openers = [(password("correct horse"), "password"), (key(), "key")];
    let made = Repository::init(storage.clone(), &openers, epoch(), None).expect("a new repository");
    for (opener, _) in &openers {
        assert_eq!(open(&storage, opener).expect("it opens").config(), made.config());
    }
    for wrong in [password("wrong horse"), key()] {
        assert!(matches!(open(&storage, &wrong), Err(RepositoryError::WrongSecret { slots: 2, .. })));
    }
}

#[test]
fn nothing_is_made_over_a_repository_or_half_of_one() {
    let (storage, _) = made();
    let again = || Repository::init(storage.clone(), &[(key(), "key")], epoch(), None);
    assert!(matches!(again(), Err(RepositoryError::AlreadyExists { .. })));
    storage.delete(&ObjectName::config()).expect("deleted");
    assert!(matches!(again(), Err(RepositoryError::AlreadyExists { .. })));
}

#[test]
fn the_copy_of_the_config_serves_and_what_was_wrong_is_noticed() {
    let (storage, opener) = made();
    flip(&storage, &ObjectName::config(), 20);
    assert_eq!(open(&storage, &opener).expect("the copy serves").notices().len(), 1);
    storage.delete(&ObjectName::config()).expect("deleted");
    assert_eq!(open(&storage, &opener).expect("the copy serves").notices().len(), 1);
    flip(&storage, &ObjectName::config_copy(), 20);
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::ConfigDamaged { .. })), "gone and damaged");
    storage.delete(&ObjectName::config_copy()).expect("deleted");
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::NoRepository { .. })));
}

#[test]
fn a_config_of_a_newer_version_is_not_damage_and_one_without_the_mark_of_the_key_is_forged() {
    let (storage, opener) = made();
    let written = String::from_utf8(content(&*storage, &ObjectName::config()).to_vec()).expect("text");
    let put = |from: &str, to: &str| {
        let body = written[..written.rfind("blake3 ").expect("a checksum")].replace(from, to);
        let document = format!("{body}blake3 {}\n", hex::encode(digest(body.as_bytes())));
        storage.tamper(&ObjectName::config(), document.into_bytes().into());
    };
    put("\"version\":1", "\"version\":2");
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::NewerFormat { .. })));
    put("\"incompatible\":[]", "\"incompatible\":[\"what comes\"]");
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::NewerFormat { .. })));
    put("\"page_entries\":512", "\"page_entries\":511");
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::ConfigForged)));
}

#[test]
fn the_copy_of_a_slot_serves_and_without_any_the_keys_are_called_damaged() {
    let (storage, opener) = made();
    let [first, copy] = &slots(&storage)[..] else { panic!("a slot and its copy") };
    flip(&storage, first, 20);
    assert_eq!(open(&storage, &opener).expect("the copy serves").notices().len(), 1);
    flip(&storage, copy, 20);
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::KeysDamaged { slots: 1, .. })));
}

#[test]
fn one_lost_slot_does_not_keep_another_from_opening() {
    let storage = Arc::new(MemoryStorage::new());
    let openers = [(key(), "one"), (key(), "two")];
    Repository::init(storage.clone(), &openers, epoch(), None).expect("a new repository");
    let all = slots(&storage);
    for slot in all.chunks(2) {
        let kept: Vec<_> = slot.iter().map(|name| (name, content(&*storage, name))).collect();
        storage.delete(&slot[0]).expect("deleted");
        flip(&storage, &slot[1], 20);
        let opened = openers.iter().filter(|(opener, _)| open(&storage, opener).is_ok()).count();
        assert_eq!(opened, 1, "the other slot opens");
        kept.into_iter().for_each(|(name, bytes)| storage.tamper(name, bytes));
    }
}

#[test]
fn slots_under_each_others_names_open_by_their_copies() {
    let storage = Arc::new(MemoryStorage::new());
    let openers = [(key(), "one"), (key(), "two")];
    Repository::init(storage.clone(), &openers, epoch(), None).expect("a new repository");
    let all = slots(&storage);
    let (one, other) = (content(&*storage, &all[0]), content(&*storage, &all[2]));
    storage.tamper(&all[0], other);
    storage.tamper(&all[2], one);
    for (opener, _) in &openers {
        assert_eq!(open(&storage, opener).expect("the copy serves").notices().len(), 1);
    }
}

#[test]
fn the_last_slot_stays() {
    let (storage, opener) = made();
    let repository = open(&storage, &opener).expect("it opens");
    let first = repository.key_slots().expect("slots")[0].id;
    assert!(matches!(repository.remove_key(&first), Err(RepositoryError::LastKey)));
    let other = key();
    repository.add_key(&other, "other", epoch()).expect("a slot");
    repository.remove_key(&first).expect("there is another");
    assert!(matches!(open(&storage, &opener), Err(RepositoryError::WrongSecret { slots: 1, .. })));
    open(&storage, &other).expect("the other opens");
}

#[test]
fn an_intent_that_cannot_be_read_stops_writers_and_no_reader() {
    let (storage, opener) = made();
    let intent = ObjectName::prune_intent(1);
    assert_eq!(storage.put_if_absent(&intent, vec![1].into()).expect("put"), Put::Created);
    let repository = Arc::new(open(&storage, &opener).expect("it opens"));
    assert!(repository.snapshots().expect("it is read").valid.is_empty());
    let refused = super::store(&repository, &[]);
    assert!(matches!(&refused, Err(RepositoryError::ObjectDamaged { name, .. }) if *name == intent), "{refused:?}");
}

#[test]
fn a_generation_that_skips_one_is_no_generation() {
    let (storage, opener) = made();
    let intent = ObjectName::prune_intent(2);
    assert_eq!(storage.put_if_absent(&intent, vec![1].into()).expect("put"), Put::Created);
    let repository = Arc::new(open(&storage, &opener).expect("it opens"));
    assert!(matches!(super::store(&repository, &[]), Err(RepositoryError::ObjectDamaged { .. })));
}
