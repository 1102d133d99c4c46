//! The contract of every command: help, exit codes, streams, completions, manual pages.

use super::harness::Machine;

/// `mount` is a feature, and only Linux has it.
const COMMANDS: &[&str] = &[
    "init",
    "backup",
    "restore",
    "snapshots",
    "ls",
    "cat",
    "find",
    "diff",
    "log",
    #[cfg(all(feature = "mount", target_os = "linux"))]
    "mount",
    "forget",
    "undo",
    "check",
    "repair",
    "copy",
    "stats",
    "key",
    "prune",
    "tag",
    "repository",
    "aws",
    "config",
    "completions",
    "man",
];

const INNER: [&[&str]; 13] = [
    &["key", "list"],
    &["key", "add"],
    &["key", "remove"],
    &["key", "change"],
    &["key", "words"],
    &["repository", "test"],
    &["aws", "policy"],
    &["config", "init"],
    &["config", "check"],
    &["repair", "index"],
    &["repair", "packs"],
    &["repair", "snapshots"],
    &["config", "show"],
];

#[test]
fn every_commands_help_has_examples_and_exit_codes() {
    let machine = Machine::new();
    let all = COMMANDS.iter().map(std::slice::from_ref).chain(INNER).chain([&[][..]]);
    for command in all {
        let help = machine.snap(&[command, &["--help"]].concat()).expect_code(0);
        for heading in ["\nExamples:\n", "\nExit codes:\n", "\n  snap "] {
            assert!(help.stdout.contains(heading), "{command:?} lacks {heading:?}:\n{}", help.stdout);
        }
        assert!(help.stderr.is_empty(), "{help:?}");
    }
}

#[test]
fn the_help_lists_the_commands_that_exist_and_no_other() {
    let help = Machine::new().snap(&["-h"]).expect_code(0).stdout;
    let section = help.split("Commands:\n").nth(1).expect("it has commands").split("\n\n").next().expect("a first");
    let listed: Vec<&str> = section.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, [COMMANDS, &["help"]].concat());
}

#[test]
fn the_spelling_that_scripts_rely_on_is_understood() {
    let machine = Machine::new();
    for line in [
        "init --dry-runx",
        "backup /p --series S --tag T --tag U --exclude G --dry-run",
        "snapshots",
        "ls latest",
        "cat latest:a/b",
        "restore latest --target D --include P --exclude P --overwrite if-changed --delete",
        "restore latest --target D --overwrite always",
        "restore latest --target D --overwrite never",
        "diff latest~1 latest -- P Q",
        "check --read-data",
        "check --read-data=10%",
        "check --read-data=10",
        "forget --keep-last 1 --keep-hourly 2 --keep-daily 3 --keep-weekly 4 --keep-monthly 5 --keep-yearly 6",
        "forget --keep-within 1y6m --keep-tag T --keep-tag U --series S --host H --tag T --dry-run",
        "forget 4ac1d2 latest",
        "undo",
        "undo 4ac1d2",
    ] {
        for extra in ["--quiet", "--no-progress"] {
            let words: Vec<&str> =
                [extra, "-r", "/nonexistent/repository"].into_iter().chain(line.split(' ')).collect();
            let ran = machine.snap_with(&words, &[("SNAP_PASSWORD", "x")]);
            assert_eq!(ran.code == 2, line.contains("--dry-runx"), "{line}: {ran:?}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_usage_in_both_forms() {
    let machine = Machine::new();
    for line in [
        &["backup", "--zebra"][..],
        &["zebra"],
        &["check", "--read-data=0"],
        &["diff"],
        &["restore", "latest"],
        &["backup", "--exclude-larger-than", "many", "/x"],
        &["forget"],
        &["forget", "--keep-last", "0"],
        &["forget", "--keep-last", "many"],
        &["forget", "--keep-within", "5min"],
        &["forget", "latest", "--keep-last", "1"],
        &["forget", "latest", "--series", "s"],
        &["forget", "latest", "--host", "h"],
        &["forget", "--tag", "t", "latest"],
    ] {
        let ran = machine.snap(line).expect_code(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{ran:?}");
        let ran = machine.snap(&[&["--json"], line].concat()).expect_code(2);
        let error = ran.json_lines().pop().expect("an error line");
        assert_eq!((error["type"].as_str(), error["code"].as_u64()), (Some("error"), Some(2)), "{ran:?}");
    }
}

#[test]
fn a_misspelt_command_finds_the_one_that_was_meant() {
    let ran = Machine::new().snap(&["restor"]).expect_code(2);
    assert!(ran.stderr.contains("'restore'"), "{ran:?}");
}

#[test]
fn a_backup_of_nothing_is_usage_with_the_way_out() {
    let ran = Machine::new().snap(&["backup"]).expect_code(2);
    assert!(ran.stderr.starts_with("snap: nothing to capture is named\nhint: "), "{ran:?}");
}

#[test]
fn completions_come_for_each_shell_and_name_each_command() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = machine.snap(&["completions", shell]).expect_code(0).stdout;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
    let document = machine.snap(&["completions", "bash", "--json"]).expect_code(0).document();
    assert!(document["completions"].as_str().is_some_and(|script| script.contains("_snap")));
}

#[test]
fn manual_pages_are_printed_and_written() {
    let machine = Machine::new();
    let page = machine.snap(&["man"]).expect_code(0).stdout;
    assert!(page.contains(".TH snap 1") && page.contains("Exit codes:"), "{page}");
    machine.snap(&["man", "pages"]).expect_code(0);
    for command in COMMANDS {
        let page = std::fs::read_to_string(machine.work("pages").join(format!("snap-{command}.1"))).expect("written");
        assert!(page.contains(&format!(".TH snap-{command} 1")), "{page}");
    }
    assert!(machine.work("pages/snap.1").exists());
    assert!(!machine.work("pages/snap-help.1").exists());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    // Closed before it starts, so that not even its first write can succeed.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Machine::new().command(&["completions", "zsh"]).stdout(writer).output().expect("it starts");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_stdout_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = Machine::new().command(&["completions", "zsh"]).stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("snap: cannot write to standard output: "));
}

#[test]
fn a_repository_that_is_named_but_does_not_exist_is_its_own_status() {
    let machine = Machine::new();
    let lines = [
        &["snapshots"][..],
        &["ls"],
        &["cat", "latest:x"],
        &["find", "x"],
        &["diff", "latest~1"],
        &["check"],
        &["stats"],
        &["tag", "latest", "--add", "x"],
        &["forget", "latest"],
        &["forget", "--keep-last", "1"],
        &["undo"],
        &["key", "list"],
        &["restore", "latest", "--target", "t"],
        &["backup", "."],
    ];
    for line in lines {
        let ran = machine.snap_with(&[line, &["-r", "none"]].concat(), &[("SNAP_PASSWORD", "x")]).expect_code(10);
        let none = machine.work("none");
        let said = format!("snap: there is no repository at {}\nhint: ", none.display());
        assert!(ran.stderr.starts_with(&said) && ran.stdout.is_empty() && !none.exists(), "{ran:?}");
    }
}

#[test]
fn an_address_of_a_later_version_is_refused_by_name() {
    let ran = Machine::new().snap(&["snapshots", "-r", "sftp://host/path"]).expect_code(2);
    assert!(ran.stderr.contains("sftp://host/path") && ran.stderr.contains("this version"), "{ran:?}");
}

#[test]
fn a_reference_that_is_none_is_usage() {
    for line in [&["ls", "yesterday"][..], &["cat", "latest~x:a"], &["restore", "@noon", "--target", "t"]] {
        let ran = Machine::new().snap(line).expect_code(2);
        assert!(ran.stderr.contains("does not name a snapshot") && ran.stderr.contains("\nhint: "), "{ran:?}");
    }
}
