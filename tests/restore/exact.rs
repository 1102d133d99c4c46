//! What comes back is what was captured, in bytes and in all else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use super::{Bench, picture};

fn set_time(path: &std::path::Path, nanoseconds: i64) {
    let time = Timespec { tv_sec: 1_500_000_000, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn a_zoo_comes_back_as_it_was() {
    let bench = Bench::new();
    bench.write("deep/er/large", 3_000_000);
    bench.write("deep/er/middle", 70_000);
    bench.write("small", 2_000);
    fs::write(bench.live("inline"), "hello").unwrap();
    fs::write(bench.live("empty"), "").unwrap();
    fs::create_dir(bench.live("closed")).unwrap();
    fs::hard_link(bench.live("small"), bench.live("deep/same as small")).unwrap();
    fs::hard_link(bench.live("deep/er/large"), bench.live("zz same as large")).unwrap();
    symlink("../nowhere", bench.live("deep/link")).unwrap();
    mknodat(CWD, bench.live("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    fs::write(bench.folder.path().join("live").join(bad_name()), "x").unwrap();
    fs::set_permissions(bench.live("small"), fs::Permissions::from_mode(0o400)).unwrap();
    for (nanoseconds, path) in (7..).zip(["small", "deep/link", "deep/er", "deep", "closed", ""]) {
        set_time(&bench.live(path), nanoseconds);
    }
    fs::set_permissions(bench.live("closed"), fs::Permissions::from_mode(0o555)).unwrap();

    let report = bench.restore(&bench.backup(), &bench.request());

    assert_eq!(picture(&bench.out("")), picture(&bench.live("")));
    assert_eq!((report.lost, report.skipped, report.unset, report.kept), (0, 0, 0, 0));
}

#[cfg(target_os = "linux")]
fn bad_name() -> &'static std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(b"not \xff UTF-8 %~")
}

#[cfg(not(target_os = "linux"))]
fn bad_name() -> &'static std::ffi::OsStr {
    std::ffi::OsStr::new("plain %~")
}

#[test]
fn attributes_come_back_short_and_long() {
    let bench = Bench::new();
    bench.write("file", 600);
    fs::create_dir(bench.live("folder")).unwrap();
    let long = vec![b'z'; 3_000];
    for path in ["file", "folder"] {
        if xattr::set(bench.live(path), "user.short", b"bar").is_err() {
            return;
        }
        let _kept_where_there_is_room = xattr::set(bench.live(path), "user.long", &long);
    }
    bench.restore(&bench.backup(), &bench.request());
    for path in ["file", "folder"] {
        for name in ["user.short", "user.long"] {
            let found = xattr::get(bench.out(path), name).unwrap();
            assert_eq!(found, xattr::get(bench.live(path), name).unwrap(), "{path} {name}");
        }
    }
}

#[test]
fn holes_come_back_as_holes() {
    let bench = Bench::new();
    let file = fs::File::create(bench.live("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[1; 5000], 5_000_000).unwrap();
    file.set_len(20_000_000).unwrap();
    fs::File::create(bench.live("zeros")).unwrap().set_len(3_000_000).unwrap();
    bench.restore(&bench.backup(), &bench.request());
    for name in ["sparse", "zeros"] {
        assert_eq!(fs::read(bench.out(name)).unwrap(), fs::read(bench.live(name)).unwrap(), "{name}");
        let blocks = |path| fs::metadata(path).unwrap().blocks();
        assert!(blocks(bench.out(name)) <= blocks(bench.live(name)) + 16, "{name} has no holes");
    }
}

#[test]
fn files_of_more_pieces_than_a_window_takes_come_back() {
    let bench = Bench::new();
    bench.write("aa", 9_000_000);
    // One chunk many times over: a run of equal bytes is cut into equal pieces.
    fs::write(bench.live("same"), vec![7_u8; 40_000_000]).unwrap();
    for number in 0..900 {
        fs::write(bench.live(&format!("copy {number}")), super::noise(b"copied", 200_000)).unwrap();
    }
    bench.restore(&bench.backup(), &bench.request());
    assert_eq!(picture(&bench.out("")), picture(&bench.live("")));
}

#[test]
fn a_single_file_as_root_comes_back() {
    let bench = Bench::new();
    bench.write("one", 5_000);
    let record = bench.backup_root(snap::source::local::LocalRoot::new(bench.live("one")), &[]);
    let whole = snap::operation::restore::RestoreRequest { inside: None, ..bench.request() };
    bench.restore(&record, &whole);
    let there = bench.out(&format!("{}/one", bench.layout()));
    assert_eq!(fs::read(there).unwrap(), fs::read(bench.live("one")).unwrap());
}
