//! Golden repositories and fresh ones of the same kinds: what both readers restore is what `tree.json` lists.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::python::{here, python, script, succeed};

/// Every kind of repository that `fixtures/make.sh` makes, with the number of its snapshots.
const VARIANTS: [(&str, usize); 7] = [
    ("chunk-lists", 1),
    ("empty", 0),
    ("interrupted", 1),
    ("key-file", 1),
    ("pages", 1),
    ("small", 1),
    ("two-snapshots", 2),
];

/// What the program does with a repository.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readings {
    Check,
    CheckAndRestore,
}

/// A repository with its secret, as `fixtures/make.sh` leaves it.
struct Golden {
    folder: PathBuf,
    secret: String,
}

impl Golden {
    fn open(parent: &Path, variant: &str) -> Self {
        let folder = parent.join(variant);
        let secret = fs::read_to_string(folder.join("secret")).expect("a secret");
        Self { folder, secret }
    }

    /// What its snapshots hold, oldest first.
    fn trees(&self) -> Vec<Value> {
        let text = fs::read(self.folder.join("tree.json")).expect("a list of what it holds");
        serde_json::from_slice(&text).expect("a list")
    }

    fn read(&self, arguments: &[&Path]) -> Command {
        let by: [OsString; 2] = if self.folder.ends_with("key-file") {
            ["--key-file".into(), self.folder.join("secret").into()]
        } else {
            ["--password-env".into(), "GOLDEN".into()]
        };
        let all = [self.folder.join("repository").into()].into_iter().chain(by);
        let mut command =
            script("tests/reader/read.py", all.chain(arguments.iter().map(|argument| (*argument).into())));
        command.env("GOLDEN", &self.secret);
        command
    }

    /// The snapshots it says it has, oldest first.
    fn snapshots(&self) -> Vec<String> {
        let listed = succeed(&mut self.read(&["list".as_ref()])).stdout;
        let listed: Vec<Value> = serde_json::from_slice(&listed).expect("a list");
        listed.iter().map(|snapshot| snapshot["id"].as_str().expect("an id").to_owned()).collect()
    }
}

#[track_caller]
fn assert_restored(tree: &Value, target: &Path) {
    let folder = target.join(tree["path"].as_str().expect("a path"));
    let listed = succeed(&mut script("tests/reader/listing.py", [&folder])).stdout;
    let listed: Vec<Value> = serde_json::from_slice(&listed).expect("a list");
    let expected = tree["entries"].as_array().expect("a list");
    assert!(expected.len() > 1, "{tree}");
    for (listed, expected) in listed.iter().zip(expected) {
        assert_eq!(listed, expected);
    }
    assert_eq!(listed.len(), expected.len());
}

#[track_caller]
fn assert_reads(golden: &Golden, snapshots: usize) {
    succeed(&mut golden.read(&["verify".as_ref()]));
    let (ids, trees) = (golden.snapshots(), golden.trees());
    assert_eq!((ids.len(), trees.len()), (snapshots, snapshots), "{}", golden.folder.display());
    for (id, tree) in ids.iter().zip(&trees) {
        let scratch = tempfile::tempdir().expect("a folder");
        let target = scratch.path().join("restored");
        succeed(&mut golden.read(&["restore".as_ref(), id.as_ref(), &target]));
        assert_restored(tree, &target);
    }
}

/// The program may write caches and marks, so it works on a copy.
#[track_caller]
fn assert_program_reads(golden: &Golden, snapshots: usize, readings: Readings) {
    let scratch = tempfile::tempdir().expect("a folder");
    let repository = scratch.path().join("repository");
    succeed(Command::new("cp").arg("-r").arg(golden.folder.join("repository")).arg(&repository));
    let snap = |arguments: &[&OsStr]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.args(arguments).arg("--repo").arg(&repository).env_clear().env("HOME", scratch.path());
        if golden.folder.ends_with("key-file") {
            command.env("SNAP_KEY_FILE", golden.folder.join("secret"));
        } else {
            command.env("SNAP_PASSWORD", &golden.secret);
        }
        succeed(&mut command);
    };
    snap(&["check".as_ref(), "--read-data".as_ref()]);
    if readings == Readings::Check {
        return;
    }
    let ids = golden.snapshots();
    assert_eq!(ids.len(), snapshots, "{}", golden.folder.display());
    for (id, tree) in ids.iter().zip(&golden.trees()) {
        let target = scratch.path().join(id);
        snap(&["restore".as_ref(), id.as_ref(), "--target".as_ref(), target.as_ref()]);
        assert_restored(tree, &target);
    }
}

fn variants_under(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Repositories that the program makes now, once for all tests.
fn fresh() -> &'static Path {
    static FRESH: OnceLock<PathBuf> = OnceLock::new();
    FRESH.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reader-fresh");
        fs::create_dir_all(&folder).and_then(|()| fs::remove_dir_all(&folder)).expect("no folder");
        let mut make = Command::new(here("fixtures/make.sh"));
        succeed(make.arg(env!("CARGO_BIN_EXE_snap")).arg(python()).arg(&folder));
        folder
    })
}

/// The folder of golden repositories and those in it, which are all or, before the format is frozen, none.
fn kept() -> (PathBuf, Vec<(&'static str, usize)>) {
    let page = fs::read_to_string(here("FORMAT.md")).expect("the page");
    let wanted = if page.trim_end().ends_with("Frozen.") { VARIANTS.to_vec() } else { Vec::new() };
    let folder = here("fixtures/v1");
    assert_eq!(variants_under(&folder), wanted.iter().map(|(variant, _)| *variant).collect::<Vec<_>>());
    (folder, wanted)
}

#[test]
fn what_is_written_now_is_read_by_the_second_reader() {
    assert_eq!(variants_under(fresh()), VARIANTS.map(|(variant, _)| variant));
    for (variant, snapshots) in VARIANTS {
        assert_reads(&Golden::open(fresh(), variant), snapshots);
    }
}

#[test]
fn what_was_once_written_is_read_by_the_second_reader() {
    let (folder, variants) = kept();
    for (variant, snapshots) in variants {
        assert_reads(&Golden::open(&folder, variant), snapshots);
    }
}

#[test]
fn the_program_finds_nothing_damaged() {
    let (folder, variants) = kept();
    for (variant, snapshots) in variants {
        assert_program_reads(&Golden::open(&folder, variant), snapshots, Readings::Check);
    }
    for (variant, snapshots) in VARIANTS {
        assert_program_reads(&Golden::open(fresh(), variant), snapshots, Readings::Check);
    }
}

#[test]
#[ignore = "until restore is wired"]
fn the_program_restores_what_was_captured() {
    let (folder, variants) = kept();
    for (variant, snapshots) in variants {
        assert_program_reads(&Golden::open(&folder, variant), snapshots, Readings::CheckAndRestore);
    }
    for (variant, snapshots) in VARIANTS {
        assert_program_reads(&Golden::open(fresh(), variant), snapshots, Readings::CheckAndRestore);
    }
}

#[test]
fn one_flipped_bit_in_any_object_is_named_by_the_second_reader() {
    let scratch = tempfile::tempdir().expect("a folder");
    succeed(Command::new("cp").arg("-r").arg(fresh().join("key-file")).arg(scratch.path()));
    let golden = Golden::open(scratch.path(), "key-file");
    let mut objects = Vec::new();
    list_files(&golden.folder.join("repository"), &mut objects);
    assert!(objects.len() >= 8, "{objects:?}");
    for object in objects {
        let whole = fs::read(&object).expect("read");
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&object, damaged).expect("written");
        let ran = golden.read(&["verify".as_ref()]).output().expect("it starts");
        assert_eq!(ran.status.code(), Some(1), "{}: {ran:?}", object.display());
        assert!(String::from_utf8_lossy(&ran.stderr).starts_with("read.py: "), "{}: {ran:?}", object.display());
        fs::write(&object, whole).expect("written");
    }
    succeed(&mut golden.read(&["verify".as_ref()]));
}

fn list_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            list_files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}
