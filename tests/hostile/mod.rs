//! Repositories written by somebody who holds the keys and means harm.
//!
//! Each case forges one, then runs the built program on it with a gibibyte of address space and half a minute of processor
//! time. Whatever is in it: no panic, no signal, nothing outside the target, nothing that a terminal obeys, and a message that names
//! the thing.

mod delta;
mod document;
mod forge;
mod page;
mod path;
mod size;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use forge::{Forge, picture};

/// Address space a run may have, in KiB.
const ADDRESS_SPACE: u32 = 1 << 20;
/// Seconds of processor time a run may take.
const SECONDS: u32 = 30;
/// Bytes on disk that a restored target may take.
const DISK_MAX: u64 = 64 << 20;

/// How one run ended and what it said.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Forge {
    fn snap(&self, name: &str, arguments: &[&str]) -> Ran {
        let script = format!("ulimit -c 0; ulimit -v {ADDRESS_SPACE}; ulimit -t {SECONDS}; exec \"$0\" \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_snap")])
            .args(arguments)
            .arg("--repo")
            .arg(self.path("repository"))
            .arg("--key-file")
            .arg(self.path("key"))
            .arg("--no-progress")
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.path(""))
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let code = output.status.code();
        let code = code.unwrap_or_else(|| panic!("{name}: {arguments:?} ended by {}: {stderr}", output.status));
        assert!(!stderr.contains("panicked") && code != 101, "{name}: {arguments:?} panics: {stderr}");
        for said in [&stdout, &stderr] {
            let obeyed = |c: char| c.is_control() && c != '\n';
            assert!(!said.contains(obeyed), "{name}: {arguments:?} prints control characters: {said:?}");
        }
        Ran { code, stdout, stderr }
    }

    /// Runs every command that reads, and restores; nothing may harm anything.
    fn withstand(&self, name: &str) -> Outcome {
        let outside = picture(&self.path("outside"));
        let repository = picture(&self.path("repository"));
        let ls = self.snap(name, &["ls"]);
        for arguments in [&["ls", "--json"][..], &["snapshots"], &["snapshots", "--json"], &["stats"], &["find", "zz"]]
        {
            self.snap(name, arguments);
        }
        let check = self.snap(name, &["check"]);
        self.snap(name, &["check", "--read-data", "--json"]);
        let restore = self.snap(name, &["restore", "latest", "--target", "target"]);
        self.snap(name, &["restore", "latest", "--target", "target", "--json"]);
        assert_eq!(picture(&self.path("outside")), outside, "{name}: something outside changed");
        assert_eq!(picture(&self.path("repository")), repository, "{name}: the repository changed");
        self.assert_nothing_else(name);
        Outcome { name: name.to_owned(), ls, check, restore, restored: self.restored() }
    }

    /// That only what this folder should hold is in it.
    fn assert_nothing_else(&self, name: &str) {
        let known = ["home", "key", "outside", "repository", "target"];
        for entry in fs::read_dir(self.path("")).expect("a listing") {
            let found = entry.expect("an entry").file_name();
            assert!(known.iter().any(|known| found == *known), "{name}: {found:?} appeared beside the target");
        }
    }

    /// What stands in the target, by its path there, with its content.
    fn restored(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        use std::os::unix::fs::MetadataExt;
        let target = self.path("target");
        let mut restored = BTreeMap::new();
        if !target.exists() {
            return restored;
        }
        let mut waiting = vec![target.clone()];
        let mut blocks = 0;
        while let Some(path) = waiting.pop() {
            let status = fs::symlink_metadata(&path).expect("status");
            blocks += status.blocks();
            let mut content = Vec::new();
            // What lies too deep for a path is only counted as the folder it begins with.
            if status.is_dir() && path.as_os_str().len() < 3000 {
                waiting.extend(fs::read_dir(&path).expect("listing").map(|entry| entry.expect("entry").path()));
            } else if status.is_file() && status.len() < 1 << 20 {
                content = fs::read(&path).expect("content");
            }
            let inside = path.strip_prefix(&target).expect("it is inside").to_owned();
            restored.insert(inside, content);
        }
        assert!(blocks * 512 <= DISK_MAX, "the target takes {blocks} blocks");
        restored
    }
}

/// What came of one case.
#[derive(Debug)]
struct Outcome {
    name: String,
    ls: Ran,
    check: Ran,
    restore: Ran,
    restored: BTreeMap<PathBuf, Vec<u8>>,
}

impl Outcome {
    /// The restore ends with this code and says all of these.
    #[track_caller]
    fn restore_says(self, code: i32, words: &[&str]) -> Self {
        self.assert_says(&self.restore, code, words);
        self
    }

    /// The check ends with this code and says all of these.
    #[track_caller]
    fn check_says(self, code: i32, words: &[&str]) -> Self {
        self.assert_says(&self.check, code, words);
        self
    }

    /// The listing ends with this code and says all of these.
    #[track_caller]
    fn ls_says(self, code: i32, words: &[&str]) -> Self {
        self.assert_says(&self.ls, code, words);
        self
    }

    #[track_caller]
    fn assert_says(&self, ran: &Ran, code: i32, words: &[&str]) {
        assert_eq!(ran.code, code, "{}: {ran:?}", self.name);
        for word in words {
            let said = ran.stderr.contains(word) || ran.stdout.contains(word);
            assert!(said, "{}: {word:?} is not said: {ran:?}", self.name);
        }
    }

    /// This file stands in the target, and nothing else that is a file.
    #[track_caller]
    fn restores(self, path: &str) -> Self {
        assert!(self.restored.contains_key(&PathBuf::from(path)), "{}: no {path}: {self:?}", self.name);
        self
    }

    /// Nothing of this name stands anywhere in the target.
    #[track_caller]
    fn lacks(self, name: &str) -> Self {
        let found = self.restored.keys().find(|path| path.file_name().is_some_and(|found| found == name));
        assert_eq!(found, None, "{}: {self:?}", self.name);
        self
    }
}
