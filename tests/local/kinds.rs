//! Every kind of file and all that a file system keeps of it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType as SystemType, Mode, XattrFlags, mkfifoat, mknodat};
use snap::entry::{ChangeToken, Content, Entry, EntryKind, Metadata, PosixMetadata, Timestamp};
use snap::source::local::metadata::{HardLinks, OwnerNames};
use snap::source::local::stat::FileType;

use crate::local::zoo::{Zoo, is_root, list, paths, skipped};

#[test]
fn mode_owner_size_and_nanoseconds_are_those_of_the_system() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"12345");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).expect("mode");
    let (listed, system) = (zoo.listed("f"), std::fs::metadata(&path).expect("stat"));
    let metadata = listed.posix_metadata(&OwnerNames::new());
    assert_eq!((metadata.mode, metadata.uid, metadata.gid), (0o4751, system.uid(), system.gid()));
    assert_eq!(i64::from(metadata.modified.nanoseconds), system.mtime_nsec());
    assert_eq!((metadata.modified.seconds, listed.stat.size), (system.mtime(), 5));
    assert_eq!((listed.stat.identity.inode, listed.stat.identity.device), (system.ino(), system.dev()));
}

#[test]
fn time_before_1970_is_kept() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"");
    let time = std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500);
    std::fs::File::options().write(true).open(path).expect("open").set_modified(time).expect("time");
    assert_eq!(zoo.listed("f").stat.modified, Timestamp { seconds: -2, nanoseconds: 500_000_000 });
}

#[test]
fn owner_zero_is_root_by_name() {
    assert_eq!(OwnerNames::new().user(0).as_deref(), Some("root"));
}

#[test]
fn owner_that_nobody_knows_has_no_name() {
    let names = OwnerNames::new();
    assert_eq!((names.user(3_999_999_999), names.group(3_999_999_999)), (None, None));
}

#[test]
fn symbolic_link_is_not_followed_and_keeps_its_target() {
    let zoo = Zoo::new();
    zoo.file("d/x", b"");
    symlink("d", zoo.at("l")).expect("link");
    assert_eq!(zoo.listed("l").kind().expect("kind"), EntryKind::Symlink(b"d".to_vec()));
    assert!(!paths(&zoo.root(), 2).iter().any(|path| path.starts_with(b"l/")));
}

#[test]
fn dangling_link_to_bytes_outside_utf8_is_kept() {
    use std::os::unix::ffi::OsStrExt;
    let zoo = Zoo::new();
    symlink(std::ffi::OsStr::from_bytes(b"/no\xff\n"), zoo.at("l")).expect("link");
    assert_eq!(zoo.listed("l").kind().expect("kind"), EntryKind::Symlink(b"/no\xff\n".to_vec()));
}

#[test]
fn longest_link_target_is_kept_whole() {
    let zoo = Zoo::new();
    let target = "t".repeat(4095);
    symlink(&target, zoo.at("l")).expect("link");
    assert_eq!(zoo.listed("l").kind().expect("kind"), EntryKind::Symlink(target.into_bytes()));
}

#[test]
fn link_to_itself_does_no_harm() {
    let zoo = Zoo::new();
    symlink("l", zoo.at("l")).expect("link");
    symlink(".", zoo.at("m")).expect("link");
    assert_eq!(paths(&zoo.root(), 2).len(), 3);
}

#[test]
fn fifo_is_listed_and_not_opened() {
    let zoo = Zoo::new();
    mkfifoat(CWD, zoo.at("f"), Mode::RUSR).expect("fifo");
    let listed = zoo.listed("f");
    assert_eq!(listed.kind().expect("kind"), EntryKind::Fifo);
    assert!(listed.open().is_err());
    assert!(listed.attributes().expect("attributes").values.is_empty());
}

#[test]
fn socket_is_listed_and_not_opened() {
    let zoo = Zoo::new();
    let _socket = UnixListener::bind(zoo.at("s")).expect("socket");
    let listed = zoo.listed("s");
    assert_eq!(listed.kind().expect("kind"), EntryKind::Socket);
    assert!(listed.open().is_err());
}

#[test]
fn devices_keep_their_numbers() {
    let zoo = Zoo::new();
    let make = |name, kind, number| mknodat(CWD, zoo.at(name), kind, Mode::RUSR, number);
    if make("c", SystemType::CharacterDevice, rustix::fs::makedev(1, 3)).is_err() {
        return skipped("making devices needs a privilege");
    }
    make("b", SystemType::BlockDevice, rustix::fs::makedev(259, 70_000)).expect("device");
    assert_eq!(zoo.listed("c").kind().expect("kind"), EntryKind::CharacterDevice { major: 1, minor: 3 });
    assert_eq!(zoo.listed("b").kind().expect("kind"), EntryKind::BlockDevice { major: 259, minor: 70_000 });
    assert!(zoo.listed("c").open().is_err());
}

#[test]
fn hard_links_point_to_the_first_path_of_their_group() {
    let zoo = Zoo::new();
    zoo.file("b/one", b"x");
    zoo.directory("a");
    for name in ["a/two", "c"] {
        std::fs::hard_link(zoo.at("b/one"), zoo.at(name)).expect("link");
    }
    let mut links = HardLinks::new();
    let met: Vec<_> = list(&zoo.root(), 2)
        .0
        .iter()
        .filter_map(|listed| links.meet(listed).map(|to| (listed.path.clone(), to)))
        .collect();
    assert_eq!(met, [("b/one".into(), "a/two".into()), ("c".into(), "a/two".into())]);
    assert_eq!(links.open_groups(), 0);
}

#[test]
fn link_whose_other_name_is_outside_the_root_stands_alone() {
    let (zoo, outside) = (Zoo::new(), Zoo::new());
    std::fs::hard_link(outside.file("o", b"x"), zoo.at("f")).expect("link");
    let mut links = HardLinks::new();
    assert_eq!(links.meet(&zoo.listed("f")), None);
    assert_eq!(links.open_groups(), 1);
}

#[test]
fn file_with_one_name_and_directories_take_no_room_among_links() {
    let zoo = Zoo::new();
    zoo.file("d/e/f", b"x");
    let mut links = HardLinks::new();
    assert!(list(&zoo.root(), 1).0.iter().all(|listed| links.meet(listed).is_none()));
    assert_eq!(links.open_groups(), 0);
}

#[test]
fn attributes_of_file_directory_and_unopened_file_are_sorted_and_whole() {
    let zoo = Zoo::new();
    let (file, directory) = (zoo.file("f", b"x"), zoo.directory("d"));
    let large = vec![7; 2000];
    for path in [&file, &directory] {
        let set = |name: &str, value: &[u8]| rustix::fs::setxattr(path, name, value, XattrFlags::empty());
        if set("user.z", b"1").is_err() {
            return skipped("this file system has no attributes");
        }
        set("user.a", &large).expect("attribute");
        set("user.empty", b"").expect("attribute");
    }
    let from_open = zoo.listed("f").open().expect("open").attributes().expect("attributes");
    assert_eq!(from_open, zoo.listed("f").attributes().expect("attributes"));
    assert_eq!(from_open, zoo.listed("d/").attributes().expect("attributes"));
    let found: Vec<_> = from_open.values.iter().map(|found| (&found.name[..], &found.value[..])).collect();
    assert_eq!(found, [(&b"user.a"[..], &large[..]), (b"user.empty", b""), (b"user.z", b"1")]);
}

#[test]
fn attributes_of_a_link_are_its_own() {
    let zoo = Zoo::new();
    let target = zoo.file("t", b"");
    symlink("t", zoo.at("l")).expect("link");
    let _absent = rustix::fs::setxattr(&target, "user.of_target", b"1", XattrFlags::empty());
    if rustix::fs::lsetxattr(zoo.at("l"), "trusted.of_link", b"2", XattrFlags::empty()).is_err() {
        return skipped("labelling links needs a privilege");
    }
    let found = zoo.listed("l").attributes().expect("attributes");
    assert_eq!(found.values.len(), 1);
    assert_eq!((&found.values[0].name[..], &found.values[0].value[..]), (&b"trusted.of_link"[..], &b"2"[..]));
}

#[test]
fn access_control_lists_come_as_attributes() {
    let zoo = Zoo::new();
    let file = zoo.file("f", b"");
    let entry =
        |tag: u16, bits: u16, id: u32| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let list = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 6, none),
        entry(2, 4, 12345),
        entry(4, 4, none),
        entry(16, 4, none),
        entry(32, 0, none),
    ]
    .concat();
    if rustix::fs::setxattr(&file, "system.posix_acl_access", &list, XattrFlags::empty()).is_err() {
        return skipped("this file system has no access control lists");
    }
    let found = zoo.listed("f").attributes().expect("attributes");
    assert_eq!((&found.values[0].name[..], &found.values[0].value), (&b"system.posix_acl_access"[..], &list));
}

#[test]
fn more_attributes_than_an_entry_may_have_are_named_as_withheld() {
    let zoo = Zoo::new();
    let file = std::path::Path::new("/dev/shm").join(format!("snap-zoo-{}", std::process::id()));
    if std::fs::write(&file, b"").is_err() {
        return skipped("there is no file system in memory");
    }
    let set = |number| rustix::fs::setxattr(&file, format!("trusted.{number:03}"), b"v", XattrFlags::empty()).is_ok();
    let all = (0..130).all(set);
    let root = snap::source::local::LocalRoot::new(&file);
    let found = list(&root, 1).0[0].attributes();
    std::fs::remove_file(&file).expect("remove");
    drop(zoo);
    if !all {
        return skipped("so many attributes need a privilege");
    }
    let found = found.expect("attributes");
    assert_eq!((found.values.len(), found.withheld.len()), (128, 2));
}

fn earlier(zoo: &Zoo, path: &str, content: Content) -> Entry {
    let listed = zoo.listed(path);
    let later = Timestamp { seconds: listed.stat.changed.seconds + 10, nanoseconds: 0 };
    Entry {
        path: listed.path.clone(),
        kind: listed.kind().expect("kind"),
        metadata: Metadata::Posix(Box::new(listed.posix_metadata(&OwnerNames::new()))),
        token: listed.change_token(later),
        content,
    }
}

#[test]
fn untouched_file_is_unchanged() {
    let zoo = Zoo::new();
    zoo.file("f", b"abc");
    let entry = earlier(&zoo, "f", Content::Inline(b"abc".to_vec()));
    assert!(zoo.listed("f").is_unchanged(&entry));
}

#[test]
fn file_of_another_size_mode_or_inode_is_changed() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"abc");
    let entry = earlier(&zoo, "f", Content::Inline(b"abc".to_vec()));
    let with = |change: &dyn Fn(&mut snap::source::local::stat::FileStat)| {
        let mut listed = zoo.listed("f");
        change(&mut listed.stat);
        listed.is_unchanged(&entry)
    };
    assert!(with(&|_| {}));
    assert!(!with(&|stat| stat.size += 1));
    assert!(!with(&|stat| stat.mode ^= 1));
    assert!(!with(&|stat| stat.uid += 1));
    assert!(!with(&|stat| stat.gid += 1));
    assert!(!with(&|stat| stat.identity.inode += 1));
    assert!(!with(&|stat| stat.changed.nanoseconds ^= 1));
    assert!(!with(&|stat| stat.modified.nanoseconds ^= 1));
    std::fs::remove_file(&path).expect("remove");
    std::fs::create_dir(&path).expect("directory");
    assert!(!zoo.listed("f/").is_unchanged(&entry));
}

#[test]
fn entry_without_token_or_that_changed_while_read_is_read_again() {
    let zoo = Zoo::new();
    zoo.file("f", b"abc");
    let mut entry = earlier(&zoo, "f", Content::Inline(b"abc".to_vec()));
    if let Metadata::Posix(metadata) = &mut entry.metadata {
        metadata.flags |= PosixMetadata::CHANGED_WHILE_READ;
    }
    assert!(!zoo.listed("f").is_unchanged(&entry));
    let entry = Entry { token: None, ..earlier(&zoo, "f", Content::Inline(b"abc".to_vec())) };
    assert!(!zoo.listed("f").is_unchanged(&entry));
}

#[test]
fn token_needs_both_times_two_seconds_past_to_the_nanosecond() {
    let zoo = Zoo::new();
    zoo.file("f", b"");
    let mut stat = zoo.listed("f").stat;
    let at = |seconds, nanoseconds| Timestamp { seconds, nanoseconds };
    (stat.changed, stat.modified) = (at(100, 5), at(90, 0));
    assert_eq!(stat.change_token(at(102, 4)), None);
    let token = ChangeToken::Posix { changed: at(100, 5), inode: stat.identity.inode };
    assert_eq!(stat.change_token(at(102, 5)), Some(token));
    (stat.changed, stat.modified) = (at(90, 0), at(100, 5));
    assert_eq!(stat.change_token(at(102, 4)), None);
    assert!(stat.change_token(at(102, 5)).is_some());
    stat.modified = at(5000, 0);
    assert_eq!(stat.change_token(at(102, 5)), None);
}

#[test]
fn immutable_file_is_read() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"abc");
    let flag = |flag: &str| {
        std::process::Command::new("chattr").arg(flag).arg(&path).output().is_ok_and(|o| o.status.success())
    };
    if !is_root() || !flag("+i") {
        return skipped("immutable files need a privilege");
    }
    let mut content = Vec::new();
    let read = zoo.listed("f").open().and_then(|mut file| file.read_into(&mut content, 10));
    assert!(flag("-i"));
    assert!(read.is_ok());
    assert_eq!((content, zoo.listed("f").file_type()), (b"abc".to_vec(), FileType::File));
}
