//! Others change the target while it is written; what is beside it stays as it is.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use snap::entry::{Content, Metadata};
use snap::operation::target::node::LinkedFile;

use super::{BOTH_WAYS, Ground, options, plain, posix, write_file};

const ROUNDS: usize = 2000;

/// Swaps two names of the target until told to stop.
fn swap(ground: &Ground, names: [&str; 2], stop: &AtomicBool) {
    let [one, other] = names.map(|name| {
        CString::new(ground.at(name).into_os_string().into_encoded_bytes()).expect("a path without zero bytes")
    });
    while !stop.load(Ordering::Relaxed) {
        let _ = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
    }
}

#[test]
fn folder_that_turns_into_a_link_again_and_again_leads_nowhere() {
    for ways in BOTH_WAYS {
        let ground = Ground::in_memory();
        fs::create_dir_all(ground.at("a/folder")).expect("folders");
        symlink(ground.outside(), ground.at("link")).expect("a link");
        let before = ground.picture();
        let stop = AtomicBool::new(false);
        let mut written = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| swap(&ground, ["a", "link"], &stop));
            for round in 0..ROUNDS {
                // A target of its own each time, so that every level is reached anew.
                let target = ground.open(options(ways));
                for path in ["a/folder/inner", "a/folder/new", "a/secret"] {
                    written += usize::from(write_file(&target, path.as_bytes(), b"evil", &plain(0o777)).is_ok());
                }
                let _ = target.set_directory_metadata(b"a/folder", &plain(0o777), &[]);
                let _ = target.delete_extraneous(b"a/folder", [b"kept"]);
                let root = target.directory(b"").expect("the target");
                let linked = LinkedFile::new(b"a/secret", &Content::Inline(b"secret".to_vec()), &posix(0));
                let _ = target.create_hard_link(linked, &root, b"stolen");
                if round % 16 == 0 && !fs::symlink_metadata(ground.at("link")).is_ok_and(|link| link.is_symlink()) {
                    // The policy removes links that stand in the way; here is the next one.
                    let _ = fs::remove_dir_all(ground.at("link"));
                    let _ = symlink(ground.outside(), ground.at("link"));
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(written > 0, "nothing was written at all, so nothing was proved");
        assert_eq!(ground.picture(), before, "{ways:?}");
    }
}

#[test]
fn name_that_turns_into_a_link_while_its_file_is_written_is_not_followed() {
    let ground = Ground::in_memory();
    fs::write(ground.at("file"), "old").expect("a file");
    ground.link_out("secret", "link");
    let before = ground.picture();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&ground, ["file", "link"], &stop));
        let target = ground.open(Default::default());
        for _ in 0..ROUNDS {
            let _ = write_file(&target, b"file", b"evil", &plain(0o4777));
            if !fs::symlink_metadata(ground.at("link")).is_ok_and(|link| link.is_symlink()) {
                let _ = fs::remove_file(ground.at("link"));
                let _ = symlink(ground.outside().join("secret"), ground.at("link"));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(ground.picture(), before);
}

#[test]
fn threads_that_make_the_same_folders_all_succeed() {
    for ways in BOTH_WAYS {
        let ground = Ground::in_memory();
        let target = ground.open(options(ways));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let target = &target;
                scope.spawn(move || {
                    for folder in 0..200 {
                        let path = format!("a/{}/b/{}/file{thread}", folder / 10, folder % 10);
                        write_file(target, path.as_bytes(), b"x", &plain(0o600)).expect("a file");
                    }
                });
            }
        });
        let files = (0..200).flat_map(|folder| (0..4).map(move |thread| (folder, thread)));
        for (folder, thread) in files {
            let path = format!("a/{}/b/{}/file{thread}", folder / 10, folder % 10);
            assert_eq!(fs::read(ground.at(&path)).expect("a file"), b"x");
        }
    }
}

#[test]
fn pieces_may_come_from_several_threads() {
    let ground = Ground::in_memory();
    let target = ground.open(Default::default());
    let root = target.directory(b"").expect("the target");
    let file = target.create_file(&root, b"file", &Metadata::None).expect("a file");
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let file = &file;
            scope.spawn(move || {
                for piece in (u64::from(thread)..64).step_by(4) {
                    file.write_at(&[thread; 1000], piece * 1000).expect("a piece");
                }
            });
        }
    });
    file.finish(&Metadata::None, &[]).expect("finished");
    let content = fs::read(ground.at("file")).expect("content");
    assert!(
        content.chunks(1000).enumerate().all(|(piece, bytes)| bytes.iter().all(|&byte| usize::from(byte) == piece % 4))
    );
    assert_eq!(content.len(), 64_000);
}
