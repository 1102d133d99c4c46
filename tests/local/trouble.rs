//! What cannot be read becomes a gap; what is merely strange is captured.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, Mode, OFlags};
use snap::source::local::read::Span;
use snap::source::local::{FileSystems, LocalError, LocalRoot};

use crate::local::zoo::{Zoo, as_nobody, is_root, list, paths, skipped, texts};

fn set_mode(zoo: &Zoo, path: &str, mode: u32) {
    std::fs::set_permissions(zoo.at(path), std::fs::Permissions::from_mode(mode)).expect("mode");
}

#[test]
fn directory_that_cannot_be_listed_is_kept_with_a_gap() {
    let zoo = Zoo::new();
    zoo.file("a/x", b"");
    zoo.file("b", b"");
    set_mode(&zoo, "a", 0);
    let (found, gaps) = as_nobody(&zoo, |zoo| (texts(&zoo.root()), list(&zoo.root(), 2).1));
    set_mode(&zoo, "a", 0o755);
    assert_eq!(found, ["", "a/", "b"]);
    assert_eq!((gaps.len(), &*gaps[0].path, &*gaps[0].action), (1, "a/", "list"));
}

#[test]
fn directory_that_cannot_be_searched_has_a_gap_for_each_name() {
    let zoo = Zoo::new();
    zoo.file("a/x", b"");
    zoo.file("a/y", b"");
    set_mode(&zoo, "a", 0o444);
    let gaps = as_nobody(&zoo, |zoo| list(&zoo.root(), 2).1);
    set_mode(&zoo, "a", 0o755);
    assert_eq!(gaps.iter().map(|gap| &*gap.path).collect::<Vec<_>>(), ["a/x", "a/y"]);
}

#[test]
fn unreadable_file_is_listed_and_refused_with_its_reason() {
    let zoo = Zoo::new();
    zoo.file("f", b"x");
    set_mode(&zoo, "f", 0);
    let error = as_nobody(&zoo, |zoo| zoo.listed("f").open().map(drop)).expect_err("unreadable");
    assert!(matches!(error, LocalError::System { action: "open", .. }));
    assert!(error.gap().reason.contains("ermission denied"));
}

#[test]
fn file_of_someone_else_is_read_all_the_same() {
    let zoo = Zoo::new();
    zoo.file("f", b"abc");
    let content = as_nobody(&zoo, |zoo| {
        let mut content = Vec::new();
        zoo.listed("f").open().expect("open").read_into(&mut content, 10).map(|span| (span, content))
    });
    assert_eq!(content.expect("read"), (Span::Data(3), b"abc".to_vec()));
}

#[test]
fn labels_of_an_unreadable_file_are_no_error() {
    let zoo = Zoo::new();
    zoo.file("f", b"x");
    set_mode(&zoo, "f", 0);
    assert!(as_nobody(&zoo, |zoo| zoo.listed("f").attributes()).is_ok());
}

#[test]
fn names_outside_utf8_with_newlines_and_other_surprises_are_kept() {
    let zoo = Zoo::new();
    let names: [&[u8]; 7] = [b"\x01", b"\n", b" ", b"-rf", b"\\", b"\xc3\x28", b"\xff\xfe"];
    for name in names {
        std::fs::write(zoo.path().join(OsStr::from_bytes(name)), name).expect("file");
    }
    let mut expected: Vec<&[u8]> = names.to_vec();
    expected.push(b"");
    expected.sort_unstable();
    assert_eq!(paths(&zoo.root(), 2), expected);
    let (entries, _) = list(&zoo.root(), 2);
    for listed in &entries[1..] {
        let mut content = Vec::new();
        listed.open().expect("open").read_into(&mut content, 99).expect("read");
        assert_eq!(content, listed.path.as_bytes());
    }
}

#[test]
fn longest_names_are_kept() {
    let zoo = Zoo::new();
    zoo.file(&format!("{0}/{0}", "n".repeat(255)), b"");
    assert_eq!(paths(&zoo.root(), 2).pop().map(|path| path.len()), Some(511));
}

/// Makes a chain of directories, returns the innermost one's descriptor.
fn dig(zoo: &Zoo, name: &str, depth: usize) -> std::os::fd::OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = rustix::fs::openat(CWD, zoo.path(), flags, Mode::empty()).expect("open");
    for _ in 0..depth {
        rustix::fs::mkdirat(&here, name, Mode::RWXU).expect("directory");
        here = rustix::fs::openat(&here, name, flags, Mode::empty()).expect("open");
    }
    here
}

fn write_in(directory: &std::os::fd::OwnedFd, name: &str) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::RUSR).expect("create");
    rustix::io::write(&file, b"deep").expect("write");
}

#[test]
fn three_thousand_levels_are_walked_with_few_descriptors_and_read_afterwards() {
    let zoo = Zoo::large();
    write_in(&dig(&zoo, "d", 3000), "f");
    for threads in [1, 3] {
        let (entries, gaps) = list(&zoo.root(), threads);
        assert_eq!((entries.len(), gaps.len()), (3002, 0));
        let mut content = Vec::new();
        entries[3001].open().expect("open").read_into(&mut content, 10).expect("read");
        assert_eq!(content, b"deep");
        assert_eq!(entries[5].attributes().expect("attributes").withheld.len(), 0);
    }
    remove_deep(&zoo, "d");
}

#[test]
fn path_far_beyond_what_a_system_call_takes_is_walked_and_read() {
    let (zoo, name) = (Zoo::new(), "n".repeat(250));
    write_in(&dig(&zoo, &name, 60), "f");
    let (entries, gaps) = list(&zoo.root(), 2);
    assert_eq!((entries.len(), gaps.len()), (62, 0));
    assert!(entries[61].open().is_ok());
    remove_deep(&zoo, &name);
}

#[test]
fn path_longer_than_the_format_allows_is_a_gap() {
    let (zoo, name) = (Zoo::large(), "n".repeat(250));
    write_in(&dig(&zoo, &name, 262), "f");
    let (entries, gaps) = list(&zoo.root(), 2);
    assert_eq!((entries.len(), gaps.len()), (262, 1));
    assert!(entries.iter().all(|listed| listed.path.as_bytes().len() <= 65_536));
    remove_deep(&zoo, &name);
}

/// Moves each level up and removes its parent: no library removes what is deeper than a path can say.
fn remove_deep(zoo: &Zoo, name: &str) {
    while zoo.at(name).join(name).exists() {
        std::fs::rename(zoo.at(name).join(name), zoo.at("up")).expect("rename");
        std::fs::remove_dir_all(zoo.at(name)).expect("remove");
        std::fs::rename(zoo.at("up"), zoo.at(name)).expect("rename");
    }
}

#[test]
fn thousands_of_directories_held_at_once_do_not_exhaust_descriptors() {
    let zoo = Zoo::large();
    for number in 0..2_000 {
        zoo.file(&format!("{number:04}/f"), b"x");
    }
    let (entries, gaps) = list(&zoo.root(), 2);
    assert_eq!((entries.len(), gaps.len()), (4001, 0));
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    assert!(open < 1500, "{open} descriptors are open");
    assert!(entries.iter().filter(|listed| listed.open().is_ok()).count() == 2000);
}

#[test]
fn mount_point_is_kept_empty_on_one_file_system() {
    let zoo = Zoo::new();
    let mount = zoo.directory("m");
    zoo.file("after", b"");
    let run = |command: &str, arguments: &[&str]| {
        std::process::Command::new(command).args(arguments).arg(&mount).output().is_ok_and(|done| done.status.success())
    };
    if !is_root() || !run("mount", &["-t", "tmpfs", "none"]) {
        return skipped("mounting needs a privilege");
    }
    zoo.file("m/inside", b"");
    let one = texts(&LocalRoot { file_systems: FileSystems::One, ..zoo.root() });
    let all = texts(&zoo.root());
    assert!(run("umount", &[]));
    assert_eq!(one, ["", "after", "m/"]);
    assert_eq!(all, ["", "after", "m/", "m/inside"]);
}
