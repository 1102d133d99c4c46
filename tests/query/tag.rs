//! `tag`: the same content under other tags, in a snapshot that amends the old one.

use super::Store;

#[test]
fn a_tagged_snapshot_keeps_its_content_and_amends_the_old_one() {
    let store = Store::new();
    store.write("a", "content");
    let old = store.backup_with(&["--tag", "x"]);
    let before = store.snap(&["ls"]).expect_code(0).stdout;
    let document = store.snap(&["tag", "latest", "--add", "prod", "--remove", "x", "--json"]).expect_code(0).document();
    let new = document["tagged"][0]["new"].as_str().expect("an id").to_owned();
    assert_eq!((&document["tagged"][0]["old"], new == old), (&old.clone().into(), false));
    let listed = store.snap(&["snapshots", "--json"]).expect_code(0).document();
    let all = listed["snapshots"].as_array().expect("a list");
    assert_eq!(all.len(), 1, "the old one is forgotten: {listed}");
    assert_eq!((&all[0]["id"], &all[0]["amends"]), (&new.into(), &old.into()));
    assert_eq!(all[0]["tags"], serde_json::json!(["prod"]));
    assert_eq!(store.snap(&["ls", "tag:prod"]).expect_code(0).stdout, before);
    store.snap(&["check"]).expect_code(0);
}

#[test]
fn nothing_is_written_where_nothing_changes_or_in_a_dry_run() {
    let store = Store::new();
    store.write("a", "content");
    store.backup_with(&["--tag", "x"]);
    let cells = store.objects("c");
    assert!(store.snap(&["tag", "latest", "--add", "x"]).expect_code(0).stdout.contains("keeps its tags"));
    let ran = store.snap(&["tag", "latest", "--set", "y", "--dry-run"]).expect_code(0);
    assert!(ran.stdout.contains("would have tags y"), "{ran:?}");
    assert_eq!(store.objects("c"), cells);
    assert!(store.objects("f").is_empty());
}

#[test]
fn a_snapshot_with_lost_pages_is_not_replaced() {
    let store = Store::new();
    store.write("a", "content");
    let id = store.backup();
    for delta in store.objects("i") {
        std::fs::remove_file(delta).expect("removed");
    }
    store.drop_cache();
    let ran = store.snap(&["tag", "latest", "--add", "x"]).expect_code(1);
    assert!(ran.stderr.contains(&id) && ran.stderr.contains("\nhint: "), "{ran:?}");
    assert!(store.objects("f").is_empty(), "the old one stays");
}
