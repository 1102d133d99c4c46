//! Entries whose paths, links and metadata reach for what is not theirs.

use std::path::PathBuf;

use snap::entry::{Content, Entry, EntryKind, EntryPath, Metadata, Xattr};
use snap::resource::Totals;

use super::forge::{Forge, entry, file, folder, leaf, resource, symlink, with_metadata};

#[test]
fn paths_that_mean_another_place_are_refused_by_name() {
    let cases: [(&str, &[u8], &str); 16] = [
        ("up", b"../evil", "local/x/../evil"),
        ("far up", b"../../../outside/evil", "outside/evil"),
        ("up in the middle", b"a/../../evil", "a/../../evil"),
        ("up at the end", b"a/..", "a/.."),
        ("only up", b"..", ".."),
        ("dot", b".", "local/x/."),
        ("dot in the middle", b"a/./evil", "a/./evil"),
        ("absolute", b"/evil", "local/x//evil"),
        ("absolute path of the target's neighbour", b"/etc/evil", "/etc/evil"),
        ("empty name", b"a//evil", "a//evil"),
        ("empty name at the end", b"evil/", "evil"),
        ("zero byte", b"evil\0.txt", "evil%00.txt"),
        ("zero byte in a folder", b"a\0b/evil", "a%00b"),
        ("only a zero byte", b"\0", "%00"),
        ("backslashes and colons are names here", b"..\\..\\evil:x", ""),
        ("device names are names here", b"CON", ""),
    ];
    for (name, path, said) in cases {
        let forge = Forge::new();
        forge.commit_entries(&[file(path)]);
        let outcome = forge.withstand(name);
        if said.is_empty() {
            outcome.restore_says(0, &[]).restores(&format!("local/x/{}", String::from_utf8_lossy(path)));
        } else if path.ends_with(b"/") {
            outcome.restore_says(3, &[]);
        } else {
            outcome.restore_says(3, &[said]).lacks("evil");
        }
    }
}

#[test]
fn folders_and_links_of_such_paths_are_refused_too() {
    let cases: [(&str, Entry); 6] = [
        ("folder up", folder(b"../evil/")),
        ("folder far up", folder(b"../../../outside/evil/")),
        ("absolute folder", folder(b"/evil/")),
        ("link up", symlink(b"../evil", b"x")),
        ("pipe up", entry(b"../evil", EntryKind::Fifo, Content::Empty)),
        ("device up", entry(b"../evil", EntryKind::CharacterDevice { major: 1, minor: 3 }, Content::Empty)),
    ];
    for (name, hostile) in cases {
        let forge = Forge::new();
        forge.commit_entries(&[hostile]);
        forge.withstand(name).restore_says(3, &["evil"]).lacks("evil");
    }
}

#[test]
fn keys_of_objects_with_such_names_are_escaped_into_the_target() {
    for (name, path) in [("up", &b"../evil"[..]), ("absolute", b"/evil"), ("dots", b"a/../evil"), ("empty", b"a//evil")]
    {
        let forge = Forge::new();
        let metadata = Metadata::Object(Box::default());
        forge
            .commit_entries(&[Entry { metadata, ..entry(path, EntryKind::Object, Content::Inline(b"evil".to_vec())) }]);
        let outcome = forge.withstand(name);
        assert!(outcome.restore.code == 0 || outcome.restore.code == 3, "{outcome:?}");
    }
}

#[test]
fn nothing_is_written_through_a_link_of_the_snapshot() {
    let outside =
        |forge: &Forge, inside: &str| forge.path("outside").join(inside).into_os_string().into_encoded_bytes();
    for inside in ["", "folder", "secret"] {
        let forge = Forge::new();
        let target = outside(&forge, inside);
        forge.commit_entries(&[symlink(b"a", &target), file(b"a/evil"), folder(b"a/secret/"), file(b"a0")]);
        forge.withstand("a file beneath a link").restore_says(3, &["local/x/a/"]).restores("local/x/a0");

        let forge = Forge::new();
        let target = outside(&forge, inside);
        forge.commit_entries(&[symlink(b"a", &target), folder(b"a/"), file(b"a/evil")]);
        forge.withstand("a folder where a link is");
        assert!(!forge.path("outside/evil").exists() && !forge.path("outside/folder/evil").exists());
    }
}

#[test]
fn a_file_with_things_beneath_it_keeps_the_others_whole() {
    let forge = Forge::new();
    forge.commit_entries(&[file(b"a"), file(b"a/b"), file(b"c")]);
    forge.withstand("a file that is a folder too").restores("local/x/c");
}

#[test]
fn hard_links_stay_inside() {
    let linked = |to: &[u8]| with_metadata(file(b"evil"), |metadata| metadata.link_to = Some(EntryPath(to.to_vec())));
    let cases: [(&str, &[u8]); 8] = [
        ("up", b"../../../outside/secret"),
        ("absolute", b"/etc/passwd"),
        ("nowhere", b"nothing"),
        ("itself", b"evil"),
        ("a folder", b"a/"),
        ("the root", b""),
        ("zero byte", b"a\0b"),
        ("a later one", b"z"),
    ];
    for (name, to) in cases {
        let forge = Forge::new();
        forge.commit_entries(&[folder(b"a/"), linked(to), file(b"z")]);
        let outcome = forge.withstand(name).restores("local/x/z");
        let evil = outcome.restored.get(&PathBuf::from("local/x/evil"));
        assert!(evil.is_none_or(|content| content == b"evil"), "{outcome:?}");
    }
    let forge = Forge::new();
    let cycle =
        |path: &[u8], to: &str| with_metadata(file(path), |metadata| metadata.link_to = Some(EntryPath::from(to)));
    forge.commit_entries(&[cycle(b"a", "b"), cycle(b"b", "c"), cycle(b"c", "a")]);
    forge.withstand("a cycle");
    let forge = Forge::new();
    let target = forge.path("outside/secret").into_os_string().into_encoded_bytes();
    forge.commit_entries(&[symlink(b"a", &target), cycle(b"b", "a")]);
    forge.withstand("a hard link to a symbolic link");
}

#[test]
fn set_id_bits_and_modes_beyond_the_permissions_come_only_with_their_owner() {
    use std::os::unix::fs::MetadataExt;
    for mode in [0o104_755, 0o6777, u32::MAX] {
        let forge = Forge::new();
        let entry = with_metadata(file(b"suid"), |metadata| {
            metadata.mode = mode;
            metadata.uid = u32::MAX;
            metadata.gid = u32::MAX;
        });
        forge.commit_entries(&[entry]);
        forge.withstand("set-id bits with an impossible owner");
        if let Ok(status) = std::fs::symlink_metadata(forge.path("target/local/x/suid")) {
            assert_eq!(status.mode() & 0o6000, 0, "no set-id bit without its owner");
            assert!(status.is_file());
        }
    }
}

#[test]
fn devices_of_any_number_and_times_of_any_year_do_no_harm() {
    let device = |major, minor| entry(b"d", EntryKind::BlockDevice { major, minor }, Content::Empty);
    for hostile in [device(u32::MAX, u32::MAX), device(0, 0), entry(b"s", EntryKind::Socket, Content::Empty)] {
        let forge = Forge::new();
        forge.commit_entries(&[hostile, file(b"z")]);
        forge.withstand("a device").restores("local/x/z");
    }
    for seconds in [i64::MIN, i64::MAX, -1, 1 << 40] {
        let forge = Forge::new();
        let entry = with_metadata(file(b"time"), |metadata| metadata.modified.seconds = seconds);
        forge.commit_entries(&[entry]);
        forge.withstand("a time").restores("local/x/time");
    }
}

#[test]
fn contents_that_do_not_belong_to_their_kind_do_no_harm() {
    let content = || Content::Inline(b"evil".to_vec());
    let forge = Forge::new();
    forge.commit_entries(&[
        entry(b"file/", EntryKind::File, content()),
        entry(b"folder", EntryKind::Directory, content()),
        entry(b"link", EntryKind::Symlink(Vec::new()), content()),
        entry(b"link0", EntryKind::Symlink(b"a\0b".to_vec()), content()),
        entry(b"pipe/", EntryKind::Fifo, content()),
        file(b"z"),
    ]);
    forge.withstand("kinds that contradict their paths").restores("local/x/z");
    for root in [file(b""), symlink(b"", b"/etc"), entry(b"", EntryKind::Fifo, Content::Empty)] {
        let forge = Forge::new();
        forge.commit_entries(&[root, file(b"z")]);
        forge.withstand("a root that is no folder");
    }
}

#[test]
fn names_that_command_terminals_are_shown_not_obeyed() {
    let names: [&[u8]; 6] =
        [b"\x1b]0;evil\x07", b"\x1b[2J", b"a\nb\rc", "\u{9b}31m\u{202e}".as_bytes(), b"\xff\xfe\x1b", b"\x7f\x08"];
    let forge = Forge::new();
    let mut entries: Vec<Entry> = names.iter().map(|name| file(name)).collect();
    entries.extend(names.iter().map(|name| symlink(&[b"link", *name].concat(), name)));
    entries.extend(names.iter().map(|name| file(&[b"../", *name].concat())));
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    forge.commit_entries(&entries);
    forge.withstand("terminal escapes").ls_says(0, &["\\x1b", "\\u{9b}"]).restore_says(3, &["x1b"]);
}

#[test]
fn attributes_of_hostile_names_and_sizes_do_no_harm() {
    let names: [&[u8]; 6] =
        [b"", b"user.\0", b"security.capability", b"trusted.\x1b[2J", b"system.posix_acl_access", &[b'x'; 5000]];
    for name in names {
        let forge = Forge::new();
        let value = Content::Inline(vec![1; 512]);
        let entry = with_metadata(file(b"a"), |metadata| {
            metadata.xattrs = vec![Xattr { name: name.to_vec(), value }];
            metadata.user = Some("root\x1b[2J".into());
        });
        forge.commit_entries(&[entry]);
        forge.withstand("an attribute").restores("local/x/a");
    }
    let forge = Forge::new();
    let entry = with_metadata(file(b"a"), |metadata| {
        let value = || Content::Pieces {
            profile: snap::entry::Profile::Bulk,
            pieces: vec![snap::entry::Piece::Zeros { length: 1 << 62 }],
        };
        metadata.xattrs = (0..100).map(|n: u8| Xattr { name: vec![b'u', n], value: value() }).collect();
    });
    forge.commit_entries(&[entry]);
    forge.withstand("attributes of exabytes").restores("local/x/a");
}

#[test]
fn paths_of_64_kib_and_folders_of_thousands_of_levels_end_in_a_message() {
    let forge = Forge::new();
    let long = vec![b'x'; EntryPath::LENGTH_MAX];
    let deep = b"d/".repeat(EntryPath::LENGTH_MAX / 2);
    forge.commit_entries(&[folder(&deep), file(&long), file(b"z")]);
    forge.withstand("long and deep").restores("local/x/z");
}

#[test]
fn resources_stay_inside_the_target() {
    let paths = [
        "..",
        "../..",
        "../evil",
        "/evil",
        "/",
        "",
        "local/../../evil",
        "a//b",
        ".",
        "%2E%2E/evil",
        "a%00b",
        "%zz",
        "\u{1b}[2J",
    ];
    for path in paths {
        let forge = Forge::new();
        let root = forge.page(leaf(&[file(b"evil"), symlink(b"link", b"/")]));
        let totals = Totals { entries: 2, files: 1, bytes: 4 };
        forge.commit(vec![resource(path, root, totals)]);
        forge.withstand(path);
    }
}

#[test]
fn resources_that_overlap_do_not_lead_out() {
    let forge = Forge::new();
    let outside = forge.path("outside").into_os_string().into_encoded_bytes();
    let links = forge.page(leaf(&[symlink(b"b", &outside)]));
    let files = forge.page(leaf(&[file(b"evil"), file(b"secret")]));
    let link_totals = Totals { entries: 1, files: 0, bytes: 0 };
    let totals = Totals { entries: 2, files: 2, bytes: 8 };
    let one = resource("a", links, link_totals);
    forge.commit(vec![one.clone(), one, resource("a/b", files, totals), resource("a/b", files, totals)]);
    forge.withstand("a resource beneath another's link");
    let forge = Forge::new();
    let root = forge.page(leaf(&[symlink(b"", b"../outside"), file(b"evil")]));
    forge.commit(vec![resource("a", root, totals)]);
    forge.withstand("a resource that is a link");
}
