//! `snap undo` through the program: what comes back, as what, and when it is too late.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::query::{Store, flip, noise};

fn snapshots(store: &Store) -> Vec<Value> {
    let document = store.snap(&["snapshots", "--json"]).expect_code(0).document();
    document["snapshots"].as_array().expect("a list").clone()
}

/// Snapshots without what an undo changes.
fn records(store: &Store) -> Vec<Value> {
    let mut all = snapshots(store);
    for one in &mut all {
        let record = one.as_object_mut().expect("an object");
        record.remove("id");
        record.remove("amends");
    }
    all
}

/// A folder's only file, as a restore writes it.
fn restored(store: &Store, reference: &str) -> Vec<u8> {
    let target = store.machine.work("restored");
    let _ = fs::remove_dir_all(&target);
    store.snap(&["restore", &format!("{reference}:{}", store.layout("")), "--target", "restored"]).expect_code(0);
    fs::read(target.join("a")).expect("it was restored")
}

/// Three snapshots with the tags `t0`, `t1`, `t2`, and what of packs each added.
fn three() -> (Store, Vec<(String, Vec<PathBuf>)>) {
    let store = Store::new();
    let mut all = Vec::new();
    for number in 0..3 {
        let before = store.packs();
        fs::create_dir_all(store.site("")).expect("created");
        fs::write(store.site("a"), noise(number, 30_000)).expect("written");
        let id = store.backup_with(&["--tag", &format!("t{number}")]);
        all.push((id, store.packs().into_iter().filter(|pack| !before.contains(pack)).collect()));
    }
    (store, all)
}

#[test]
fn what_was_forgotten_comes_back_as_it_was() {
    let (store, all) = three();
    let before = records(&store);
    store.snap(&["forget", "--keep-last", "1"]).expect_code(0);
    assert_eq!(snapshots(&store).len(), 1);
    let ran = store.snap(&["undo", "--dry-run"]).expect_code(0);
    assert!(ran.stdout.contains("would be back"), "{ran:?}");
    assert_eq!(snapshots(&store).len(), 1);
    assert_eq!(store.objects("s").len(), 3, "a dry run begins no session");
    let lines = store.snap(&["undo", "--json"]).expect_code(0).json_lines();
    assert_eq!((&lines[0]["type"], &lines[0]["command"]), (&json!("hello"), &json!("undo")));
    assert_eq!((&lines[1]["action"], &lines[1]["old"]), (&json!("back"), &json!(all[0].0)));
    let expected = json!({
        "type": "summary", "command": "undo", "status": "done", "code": 0, "dry_run": false, "back": 2, "too_late": 0,
    });
    assert_eq!(lines[3], expected);
    assert_eq!(records(&store), before);
    let back = snapshots(&store);
    assert_eq!((&back[0]["id"], &back[0]["amends"]), (&lines[1]["new"], &json!(all[0].0)));
    for number in 0..3 {
        assert_eq!(restored(&store, &format!("tag:t{number}")), noise(number, 30_000));
    }
    store.snap(&["check", "--read-data"]).expect_code(0);
    let ran = store.snap(&["undo"]).expect_code(1);
    assert!(ran.stderr.contains("nothing to bring back"), "{ran:?}");
}

#[test]
fn each_undo_takes_back_one_forget_the_last_first() {
    let (store, all) = three();
    store.snap(&["forget", &all[0].0]).expect_code(0);
    store.snap(&["forget", "tag:t1"]).expect_code(0);
    let tags = || snapshots(&store).iter().map(|one| one["tags"][0].clone()).collect::<Vec<Value>>();
    store.snap(&["undo"]).expect_code(0);
    assert_eq!(tags(), ["t1", "t2"]);
    store.snap(&["undo"]).expect_code(0);
    assert_eq!(tags(), ["t0", "t1", "t2"]);
    // What is back can go and come again.
    store.snap(&["forget", "tag:t0"]).expect_code(0);
    store.snap(&["undo"]).expect_code(0);
    assert_eq!(tags(), ["t0", "t1", "t2"]);
}

#[test]
fn what_a_tag_replaced_is_not_brought_back() {
    let (store, all) = three();
    store.snap(&["tag", "latest", "--add", "x"]).expect_code(0);
    let ran = store.snap(&["undo"]).expect_code(1);
    assert!(ran.stderr.contains("nothing to bring back"), "{ran:?}");
    let ran = store.snap(&["undo", &all[2].0]).expect_code(0);
    assert!(ran.stdout.contains("is there already"), "{ran:?}");
    assert_eq!(snapshots(&store).len(), 3);
}

#[test]
fn forgotten_ones_are_listed_and_named() {
    let (store, all) = three();
    store.snap(&["forget", &all[0].0, &all[1].0]).expect_code(0);
    let listed = |store: &Store| {
        let document = store.snap(&["undo", "--list", "--json"]).expect_code(0).document();
        let ids = document["forgotten"].as_array().expect("a list").iter().map(|one| one["id"].clone());
        ids.collect::<Vec<Value>>()
    };
    assert_eq!(listed(&store), [json!(all[0].0), json!(all[1].0)]);
    let table = store.snap(&["undo", "--list"]).expect_code(0).stdout;
    assert!(table.starts_with("id ") && table.contains(&all[0].0[..8]), "{table}");
    store.snap(&["undo", &all[1].0[..10]]).expect_code(0);
    assert_eq!(listed(&store), [json!(all[0].0)]);
    let ran = store.snap(&["undo", &all[1].0]).expect_code(0);
    assert!(ran.stdout.contains("is there already"), "{ran:?}");
    let ran = store.snap(&["undo", &all[2].0]).expect_code(1);
    assert!(ran.stderr.contains("among the forgotten") && ran.stderr.contains("--list"), "{ran:?}");
}

#[test]
fn an_undo_that_comes_too_late_says_so_and_brings_back_the_others() {
    let (store, all) = three();
    store.snap(&["forget", "--keep-last", "1"]).expect_code(0);
    all[0].1.iter().for_each(|pack| fs::remove_file(pack).expect("removed"));
    store.drop_cache();
    let lines = store.snap(&["undo", "--json"]).expect_code(3).json_lines();
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["back"], &summary["too_late"], &summary["code"]), (&json!(1), &json!(1), &json!(3)));
    let error = lines.iter().find(|line| line["type"] == "error").expect("an error line");
    assert!(
        error["message"].as_str().is_some_and(|said| said.contains("too late") && said.contains(&all[0].0)),
        "{error}"
    );
    assert_eq!(snapshots(&store).len(), 2);
    let ran = store.snap(&["undo"]).expect_code(1);
    assert!(ran.stderr.contains("too late") && ran.stderr.contains(&all[0].0), "{ran:?}");
    assert_eq!(snapshots(&store).len(), 2);
}

#[test]
fn a_damaged_mark_still_forgets_and_its_snapshot_comes_back_by_name() {
    let (store, all) = three();
    store.snap(&["forget", &all[0].0]).expect_code(0);
    flip(&store.objects("f")[0], 100);
    assert_eq!(snapshots(&store).len(), 2);
    let ran = store.snap(&["undo"]).expect_code(1);
    assert!(ran.stderr.contains("cannot be read") && ran.stderr.contains("nothing to bring back"), "{ran:?}");
    store.snap(&["undo", &all[0].0]).expect_code(0);
    assert_eq!(snapshots(&store).len(), 3);
}
