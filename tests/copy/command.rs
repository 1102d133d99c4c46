//! `snap copy` as people meet it.

use serde_json::Value;

use crate::cli::harness::Ran;
use crate::query::Store;

const PASSWORD: (&str, &str) = ("SNAP_PASSWORD", "of the other");

/// A store with two snapshots, and beside it a repository `other` with a password.
fn stores() -> Store {
    let store = Store::new();
    store.write("index.html", "<p>one</p>");
    store.write("css/site.css", &"a { b: c }\n".repeat(5000));
    store.backup();
    store.write("index.html", "<p>two</p>");
    store.backup_with(&["--tag", "prod"]);
    store.machine.snap_with(&["-r", "other", "init"], &[PASSWORD]).expect_code(0);
    store
}

fn copy(store: &Store, arguments: &[&str]) -> Ran {
    let base = ["-r", "other", "copy", "--from", "repository", "--from-key-file", "key"];
    store.machine.snap_with(&[&base, arguments].concat(), &[PASSWORD])
}

fn last_line(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON")
}

#[test]
fn snapshots_go_from_one_repository_into_another() {
    let store = stores();
    let dry = last_line(&copy(&store, &["--dry-run", "--json"]).expect_code(0).stdout);
    assert_eq!((&dry["copied"], &dry["dry_run"]), (&2.into(), &true.into()), "{dry}");
    let said = copy(&store, &[]).expect_code(0).stdout;
    assert!(said.contains("2 snapshots to copy, 0 are here already") && said.contains("cut anew"), "{said}");
    assert!(said.contains("2 snapshots copied"), "{said}");
    let again = last_line(&copy(&store, &["--json"]).expect_code(0).stdout);
    assert_eq!((&again["copied"], &again["there_already"]), (&0.into(), &2.into()), "{again}");
    let other = |arguments: &[&str]| store.machine.snap_with(&[&["-r", "other"], arguments].concat(), &[PASSWORD]);
    other(&["check", "--read-data"]).expect_code(0);
    let page = other(&["cat", &format!("latest:{}", store.layout("index.html"))]).expect_code(0).stdout;
    assert_eq!(page, "<p>two</p>");
    let listed = other(&["snapshots", "--json"]).expect_code(0).document();
    let of_source = store.snap(&["snapshots", "--json"]).expect_code(0).document();
    for member in ["time", "host", "series", "tags", "user"] {
        let of = |document: &Value| -> Vec<Value> {
            document["snapshots"].as_array().expect("a list").iter().map(|one| one[member].clone()).collect()
        };
        assert_eq!(of(&listed), of(&of_source), "{member}");
    }
}

#[test]
fn some_are_chosen_by_reference_host_series_or_tag() {
    let store = stores();
    for none in [["--host", "nobody"], ["--series", "none"], ["--tag", "none"]] {
        let done = last_line(&copy(&store, &[&none[..], &["--json"]].concat()).expect_code(0).stdout);
        assert_eq!(done["copied"], 0, "{none:?}: {done}");
    }
    let done = last_line(&copy(&store, &["--tag", "prod", "--json"]).expect_code(0).stdout);
    assert_eq!(done["copied"], 1, "{done}");
    let done = last_line(&copy(&store, &["latest", "--json"]).expect_code(0).stdout);
    assert_eq!((&done["copied"], &done["there_already"]), (&0.into(), &1.into()), "{done}");
    copy(&store, &["nothing-like-it"]).expect_code(2);
}

#[test]
fn what_cannot_be_is_said_with_the_way_out() {
    let store = stores();
    // The other repository's secret is taken for both unless it is said otherwise.
    let same = store.machine.snap_with(&["-r", "other", "copy", "--from", "repository"], &[PASSWORD]);
    assert!(same.expect_code(12).stderr.contains("the repository to copy from"), "it says which");
    let itself = store.machine.snap_with(&["-r", "other", "copy", "--from", "other"], &[PASSWORD]).expect_code(2);
    assert!(itself.stderr.contains("the same repository"), "{itself:?}");
    store.machine.snap_with(&["-r", "other", "copy", "--from", "nowhere"], &[PASSWORD]).expect_code(10);
    let none = ["-r", "third", "copy", "--from", "other"];
    store.machine.snap_with(&none, &[PASSWORD]).expect_code(10);
    store.machine.snap_with(&[&none[..], &["--init"]].concat(), &[PASSWORD]).expect_code(0);
}
