//! `snap prune` and `snap forget --prune` through the program.

use serde_json::Value;

use super::scene::noise;
use crate::query::Store;

fn last_line(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON")
}

/// Two snapshots of which the first holds a file more.
fn store() -> Store {
    let store = Store::new();
    let site = store.machine.work("site");
    std::fs::create_dir_all(&site).expect("a folder");
    std::fs::write(site.join("small"), noise(10_000, 1)).expect("a file");
    std::fs::write(site.join("large"), noise(900_000, 2)).expect("a file");
    store.snap(&["backup", "-q", "site"]).expect_code(0);
    std::fs::remove_file(site.join("large")).expect("it goes");
    store.snap(&["backup", "-q", "site"]).expect_code(0);
    store
}

#[test]
fn forgetting_says_what_comes_back_and_pruning_gives_it_back() {
    let store = store();
    let foretold = last_line(&store.snap(&["forget", "--keep-last", "1", "--dry-run", "--json"]).expect_code(0).stdout);
    let bytes = foretold["would_free_bytes"].as_u64().expect("a number");
    assert!((890_000..1_000_000).contains(&bytes), "{foretold}");
    let done = last_line(&store.snap(&["forget", "--keep-last", "1", "--prune", "--json"]).expect_code(0).stdout);
    assert_eq!((&done["forgotten"], &done["prune"]["generation"]), (&1.into(), &1.into()), "{done}");
    let freed = done["prune"]["deleted_bytes"].as_u64().expect("a number");
    assert!(freed > 890_000, "{done}");
    store.snap(&["check", "--read-data"]).expect_code(0);
    store.snap(&["restore", "latest", "--target", "out"]).expect_code(0);
    let undone = store.snap(&["undo"]);
    assert!(undone.code != 0, "it is too late: {undone:?}");
}

#[test]
fn a_dry_run_deletes_nothing_and_a_prune_what_it_said() {
    let store = store();
    store.snap(&["forget", "latest~1"]).expect_code(0);
    let dry = last_line(&store.snap(&["prune", "--dry-run", "--json"]).expect_code(0).stdout);
    assert_eq!((&dry["generation"], &dry["deleted_packs"]), (&Value::Null, &0.into()), "{dry}");
    let shown = store.snap(&["prune"]).expect_code(0).stdout;
    assert!(shown.contains("generation 1") && shown.contains("freed "), "{shown}");
    let again = store.snap(&["prune"]).expect_code(0).stdout;
    assert!(again.contains("nothing to free"), "{again}");
}

#[test]
fn limits_that_are_none_are_usage() {
    let store = Store::new();
    for limit in ["--max-unused=x", "--max-unused=101%", "--max-unused=-1%", "--max-repack=much", "--max-time=soon"] {
        store.snap(&["prune", limit]).expect_code(2);
    }
    for limit in
        ["--max-unused=0%", "--max-unused=7.5%", "--max-unused=unlimited", "--max-unused=10MB", "--max-time=90s"]
    {
        store.snap(&["prune", limit]).expect_code(0);
    }
}
