//! What happens to things that stand in the target already.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};

use snap::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata};
use snap::operation::target::error::TargetError;
use snap::operation::target::node::Node;
use snap::operation::target::{Decision, KeepReason, Overwrite, TargetOptions};

use super::{BOTH_WAYS, Ground, names, options, plain, posix, write_file};

fn entry(kind: EntryKind, content: &[u8]) -> Entry {
    let content = Content::Inline(content.to_vec());
    let token = None::<ChangeToken>;
    Entry { path: EntryPath::from("file"), kind, metadata: plain(0o644), token, content }
}

fn with(overwrite: Overwrite) -> TargetOptions {
    TargetOptions { overwrite, ..TargetOptions::default() }
}

#[test]
fn decision_follows_policy_size_and_time() {
    let ground = Ground::new();
    let writer = ground.open(with(Overwrite::Always));
    write_file(&writer, b"file", b"same", &plain(0o644)).expect("a file");
    let root = writer.directory(b"").expect("the target");
    writer.create_symlink(&root, b"link", b"there", &plain(0o777)).expect("a link");

    let same = entry(EntryKind::File, b"same");
    let longer = entry(EntryKind::File, b"longer");
    let mut later = same.clone();
    let mut metadata = posix(0o644);
    metadata.modified.nanoseconds += 1;
    later.metadata = Metadata::Posix(Box::new(metadata));
    let link = |target: &[u8]| entry(EntryKind::Symlink(target.to_vec()), b"");
    let keep_unchanged = Decision::Keep(KeepReason::Unchanged);
    let keep_all = Decision::Keep(KeepReason::Exists);
    let cases = [
        (&b"file"[..], same.clone(), Decision::Write, keep_unchanged, keep_all),
        (b"file", longer, Decision::Write, Decision::Write, keep_all),
        (b"file", later, Decision::Write, Decision::Write, keep_all),
        (b"file", link(b"there"), Decision::Write, Decision::Write, keep_all),
        (b"link", link(b"there"), Decision::Write, keep_unchanged, keep_all),
        (b"link", link(b"where"), Decision::Write, Decision::Write, keep_all),
        (b"link", same.clone(), Decision::Write, Decision::Write, keep_all),
        (b"none", same, Decision::Write, Decision::Write, Decision::Write),
    ];
    for (name, entry, always, if_changed, never) in cases {
        let policies = [(Overwrite::Always, always), (Overwrite::IfChanged, if_changed), (Overwrite::Never, never)];
        for (overwrite, decision) in policies {
            let target = ground.open(with(overwrite));
            let root = target.directory(b"").expect("the target");
            assert_eq!(target.decide(&root, name, &entry).expect("a decision"), decision, "{overwrite:?} {entry:?}");
        }
    }
}

#[test]
fn old_file_stays_until_the_new_one_is_whole() {
    let ground = Ground::new();
    fs::write(ground.at("file"), "old").expect("an old file");
    let target = ground.open(with(Overwrite::Always));
    let root = target.directory(b"").expect("the target");
    let file = target.create_file(&root, b"file", &plain(0o644)).expect("a file");
    file.write_at(b"half", 0).expect("a piece");
    assert_eq!(fs::read(ground.at("file")).expect("old"), b"old");
    drop(file);
    assert_eq!(fs::read(ground.at("file")).expect("old"), b"old");
    assert_eq!(names(&ground.at("")), ["file"]);
    write_file(&target, b"file", b"new", &plain(0o644)).expect("a file");
    assert_eq!(fs::read(ground.at("file")).expect("new"), b"new");
    assert_eq!(names(&ground.at("")), ["file"]);
}

#[test]
fn unfinished_file_is_removed_and_nothing_else_of_its_name() {
    let ground = Ground::new();
    let target = ground.open(with(Overwrite::Always));
    let root = target.directory(b"").expect("the target");
    drop(target.create_file(&root, b"file", &plain(0o644)).expect("a file"));
    assert!(names(&ground.at("")).is_empty());

    let file = target.create_file(&root, b"file", &plain(0o644)).expect("a file");
    fs::rename(ground.at("file"), ground.at("moved")).expect("a rename");
    fs::write(ground.at("file"), "another's").expect("another file");
    drop(file);
    assert_eq!(fs::read(ground.at("file")).expect("another file"), b"another's");
}

#[test]
fn whatever_is_no_folder_is_replaced_by_whatever_is_restored() {
    type Make = fn(&std::path::Path);
    let make: [(&str, Make); 4] = [
        ("file", |path| fs::write(path, "old").expect("a file")),
        ("link", |path| symlink("../outside/secret", path).expect("a link")),
        ("folder", |path| fs::create_dir(path).expect("a folder")),
        ("pipe", |path| {
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
        }),
    ];
    for (name, make) in make {
        for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
            let ground = Ground::new();
            let target = ground.open(with(overwrite));
            let root = target.directory(b"").expect("the target");
            ["a", "b", "c"].iter().for_each(|path| make(&ground.at(path)));
            write_file(&target, b"a", b"new", &plain(0o644)).expect(name);
            target.create_symlink(&root, b"b", b"new", &plain(0o777)).expect(name);
            target.create_node(&root, b"c", Node::Fifo, &plain(0o640)).expect(name);
            assert_eq!(fs::read(ground.at("a")).expect("new"), b"new");
            assert_eq!(fs::read_link(ground.at("b")).expect("new").as_os_str(), "new");
            assert!(fs::symlink_metadata(ground.at("c")).expect("new").file_type().is_fifo());
            assert_eq!(names(&ground.at("")), ["a", "b", "c"]);
        }
        let ground = Ground::new();
        make(&ground.at("a"));
        let target = ground.open(with(Overwrite::Never));
        let error = write_file(&target, b"a", b"new", &plain(0o644)).expect_err(name);
        assert!(matches!(error, TargetError::InTheWay { .. }), "{name}: {error}");
        assert_eq!(names(&ground.at("")), ["a"]);
    }
}

#[test]
fn what_stands_where_a_folder_should_be_yields_only_to_always() {
    for ways in BOTH_WAYS {
        for overwrite in [Overwrite::Always, Overwrite::IfChanged, Overwrite::Never] {
            let ground = Ground::new();
            fs::write(ground.at("file"), "old").expect("a file");
            ground.link_out("folder", "link");
            let target = ground.open(TargetOptions { overwrite, ..options(ways) });
            for path in ["file/new", "link/new", "link/deep/new"] {
                let outcome = write_file(&target, path.as_bytes(), b"new", &plain(0o644));
                match overwrite {
                    Overwrite::Always => assert!(outcome.is_ok() && ground.at(path).is_file(), "{path}"),
                    _ => assert!(matches!(outcome, Err(TargetError::InTheWay { .. })), "{path}"),
                }
            }
            assert_eq!(names(&ground.outside().join("folder")), ["inner"]);
        }
    }
}
