//! Which repositories are found, what of them is taken, and what a second run reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use snap::source::git::GitSettings;

use crate::git::{Bench, gaps, record};

/// All files below a folder but for git directories, sorted.
fn files(root: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                folders.extend((path.file_name() != Some(".git".as_ref())).then_some(path));
            } else {
                found.push(path.strip_prefix(root).expect("it is inside").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_git_neither_tracks_nor_shows_is_left_out() {
    let bench = Bench::new();
    bench.write("home/.gitconfig", "[core]\n\texcludesFile = ~/everywhere\n");
    bench.write("home/everywhere", "*.swp\n");
    bench.git(".", &["init", "-q", "site"]);
    bench.write("site/.gitignore", "*.log\n!keep.log\n/target/\nvendor/*\n!vendor/mine\n");
    bench.write("site/docs/.gitignore", "!*.log\nsecret\n");
    bench.write("site/.git/info/exclude", "private\n");
    for file in ["target/deep/tracked", "target/deep/not", "target/not", "b.log", "tracked.log", "vendor/other/x"] {
        bench.write(&format!("site/{file}"), "x");
    }
    for file in
        ["keep.log", "docs/shown.log", "docs/secret", "vendor/mine/x", "private", "x.swp", "docs/x.swp", "plain"]
    {
        bench.write(&format!("site/{file}"), "x");
    }
    bench.git("site", &["add", "-f", "target/deep/tracked", "tracked.log"]);
    let report = bench.capture(&["site"]);
    assert_eq!(gaps(record(&report, "local-repos/site")), []);
    let restored = bench.restore(&report, "restored").join("site");
    let of_git = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let mut expected: Vec<String> = bench.git("site", &of_git).lines().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(files(&restored), expected);
    assert!(expected.contains(&"target/deep/tracked".to_owned()) && expected.len() == 8, "{expected:?}");
}

#[test]
fn every_version_of_the_index_is_understood() {
    for version in ["2", "3", "4", "split"] {
        let bench = Bench::new();
        bench.git(".", &["init", "-q", "site"]);
        bench.write("site/.gitignore", "ignored*\n");
        for number in 0..40 {
            bench.write(&format!("site/ignored/{}/tracked-{number}", number % 7), "x");
        }
        bench.write("site/ignored-too", "x");
        bench.git("site", &["add", "-f", "ignored"]);
        match version {
            "split" => {
                bench.git("site", &["update-index", "--split-index"]);
                bench.write("site/ignored/later", "x");
                bench.git("site", &["add", "-f", "ignored/later"]);
            }
            // Version 3 is written only where an entry needs it.
            "3" => {
                bench.write("site/intended", "x");
                bench.git("site", &["add", "-N", "intended"]);
            }
            version => drop(bench.git("site", &["update-index", &format!("--index-version={version}")])),
        }
        let written = fs::read(bench.at("site/.git/index")).expect("an index")[7];
        assert_eq!(written, version.parse().unwrap_or(2), "the index is of this version");
        let report = bench.capture(&["site"]);
        let restored = bench.restore(&report, "restored").join("site");
        let of_git = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let mut expected: Vec<String> = bench.git("site", &of_git).lines().map(str::to_owned).collect();
        expected.sort();
        assert_eq!(files(&restored), expected, "version {version}");
    }
}

#[test]
fn an_index_that_is_not_understood_leaves_nothing_out() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    let index = fs::read(bench.at("site/.git/index")).expect("an index");
    for damage in [&b"DIRC\0\0\0\x09\0\0\0\x01"[..], &index[..index.len() / 2], b""] {
        fs::write(bench.at("site/.git/index"), damage).expect("it is written");
        let report = bench.capture(&["site"]);
        let restored = bench.restore(&report, "restored").join("site");
        assert!(restored.join("noise.log").exists() && restored.join("build/out").exists());
        fs::remove_dir_all(bench.at("restored")).expect("it goes");
    }
}

#[test]
fn a_second_run_reads_nothing() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.write("site/large", &"a large file\n".repeat(200_000));
    let first = bench.capture(&["site"]);
    assert!(first.record.summary.bytes_read > 2_000_000, "{:?}", first.record.summary);
    let second = bench.capture(&["site"]);
    let summary = second.record.summary;
    assert_eq!((summary.new, summary.changed, summary.removed, summary.bytes_read), (0, 0, 0, 0), "{summary:?}");
    assert_eq!(record(&second, "local-repos/site").root, record(&first, "local-repos/site").root);
    bench.write("site/large", "small now\n");
    let third = bench.capture(&["site"]);
    let changed = (third.record.summary.changed, third.record.summary.bytes_read);
    assert_eq!(changed, (1, "small now\n".len() as u64), "{:?}", third.record.summary);
}

#[test]
fn repositories_are_found_below_a_folder_and_named_apart() {
    let bench = Bench::new();
    for name in ["work/one", "work/deep/er/two", "work/a/same", "work/b/same", "far/1/2/3/4/5/6/7/three"] {
        fs::create_dir_all(bench.at(name)).expect("a folder");
        bench.git(name, &["init", "-q"]);
        bench.write(&format!("{name}/file"), name);
        bench.commit(name, "one");
    }
    bench.git(".", &["clone", "-q", "--bare", "work/one", "work/bare.git"]);
    bench.git(".", &["clone", "-q", "work/one", "work/one/nested"]);
    bench.write("work/plain/file", "no repository");
    bench.write("work/odd/.git", "not one");
    symlink(bench.at("work"), bench.at("work/plain/loop")).expect("a link");
    let settings = GitSettings {
        repositories: vec![bench.at("work/one"), bench.at("work/nothing")],
        find_below: vec![bench.at("work"), bench.at("far"), bench.at("nowhere")],
        ..bench.settings(&[])
    };
    let report = bench.capture_with(settings);
    let paths: Vec<&str> = report.record.resources.iter().map(|resource| resource.path.as_str()).collect();
    let hashed = |name: &str| {
        let hash = blake3::hash(bench.at(name).to_string_lossy().as_bytes()).to_hex();
        format!("local-repos/same@{}", &hash[..8])
    };
    let mut expected = ["", "/bare.git", "/nothing", "/one", "/two"].map(|name| format!("local-repos{name}")).to_vec();
    expected.extend([hashed("work/a/same"), hashed("work/b/same")]);
    expected.sort();
    assert_eq!(paths, expected);
    assert_eq!(gaps(record(&report, "local-repos")).len(), 1);
    let restored = bench.restore(&report, "restored");
    bench.assert_sound(&restored.join("one/nested"), "nested");
    assert!(!restored.join("three").exists(), "it lies too deep");
}

#[test]
fn attributes_name_the_branch_and_the_origin_without_its_password() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.git("site", &["remote", "add", "origin", "https://me:hunter2@example.org/site.git?token=abc"]);
    let report = bench.capture(&["site"]);
    let attributes = &record(&report, "local-repos/site").attributes;
    let path = bench.at("site").to_string_lossy().into_owned();
    let expected = [("head", "refs/heads/main"), ("origin", "https://example.org/site.git"), ("path", &path)];
    assert_eq!(attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    let restored = bench.restore(&report, "restored").join("site");
    assert!(fs::read_to_string(restored.join(".git/config")).expect("it is there").contains("hunter2"));
}

#[test]
fn what_is_no_file_is_not_opened_and_no_link_followed() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.write("outside/secret", "not part of it");
    symlink(bench.at("outside"), bench.at("site/away")).expect("a link");
    for fifo in ["site/pipe", "site/.git/pipe", "site/.git/refs/heads/pipe", "site/.git/objects/pack/pipe"] {
        let made = std::process::Command::new("mkfifo").arg(bench.at(fifo)).status().expect("mkfifo starts");
        assert!(made.success());
    }
    let report = bench.capture(&["site"]);
    assert_eq!(gaps(record(&report, "local-repos/site")), []);
    let restored = bench.restore(&report, "restored").join("site");
    assert_eq!(fs::read_link(restored.join("away")).expect("a link"), bench.at("outside"));
}

#[test]
fn what_may_not_be_read_is_a_gap() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    fs::set_permissions(bench.at("site/untracked.txt"), fs::Permissions::from_mode(0o000)).expect("it can");
    let is_root = fs::read(bench.at("site/untracked.txt")).is_ok();
    let report = bench.capture(&["site"]);
    let expected = if is_root { Vec::new() } else { vec![("untracked.txt".to_owned(), String::new())] };
    assert_eq!(gaps(record(&report, "local-repos/site")), expected);
}

#[test]
fn what_lies_in_another_repository_is_named() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.clone_with_everything("other");
    bench.git("other", &["worktree", "add", "-q", "-b", "linked", "../site/linked", "side"]);
    let report = bench.capture(&["site"]);
    let expected = ("linked/.git".to_owned(), "Elsewhere".to_owned());
    assert_eq!(gaps(record(&report, "local-repos/site")), [expected]);
}
