//! Small files a second into a restore's target, beside the bare system calls in the same run.
//!
//! `cargo bench --bench target [folder]`; the folder (by default on `/dev/shm`) should be in memory.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, open, openat};
use snap::entry::{Metadata, PosixMetadata, Timestamp};
use snap::operation::target::{Target, TargetOptions};

const FOLDERS: usize = 1000;
const FILES: usize = 100;
const ROUNDS: usize = 5;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from);
    let content = vec![b'x'; 1024];
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for (best, write) in best.iter_mut().zip([bare as fn(&Path, &[u8]), settled, changed]) {
            let place = folder.join(format!("snap-bench-{}", std::process::id()));
            std::fs::create_dir(&place).expect("a folder to write into");
            let start = Instant::now();
            write(&place, &content);
            *best = start.elapsed().min(*best);
            std::fs::remove_dir_all(&place).expect("the folder can be removed");
        }
    }
    let rate = |time: Duration| (FOLDERS * FILES) as f64 / time.as_secs_f64();
    println!("bare calls (open, write, set time, close)  {:>8.0} files/s", rate(best[0]));
    for (name, time) in [("target, own files", best[1]), ("target, mode set at the end", best[2])] {
        println!("{name:<42} {:>8.0} files/s  {:.2} of bare", rate(time), rate(time) / rate(best[0]));
    }
}

/// The fewest calls there are.
fn bare(place: &Path, content: &[u8]) {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let file = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let root = open(place, folder, Mode::empty()).expect("the place");
    let time = Timespec { tv_sec: 1_500_000_000, tv_nsec: 1 };
    let times = Timestamps { last_access: time, last_modification: time };
    for number in 0..FOLDERS {
        let name = format!("d{number}");
        mkdirat(&root, &name, Mode::RWXU).expect("a new folder");
        let directory = openat(&root, &name, folder, Mode::empty()).expect("the new folder");
        for number in 0..FILES {
            let file = openat(&directory, format!("f{number}"), file, Mode::from_raw_mode(0o644)).expect("a file");
            rustix::io::pwrite(&file, content, 0).expect("written");
            futimens(&file, &times).expect("dated");
        }
    }
}

/// Files that belong to whoever runs this, as a restore would write them.
fn settled(place: &Path, content: &[u8]) {
    restore(place, content, 0o644);
}

/// Files whose mode has to be set at the end.
fn changed(place: &Path, content: &[u8]) {
    restore(place, content, 0o1644);
}

fn restore(place: &Path, content: &[u8], mode: u32) {
    let target = Target::open(place, TargetOptions::default()).expect("a target");
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let modified = Timestamp { seconds: 1_500_000_000, nanoseconds: 1 };
    let user = uid.eq(&0).then(|| std::sync::Arc::from("root"));
    let metadata = PosixMetadata { mode, uid, gid, modified, group: user.clone(), user, ..PosixMetadata::default() };
    let metadata = Metadata::Posix(Box::new(metadata));
    for number in 0..FOLDERS {
        let path = format!("d{number}");
        for number in 0..FILES {
            let directory = target.directory(path.as_bytes()).expect("a folder");
            let file = target.create_file(&directory, format!("f{number}").as_bytes(), &metadata).expect("a file");
            file.write_at(content, 0).expect("written");
            file.finish(&metadata, &[]).expect("finished");
        }
        target.set_directory_metadata(path.as_bytes(), &metadata, &[]).expect("a folder's metadata");
    }
}
