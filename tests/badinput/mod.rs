//! What users and machines do wrong, end to end: an error that names the thing and the way out, and nothing lost.
//!
//! What needs root (a small disk, a read-only one, another user) skips with a word elsewhere. What repositories do wrong
//! on purpose is another area's.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::harness::{Machine, Ran};

mod disk;
mod interrupt;

/// A machine with a key, a source and a repository that holds it.
pub(super) fn machine() -> Machine {
    let machine = Machine::new();
    Machine::write(&machine.work("key"), &format!("{}\n", "5a".repeat(32)));
    Machine::write(&machine.work("source/folder/file"), "content");
    snap(&machine, &["init"]).expect_code(0);
    snap(&machine, &["backup", "source"]).expect_code(0);
    machine
}

/// Runs the program on the machine's own repository.
pub(super) fn snap(machine: &Machine, arguments: &[&str]) -> Ran {
    snap_at(machine, "repository", arguments)
}

/// Runs the program on a repository.
pub(super) fn snap_at(machine: &Machine, repository: &str, arguments: &[&str]) -> Ran {
    machine.snap_with(arguments, &[("SNAP_REPOSITORY", repository), ("SNAP_KEY_FILE", "key")])
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
pub(super) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Asserts that what the machine's repository held comes back.
#[track_caller]
pub(super) fn assert_kept(machine: &Machine, repository: &str) {
    let target = tempfile::tempdir().expect("a folder");
    let out = target.path().to_str().expect("UTF-8");
    snap_at(machine, repository, &["restore", "latest", "--target", out, "--include", "**/folder/file"]).expect_code(0);
    let file = find(target.path(), "file").expect("it was restored");
    assert_eq!(fs::read_to_string(file).expect("read"), "content");
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().find_map(|entry| {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}

#[test]
fn a_wrong_key_and_a_missing_repository_have_their_status() {
    let machine = machine();
    Machine::write(&machine.work("other"), &format!("{}\n", "6b".repeat(32)));
    let ran = snap(&machine, &["snapshots", "--key-file", "other"]).expect_code(12);
    assert!(ran.stderr.contains("repository"), "{ran:?}");
    Machine::write(&machine.work("other"), "no key at all");
    let ran = snap(&machine, &["snapshots", "--key-file", "other"]).expect_code(12);
    assert!(ran.stderr.contains("\nhint: "), "{ran:?}");
    let ran = snap_at(&machine, "nowhere", &["snapshots"]).expect_code(10);
    assert!(ran.stderr.contains("nowhere") && ran.stderr.contains("\nhint: "), "{ran:?}");
}

/// Changes the first line of `config` and of its copy, under a right checksum.
fn forge(machine: &Machine, from: &str, to: &str) {
    for name in ["config", "config.copy"] {
        let path = machine.work("repository").join(name);
        let text = fs::read_to_string(&path).expect("read");
        let body = text.split("blake3 ").next().expect("it has one").replace(from, to);
        assert!(!text.contains(&body), "{from} is in {text}");
        let sum = blake3::hash(body.as_bytes());
        fs::remove_file(&path).expect("removed");
        fs::write(&path, format!("{body}blake3 {sum}\n")).expect("written");
    }
}

#[test]
fn a_newer_format_is_told_as_such() {
    for (from, to) in [("\"version\":1", "\"version\":2"), ("\"incompatible\":[]", "\"incompatible\":[\"shards\"]")] {
        let machine = machine();
        forge(&machine, from, to);
        for line in [&["snapshots"][..], &["backup", "source"], &["check"]] {
            let ran = snap(&machine, line).expect_code(1);
            assert!(ran.stderr.contains("newer"), "{ran:?}");
        }
    }
}

#[test]
fn a_damaged_config_is_served_by_its_copy_and_both_damaged_end_it() {
    let machine = machine();
    let damage = |name: &str| {
        let path = machine.work("repository").join(name);
        let mut bytes = fs::read(&path).expect("read");
        bytes[20] ^= 1;
        fs::write(&path, bytes).expect("written");
    };
    damage("config");
    let ran = snap(&machine, &["snapshots"]).expect_code(0);
    assert!(ran.stderr.contains("config") && ran.stderr.contains("copy served"), "{ran:?}");
    assert_kept(&machine, "repository");
    snap(&machine, &["check"]).expect_code(20);
    damage("config.copy");
    for line in [&["snapshots"][..], &["backup", "source"]] {
        let ran = snap(&machine, line).expect_code(1);
        assert!(ran.stderr.contains("config") && ran.stderr.contains("\nhint: "), "{ran:?}");
    }
}

#[test]
fn the_missing_half_of_a_pair_is_put_back_by_the_next_backup() {
    let machine = machine();
    let repository = machine.work("repository");
    let slot = fs::read_dir(repository.join("keys")).expect("listed").map(|entry| entry.expect("read").path());
    let slot = slot.into_iter().find(|path| path.extension().is_none()).expect("a slot");
    for half in [repository.join("config"), repository.join("config.copy"), slot.clone(), slot.with_extension("copy")] {
        let whole = fs::read(&half).expect("read");
        fs::remove_file(&half).expect("removed");
        snap(&machine, &["check"]).expect_code(20);
        snap(&machine, &["backup", "source"]).expect_code(0);
        assert_eq!(fs::read(&half).expect("it is back"), whole);
        snap(&machine, &["check"]).expect_code(0);
    }
}

#[test]
fn a_repository_that_is_a_file_or_elsewhere_is_named() {
    let machine = machine();
    Machine::write(&machine.work("plain"), "x");
    let ran = snap_at(&machine, "plain", &["snapshots"]).expect_code(10);
    assert!(ran.stderr.contains("plain"), "{ran:?}");
    for place in ["plain", "plain/below"] {
        let ran = snap_at(&machine, place, &["init"]);
        assert!([1, 13].contains(&ran.code) && ran.stderr.contains("plain"), "{ran:?}");
    }
    assert_eq!(fs::read_to_string(machine.work("plain")).expect("read"), "x");
    let ran = snap_at(&machine, "sftp://host/path", &["snapshots"]).expect_code(2);
    assert!(ran.stderr.contains("sftp://host/path") && ran.stderr.contains("version"), "{ran:?}");
    let ran = snap_at(&machine, "s3://key:secret@bucket/prefix", &["snapshots"]).expect_code(2);
    assert!(ran.stderr.contains("credentials") && !ran.stderr.contains("secret@"), "{ran:?}");
}

#[test]
fn a_path_that_is_not_there_is_a_gap_and_the_rest_is_kept() {
    let machine = machine();
    let ran = snap(&machine, &["backup", "source", "vanished"]).expect_code(3);
    assert!(ran.stderr.contains("vanished"), "{ran:?}");
    assert_kept(&machine, "repository");
    let ran = snap(&machine, &["backup", "vanished"]).expect_code(1);
    assert!(ran.stderr.contains("vanished"), "{ran:?}");
}

#[test]
fn without_a_home_a_named_repository_works_and_a_default_is_refused() {
    let machine = machine();
    let run = |arguments: &[&str]| {
        let mut command = machine.command(arguments);
        command.env_remove("HOME").env("SNAP_KEY_FILE", "key").output().expect("it starts")
    };
    let output = run(&["-r", "repository", "backup", "source"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn arguments_that_are_not_utf8_are_paths_or_usage() {
    let machine = machine();
    let odd = OsString::from_vec(b"odd-\xff".to_vec());
    fs::create_dir(machine.work("x").with_file_name(&odd)).expect("created");
    let run = |words: &[OsString]| {
        let mut command = machine.command(words);
        command.env("SNAP_KEY_FILE", "key").env("SNAP_REPOSITORY", "repository").output().expect("it starts")
    };
    assert_eq!(run(&["backup".into(), odd.clone()]).status.code(), Some(0));
    assert_eq!(run(&["restore".into(), "latest".into(), "--target".into(), odd.clone()]).status.code(), Some(0));
    assert_eq!(run(&["-r".into(), odd.clone(), "snapshots".into()]).status.code(), Some(10));
    for line in [&["backup", "source", "--tag"][..], &["ls"], &["--profile"], &["cat"]] {
        let words: Vec<OsString> = line.iter().map(OsString::from).chain([odd.clone()]).collect();
        let output = run(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let machine = machine();
    Machine::write(&machine.work("plain"), "x");
    Machine::write(&machine.work("source/more"), "more");
    for cache in ["plain", "plain/below", "/proc/none"] {
        for line in [&["backup", "source"][..], &["snapshots"], &["check", "--read-data"], &["ls", "latest"]] {
            snap(&machine, &[line, &["--cache-dir", cache]].concat()).expect_code(0);
        }
    }
}

#[test]
fn a_reader_that_leaves_ends_a_listing_quietly() {
    let machine = machine();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = machine.command(&["-r", "repository", "--key-file", "key", "ls", "latest"]);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("it starts");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn names_of_one_file_stay_one_file_when_one_of_them_is_restored_again() {
    use std::os::unix::fs::MetadataExt;
    let machine = machine();
    for first in ["folder/a", "folder/z"] {
        fs::write(machine.work("source/folder/a"), "linked").expect("written");
        fs::hard_link(machine.work("source/folder/a"), machine.work("source/folder/z")).expect("linked");
        snap(&machine, &["backup", "source"]).expect_code(0);
        let restore = ["restore", "latest", "--target", "out"];
        snap(&machine, &restore).expect_code(0);
        let [a, z] = ["a", "z"].map(|name| find(&machine.work("out"), name).expect("restored"));
        let changed = if first == "folder/a" { &a } else { &z };
        fs::remove_file(changed).expect("removed");
        fs::write(changed, "other").expect("written");
        snap(&machine, &restore).expect_code(0);
        assert_eq!(fs::read_to_string(changed).expect("read"), "linked");
        let file = |path: &Path| path.metadata().expect("there").ino();
        assert_eq!(file(&a), file(&z), "{first} was restored apart");
        fs::remove_file(machine.work("source/folder/z")).expect("removed");
    }
}

/// Runs the program as a user who may read nothing of root's; `None` where that cannot be.
fn as_nobody(machine: &Machine, arguments: &[&str]) -> Option<Ran> {
    let program = Path::new(env!("CARGO_BIN_EXE_snap"));
    // The build's own folder may be root's alone.
    let copy = machine.work("program");
    if !copy.exists() {
        fs::copy(program, &copy).expect("copied");
    }
    let all = machine.work("..");
    let opened = Command::new("chmod").args(["755"]).arg(&all).status().is_ok_and(|status| status.success());
    let given = Command::new("chown").args(["-R", "65534:65534"]).arg(&all).stderr(Stdio::null()).status();
    if !opened || !given.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(copy).args(arguments);
    command.env_clear().env("HOME", machine.home("")).env("SNAP_REPOSITORY", "repository").env("SNAP_KEY_FILE", "key");
    command.current_dir(machine.work(""));
    let probe = Command::new("setpriv").args(["--reuid", "65534", "--clear-groups", "true"]).status();
    probe.is_ok_and(|status| status.success()).then(|| Ran::of(&command.output().expect("it starts")))
}

#[test]
fn what_may_not_be_read_is_reported_and_the_rest_is_kept() {
    let machine = machine();
    for (name, mode) in [("closed-file", "000"), ("closed-folder", "600"), ("shut-folder", "000")] {
        let path = machine.work("source").join(name);
        if name.ends_with("file") {
            Machine::write(&path, "closed");
        } else {
            Machine::write(&path.join("inside"), "closed");
        }
        assert!(Command::new("chmod").arg(mode).arg(&path).status().expect("chmod starts").success());
    }
    let Some(ran) = as_nobody(&machine, &["backup", "source"]) else {
        skipped("it takes root to become another user");
        return;
    };
    let ran = ran.expect_code(3);
    for name in ["closed-file", "closed-folder", "shut-folder"] {
        assert!(ran.stderr.contains(name), "{name}: {ran:?}");
    }
    assert_kept(&machine, "repository");
    // A target that is somebody else's.
    let target = tempfile::tempdir().expect("a folder");
    let out = target.path().join("out");
    let ran = as_nobody(&machine, &["restore", "latest", "--target", out.to_str().expect("UTF-8")]).expect("as before");
    assert!(ran.code == 1 && ran.stderr.contains("out"), "{ran:?}");
}
