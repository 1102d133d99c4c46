//! Mounted trees, seen by what knows nothing of snap: all that was captured is there, to the last nanosecond.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FileType, Mode, SeekFrom, mknodat, seek};

use super::mounted::{Mounted, can_mount};
use crate::query::{Store, noise};

/// All that `stat`, `readlink`, `listxattr` and `read` tell of a thing.
#[derive(Debug, PartialEq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    modified: (i64, i64),
    names: u64,
    device: u64,
    link: PathBuf,
    xattrs: BTreeMap<OsString, Vec<u8>>,
    /// The paths of the same inode; content is compared for the first only.
    same: Vec<PathBuf>,
    content: Option<[u8; 32]>,
}

/// Everything below a folder and the folder itself, by a walk of its own.
fn walk(top: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen: BTreeMap<PathBuf, Seen> = BTreeMap::new();
    let mut inodes: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let whole = if path.as_os_str().is_empty() { top.to_owned() } else { top.join(&path) };
        let status = fs::symlink_metadata(&whole).unwrap_or_else(|error| panic!("{}: {error}", whole.display()));
        let kind = status.file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(&whole).expect("it is listed") {
                let entry = entry.expect("listed");
                assert_eq!(entry.ino(), entry.metadata().expect("it is there").ino(), "{entry:?}");
                waiting.push(path.join(entry.file_name()));
            }
        }
        let names = xattr::list(&whole).map(|names| names.collect::<Vec<_>>()).unwrap_or_default();
        let value = |name: &OsString| xattr::get(&whole, name).expect("it is read").expect("it is there");
        let xattrs = names.iter().map(|name| (name.clone(), value(name))).collect();
        inodes.entry(status.ino()).or_default().push(path.clone());
        let is_folder = kind.is_dir();
        let one = Seen {
            mode: status.mode(),
            owner: (status.uid(), status.gid()),
            size: if is_folder { 0 } else { status.size() },
            modified: (status.mtime(), status.mtime_nsec()),
            names: if is_folder { 0 } else { status.nlink() },
            device: if kind.is_char_device() || kind.is_block_device() { status.rdev() } else { 0 },
            link: if kind.is_symlink() { fs::read_link(&whole).expect("it is read") } else { PathBuf::new() },
            xattrs,
            same: Vec::new(),
            content: kind.is_file().then(|| digest(&whole, status.size())),
        };
        seen.insert(path, one);
    }
    for mut same in inodes.into_values() {
        same.sort();
        for path in &same {
            seen.get_mut(path).expect("it was seen").same.clone_from(&same);
        }
    }
    seen
}

/// A hash of the content; of a file of terabytes the first and the last megabyte.
fn digest(path: &Path, size: u64) -> [u8; 32] {
    let mut file = File::open(path).expect("it opens");
    let mut bytes = Vec::new();
    if size > 1 << 30 {
        bytes.resize(2 << 20, 0);
        let (first, last) = bytes.split_at_mut(1 << 20);
        file.read_exact_at(first, 0).expect("read");
        file.read_exact_at(last, size - (1 << 20)).expect("read");
    } else {
        file.read_to_end(&mut bytes).expect("read");
    }
    snap::codec::hash::digest(&bytes)
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).expect("set");
}

/// A folder with one of everything.
fn fill(site: &Path) {
    fs::create_dir_all(site.join("folder/deeper/deepest")).expect("created");
    fs::create_dir(site.join("empty")).expect("created");
    fs::write(site.join("nothing"), b"").expect("written");
    fs::write(site.join("inline"), b"a few bytes").expect("written");
    fs::write(site.join("small"), noise(1, 5_000)).expect("written");
    fs::write(site.join("folder/large"), noise(2, 9_000_001)).expect("written");
    fs::write(site.join("folder.txt"), b"between folder and what is in it").expect("written");
    fs::write(site.join(OsString::from_vec(b"not \xff\xfe utf-8".to_vec())), b"x").expect("written");
    fs::write(site.join("n".repeat(255)), b"a long name").expect("written");
    symlink("folder/large", site.join("link")).expect("linked");
    symlink(OsString::from_vec(b"nowhere/\xff".to_vec()), site.join("dangling")).expect("linked");
    for name in ["folder/deeper/hard", "zz-hard"] {
        fs::hard_link(site.join("folder/large"), site.join(name)).expect("linked");
    }
    let sparse = File::create(site.join("sparse")).expect("created");
    sparse.set_len(3 << 40).expect("longer");
    sparse.write_all_at(&noise(3, 300_000), 1 << 40).expect("written");
    for (name, kind, device) in [
        ("fifo", FileType::Fifo, 0),
        ("socket", FileType::Socket, 0),
        ("character", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ("block", FileType::BlockDevice, rustix::fs::makedev(259, 70_000)),
    ] {
        mknodat(rustix::fs::CWD, site.join(name), kind, Mode::from_raw_mode(0o640), device).expect("made");
    }
    for (name, mode) in [("small", 0o4751), ("inline", 0o000), ("folder", 0o1777), ("empty", 0o2500)] {
        fs::set_permissions(site.join(name), fs::Permissions::from_mode(mode)).expect("set");
    }
    std::os::unix::fs::chown(site.join("nothing"), Some(1234), Some(5678)).expect("owned");
    for path in ["small", "folder", "folder/large"] {
        xattr::set(site.join(path), "user.short", b"value").expect("set");
    }
    xattr::set(site.join("small"), "user.empty", b"").expect("set");
    xattr::set(site.join("small"), "user.long", &noise(4, 3000)).expect("set");
    xattr::set(site.join("small"), "trusted.secret", b"\0\xff").expect("set");
    // user::rwx user:1:r-- group::r-x mask::r-x other::--x
    let acl = b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\x04\0\x05\0\xff\xff\xff\xff\
                \x10\0\x05\0\xff\xff\xff\xff\x20\0\x01\0\xff\xff\xff\xff";
    xattr::set(site.join("small"), "system.posix_acl_access", acl).expect("set");
    set_time(&site.join("inline"), -5, 300_000_000);
    set_time(&site.join("link"), 1_000_000_000, 123_456_789);
    set_time(&site.join("folder"), 4_000_000_000, 999_999_999);
}

/// A store with a backup of one of everything.
fn filled() -> Store {
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    fill(&store.site(""));
    store.backup();
    store
}

#[test]
fn everything_is_there_as_it_was() {
    if !can_mount() {
        return;
    }
    let store = filled();
    let mounted = Mounted::new(&store, "m", &[]);
    let (source, shown) = (walk(&store.site("")), walk(&mounted.site(&store, "latest")));
    assert!(source.keys().eq(shown.keys()), "{:?} {:?}", source.keys(), shown.keys());
    for (path, expected) in &source {
        assert_eq!(&shown[path], expected, "{}", path.display());
    }
    let both = [store.site(""), mounted.site(&store, "latest")];
    let is_special = ["fifo", "socket", "character", "block", "sparse"];
    let exclude = is_special.map(|name| format!("--exclude={name}"));
    let differ = Command::new("diff").args(["-r", "--no-dereference"]).args(exclude).args(both).output().expect("runs");
    assert!(differ.status.success(), "{differ:?}");
    mounted.end();
}

#[test]
fn holes_cost_nothing_and_are_found_by_who_looks_for_them() {
    if !can_mount() {
        return;
    }
    let store = filled();
    let mounted = Mounted::new(&store, "m", &[]);
    let path = mounted.site(&store, "latest").join("sparse");
    let file = File::open(&path).expect("it opens");
    let at = |whence| seek(&file, whence).map_err(|error| error.raw_os_error());
    // Data begins and ends within a chunk of where it was written.
    let start = at(SeekFrom::Data(0)).expect("there is data");
    assert!(start <= 1 << 40 && start > (1 << 40) - (1 << 20), "{start}");
    let end = at(SeekFrom::Hole(start)).expect("it ends");
    assert!(((1 << 40) + 300_000..(1 << 40) + (1 << 20)).contains(&end), "{end}");
    assert_eq!(at(SeekFrom::Data(end as _)), Err(rustix::io::Errno::NXIO.raw_os_error()));
    assert_eq!(at(SeekFrom::Hole(2 << 40)), Ok(2 << 40));
    let status = file.metadata().expect("its status");
    assert!(status.blocks() * 512 < 2 << 20, "{}", status.blocks());
    // Five terabytes would not be read within a test.
    let copied = store.machine.work("copy");
    let ran = Command::new("cp").arg("--sparse=always").args([&path, &copied]).status().expect("it runs");
    assert!(ran.success() && fs::metadata(&copied).expect("copied").blocks() * 512 < 2 << 20);
    mounted.end();
}

#[test]
fn any_stretch_of_a_file_is_read_by_many_at_once() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    let contents: Vec<Vec<u8>> = (10..14).map(|seed| noise(seed, 6_000_077)).collect();
    for (name, content) in contents.iter().enumerate() {
        fs::write(store.site(&name.to_string()), content).expect("written");
    }
    store.backup();
    let mounted = Mounted::new(&store, "m", &[]);
    let site = mounted.site(&store, "latest");
    std::thread::scope(|scope| {
        for (name, content) in contents.iter().enumerate().cycle().take(8) {
            let site = &site;
            scope.spawn(move || {
                let file = File::open(site.join(name.to_string())).expect("it opens");
                let mut whole = Vec::new();
                (&file).read_to_end(&mut whole).expect("read");
                assert!(whole == *content, "file {name}");
                let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                for draw in noise(name as u64, 600).as_chunks::<6>().0 {
                    let (start, length) = (number(&draw[..3]) % 6_001_077, number(&draw[3..]) % 400_000);
                    let mut bytes = vec![7; length];
                    let mut read = 0;
                    while read < length {
                        match file.read_at(&mut bytes[read..], (start + read) as u64).expect("read") {
                            0 => break,
                            more => read += more,
                        }
                    }
                    let expected = content.get(start..(start + length).min(content.len())).unwrap_or_default();
                    assert!(bytes[..read] == *expected, "{length} bytes at {start} of {name}");
                }
            });
        }
    });
    mounted.end();
}

#[test]
fn a_folder_of_thousands_is_listed_once_each() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    for number in 0..20_000 {
        fs::write(store.site(&format!("{number:05}-{}", "x".repeat(number % 40))), b"").expect("written");
    }
    store.backup();
    let mounted = Mounted::new(&store, "m", &[]);
    let names = |folder: &Path| {
        let mut names: Vec<OsString> =
            fs::read_dir(folder).expect("listed").map(|entry| entry.expect("listed").file_name()).collect();
        names.sort();
        names
    };
    let source = names(&store.site(""));
    assert!(names(&mounted.site(&store, "latest")) == source);
    // With attributes, as `ls -l` asks.
    let listed = Command::new("ls").arg("-lA").arg(mounted.site(&store, "latest")).output().expect("it runs");
    assert_eq!((listed.status.success(), listed.stdout.split(|byte| *byte == b'\n').count()), (true, 20_002));
    mounted.end();
}

#[test]
fn others_are_let_in_only_where_that_is_asked_for_and_modes_allow() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    store.write("public", "p");
    store.write("private", "s");
    fs::set_permissions(store.site("private"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::set_permissions(store.site(""), fs::Permissions::from_mode(0o755)).expect("set");
    store.backup();
    let open = tempfile::tempdir().expect("a folder");
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let reads =
        |path: &Path| Command::new("cat").arg(path).uid(65534).gid(65534).output().expect("it runs").status.success();
    for (name, arguments, public) in [("closed", &[][..], false), ("open", &["--allow-other"], true)] {
        let target = open.path().join(name);
        fs::create_dir(&target).expect("created");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).expect("set");
        let mounted = Mounted::at(&store, &target, arguments);
        let site = mounted.site(&store, "latest");
        assert_eq!((reads(&site.join("public")), reads(&site.join("private"))), (public, false), "{name}");
        assert!(fs::read(site.join("private")).is_ok(), "whoever mounts reads all");
        let refused = fs::write(site.join("public"), b"x").expect_err("it is read-only");
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::ROFS.raw_os_error()));
        mounted.end();
    }
}

#[test]
fn a_name_is_bytes() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    let name = OsString::from_vec((1..=255).filter(|byte| *byte != b'/').collect());
    fs::write(store.site("").join(&name), b"bytes").expect("written");
    store.backup();
    let mounted = Mounted::new(&store, "m", &[]);
    let site = mounted.site(&store, "latest");
    let listed = fs::read_dir(&site).expect("listed").next().expect("one").expect("listed").file_name();
    assert_eq!(listed.as_bytes(), name.as_bytes());
    assert_eq!(fs::read(site.join(&name)).expect("read"), b"bytes");
    mounted.end();
}
