//! `snap log`: only the snapshots in which the path changed, newest first.

use serde_json::Value;

use super::Store;

fn backed_up(store: &Store) {
    store.snap(&["backup", "-q", "site"]).expect_code(0);
}

fn store() -> Store {
    let machine = Store::new();
    let write = |name: &str, text: &str| std::fs::write(machine.machine.work(name), text).expect("a file");
    std::fs::create_dir_all(machine.machine.work("site")).expect("a folder");
    write("site/other", "0");
    backed_up(&machine);
    write("site/index.html", "one");
    backed_up(&machine);
    write("site/other", "1");
    backed_up(&machine);
    write("site/index.html", "two!");
    backed_up(&machine);
    std::fs::remove_file(machine.machine.work("site/index.html")).expect("it goes");
    backed_up(&machine);
    machine
}

#[test]
fn each_change_of_a_path_is_listed_once_and_nothing_else() {
    let store = store();
    let path = format!("local{}/site/index.html", store.machine.work("").display().to_string().trim_end_matches('/'));
    let shown = store.snap(&["log", &path]).expect_code(0).stdout;
    let changes: Vec<char> =
        shown.lines().filter_map(|line| line.chars().next()).filter(|c| "+-~".contains(*c)).collect();
    assert_eq!(changes, ['-', '~', '+'], "{shown}");
    let document: Value =
        serde_json::from_str(&store.snap(&["log", &path, "--json"]).expect_code(0).stdout).expect("JSON");
    let words: Vec<&str> = document["log"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|step| step["entries"][0]["change"].as_str())
        .collect();
    assert_eq!(words, ["removed", "changed", "added"], "{document}");
}

#[test]
fn a_path_that_no_snapshot_has_is_no_failure() {
    let store = store();
    let ran = store.snap(&["log", "local/nowhere"]).expect_code(0);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("no snapshot has anything there"), "{ran:?}");
}
