//! `snapshots`, `ls`, `cat`, `find`, `stats`: what is there, in text and in JSON.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::{Store, noise};

fn filled() -> Store {
    let store = Store::new();
    store.write("index.html", "<html>");
    store.write("css/site.css", "body {}");
    store.write("css-old", "x");
    std::fs::write(store.site("large.bin"), noise(1, 700_000)).expect("written");
    symlink("index.html", store.site("link")).expect("linked");
    store
}

#[test]
fn ls_lists_all_paths_in_order_with_folders_ending_in_a_slash() {
    let store = filled();
    store.backup();
    let expected: Vec<String> = ["", "css-old", "css/", "css/site.css", "index.html", "large.bin", "link"]
        .iter()
        .map(|name| store.layout(name))
        .collect();
    let listed = store.snap(&["ls"]).expect_code(0).stdout;
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    let document = store.snap(&["ls", "latest", "--json"]).expect_code(0).document();
    let entries = document["entries"].as_array().expect("entries");
    assert_eq!(entries.iter().map(|e| e["path"].as_str().expect("a path")).collect::<Vec<_>>(), expected);
    assert_eq!((entries[6]["kind"].as_str(), entries[6]["target"].as_str()), (Some("symlink"), Some("index.html")));
    assert_eq!(entries[5]["size"], 700_000);
}

#[test]
fn ls_of_a_path_lists_what_is_at_or_under_it() {
    let store = filled();
    store.backup();
    let ls = |path: &str, more: &[&str]| {
        let reference = format!("latest:{path}");
        store.snap(&[&["ls", &reference], more].concat()).expect_code(0).stdout
    };
    let lines = |names: &[&str]| names.iter().map(|name| store.layout(name) + "\n").collect::<String>();
    assert_eq!(ls(&store.layout("css"), &[]), lines(&["css/", "css/site.css"]));
    assert_eq!(ls(&store.layout("css/"), &[]), lines(&["css/", "css/site.css"]));
    assert_eq!(ls(&store.layout("css-old"), &[]), lines(&["css-old"]));
    assert_eq!(ls("local", &["--no-recursive"]).lines().count(), 1);
    let direct = lines(&["css-old", "css/", "index.html", "large.bin", "link"]);
    assert_eq!(ls(&store.layout(""), &["--no-recursive"]), direct);
    let missing = store.snap(&["ls", "latest:local/none"]).expect_code(1);
    assert!(missing.stderr.contains("nothing at local/none") && missing.stderr.contains("\nhint: "), "{missing:?}");
}

#[test]
fn long_lines_say_mode_owner_size_time_and_target() {
    let store = filled();
    store.backup();
    let listed = store.snap(&["ls", "--long"]).expect_code(0).stdout;
    let line = |name: &str| listed.lines().find(|line| line.contains(name)).expect("listed").to_owned();
    assert!(line("/css/site.css").starts_with("-rw-r--r-- "), "{listed}");
    assert!(line("/large.bin").contains(" 700000 20"), "{listed}");
    assert!(line("/link").ends_with("/link -> index.html") && line("/link").starts_with('l'), "{listed}");
}

#[test]
fn names_that_command_a_terminal_or_are_not_utf8_keep_their_bytes_in_json() {
    let store = Store::new();
    store.write("a\x1b[2Jb", "x");
    let name = std::ffi::OsStr::from_bytes(b"n\xff");
    std::fs::write(store.machine.work("site").join(name), "y").expect("written");
    store.backup();
    let listed = store.snap(&["ls"]).expect_code(0).stdout;
    assert!(listed.contains("a\\x1b[2Jb\n") && listed.contains("n\\xff\n"), "{listed}");
    let document = store.snap(&["ls", "--json"]).expect_code(0).document();
    let entries = document["entries"].as_array().expect("entries");
    assert!(entries.iter().any(|entry| entry["path"].as_str().is_some_and(|path| path.ends_with("a\x1b[2Jb"))));
    assert!(entries.iter().any(|entry| entry["path_b64"].is_string()));
}

#[test]
fn cat_writes_the_files_bytes_and_nothing_else() {
    let store = filled();
    store.backup();
    let cat = |name: &str| {
        let reference = format!("latest:{}", store.layout(name));
        store.machine.command(&["-r", "repository", "cat", &reference]).env("SNAP_KEY_FILE", "key").output()
    };
    assert_eq!(cat("large.bin").expect("it starts").stdout, noise(1, 700_000));
    assert_eq!(cat("index.html").expect("it starts").stdout, b"<html>");
    for (name, said) in [("css", "is a folder"), ("link", "is a symlink"), ("none", "has nothing at")] {
        let output = cat(name).expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{stderr}");
        assert!(stderr.contains(said) && stderr.contains("\nhint: "), "{stderr}");
    }
    store.snap(&["cat", "latest"]).expect_code(2);
    store.snap(&["cat", "latest:x", "--json"]).expect_code(2);
}

#[test]
fn cat_names_the_bytes_that_are_lost() {
    let store = filled();
    store.backup();
    std::fs::remove_file(&store.packs()[0]).expect("removed");
    let ran = store.snap(&["cat", &format!("latest:{}", store.layout("large.bin"))]).expect_code(1);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("bytes 0 to ") && ran.stderr.contains("are lost"), "{ran:?}");
}

#[test]
fn find_matches_names_and_paths_and_searches_equal_trees_once() {
    let store = filled();
    let first = store.backup();
    let second = store.backup();
    store.write("new.css", "x");
    let third = store.backup();
    let document = store.snap(&["find", "*.css", "--json"]).expect_code(0).document();
    let groups = document["matches"].as_array().expect("groups");
    assert_eq!(groups.len(), 2, "{document}");
    assert_eq!(groups[0]["snapshots"], serde_json::json!([third]));
    assert_eq!(groups[0]["entries"].as_array().map(Vec::len), Some(2));
    assert_eq!(groups[1]["snapshots"], serde_json::json!([second, first]));
    assert_eq!(groups[1]["entries"][0]["path"], store.layout("css/site.css"));
    let whole = format!("{}*.html", store.layout(""));
    let text = store.snap(&["find", &whole, "--snapshot", "latest~1"]).expect_code(0).stdout;
    assert_eq!(text.lines().nth(1), Some(store.layout("index.html").as_str()), "{text}");
    let none = store.snap(&["find", "nothing-like-it"]).expect_code(0);
    assert!(none.stdout.is_empty() && none.stderr.contains("nothing found"), "{none:?}");
    store.snap(&["find", "[z-a]"]).expect_code(2);
}

#[test]
fn snapshots_are_listed_and_chosen_by_series_tag_and_number() {
    let store = filled();
    let first = store.backup_with(&["--tag", "prod"]);
    let second = store.backup();
    let ids = |arguments: &[&str]| {
        let document = store.snap(&[&["snapshots", "--json"], arguments].concat()).expect_code(0).document();
        let list = document["snapshots"].as_array().expect("a list").clone();
        list.iter().map(|s| s["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [first.clone(), second.clone()]);
    assert_eq!(ids(&["--tag", "prod"]), std::slice::from_ref(&first));
    assert_eq!(ids(&["--latest", "1"]), [second]);
    assert!(ids(&["--series", "other"]).is_empty());
    let table = store.snap(&["snapshots"]).expect_code(0).stdout;
    let row = table.lines().nth(1).expect("a row");
    assert!(row.starts_with(&first[..8]) && row.contains("prod") && row.ends_with("complete"), "{table}");
}

#[test]
fn stats_count_before_and_after_deduplication() {
    let store = filled();
    store.backup();
    std::fs::write(store.site("more.bin"), noise(2, 400_000)).expect("written");
    let second = store.backup();
    let document = store.snap(&["stats", "--json"]).expect_code(0).document();
    assert_eq!(document["snapshots"], 2);
    let (held, chunks) = (document["held"]["bytes"].as_u64(), document["chunks"]["bytes"].as_u64());
    assert!(held > Some(1_800_000) && chunks >= Some(1_100_000) && chunks < Some(1_200_000), "{document}");
    assert!(document["bytes"].as_u64() > document["packs"]["bytes"].as_u64(), "{document}");
    let document = store.snap(&["stats", &second, "--json"]).expect_code(0).document();
    let unique = document["unique"]["bytes"].as_u64().expect("a figure");
    assert!((400_000..410_000).contains(&unique), "{document}");
    assert!(store.snap(&["stats", "latest"]).expect_code(0).stdout.contains("its own"));
    assert!(store.snap(&["stats"]).expect_code(0).stdout.contains("deduplicated"));
}
