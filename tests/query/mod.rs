//! Commands that ask a repository and change nothing of what snapshots hold, driven through the program.
//!
//! Each test has a machine and a repository of its own, opened by a key file, since passwords are slow by design.

mod check;
mod diff;
mod key;
mod list;
mod log;
mod tag;

use std::path::{Path, PathBuf};

use crate::cli::harness::{Machine, Ran};

/// A machine with a repository at `repository`, and a folder `site` to capture.
pub(crate) struct Store {
    pub(crate) machine: Machine,
}

/// The variables that open the repository.
pub(crate) const KEY: (&str, &str) = ("SNAP_KEY_FILE", "key");

impl Store {
    /// With an empty repository.
    pub(crate) fn new() -> Self {
        let store = Self { machine: Machine::new() };
        Machine::write(&store.machine.work("key"), &format!("{}\n", "17".repeat(32)));
        store.snap(&["init"]).expect_code(0);
        store
    }

    /// Runs the program on the repository.
    pub(crate) fn snap(&self, arguments: &[&str]) -> Ran {
        self.machine.snap_with(&[&["-r", "repository"], arguments].concat(), &[KEY])
    }

    /// A path under the captured folder.
    pub(crate) fn site(&self, name: &str) -> PathBuf {
        self.machine.work("site").join(name)
    }

    /// Writes a file of the captured folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        Machine::write(&self.site(name), text);
    }

    /// Captures the folder with further arguments; the snapshot's id.
    #[track_caller]
    pub(crate) fn backup_with(&self, arguments: &[&str]) -> String {
        let all = [&["backup", "site", "--json", "--series", "s"], arguments].concat();
        let ran = self.snap(&all).expect_code(0);
        let summary = ran.json_lines().pop().expect("a summary");
        summary["snapshot"].as_str().expect("an id").to_owned()
    }

    /// Captures the folder; the snapshot's id.
    #[track_caller]
    pub(crate) fn backup(&self) -> String {
        self.backup_with(&[])
    }

    /// The path in the layout of a file of the captured folder; of the folder itself if the name is empty.
    pub(crate) fn layout(&self, name: &str) -> String {
        let site = self.machine.work("site").canonicalize().expect("it is there");
        format!("local{}/{name}", site.display())
    }

    /// The objects of the repository whose names begin so, sorted.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let root = self.machine.work("repository");
        let mut found = Vec::new();
        collect(&root.join(prefix), &mut found);
        found.sort();
        found
    }

    /// The data packs, largest first.
    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let mut packs = self.objects("packs");
        packs.sort_by_key(|path| std::cmp::Reverse(path.metadata().expect("it is there").len()));
        packs
    }

    /// Forgets what is cached of the repository.
    pub(crate) fn drop_cache(&self) {
        let _ = std::fs::remove_dir_all(self.machine.home(".cache"));
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// Flips one byte of an object.
pub(crate) fn flip(object: &Path, at: usize) {
    let mut bytes = std::fs::read(object).expect("it is there");
    bytes[at] ^= 0x40;
    replace(object, &bytes);
}

/// Puts other bytes under an object's name, as damage would.
pub(crate) fn replace(object: &Path, bytes: &[u8]) {
    std::fs::remove_file(object).expect("it is there");
    std::fs::write(object, bytes).expect("written");
}

/// Bytes that do not compress and differ for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    std::iter::repeat_with(step).take(length).collect()
}
