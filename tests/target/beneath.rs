//! Opening beneath a folder, both ways.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use snap::platform::beneath::{BeneathError, Refusal, check_path, open_beneath};

use super::{BOTH_WAYS, Ground};

#[test]
fn paths_that_leave_the_folder_are_refused_before_the_system_is_asked() {
    let cases: [(&[u8], Refusal); 16] = [
        (b"/", Refusal::Slash),
        (b"/etc/passwd", Refusal::Slash),
        (b"//etc", Refusal::Slash),
        (b"..", Refusal::Dots),
        (b".", Refusal::Dots),
        (b"../x", Refusal::Dots),
        (b"a/..", Refusal::Dots),
        (b"a/../", Refusal::Dots),
        (b"a/../../b", Refusal::Dots),
        (b"a/./b", Refusal::Dots),
        (b"./a", Refusal::Dots),
        (b"a//b", Refusal::Empty),
        (b"a//", Refusal::Empty),
        (b"a\0b", Refusal::Nul),
        (b"\0", Refusal::Nul),
        (b"a/\0/b", Refusal::Nul),
    ];
    for (path, refusal) in cases {
        assert_eq!(check_path(path), Err(refusal), "{path:?}");
        let folder = fs::File::open("/").expect("the root");
        for ways in BOTH_WAYS {
            let answer = open_beneath(folder.as_fd(), path, OFlags::RDONLY, Mode::empty(), ways);
            assert_eq!(answer.err(), Some(BeneathError::Refused(refusal)), "{path:?}");
        }
    }
    for path in [&b""[..], b"a", b"a/", b"a/b", b"...", b"..a/b..", b"\xff/\x01"] {
        assert!(check_path(path).is_ok(), "{path:?}");
    }
}

#[test]
fn links_are_not_followed_wherever_they_stand_on_the_way() {
    for ways in BOTH_WAYS {
        let ground = Ground::new();
        fs::create_dir_all(ground.at("a/b")).expect("folders");
        fs::write(ground.at("a/b/file"), "x").expect("a file");
        ground.link_out("", "out");
        ground.link_out("", "a/out");
        symlink("b", ground.at("a/within")).expect("a link within");
        ground.link_out("secret", "a/b/last");
        let root = fs::File::open(ground.at("")).expect("the target");
        let open = |path: &[u8]| open_beneath(root.as_fd(), path, OFlags::RDONLY, Mode::empty(), ways);
        for path in ["out/secret", "a/out/secret", "a/out/folder/inner", "a/within/file", "a/b/last", "out"] {
            let error = open(path.as_bytes()).expect_err(path);
            assert!(matches!(error, BeneathError::System(Errno::LOOP | Errno::NOTDIR)), "{path}: {error:?}");
        }
        for path in ["a/b/file", "a/b/", "a", ""] {
            open(path.as_bytes()).expect(path);
        }
        assert_eq!(open(b"a/none/x").err(), Some(BeneathError::System(Errno::NOENT)));
        assert_eq!(open(b"a/b/file/x").err(), Some(BeneathError::System(Errno::NOTDIR)));
    }
}
