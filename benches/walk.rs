//! Entries listed a second, warm, with one and two threads, beside the standard library's own way.
//!
//! `cargo bench --bench walk -- <directory>`; the standard library's recursion sorts and asks by full path.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use snap::source::local::LocalRoot;
use snap::source::local::walk::{Walked, walk};

const ROUNDS: usize = 7;

fn main() {
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or("/usr".to_owned());
    let root = LocalRoot::new(&directory);
    let report = |name: &str, (entries, time): (u64, Duration)| {
        let rate = entries as f64 / time.as_secs_f64() / 1000.0;
        println_line(&format!(
            "{name:<28} {entries:>9} entries {:>8.1} ms {rate:>8.0} k/s",
            time.as_secs_f64() * 1000.0
        ));
    };
    println_line(&format!("{directory}, warm, best of {ROUNDS}"));
    for threads in [1, 2, 3] {
        report(&format!("walk, {threads} threads"), best(|| snap_walk(&root, threads)));
    }
    report("std by full path, 1 thread", best(|| std_walk(Path::new(&directory))));
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn println_line(line: &str) {
    println!("{line}");
}

fn best(mut run: impl FnMut() -> u64) -> (u64, Duration) {
    let mut timed = || {
        let start = Instant::now();
        let entries = run();
        (entries, start.elapsed())
    };
    timed();
    (0..ROUNDS).map(|_| timed()).min_by_key(|(_, time)| *time).expect("because there is more than one round")
}

fn snap_walk(root: &LocalRoot, threads: usize) -> u64 {
    let walk = walk(root, threads).expect("because the directory to measure exists");
    let is_entry = |walked: &&Walked| matches!(walked, Walked::Entry(_));
    walk.map(|batch| batch.iter().filter(is_entry).count() as u64).sum()
}

fn std_walk(directory: &Path) -> u64 {
    let mut names: Vec<_> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => return 1,
    };
    names.sort_by(|left, right| left.as_os_str().as_bytes().cmp(right.as_os_str().as_bytes()));
    let mut entries = 1;
    for path in names {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => entries += std_walk(&path),
            Ok(metadata) => entries += u64::from(metadata.size() != u64::MAX),
            Err(_) => {}
        }
    }
    entries
}
