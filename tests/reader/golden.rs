//! Golden repositories and fresh ones of the same kinds: what both readers restore is what `tree.json` lists.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::python::{here, python, script, succeed};
use super::{chacha20, files_below};

/// Every kind of repository that `fixtures/make.sh` makes, and the one of `chacha20.rs`, with the number of its snapshots.
const VARIANTS: [(&str, usize); 9] = [
    ("chacha20", 1),
    ("chunk-lists", 1),
    ("empty", 0),
    ("interrupted", 1),
    ("key-file", 1),
    ("pages", 1),
    ("pruned", 5),
    ("small", 1),
    ("two-snapshots", 2),
];

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
        self.script("tests/reader/read.py", arguments)
    }

    fn verify(&self) -> Command {
        self.script("tests/reader/verify.py", &[])
    }

    fn script(&self, path: &str, arguments: &[&Path]) -> Command {
        let mut by = OsString::from("env:GOLDEN");
        if self.folder.ends_with("key-file") {
            by = "file:".into();
            by.push(self.folder.join("secret"));
        }
        let opening = [self.folder.join("repository").into(), by];
        let mut command = script(path, opening.into_iter().chain(arguments.iter().map(|argument| (*argument).into())));
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
    succeed(&mut golden.verify());
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
fn assert_program_reads(golden: &Golden, snapshots: usize) {
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
        chacha20::make(&folder);
        folder
    })
}

/// The folder of golden repositories, which are all that are listed.
fn kept() -> PathBuf {
    let folder = here("fixtures/v1");
    assert_eq!(variants_under(&folder), VARIANTS.map(|(variant, _)| variant));
    folder
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
    let folder = kept();
    for (variant, snapshots) in VARIANTS {
        assert_reads(&Golden::open(&folder, variant), snapshots);
    }
}

#[test]
fn the_program_restores_what_was_once_written_and_finds_nothing_damaged() {
    let folder = kept();
    for (variant, snapshots) in VARIANTS {
        assert_program_reads(&Golden::open(&folder, variant), snapshots);
    }
}

#[test]
fn the_program_restores_what_it_writes_now_and_finds_nothing_damaged() {
    for (variant, snapshots) in VARIANTS {
        assert_program_reads(&Golden::open(fresh(), variant), snapshots);
    }
}

#[test]
fn golden_repositories_stay_small() {
    let mut all = 0;
    for (variant, _) in VARIANTS {
        let sizes =
            files_below(&kept().join(variant)).into_iter().map(|file| fs::metadata(file).expect("a file").len());
        let size: u64 = sizes.sum();
        assert!(size <= 250 << 10, "{variant} has {size} bytes");
        all += size;
    }
    assert!(all < 1 << 20, "{all} bytes");
}

#[test]
fn the_second_reader_is_short() {
    let text = fs::read_to_string(here("tests/reader/read.py")).expect("the reader");
    assert!(text.lines().count() <= 400, "read.py has {} lines", text.lines().count());
    assert!(!text.contains("import verify") && !text.contains("from verify"), "the reader stands alone");
}

#[test]
fn one_flipped_bit_in_any_object_is_named_by_the_second_reader() {
    let scratch = tempfile::tempdir().expect("a folder");
    succeed(Command::new("cp").arg("-r").arg(fresh().join("key-file")).arg(scratch.path()));
    let golden = Golden::open(scratch.path(), "key-file");
    let objects = files_below(&golden.folder.join("repository"));
    assert!(objects.len() >= 8, "{objects:?}");
    for object in objects {
        let whole = fs::read(&object).expect("read");
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&object, damaged).expect("written");
        let ran = golden.verify().output().expect("it starts");
        assert_eq!(ran.status.code(), Some(1), "{}: {ran:?}", object.display());
        assert!(String::from_utf8_lossy(&ran.stderr).starts_with("verify.py: "), "{}: {ran:?}", object.display());
        fs::write(&object, whole).expect("written");
    }
    succeed(&mut golden.verify());
}
