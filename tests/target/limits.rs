//! Targets that cannot hold what they are given: full, read-only, names too long or taken for one another.

use std::fs;

use snap::entry::Metadata;
use snap::operation::target::error::TargetError;
use snap::operation::target::escape::{Kept, escape_name, unescape_name};
use snap::operation::target::{Target, TargetOptions};

use super::{Ground, Mounted, names, plain, skipped, write_file};

#[test]
fn target_is_made_with_its_parents() {
    let ground = Ground::new();
    let target = Target::open(&ground.at("a/b/c"), TargetOptions::default()).expect("a target");
    target.sync().expect("synced");
    assert!(ground.at("a/b/c").is_dir());
    assert!(names(&ground.at("a/b/c")).is_empty(), "the probe is gone");
    fs::write(ground.at("file"), "x").expect("a file");
    let error = Target::open(&ground.at("file"), TargetOptions::default()).expect_err("a file is no target");
    assert!(matches!(error, TargetError::System { .. }), "{error}");
}

#[test]
fn name_that_is_too_long_is_told_apart_and_fits_when_escaped() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    let name = b"n".repeat(300);
    for path in [name.clone(), [&name[..], b"/file"].concat()] {
        let error = write_file(&target, &path, b"x", &plain(0o600)).expect_err("too long");
        assert!(error.asks_for_an_escaped_name() && !error.ends_the_run(), "{error}");
    }
    let spelling = escape_name(&name, Kept::Most);
    write_file(&target, &spelling, b"x", &plain(0o600)).expect("an escaped file");
    assert_eq!(unescape_name(&spelling), Some(name));
}

#[test]
fn full_disk_ends_the_run_and_leaves_no_half_file() {
    let ground = Ground::new();
    let Some(_mounted) = Mounted::tmpfs(&ground.at(""), "size=2m,nr_inodes=8") else { return };
    let target = ground.open(TargetOptions::default());
    let root = target.directory(b"").expect("the target");
    let file = target.create_file(&root, b"big", &Metadata::None).expect("a file");
    let error = file.reserve(4 << 20).expect_err("no space");
    assert!(matches!(error, TargetError::Full { .. }), "{error}");
    let error = (0..64).try_for_each(|piece| file.write_at(&[1; 65_536], piece * 65_536)).expect_err("no space");
    assert!(matches!(error, TargetError::Full { .. }) && error.ends_the_run(), "{error}");
    drop(file);
    assert!(names(&ground.at("")).is_empty());
    let error = (0..9).try_for_each(|n| write_file(&target, format!("{n}").as_bytes(), b"", &plain(0o600)).map(drop));
    assert!(matches!(error, Err(TargetError::Full { .. })), "{error:?}");
    let error = Target::open(&ground.at(""), TargetOptions::default()).expect_err("no inode for the probe");
    assert!(matches!(error, TargetError::Full { .. }), "{error}");
}

#[test]
fn read_only_target_is_told_at_once() {
    let ground = Ground::new();
    let Some(_mounted) = Mounted::tmpfs(&ground.at(""), "size=1m,ro") else { return };
    for path in ["", "new/folder"] {
        let error = Target::open(&ground.at(path), TargetOptions::default()).expect_err("a read-only target");
        assert!(matches!(error, TargetError::ReadOnly { .. }) && error.ends_the_run(), "{error}");
    }
}

#[test]
fn names_that_the_file_system_takes_for_one_are_collisions_and_fit_when_escaped() {
    let ground = Ground::new();
    let Some(_mounted) = Mounted::tmpfs(&ground.at(""), "size=1m,casefold") else { return };
    fs::create_dir(ground.at("folded")).expect("a folder");
    let folds = std::process::Command::new("chattr").arg("+F").arg(ground.at("folded")).status();
    if !folds.is_ok_and(|status| status.success()) {
        return skipped("the folder cannot be made to fold names");
    }
    fs::write(ground.at("folded/Older"), "older").expect("an older file");
    let target = Target::open(&ground.at("folded"), TargetOptions::default()).expect("a target");
    write_file(&target, b"README", b"one", &plain(0o600)).expect("a file");
    write_file(&target, b"Folder/file", b"x", &plain(0o600)).expect("a file in a folder");
    for path in ["readme", "folder/other"] {
        let error = write_file(&target, path.as_bytes(), b"two", &plain(0o600)).expect_err("a collision");
        assert!(matches!(error, TargetError::Collision { .. }), "{path}: {error}");
    }
    write_file(&target, b"README", b"again", &plain(0o600)).expect("the same name again");
    write_file(&target, &escape_name(b"readme", Kept::Plain), b"two", &plain(0o600)).expect("an escaped name");
    assert_eq!(fs::read(ground.at("folded/README")).expect("content"), b"again");
    target.delete_extraneous(b"", ["readme", "FOLDER/"]).expect("a deletion");
    assert_eq!(names(&ground.at("folded")), ["Folder", "README"]);
}
