//! Secrets, names and contents as canaries: used everywhere, seen nowhere (family T15).
//!
//! What the program says is held against every secret it was given, in each command and in its failures; what it keeps
//! is held against the secrets and against all that it captured. What one command line gives away is `cli/secret.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use snap::codec::key::secret::FileKey;

use crate::cli::harness::Machine;

const PASSWORD: &str = "canary-password-2f9c61";
const NEW_PASSWORD: &str = "canary-new-password-77b0de";
const WRONG_PASSWORD: &str = "canary-wrong-password-c3e81a";
const KEY: &str = "c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7abcd";
const NAME: &str = "canary-name-51d7aa";
const CONTENT: &str = "canary-content-e60b42";

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(bytes: &[u8], canary: &str) -> bool {
    memchr::memmem::find(bytes, canary.as_bytes()).is_some()
}

/// Asserts that no file below has a canary in its name or its bytes.
#[track_caller]
fn assert_clear(folder: &Path, canaries: &[&str]) {
    let found = files(folder);
    assert!(!found.is_empty(), "{} is empty", folder.display());
    for path in found {
        let bytes = fs::read(&path).expect("it can be read");
        for canary in canaries {
            let named = path.to_string_lossy().contains(canary);
            assert!(!named && !holds(&bytes, canary), "{canary} is in {}", path.display());
        }
    }
}

fn recovery_words() -> String {
    FileKey::parse_file_text(KEY).expect("a key").to_words().to_string()
}

/// Runs a command in every way of talking, and asserts that no secret is in what it says.
#[track_caller]
fn assert_silent(machine: &Machine, line: &[&str], variables: &[(&str, &str)]) {
    let words = recovery_words();
    let secrets = [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, KEY, words.as_str()];
    for talk in [&[][..], &["--json"], &["--verbose"], &["--json", "--verbose"]] {
        let all = [line, talk].concat();
        let mut command = machine.command(&all);
        command.env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace").envs(variables.iter().copied());
        let Output { stdout, stderr, .. } = command.output().expect("it starts");
        for secret in secrets {
            let told = [&stdout, &stderr].map(|said| String::from_utf8_lossy(said).into_owned());
            assert!(!holds(&stdout, secret) && !holds(&stderr, secret), "{secret} was said by {all:?}: {told:?}");
        }
    }
}

/// A machine with something to capture under telling names.
fn machine() -> Machine {
    let machine = Machine::new();
    Machine::write(&machine.work(&format!("source/{NAME}/{NAME}.txt")), CONTENT);
    Machine::write(&machine.work("source/large"), &format!("{CONTENT}\n").repeat(20_000));
    Machine::write(&machine.work("key"), &format!("{KEY}\n"));
    Machine::write(&machine.work("new-password"), &format!("{NEW_PASSWORD}\n"));
    machine
}

const COMMANDS: [&[&str]; 16] = [
    &["init"],
    &["backup", "source"],
    &["snapshots"],
    &["ls", "latest"],
    &["cat", "latest:none"],
    &["find", "large"],
    &["diff", "latest", "latest"],
    &["check", "--read-data"],
    &["stats"],
    &["tag", "latest", "--add", "x"],
    &["restore", "latest", "--target", "out"],
    &["key", "list"],
    &["key", "remove", "ffffffff", "--yes"],
    &["config", "show", "--origin"],
    &["restore", "none", "--target", "out"],
    &["backup", "/nonexistent"],
];

#[test]
fn no_command_says_a_secret() {
    let machine = machine();
    for line in COMMANDS {
        assert_silent(&machine, line, &[("SNAP_REPOSITORY", "r"), ("SNAP_KEY_FILE", "key")]);
    }
    assert!(files(&machine.work("r")).len() > 5 && machine.work("out").exists(), "the commands did their work");
    assert_silent(&machine, &["key", "words"], &[("SNAP_REPOSITORY", "r"), ("SNAP_KEY_FILE", "key")]);
}

#[test]
fn no_failure_and_no_file_gives_a_password_away() {
    let machine = machine();
    let variables = [("SNAP_REPOSITORY", "r"), ("SNAP_CACHE_DIR", "cache")];
    let with = |password| [variables[0], variables[1], ("SNAP_PASSWORD", password)];
    machine.snap_with(&["init"], &with(PASSWORD)).expect_code(0);
    machine.snap_with(&["backup", "source"], &with(PASSWORD)).expect_code(0);
    machine.snap_with(&["key", "add", "--new-password-file", "new-password"], &with(PASSWORD)).expect_code(0);
    machine.snap_with(&["snapshots"], &with(NEW_PASSWORD)).expect_code(0);
    let ran = machine.snap_with(&["snapshots"], &with(WRONG_PASSWORD)).expect_code(12);
    assert!(!ran.stderr.contains(WRONG_PASSWORD), "{ran:?}");
    // A key where a password belongs, and the other way round.
    assert_silent(&machine, &["snapshots", "--key-file", "new-password"], &variables);
    assert_silent(&machine, &["snapshots", "--password-command", "cat key new-password -z"], &variables);
    let secrets = [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD];
    assert_clear(&machine.work("r"), &secrets);
    assert_clear(&machine.work("cache"), &secrets);
}

#[test]
fn nothing_captured_is_kept_in_clear() {
    let machine = machine();
    let variables = [("SNAP_REPOSITORY", "r"), ("SNAP_KEY_FILE", "key"), ("SNAP_CACHE_DIR", "cache")];
    machine.snap_with(&["init"], &variables).expect_code(0);
    for line in [&["backup", "source", "--tag", NAME][..], &["check", "--read-data"], &["ls", "latest"]] {
        machine.snap_with(line, &variables).expect_code(0);
    }
    Machine::write(&machine.work("source/more"), CONTENT);
    machine.snap_with(&["backup", "source"], &variables).expect_code(0);
    let canaries = [NAME, CONTENT, KEY, "source"];
    assert_clear(&machine.work("r"), &canaries);
    assert_clear(&machine.work("cache"), &canaries);
}

#[test]
fn what_is_kept_is_the_owners_alone() {
    let machine = machine();
    machine.snap_with(&["backup", "source"], &[]).expect_code(0);
    machine.snap_with(&["key", "add", "--new-key-file", "second"], &[]).expect_code(0);
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    let repository = machine.home(".local/share/snap/repository");
    let cache = machine.home(".cache/snap");
    for key in [machine.home(".config/snap/key"), machine.work("second")] {
        assert_eq!(mode(&key), 0o600, "{}", key.display());
    }
    for path in files(&repository).into_iter().chain(files(&cache)) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for folder in [repository, cache] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn children_see_no_secret_in_any_form() {
    let machine = machine();
    let spy = machine.work("spy.sh");
    let seen = machine.work("seen");
    let script = format!(
        "tr '\\0' '\\n' < /proc/$$/environ >> {0}; tr '\\0' ' ' < /proc/$$/cmdline >> {0}; \
         tr '\\0' ' ' < /proc/$PPID/cmdline >> {0}; echo; cat {1}\n",
        seen.display(),
        machine.work("new-password").display()
    );
    Machine::write(&spy, &script);
    let hooks =
        format!("[hooks]\nbefore = ['sh', '{0}']\nafter = ['sh', '{0}']\nfinally = ['sh', '{0}']\n", spy.display());
    Machine::write(&machine.work("snap.toml"), &hooks);
    let print = format!("sh {}", spy.display());
    let first = [("SNAP_REPOSITORY", "r"), ("SNAP_PASSWORD", PASSWORD), ("SNAP_KEY_FILE", "key")];
    machine.snap_with(&["backup", "--init", "source"], &first).expect_code(0);
    let by_command = [("SNAP_REPOSITORY", "r2"), ("SNAP_PASSWORD", PASSWORD), ("SNAP_PASSWORD_COMMAND", &print)];
    machine.snap_with(&["init"], &by_command);
    let seen = fs::read_to_string(seen).expect("the children ran");
    assert!(seen.matches("HOME=").count() >= 3 && seen.contains("spy.sh"), "{seen}");
    for secret in [PASSWORD, KEY, "SNAP_PASSWORD", "SNAP_KEY_FILE"] {
        assert!(!seen.contains(secret), "{secret}: {seen}");
    }
}
