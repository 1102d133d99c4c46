//! Hostile snapshots: whatever they say, nothing beside the target changes.
//!
//! Every hostile path leads to the folder beside the target and no farther, so that even broken code, which some of
//! this asks to delete what it finds there, harms nothing but the test.

use std::fs;
use std::os::unix::fs::symlink;

use snap::entry::{Content, Metadata, PosixMetadata};
use snap::operation::target::error::TargetError;
use snap::operation::target::node::{LinkedFile, Node};
use snap::operation::target::{Overwrite, Target, TargetOptions};

use super::{BOTH_WAYS, Ground, options, plain, posix, split, write_file};

#[derive(Clone, Copy, Debug)]
enum Verb {
    File,
    Symlink,
    Fifo,
    HardLinkTo,
    HardLinkFrom,
    Folder,
    FolderMetadata,
    Delete,
}

const VERBS: [Verb; 8] = [
    Verb::File,
    Verb::Symlink,
    Verb::Fifo,
    Verb::HardLinkTo,
    Verb::HardLinkFrom,
    Verb::Folder,
    Verb::FolderMetadata,
    Verb::Delete,
];

/// Does one thing with one path, as a restore that checks nothing itself would.
fn act(target: &Target, verb: Verb, path: &[u8]) -> Result<(), TargetError> {
    let (folder, name) = split(path);
    let inside = |folder: &[u8]| target.directory(folder);
    match verb {
        Verb::File => write_file(target, path, b"evil", &plain(0o777)).map(drop),
        Verb::Symlink => target.create_symlink(&*inside(folder)?, name, b"../outside/secret", &plain(0o777)).map(drop),
        Verb::Fifo => target.create_node(&*inside(folder)?, name, Node::Fifo, &plain(0o777)).map(drop),
        Verb::HardLinkTo => {
            write_file(target, b"first", b"evil", &plain(0o600))?;
            let linked = LinkedFile::new(b"first", &Content::Inline(b"evil".to_vec()), &posix(0o600));
            target.create_hard_link(linked, &*inside(folder)?, name)
        }
        Verb::HardLinkFrom => {
            let linked = LinkedFile::new(path, &Content::Inline(b"secret".to_vec()), &posix(0o600));
            target.create_hard_link(linked, &*inside(b"")?, b"second")
        }
        Verb::Folder => inside(path).map(drop),
        Verb::FolderMetadata => target.set_directory_metadata(path, &plain(0o777), &[]).map(drop),
        Verb::Delete => target.delete_extraneous(path, [b"kept"]).map(drop),
    }
}

#[test]
fn no_verb_takes_a_path_that_leaves_the_target() {
    let absolute = |ground: &Ground| ground.outside().into_os_string().into_encoded_bytes();
    let paths: [&[u8]; 12] = [
        b"../outside/secret",
        b"../outside/folder/",
        b"..",
        b"../",
        b"a/../../outside/secret",
        b"a/../../outside/folder",
        b"a/b/../../../outside/new",
        b"./../outside/secret",
        b"a//../outside",
        b"a/\0",
        b"\0/../outside",
        b"a\0/../../outside/new",
    ];
    for ways in BOTH_WAYS {
        let ground = Ground::new();
        let before = ground.picture();
        let target = ground.open(options(ways));
        let absolute = absolute(&ground);
        let absolute = [&absolute[..], b"/secret"].map(|rest| [&absolute[..], rest].concat());
        for path in paths.into_iter().chain(absolute.iter().map(Vec::as_slice)) {
            for verb in VERBS {
                let error = act(&target, verb, path).expect_err("a hostile path");
                assert!(matches!(error, TargetError::Refused { .. }), "{verb:?} {path:?}: {error}");
            }
        }
        assert_eq!(ground.picture(), before);
    }
}

#[test]
fn names_are_single_names() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    let root = target.directory(b"").expect("the target");
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"../outside/secret", b"a\0"] {
        assert!(
            matches!(target.create_file(&root, name, &Metadata::None), Err(TargetError::Refused { .. })),
            "{name:?}"
        );
        let answer = target.create_symlink(&root, name, b"x", &Metadata::None);
        assert!(matches!(answer, Err(TargetError::Refused { .. })), "{name:?}");
    }
}

#[test]
fn links_that_stand_in_the_target_already_lead_nowhere() {
    let paths =
        ["out/secret", "out/new", "out/folder/inner", "out/folder/new/deep", "in/out/secret", "file", "dangling"];
    for ways in BOTH_WAYS {
        for overwrite in [Overwrite::Always, Overwrite::IfChanged, Overwrite::Never] {
            for path in paths {
                for verb in VERBS {
                    let ground = Ground::new();
                    fs::create_dir(ground.at("in")).expect("a folder");
                    ground.link_out("", "out");
                    symlink("../../outside", ground.at("in/out")).expect("a relative link");
                    ground.link_out("secret", "file");
                    ground.link_out("new", "dangling");
                    let before = ground.picture();
                    let target = ground.open(TargetOptions { overwrite, ..options(ways) });
                    let outcome = act(&target, verb, path.as_bytes());
                    assert_eq!(ground.picture(), before, "{ways:?} {overwrite:?} {verb:?} {path}");
                    if overwrite == Overwrite::Never && !matches!(verb, Verb::Delete) {
                        assert!(outcome.is_err(), "{verb:?} {path}");
                    }
                }
            }
        }
    }
}

#[test]
fn links_that_the_snapshot_itself_brings_lead_nowhere() {
    for ways in BOTH_WAYS {
        for link_target in ["../outside", "ABSOLUTE", "/proc/self/rootABSOLUTE", ".", "..", "../outside/folder", "x"] {
            for verb in VERBS {
                for rest in ["", "/secret", "/folder/inner", "/new", "/x/y"] {
                    let ground = Ground::new();
                    let before = ground.picture();
                    let outside = ground.outside().to_string_lossy().into_owned();
                    let link_target = link_target.replace("ABSOLUTE", &outside);
                    let target = ground.open(options(ways));
                    let root = target.directory(b"").expect("the target");
                    target.create_symlink(&root, b"x", link_target.as_bytes(), &plain(0o777)).expect("a link");
                    let _ = act(&target, verb, format!("x{rest}").as_bytes());
                    assert_eq!(ground.picture(), before, "{ways:?} x -> {link_target}, {verb:?} x{rest}");
                }
            }
        }
    }
}

#[test]
fn file_that_is_a_hard_link_to_elsewhere_is_replaced_and_not_written_through() {
    let ground = Ground::new();
    fs::hard_link(ground.outside().join("secret"), ground.at("file")).expect("a hard link");
    let target = ground.open(TargetOptions::default());
    write_file(&target, b"file", b"new", &plain(0o666)).expect("a file");
    assert_eq!(fs::read(ground.outside().join("secret")).expect("secret"), b"secret");
    assert_eq!(fs::read(ground.at("file")).expect("file"), b"new");
}

#[test]
fn hard_link_is_made_to_the_restored_file_only() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    write_file(&target, b"a/first", b"content", &plain(0o640)).expect("a file");
    let content = Content::Inline(b"content".to_vec());
    let linked = LinkedFile::new(b"a/first", &content, &posix(0o640));
    let root = target.directory(b"").expect("the target");
    target.create_hard_link(linked, &root, b"second").expect("a hard link");
    target.create_hard_link(linked, &root, b"second").expect("the same again");
    assert_eq!(super::names(&ground.at("")), ["a", "second"]);
    let status = |path| rustix::fs::lstat(ground.at(path)).expect("status");
    assert_eq!(status("a/first").st_ino, status("second").st_ino);

    fs::write(ground.at("a/first"), "changed").expect("a change of time");
    let other_size = LinkedFile { size: 3, ..linked };
    for wrong in [linked, other_size, LinkedFile { first: b"a", ..linked }, LinkedFile { first: b"none/x", ..linked }] {
        let error = target.create_hard_link(wrong, &root, b"third").expect_err("not the file");
        assert!(matches!(error, TargetError::LinkedElsewhere { .. } | TargetError::System { .. }), "{error}");
    }
    assert_eq!(super::names(&ground.at("")), ["a", "second"]);
}

#[test]
fn file_and_folder_of_one_name_do_not_break_the_rest() {
    for ways in BOTH_WAYS {
        let ground = Ground::new();
        let target = ground.open(options(ways));
        write_file(&target, b"a/b", b"inner", &plain(0o600)).expect("a file in a folder");
        let error = write_file(&target, b"a", b"outer", &plain(0o600)).expect_err("a folder stands there");
        assert!(matches!(error, TargetError::InTheWay { found: "a folder", .. }), "{error}");
        assert_eq!(fs::read(ground.at("a/b")).expect("inner"), b"inner");
        assert_eq!(super::names(&ground.at("")), ["a"]);
    }
}

#[test]
fn metadata_that_no_file_can_have_is_a_warning() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    for nanoseconds in [1_000_000_000, 0x3fff_ffff, 0x3fff_fffe, u32::MAX] {
        let mut hostile = PosixMetadata { uid: u32::MAX, gid: u32::MAX, mode: u32::MAX, ..posix(0) };
        hostile.modified.nanoseconds = nanoseconds;
        let warnings = write_file(&target, b"file", b"x", &Metadata::Posix(Box::new(hostile))).expect("a file");
        assert!(warnings.len() >= 2, "{warnings:?}");
        let mode = rustix::fs::lstat(ground.at("file")).expect("status").st_mode;
        assert_eq!(mode & 0o6000, 0, "set-id bits without their owner");
    }
}

#[test]
fn path_of_thousands_of_levels_is_made_and_removed_with_few_descriptors() {
    let ground = Ground::new();
    for ways in BOTH_WAYS {
        let target = ground.open(options(ways));
        let deep = b"d/".repeat(3000);
        let directory = target.directory(&deep).expect("a deep folder");
        let file = target.create_file(&directory, b"file", &Metadata::None).expect("a deep file");
        file.finish(&Metadata::None, &[]).expect("finished");
        assert!(fs::read_dir("/proc/self/fd").is_err() || fs::read_dir("/proc/self/fd").expect("fds").count() < 500);
        let deletion = target.delete_extraneous(b"", [b"none"]).expect("a deletion");
        assert_eq!((deletion.removed, deletion.warnings.len()), (3001, 0));
        assert!(super::names(&ground.at("")).is_empty());
    }
}
