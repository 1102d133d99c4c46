//! `check`: what it calls sound, damaged and lost.

use serde_json::Value;

use super::{Store, flip, noise, replace};

/// A repository whose one large file has a data pack to itself, nearly.
fn filled() -> Store {
    let store = Store::new();
    store.write("small", "text\n");
    std::fs::write(store.site("large.bin"), noise(7, 900_000)).expect("written");
    store.backup();
    store
}

/// The summary of a check that ends with this code.
#[track_caller]
fn check(store: &Store, arguments: &[&str], code: i32) -> Value {
    let ran = store.snap(&[&["check", "--json"], arguments].concat()).expect_code(code);
    let lines = ran.json_lines();
    assert_eq!(lines[0]["type"], "hello", "{ran:?}");
    lines.last().expect("a summary").clone()
}

#[track_caller]
fn assert_names(summary: &Value, path: &str) {
    let lost = summary["lost"].as_array().expect("a list");
    assert!(lost.iter().any(|loss| loss["path"] == path && loss["snapshots"][0].is_string()), "{summary}");
}

#[test]
fn a_sound_repository_is_sound_in_both_depths() {
    let store = filled();
    let summary = check(&store, &[], 0);
    assert_eq!((&summary["snapshots"], &summary["entries"]), (&1.into(), &3.into()));
    let summary = check(&store, &["--read-data"], 0);
    assert!(summary["data"]["packs"].as_u64() >= Some(2), "{summary}");
    let text = store.snap(&["check"]).expect_code(0).stdout;
    assert!(text.contains("checked 1 snapshots") && text.ends_with("sound: nothing is damaged\n"), "{text}");
}

#[test]
fn leftovers_of_an_interrupted_run_are_told_but_are_no_damage() {
    let store = filled();
    // Packs without a delta and a session without a cell are what a run leaves that was killed.
    std::fs::write(store.site("more.bin"), noise(8, 300_000)).expect("written");
    let before = (store.objects("i"), store.objects("c"));
    store.backup();
    for path in store.objects("i").iter().filter(|path| !before.0.contains(path)) {
        std::fs::remove_file(path).expect("removed");
    }
    for path in store.objects("c").iter().filter(|path| !before.1.contains(path)) {
        std::fs::remove_file(path).expect("removed");
    }
    let summary = check(&store, &["--read-data"], 0);
    assert!(summary["leftover_packs"].as_u64() >= Some(1), "{summary}");
    assert_eq!(summary["unfinished_sessions"], 1);
}

#[test]
fn a_pack_that_is_gone_is_lost_and_what_it_held_is_named() {
    let store = filled();
    std::fs::remove_file(&store.packs()[0]).expect("removed");
    let summary = check(&store, &[], 21);
    assert_names(&summary, &store.layout("large.bin"));
    assert!(summary["damaged"][0].as_str().is_some_and(|said| said.ends_with("it is missing")), "{summary}");
    let text = store.snap(&["check"]).expect_code(21).stdout;
    assert!(text.contains(&format!("lost: {} bytes 0 to", store.layout("large.bin"))), "{text}");
}

#[test]
fn every_snapshot_that_is_hit_is_named() {
    let store = filled();
    store.write("small", "changed\n");
    store.backup();
    std::fs::remove_file(&store.packs()[0]).expect("removed");
    let summary = check(&store, &[], 21);
    let lost = summary["lost"].as_array().expect("a list");
    let large = lost.iter().find(|loss| loss["path"] == store.layout("large.bin")).expect("named");
    assert_eq!(large["snapshots"].as_array().map(Vec::len), Some(2), "{summary}");
}

#[test]
fn a_pack_cut_short_is_damaged_and_only_what_was_cut_off_is_lost() {
    let store = filled();
    let pack = &store.packs()[0];
    let bytes = std::fs::read(pack).expect("read");
    replace(pack, &bytes[..bytes.len() - 100]);
    let summary = check(&store, &[], 20);
    assert!(summary["damaged"].to_string().contains("bytes, not"), "{summary}");
    replace(pack, &bytes[..1000]);
    assert_names(&check(&store, &[], 21), &store.layout("large.bin"));
}

#[test]
fn a_flipped_byte_in_a_pack_is_found_when_data_is_read() {
    let store = filled();
    flip(&store.packs()[0], 5000);
    check(&store, &[], 0);
    let summary = check(&store, &["--read-data"], 21);
    assert_names(&summary, &store.layout("large.bin"));
}

#[test]
fn damage_in_padding_loses_nothing() {
    let store = filled();
    let pack = &store.packs()[0];
    let bytes = std::fs::read(pack).expect("read");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    let footer = bytes.len() - 16;
    let (trailer, padding) = (word(footer), word(footer + 4));
    assert!(padding > 0, "this pack has padding");
    flip(pack, footer - trailer - 1);
    let summary = check(&store, &["--read-data"], 20);
    assert_eq!(summary["lost_count"], 0, "{summary}");
}

#[test]
fn a_damaged_index_delta_is_recoverable_with_and_without_a_cache() {
    let store = filled();
    flip(&store.objects("i")[0], 100);
    for _ in 0..2 {
        let summary = check(&store, &[], 20);
        assert_eq!((&summary["lost_count"], summary["damaged"].as_array().map(Vec::len)), (&0.into(), Some(1)));
        store.drop_cache();
    }
}

#[test]
fn a_deleted_index_delta_is_recoverable_from_the_packs() {
    let store = filled();
    std::fs::remove_file(&store.objects("i")[0]).expect("removed");
    let summary = check(&store, &[], 20);
    assert!(summary["damaged"].to_string().contains("index delta is missing"), "{summary}");
    assert_eq!(summary["lost_count"], 0, "{summary}");
}

#[test]
fn a_damaged_cell_is_a_lost_snapshot() {
    let store = filled();
    flip(&store.objects("c")[0], 80);
    let summary = check(&store, &[], 21);
    assert_eq!(summary["lost_snapshots"].as_array().map(Vec::len), Some(1), "{summary}");
}

#[test]
fn either_copy_of_config_and_keys_may_be_damaged() {
    for damaged in ["config", "config.copy"] {
        let store = filled();
        let path = store.machine.work("repository").join(damaged);
        flip(&path, 20);
        let summary = check(&store, &[], 20);
        assert!(summary["damaged"].to_string().contains(damaged), "{summary}");
    }
    let store = filled();
    let slots = store.objects("keys");
    assert_eq!(slots.len(), 2);
    for slot in slots {
        let whole = std::fs::read(&slot).expect("read");
        flip(&slot, 20);
        check(&store, &[], 20);
        std::fs::remove_file(&slot).expect("removed");
        check(&store, &[], 20);
        std::fs::write(&slot, whole).expect("written");
    }
    check(&store, &[], 0);
}

#[test]
fn what_was_verified_is_remembered_and_a_part_goes_on_with_the_rest() {
    let store = filled();
    let packs = store.packs().len() as u64;
    let summary = check(&store, &["--read-data=0.01%"], 0);
    assert_eq!(summary["data"]["never_verified"].as_u64(), Some(packs - 1), "{summary}");
    let mut left = packs - 1;
    while left > 0 {
        left -= 1;
        let summary = check(&store, &["--read-data=0.01%"], 0);
        assert_eq!(summary["data"]["never_verified"].as_u64(), Some(left), "{summary}");
    }
    assert!(check(&store, &["--read-data=0.01%"], 0)["data"]["verified_since"].is_string());
}
