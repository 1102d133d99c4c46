//! `diff`: what changed, how much of it, and what is not known to have changed.

use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use super::Store;

/// The changes between the last two snapshots, as `symbol name fields` with names relative to the captured folder.
fn changes(store: &Store, arguments: &[&str]) -> Vec<String> {
    let document = document(store, arguments);
    let line = |change: &Value| {
        let path = change["path"].as_str().expect("a path").strip_prefix(&store.layout("")).expect("in the folder");
        let fields: Vec<&str> = change["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("{} {path} {}", change["change"].as_str().expect("a kind"), fields.join(",")).trim_end().to_owned()
    };
    document["changes"].as_array().expect("changes").iter().map(line).collect()
}

fn document(store: &Store, arguments: &[&str]) -> Value {
    store.snap(&[&["diff", "latest~1", "latest", "--json"], arguments].concat()).expect_code(0).document()
}

#[test]
fn each_kind_of_change_is_told_once() {
    let store = Store::new();
    for name in ["same", "content", "mode", "type", "gone", "folder/x"] {
        store.write(name, "one\n");
    }
    symlink("a", store.site("link")).expect("linked");
    store.backup();
    store.write("content", "two, longer\n");
    store.write("added", "new\n");
    std::fs::set_permissions(store.site("mode"), PermissionsExt::from_mode(0o600)).expect("set");
    for name in ["type", "gone", "link"] {
        std::fs::remove_file(store.site(name)).expect("removed");
    }
    symlink("same", store.site("type")).expect("linked");
    symlink("b", store.site("link")).expect("linked");
    store.backup();
    let mut expected =
        ["added added", "changed content content", "removed gone", "changed mode mode", "changed type type,content"];
    let told: Vec<String> = changes(&store, &[]);
    assert!(told.iter().any(|line| line.starts_with("changed link target")), "{told:?}");
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|line| !line.starts_with("changed link")).collect();
    expected.sort_by_key(|line| line.split(' ').nth(1).expect("a name").to_owned());
    let type_line = told.iter().position(|line| line.starts_with("changed type")).expect("told");
    assert!(told[type_line].starts_with("changed type type,"), "{told:?}");
    assert_eq!(told[..type_line], expected[..type_line]);
    let text = store.snap(&["diff", "latest~1", "latest"]).expect_code(0).stdout;
    for line in [
        format!("~ {}  content 4 B → 12 B", store.layout("content")),
        format!("~ {}  mode 0644 → 0600", store.layout("mode")),
        format!("+ {}", store.layout("added")),
        format!("- {}", store.layout("gone")),
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\nis not in\n{text}");
    }
    assert!(text.starts_with(store.layout("").trim_end_matches('/')), "{text}");
}

#[test]
fn the_exit_code_says_whether_anything_differs_only_when_asked() {
    let store = Store::new();
    store.write("a", "1");
    store.backup();
    store.backup();
    let same = store.snap(&["diff", "latest~1", "--exit-code"]).expect_code(0);
    assert!(same.stdout.is_empty() && same.stderr.contains("no differences"), "{same:?}");
    store.write("a", "22");
    store.backup();
    store.snap(&["diff", "latest~1"]).expect_code(0);
    store.snap(&["diff", "latest~1", "--exit-code"]).expect_code(4);
    let elsewhere = store.layout("b");
    store.snap(&["diff", "latest~1", "latest", "--exit-code", "--", &elsewhere]).expect_code(0);
    let here = store.layout("a");
    store.snap(&["diff", "latest~1", "latest", "--exit-code", "--", &here]).expect_code(4);
}

#[test]
fn the_time_of_a_folder_is_silent_unless_all_is_asked_for() {
    let store = Store::new();
    store.write("folder/a", "1");
    store.backup();
    store.write("folder/b", "2");
    store.backup();
    assert_eq!(changes(&store, &[]), ["added folder/b"]);
    let all = changes(&store, &["--all"]);
    assert!(all.contains(&"changed folder/ mtime".to_owned()), "{all:?}");
}

#[test]
fn shapes_show_letters_counts_and_changed_lines() {
    let store = Store::new();
    store.write("text", "one\ntwo\nthree\n");
    store.write("binary", "a\0b");
    store.backup();
    store.write("text", "one\n2\nthree\n");
    store.write("binary", "a\0c!");
    store.write("new", "x\n");
    store.backup();
    let shape = |shape: &str| store.snap(&["diff", "latest~1", "latest", shape]).expect_code(0).stdout;
    let letters: Vec<String> = [("M", "binary"), ("A", "new"), ("M", "text")]
        .iter()
        .map(|(l, n)| format!("{l}\t{}", store.layout(n)))
        .collect();
    assert_eq!(shape("--name-status").lines().collect::<Vec<_>>(), letters);
    assert!(shape("--stat").trim_end().ends_with("  2 changed, 1 added"), "{}", shape("--stat"));
    let patch = shape("--patch");
    assert!(patch.contains("@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"), "{patch}");
    assert!(patch.contains("--- /dev/null\n") && patch.contains("\n+x\n") && patch.contains("not text"), "{patch}");
    let document = document(&store, &["--patch"]);
    let changes = document["changes"].as_array().expect("changes");
    assert!(changes[2]["patch"].as_str().is_some_and(|patch| patch.contains("\n-two\n+2\n")), "{document}");
    assert_eq!((&changes[0]["binary"], &document["differences"]), (&true.into(), &3.into()));
}

#[test]
fn what_was_excluded_or_not_asked_for_is_not_shown_as_removed() {
    let store = Store::new();
    store.write("a.log", "1");
    store.write("b", "2");
    store.write("gone", "3");
    crate::cli::harness::Machine::write(&store.machine.work("other/c"), "4");
    store.snap(&["backup", "site", "other", "--series", "s"]).expect_code(0);
    std::fs::remove_file(store.site("gone")).expect("removed");
    store.backup_with(&["--exclude", "*.log"]);
    let document = document(&store, &[]);
    let told: Vec<(String, String)> = document["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|c| (c["change"].as_str().expect("a kind").into(), c["path"].as_str().expect("a path").into()))
        .collect();
    let other = store.layout("").replace("/site/", "/other");
    let expected =
        [("not_captured", other), ("not_captured", store.layout("a.log")), ("removed", store.layout("gone"))];
    assert_eq!(told, expected.map(|(kind, path)| (kind.to_owned(), path)));
    let text = store.snap(&["diff", "latest~1"]).expect_code(0).stdout;
    assert!(
        text.contains(&format!("? {}  not captured in the later snapshot: it was excluded", store.layout("a.log")))
    );
}
