//! `key`: slots come and go, the last stays, and a wrong secret opens nothing.

use super::Store;
use crate::cli::harness::Machine;

fn slots(store: &Store) -> Vec<serde_json::Value> {
    let document = store.snap(&["key", "list", "--json"]).expect_code(0).document();
    document["slots"].as_array().expect("a list").clone()
}

#[test]
fn a_new_password_opens_the_repository_until_it_is_removed() {
    let store = Store::new();
    Machine::write(&store.machine.work("password"), "second\n");
    let added = store.snap(&["key", "add", "--label", "office", "--new-password-file", "password", "--json"]);
    let id = added.expect_code(0).document()["added"].as_str().expect("an id").to_owned();
    assert_eq!(slots(&store).len(), 2);
    let with =
        |password: &str| store.machine.snap_with(&["-r", "repository", "snapshots"], &[("SNAP_PASSWORD", password)]);
    with("second").expect_code(0);
    with("third").expect_code(12);
    assert!(store.snap(&["key", "list"]).expect_code(0).stdout.contains("office"));
    store.snap(&["key", "remove", &id[..8]]).expect_code(2);
    store.snap(&["key", "remove", &id[..8], "--yes"]).expect_code(0);
    with("second").expect_code(12);
}

#[test]
fn the_last_slot_stays() {
    let store = Store::new();
    let id = slots(&store)[0]["slot"].as_str().expect("an id").to_owned();
    let ran = store.snap(&["key", "remove", &id, "--yes"]).expect_code(1);
    assert!(ran.stderr.contains("last key slot"), "{ran:?}");
    store.snap(&["key", "remove", "0123456789", "--yes"]).expect_code(1);
    store.snap(&["snapshots"]).expect_code(0);
}

#[test]
fn a_change_takes_the_place_of_the_secret_that_was_used() {
    let store = Store::new();
    store.snap(&["key", "change", "--new-key-file", "other"]).expect_code(0);
    store.snap(&["snapshots"]).expect_code(12);
    let other = [("SNAP_KEY_FILE", "other")];
    store.machine.snap_with(&["-r", "repository", "snapshots"], &other).expect_code(0);
    let key = std::fs::read(store.machine.work("key")).expect("the first key");
    store.machine.snap_with(&["-r", "repository", "key", "change", "--new-key-file", "key"], &other).expect_code(0);
    assert_eq!(std::fs::read(store.machine.work("key")).expect("still there"), key, "it is used, never overwritten");
    store.snap(&["snapshots"]).expect_code(0);
}

#[test]
fn recovery_words_are_shown_only_when_asked_for_and_never_in_json() {
    let store = Store::new();
    store.snap(&["key", "words"]).expect_code(2);
    store.snap(&["key", "words", "--json", "--yes"]).expect_code(2);
    let words = store.snap(&["key", "words", "--yes"]).expect_code(0).stdout;
    assert_eq!(words.split_whitespace().count(), 24);
    let key = snap::codec::key::secret::FileKey::from_words(&words).expect("they are words");
    assert_eq!(key.to_file_text().trim(), "17".repeat(32));
    let ran = store.machine.snap_with(&["-r", "repository", "key", "words", "--yes"], &[("SNAP_PASSWORD", "x")]);
    assert_eq!(ran.code, 12, "{ran:?}");
}
