//! `snap repair` as people meet it: the plan, what was done, the way out.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::prune::scene::noise;
use crate::query::Store;

fn last_line(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON")
}

/// Two snapshots; the second has a file that lies in packs of its own.
fn store() -> Store {
    let store = Store::new();
    let site = store.machine.work("site");
    std::fs::create_dir_all(&site).expect("a folder");
    std::fs::write(site.join("index.html"), noise(10_000, 1)).expect("a file");
    store.snap(&["backup", "-q", "site"]).expect_code(0);
    let packs = packs(&store);
    std::fs::write(site.join("film"), noise(2_000_000, 2)).expect("a file");
    store.snap(&["backup", "-q", "site"]).expect_code(0);
    assert!(self::packs(&store).len() > packs.len());
    store
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(below(&path)) } else { files.push(path) }
    }
    files.sort_by_key(|file| std::fs::metadata(file).expect("it is there").len());
    files
}

fn packs(store: &Store) -> Vec<PathBuf> {
    below(&store.machine.work("repository").join("packs"))
}

#[test]
fn a_lost_index_is_found_again_in_the_packs() {
    let store = store();
    let index = below(&store.machine.work("repository").join("i"));
    std::fs::write(&index[0], b"nothing").expect("written");
    let dry = store.snap(&["repair", "index", "--dry-run"]).expect_code(0).stdout;
    assert!(dry.contains("is damaged") && !dry.contains("repaired"), "{dry}");
    let done = last_line(&store.snap(&["repair", "index", "--json"]).expect_code(0).stdout);
    assert_eq!((&done["what"], done["damaged"].as_array().map(Vec::len)), (&"index".into(), Some(1)), "{done}");
    store.snap(&["prune"]).expect_code(0);
    store.snap(&["check", "--read-data"]).expect_code(0);
    let again = store.snap(&["repair", "index"]).expect_code(0).stdout;
    assert!(again.contains("nothing to repair"), "{again}");
}

#[test]
fn a_damaged_pack_heals_by_the_next_backup() {
    let store = store();
    let pack = packs(&store).pop().expect("a pack");
    let mut bytes = std::fs::read(&pack).expect("read");
    bytes[5000] ^= 1;
    std::fs::write(&pack, &bytes).expect("written");
    store.snap(&["check", "--read-data"]).expect_code(21);
    let dry = last_line(&store.snap(&["repair", "packs", "--dry-run", "--json"]).expect_code(0).stdout);
    assert_eq!((dry["damaged"].as_array().map(Vec::len), &dry["dry_run"]), (Some(1), &true.into()), "{dry}");
    let shown = store.snap(&["repair", "packs"]).expect_code(0).stdout;
    assert!(shown.contains("is damaged") && shown.contains("repaired, generation 1"), "{shown}");
    store.snap(&["backup", "-q", "site"]).expect_code(0);
    store.snap(&["prune"]).expect_code(0);
    store.snap(&["check", "--read-data"]).expect_code(0);
    store.snap(&["repair", "packs", "0123"]).expect_code(2);
}

#[test]
fn what_is_left_of_a_snapshot_takes_its_place() {
    let store = store();
    std::fs::remove_file(packs(&store).pop().expect("a pack")).expect("it goes");
    store.snap(&["check"]).expect_code(21);
    let stopped = store.snap(&["prune"]).expect_code(20);
    assert!(stopped.stderr.contains("snap repair"), "{stopped:?}");
    store.snap(&["repair", "snapshots", "--forget"]).expect_code(2);
    let done = last_line(&store.snap(&["repair", "snapshots", "--forget", "--yes", "--json"]).expect_code(0).stdout);
    assert_eq!((done["snapshots"].as_array().map(Vec::len), &done["forgotten"]), (Some(1), &true.into()), "{done}");
    store.snap(&["prune"]).expect_code(0);
    store.snap(&["check", "--read-data"]).expect_code(0);
    let listed = store.snap(&["ls", "latest"]).expect_code(0).stdout;
    assert!(listed.contains("index.html") && !listed.contains("film"), "{listed}");
}
