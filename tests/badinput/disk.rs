//! Disks that are full or read-only. A small one in memory is mounted, which takes root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Machine, assert_kept, machine, skipped, snap_at};

/// A file system of its own, gone with the value.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// `None`, and a word, where nothing can be mounted.
    fn mount(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).expect("created");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(path).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return Some(Self { path: path.to_owned() });
        }
        skipped("a disk cannot be mounted here");
        None
    }

    fn remount(&self, option: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.path).status();
        assert!(status.expect("mount starts").success(), "{option}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that fails must not leave it behind.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn noise(path: &Path, size: usize) {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(path.as_os_str().as_encoded_bytes()).finalize_xof().fill(&mut bytes);
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_full_disk_ends_an_init_that_can_be_run_again() {
    let machine = machine();
    let Some(disk) = Disk::mount(&machine.work("disk"), "8k") else { return };
    let ran = snap_at(&machine, "disk/repository", &["init"]).expect_code(1);
    assert!(ran.stderr.contains("disk/repository") && ran.stderr.contains("\nhint: "), "{ran:?}");
    disk.remount("size=64m");
    snap_at(&machine, "disk/repository", &["init"]).expect_code(0);
    snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(0);
    snap_at(&machine, "disk/repository", &["check"]).expect_code(0);
    assert_kept(&machine, "disk/repository");
}

#[test]
fn a_full_disk_ends_a_backup_that_can_be_run_again() {
    let machine = machine();
    let Some(disk) = Disk::mount(&machine.work("disk"), "4m") else { return };
    snap_at(&machine, "disk/repository", &["init"]).expect_code(0);
    snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(0);
    noise(&machine.work("source/large"), 9_000_000);
    let ran = snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(1);
    assert!(ran.stderr.contains("disk/repository") && ran.stderr.contains("\nhint: free some space"), "{ran:?}");
    snap_at(&machine, "disk/repository", &["check"]).expect_code(0);
    assert_kept(&machine, "disk/repository");
    disk.remount("size=64m");
    snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(0);
    snap_at(&machine, "disk/repository", &["check", "--read-data"]).expect_code(0);
}

#[test]
fn a_full_disk_under_the_cache_is_done_without() {
    let machine = machine();
    let Some(_disk) = Disk::mount(&machine.work("disk"), "4k") else { return };
    noise(&machine.work("disk/fill"), 4096);
    for line in [&["backup", "source"][..], &["check", "--read-data"], &["ls", "latest"]] {
        snap_at(&machine, "repository", &[line, &["--cache-dir", "disk/cache"]].concat()).expect_code(0);
    }
    assert_kept(&machine, "repository");
}

#[test]
fn a_full_disk_ends_a_restore_that_can_be_run_again() {
    let machine = machine();
    noise(&machine.work("source/large"), 900_000);
    snap_at(&machine, "repository", &["backup", "source"]).expect_code(0);
    let Some(disk) = Disk::mount(&machine.work("disk"), "256k") else { return };
    let restore = ["restore", "latest", "--target", "disk/out"];
    let ran = snap_at(&machine, "repository", &restore);
    assert!([1, 3].contains(&ran.code) && ran.stderr.contains("large") && ran.stderr.contains("space"), "{ran:?}");
    disk.remount("size=16m");
    snap_at(&machine, "repository", &restore).expect_code(0);
    let restored = super::find(&machine.work("disk/out"), "large").expect("it is there");
    assert_eq!(std::fs::read(restored).expect("read"), std::fs::read(machine.work("source/large")).expect("read"));
}

#[test]
fn a_read_only_disk_can_be_read_and_says_so_when_written() {
    let machine = machine();
    let Some(disk) = Disk::mount(&machine.work("disk"), "16m") else { return };
    snap_at(&machine, "disk/repository", &["init"]).expect_code(0);
    snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(0);
    disk.remount("ro");
    for line in [&["snapshots"][..], &["check", "--read-data"], &["ls", "latest"]] {
        snap_at(&machine, "disk/repository", line).expect_code(0);
    }
    assert_kept(&machine, "disk/repository");
    Machine::write(&machine.work("source/more"), "more");
    let ran = snap_at(&machine, "disk/repository", &["backup", "source"]);
    assert!([1, 13].contains(&ran.code) && ran.stderr.contains("disk/repository"), "{ran:?}");
    let ran = snap_at(&machine, "repository", &["restore", "latest", "--target", "disk/out"]);
    assert!(ran.code == 1 && ran.stderr.contains("disk/out"), "{ran:?}");
    let ran = snap_at(&machine, "disk/second", &["init"]);
    assert!([1, 13].contains(&ran.code) && ran.stderr.contains("disk/second"), "{ran:?}");
}

#[test]
fn a_disk_without_a_byte_left_is_emptied_by_forgetting_and_pruning() {
    let machine = machine();
    let Some(_disk) = Disk::mount(&machine.work("disk"), "16m") else { return };
    snap_at(&machine, "disk/repository", &["init"]).expect_code(0);
    noise(&machine.work("source/large"), 9_000_000);
    snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(0);
    std::fs::remove_file(machine.work("source/large")).expect("it goes");
    snap_at(&machine, "disk/repository", &["backup", "source"]).expect_code(0);
    // Others fill it to the last byte, and not even an empty file can be made any more.
    let mut fill = std::fs::File::create(machine.work("disk/fill")).expect("created");
    let mut fill_up = || {
        for size in [1 << 20, 1 << 12, 1] {
            while std::io::Write::write_all(&mut fill, &vec![7; size]).is_ok() {}
        }
    };
    let reserve = machine.work("disk/repository/reserve");
    snap_at(&machine, "disk/repository", &["forget", "latest~1"]).expect_code(0);
    fill_up();
    let ran = snap_at(&machine, "disk/repository", &["prune", "--max-unused", "0"]).expect_code(0);
    assert!(ran.stdout.contains("freed") && reserve.exists(), "it is back: {ran:?}");
    snap_at(&machine, "disk/repository", &["tag", "latest", "--add", "kept"]).expect_code(0);
    fill_up();
    snap_at(&machine, "disk/repository", &["forget", "latest", "--even-last-complete", "--yes"]).expect_code(0);
    assert!(!reserve.exists(), "it made room for the mark");
    snap_at(&machine, "disk/repository", &["undo"]).expect_code(0);
    snap_at(&machine, "disk/repository", &["check", "--read-data"]).expect_code(0);
    std::fs::remove_file(machine.work("disk/fill")).expect("it goes");
    assert_kept(&machine, "disk/repository");
}
