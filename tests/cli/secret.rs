//! Secrets are canaries: they may be used, and must never be seen (family T15).

use std::process::Stdio;

use super::harness::{Machine, Ran};

const CANARY: &str = "canary-6f1d4c0e9a";

/// Asserts that the canary is nowhere in what a run said.
#[track_caller]
pub(crate) fn assert_unseen(ran: &Ran) {
    assert!(!ran.stdout.contains(CANARY) && !ran.stderr.contains(CANARY), "the secret was shown: {ran:?}");
}

#[test]
fn a_password_is_never_in_what_a_command_says() {
    let machine = Machine::new();
    Machine::write(&machine.home("password"), &format!("{CANARY}\n"));
    let file = machine.home("password");
    let file = file.to_str().expect("UTF-8");
    let print = format!("cat {file}");
    let variables: [(&str, &str); 3] =
        [("SNAP_PASSWORD", CANARY), ("SNAP_PASSWORD_FILE", file), ("SNAP_PASSWORD_COMMAND", &print)];
    for variable in variables {
        for command in [&["init", "-r", "r"][..], &["snapshots", "-r", "r"], &["config", "show", "--origin"]] {
            for json in [&[][..], &["--json", "--verbose"]] {
                assert_unseen(&machine.snap_with(&[command, json].concat(), &[variable]));
            }
        }
    }
}

#[test]
fn there_is_no_option_that_takes_a_password() {
    let machine = Machine::new();
    machine.snap(&["snapshots", "--password", CANARY]).expect_code(2);
}

#[test]
#[cfg(target_os = "linux")]
fn children_are_given_no_secret() {
    let machine = Machine::new();
    let seen = machine.work("environment");
    let script = machine.work("spy.sh");
    Machine::write(&script, &format!("env > {0}; tr '\\0' ' ' < /proc/$PPID/cmdline >> {0}; exit 1\n", seen.display()));
    let toml = format!("[backup]\npaths = ['.']\n[hooks]\nbefore = ['sh', '{}']\n", script.display());
    Machine::write(&machine.work("snap.toml"), &toml);
    let variables = [("SNAP_PASSWORD", CANARY), ("SNAP_PASSWORD_FILE", "/x"), ("SNAP_PASSWORD_COMMAND", CANARY)];
    let ran = machine.snap_with(&["backup"], &variables).expect_code(1);
    assert_unseen(&ran);
    let seen = std::fs::read_to_string(seen).expect("the hook ran");
    assert!(seen.contains("HOME=") && seen.contains("backup"), "{seen}");
    assert!(!seen.contains(CANARY) && !seen.contains("SNAP_PASSWORD"), "{seen}");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let machine = Machine::new();
    let output = machine.command(&["init", "-r", "r"]).stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(12) && said.contains("\nhint: set SNAP_PASSWORD_COMMAND"), "{said}");
}

#[test]
fn no_password_means_the_empty_one_whatever_the_variables_say() {
    let machine = Machine::new();
    let variables = [("SNAP_PASSWORD", CANARY)];
    machine.snap_with(&["init", "-r", "r", "--insecure-no-password"], &variables).expect_code(0);
    machine.snap(&["snapshots", "-r", "r", "--insecure-no-password"]).expect_code(0);
    machine.snap_with(&["snapshots", "-r", "r"], &variables).expect_code(12);
}

#[test]
fn an_empty_password_is_taken_only_when_asked_for() {
    let machine = Machine::new();
    machine.snap_with(&["init", "-r", "r"], &[("SNAP_PASSWORD", "")]).expect_code(12);
    Machine::write(&machine.work("empty"), "");
    machine.snap(&["init", "-r", "r", "--password-file", "empty"]).expect_code(12);
    machine.snap(&["init", "-r", "r", "--password-file", "empty", "--insecure-no-password"]).expect_code(0);
}
