//! `snap forget` through the program: what it shows, marks, refuses and asks.

use std::fs;

use serde_json::{Value, json};

use crate::cli::harness::{Machine, Ran};
use crate::query::Store;

/// Three snapshots of the series `s`, oldest first, with the tags `t0`, `t1`, `t2`.
fn three() -> (Store, [String; 3]) {
    let store = Store::new();
    let ids = [0, 1, 2].map(|number| {
        store.write("a", &format!("content {number}"));
        store.backup_with(&["--tag", &format!("t{number}")])
    });
    (store, ids)
}

/// The ids of the snapshots that count, oldest first.
fn ids(store: &Store) -> Vec<String> {
    let document = store.snap(&["snapshots", "--json"]).expect_code(0).document();
    let all = document["snapshots"].as_array().expect("a list").iter();
    all.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

/// The lines of a type.
fn of_type<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// Action and reasons of every item.
fn items(ran: &Ran) -> Vec<(String, Value)> {
    let lines = ran.json_lines();
    let item = |item: &&Value| (item["action"].as_str().expect("a word").to_owned(), item["reasons"].clone());
    of_type(&lines, "item").iter().map(item).collect()
}

#[test]
fn each_snapshot_is_shown_with_the_reason_and_only_marks_are_written() {
    let (store, all) = three();
    let (packs, cells) = (store.packs(), store.objects("c"));
    let rules = ["forget", "--keep-last", "1", "--keep-tag", "t0"];
    let ran = store.snap(&[&rules[..], &["--dry-run"]].concat()).expect_code(0);
    assert!(ran.stdout.contains("would keep 2 and forget 1; a prune then frees about "), "{ran:?}");
    assert!(store.objects("f").is_empty());
    let ran = store.snap(&rules).expect_code(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "s");
    for (line, (mark, id, why)) in lines[1..].iter().zip([
        ("  keep    ", &all[0], "  tag t0"),
        ("- forget  ", &all[1], "  no rule keeps it"),
        ("  keep    ", &all[2], "  last"),
    ]) {
        assert!(line.starts_with(&format!("{mark}{}", &id[..8])) && line.ends_with(why), "{line}");
    }
    assert!(lines[4].starts_with("kept 2, forgot 1;"), "{ran:?}");
    assert_eq!(ids(&store), [all[0].as_str(), &all[2]]);
    assert_eq!((store.packs(), store.objects("c")), (packs, cells), "nothing but a mark is written");
    assert_eq!(store.objects("f").len(), 1);
    store.snap(&["check"]).expect_code(0);
    assert!(store.snap(&["forget", "--keep-last", "2", "-q"]).expect_code(0).stdout.is_empty());
}

#[test]
fn json_lines_say_hello_then_each_decision_then_the_summary() {
    let (store, all) = three();
    let ran = store.snap(&["forget", "--keep-last", "2", "--json"]).expect_code(0);
    let lines = ran.json_lines();
    assert_eq!((&lines[0]["type"], &lines[0]["command"]), (&json!("hello"), &json!("forget")));
    let found = of_type(&lines, "item");
    assert_eq!(found.len(), 3);
    assert_eq!(
        (&found[0]["snapshot"], &found[0]["series"], &found[0]["tags"]),
        (&json!(all[0]), &json!("s"), &json!(["t0"]))
    );
    assert_eq!(found[0]["coverage"], "complete");
    let words: Vec<(String, Value)> = items(&ran);
    assert_eq!(words[0], ("forget".to_owned(), json!(["no_rule"])));
    assert_eq!(words[2], ("keep".to_owned(), json!(["last"])));
    let summary = lines.last().expect("a summary");
    let expected = json!({
        "type": "summary", "command": "forget", "status": "done", "code": 0, "dry_run": false, "kept": 2, "forgotten": 1,
        "would_free_bytes": summary["would_free_bytes"], "prune": null,
    });
    assert_eq!(*summary, expected);
    assert!(summary["would_free_bytes"].as_u64() > Some(0), "{summary}");
}

#[test]
fn snapshots_are_forgotten_by_name() {
    let (store, all) = three();
    let ran = store.snap(&["forget", &all[0][..9], "tag:t1", "--json"]).expect_code(0);
    assert_eq!(items(&ran), vec![("forget".to_owned(), json!(["named"])); 2]);
    assert_eq!(ids(&store), [all[2].as_str()]);
    let ran = store.snap(&["forget", &all[0]]).expect_code(1);
    assert!(ran.stderr.contains("no snapshot matches") && ran.stderr.contains("\nhint: "), "{ran:?}");
}

#[test]
fn a_path_in_a_snapshot_is_not_forgotten_alone() {
    let (store, _) = three();
    let ran = store.snap(&["forget", "latest:local"]).expect_code(2);
    assert!(ran.stderr.contains("as a whole"), "{ran:?}");
    store.snap(&["forget", "latest", "ffffffff"]).expect_code(1);
    assert!(store.objects("f").is_empty(), "all or none");
}

#[test]
fn the_last_complete_snapshot_goes_only_when_told_twice_and_agreed() {
    let (store, all) = three();
    let named: Vec<&str> = ["forget"].into_iter().chain(all.iter().map(String::as_str)).collect();
    for line in [named.clone(), [&named[..], &["--yes"]].concat(), [&named[..], &["--dry-run"]].concat()] {
        let ran = store.snap(&line).expect_code(1);
        assert!(ran.stderr.contains(&all[2]) && ran.stderr.contains("last complete"), "{ran:?}");
        assert!(ran.stderr.contains("\nhint: ") && ran.stderr.contains("--even-last-complete"), "{ran:?}");
    }
    let twice = [&named[..], &["--even-last-complete"]].concat();
    assert!(store.snap(&twice).expect_code(2).stderr.contains("--yes"), "there is nobody to ask");
    assert!(store.objects("f").is_empty());
    store.snap(&[&twice[..], &["--yes"]].concat()).expect_code(0);
    assert!(ids(&store).is_empty());
}

#[test]
fn rules_that_keep_nothing_leave_the_last_complete_one() {
    let (store, all) = three();
    let rules = ["forget", "--keep-tag", "none"];
    let ran = store.snap(&rules).expect_code(0);
    assert!(ran.stdout.contains("last complete") && ran.stdout.contains("--even-last-complete"), "{ran:?}");
    assert_eq!(ids(&store), [all[2].as_str()]);
    store.snap(&[&rules[..], &["--even-last-complete"]].concat()).expect_code(2);
    assert_eq!(ids(&store).len(), 1);
    store.snap(&[&rules[..], &["--even-last-complete", "--yes"]].concat()).expect_code(0);
    assert!(ids(&store).is_empty());
}

#[test]
fn an_incomplete_or_narrower_snapshot_does_not_take_the_place_of_a_complete_one() {
    let store = Store::new();
    store.write("a", "content");
    Machine::write(&store.machine.work("other/b"), "more");
    let both = ["backup", "site", "other", "--series", "s"];
    store.snap(&both).expect_code(0);
    store.backup();
    fs::remove_dir_all(store.machine.work("other")).expect("removed");
    store.snap(&both).expect_code(3);
    let ran = store.snap(&["forget", "--keep-last", "1", "--json"]).expect_code(0);
    let kept = |reason: &str| ("keep".to_owned(), json!([reason]));
    assert_eq!(items(&ran), [kept("last_complete"), kept("last_complete"), kept("last")]);
    let ran = store.snap(&["forget", "--keep-last", "1"]).expect_code(0);
    assert!(ran.stdout.contains("! failed"), "what is incomplete is seen: {ran:?}");
}

#[test]
fn rules_are_applied_within_each_series_and_to_the_selection_only() {
    let store = Store::new();
    store.write("a", "content");
    for line in [["--series", "one", "--host", "x"], ["--series", "two", "--host", "y"]] {
        for tag in ["p", "q"] {
            store.snap(&[&["backup", "site", "--tag", tag][..], &line].concat()).expect_code(0);
        }
    }
    let forgotten = |line: &[&str]| {
        let ran = store.snap(&[&["forget", "--json", "--dry-run", "--keep-last", "1"], line].concat()).expect_code(0);
        let summary = ran.json_lines().pop().expect("a summary");
        (summary["kept"].as_u64().expect("a number"), summary["forgotten"].as_u64().expect("a number"))
    };
    assert_eq!(forgotten(&[]), (2, 2));
    assert_eq!(forgotten(&["--series", "one"]), (1, 1));
    assert_eq!(forgotten(&["--host", "y"]), (1, 1));
    assert_eq!(forgotten(&["--tag", "p"]), (2, 0));
    assert_eq!(forgotten(&["--series", "one", "--host", "y"]), (0, 0));
    let ran = store.snap(&["forget", "--keep-last", "1", "--series", "three"]).expect_code(0);
    assert!(ran.stderr.contains("no snapshot is of this series"), "{ran:?}");
}

#[test]
fn rules_may_stand_in_the_configuration() {
    let (store, all) = three();
    Machine::write(&store.machine.work("snap.toml"), "[retention]\nkeep-last = 2\nkeep-tags = ['t0']\n");
    let kept = |line: &[&str]| {
        let ran = store.snap(&[&["forget", "--json", "--dry-run"], line].concat()).expect_code(0);
        ran.json_lines().pop().expect("a summary")["kept"].as_u64()
    };
    assert_eq!(kept(&[]), Some(3));
    assert_eq!(kept(&["--keep-last", "1"]), Some(2), "a flag goes before the same key");
    assert_eq!(kept(&["--keep-last", "0", "--keep-tag", "t1"]), Some(2), "and the last complete one");
    store.snap(&["forget", &all[0], "--dry-run"]).expect_code(0);
    Machine::write(&store.machine.work("snap.toml"), "[retention]\nkeep-within = '5min'\n");
    let ran = store.snap(&["forget"]).expect_code(2);
    assert!(ran.stderr.contains("snap.toml:2") && ran.stderr.contains("m months"), "{ran:?}");
    Machine::write(&store.machine.work("snap.toml"), "[retention]\nkeep-daily = 'seven'\n");
    let ran = store.snap(&["forget"]).expect_code(2);
    assert!(ran.stderr.contains("`retention.keep-daily` should be a whole number"), "{ran:?}");
}

#[test]
fn within_is_measured_from_the_newest_snapshot() {
    let (store, _) = three();
    let ran = store.snap(&["forget", "--keep-within", "1h", "--json"]).expect_code(0);
    assert_eq!(items(&ran), vec![("keep".to_owned(), json!(["within"])); 3]);
}
