//! `snap init`, `snap backup` and `snap restore` as they are run.

use std::fs;

use super::picture;
use crate::cli::harness::Machine;

const PASSWORD: (&str, &str) = ("SNAP_PASSWORD", "x");

fn machine() -> Machine {
    let machine = Machine::new();
    Machine::write(&machine.work("live/a/file"), &"content ".repeat(1000));
    Machine::write(&machine.work("live/b"), "b");
    machine
}

#[test]
fn one_command_backs_up_and_one_restores() {
    let machine = machine();
    let ran = machine.snap(&["backup", "live"]).expect_code(0);
    assert!(ran.stdout.starts_with("snapshot ") && ran.stdout.contains("  complete\n"), "{ran:?}");
    assert!(machine.home(".config/snap/key").exists());
    let inside = format!("latest:local{}", machine.work("live").display());
    machine.snap(&["restore", &inside, "--target", "out"]).expect_code(0);
    assert_eq!(picture(&machine.work("out")), picture(&machine.work("live")));
}

#[test]
fn every_line_of_json_is_json_and_the_last_is_the_summary() {
    let machine = machine();
    machine.snap_with(&["init", "-r", "r", "--json"], &[PASSWORD]).expect_code(0).document();
    machine.snap_with(&["init", "-r", "r"], &[PASSWORD]).expect_code(11);
    for line in [
        &["backup", "live"][..],
        &["backup", "live", "--dry-run"],
        &["restore", "latest", "--target", "out", "--verbose"],
        &["restore", "latest", "--target", "out", "--dry-run", "--delete"],
    ] {
        let ran = machine.snap_with(&[line, &["-r", "r", "--json"]].concat(), &[PASSWORD]).expect_code(0);
        let lines = ran.json_lines();
        assert_eq!(lines[0]["type"], "hello", "{ran:?}");
        let last = &lines[lines.len() - 1];
        assert_eq!((&last["type"], &last["code"]), (&"summary".into(), &0.into()), "{ran:?}");
    }
}

#[test]
fn a_wrong_password_has_its_own_status() {
    let machine = machine();
    machine.snap_with(&["backup", "-r", "r", "--init", "live"], &[PASSWORD]).expect_code(0);
    let wrong = [("SNAP_PASSWORD", "y")];
    machine.snap_with(&["restore", "latest", "--target", "out", "-r", "r"], &wrong).expect_code(12);
    machine.snap_with(&["backup", "live", "-r", "r"], &wrong).expect_code(12);
}

#[test]
fn deleting_needs_consent() {
    let machine = machine();
    machine.snap(&["backup", "live"]).expect_code(0);
    let inside = format!("latest:local{}", machine.work("live").display());
    let words = ["restore", &inside, "--target", "out", "--delete"];
    machine.snap(&words).expect_code(2);
    assert!(!machine.work("out").exists());
    machine.snap(&[&words[..], &["--yes"]].concat()).expect_code(0);
    Machine::write(&machine.work("out/extra"), "x");
    machine.snap(&[&words[..], &["--yes"]].concat()).expect_code(0);
    assert!(!machine.work("out/extra").exists());
}

#[test]
fn a_dry_run_of_a_first_backup_makes_no_repository() {
    let machine = machine();
    let ran = machine.snap(&["backup", "live", "--dry-run"]).expect_code(0);
    assert!(ran.stdout.starts_with("dry run") && !machine.home(".local").exists(), "{ran:?}");
}

#[test]
fn a_root_that_is_not_there_leaves_the_backup_incomplete() {
    let machine = machine();
    let ran = machine.snap(&["backup", "live", "nowhere", "--json"]).expect_code(3);
    assert!(ran.json_lines().iter().any(|line| line["type"] == "error"), "{ran:?}");
    machine.snap(&["backup", "nowhere"]).expect_code(1);
}

#[test]
fn a_stream_is_captured_as_one_file() {
    let machine = machine();
    let input = fs::File::open(machine.work("live/a/file")).expect("it is there");
    let mut command = machine.command(&["backup", "--stdin", "--stdin-name", "dump.sql"]);
    assert!(command.stdin(input).status().expect("it runs").success());
    machine.snap(&["restore", "latest:local/stdin/dump.sql", "--target", "out"]).expect_code(0);
    let content = |path| fs::read(machine.work(path)).expect("it is there");
    assert_eq!(content("out/dump.sql"), content("live/a/file"));
}

#[test]
fn a_full_disk_ends_the_restore_with_a_clear_message() {
    let machine = machine();
    let small = machine.work("small");
    fs::create_dir(&small).expect("created");
    let mounted = rustix::process::geteuid().is_root()
        && std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "none"])
            .arg(&small)
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !mounted {
        return;
    }
    fs::write(machine.work("live/huge"), super::noise(b"huge", 3_000_000)).expect("written");
    machine.snap(&["backup", "live"]).expect_code(0);
    let ran = machine.snap(&["restore", "latest", "--target", "small"]);
    let left = picture(&small);
    let _ = std::process::Command::new("umount").arg("-l").arg(&small).status();
    assert!(ran.code == 1 && ran.stderr.contains("no space is left for"), "{ran:?}");
    assert!(left.keys().all(|path| !path.ends_with("huge")), "{left:?}");
}
