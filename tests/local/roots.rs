//! Roots themselves: what they are called, which are needed, and those that are no directory.

use std::path::{Path, PathBuf};

use snap::entry::Timestamp;
use snap::source::local::stat::FileType;
use snap::source::local::stdin::Stream;
use snap::source::local::walk::walk;
use snap::source::local::{LocalError, LocalRoot, drop_nested, resource_of};

use crate::local::zoo::{Zoo, list};

fn name(path: &str) -> String {
    String::from_utf8(resource_of(Path::new(path)).expect("resource").path).expect("text")
}

#[test]
fn resource_is_the_absolute_path_made_plain() {
    assert_eq!(name("/home/me/site"), "local/home/me/site");
    assert_eq!(name("/home//me/./x/../site/"), "local/home/me/site");
    assert_eq!(name("/../.."), "local");
}

#[test]
fn relative_root_is_named_from_the_current_directory() {
    let here = std::env::current_dir().expect("current directory");
    assert_eq!(name("x"), format!("local{}/x", here.display()));
}

#[test]
fn roots_inside_others_are_dropped_and_named() {
    let roots = ["/b/c", "/a", "/b", "/bc", "/b/./"].map(PathBuf::from);
    let (kept, nested) = drop_nested(&roots).expect("roots");
    assert_eq!(kept, ["/a", "/b", "/bc"].map(PathBuf::from));
    let found: Vec<_> = nested.iter().map(|nested| (nested.root.to_str(), nested.lies_in.to_str())).collect();
    assert_eq!(found, [(Some("/b/./"), Some("/b")), (Some("/b/c"), Some("/b"))]);
}

#[test]
fn root_that_is_not_there_is_an_error() {
    let zoo = Zoo::new();
    assert!(matches!(walk(&LocalRoot::new(zoo.at("none")), 2), Err(LocalError::Root { .. })));
}

#[test]
fn root_that_is_a_file_is_one_entry_with_the_empty_path() {
    let zoo = Zoo::new();
    let (entries, gaps) = list(&LocalRoot::new(zoo.file("f", b"abc")), 2);
    assert_eq!((entries.len(), gaps.len(), entries[0].path.as_bytes()), (1, 0, &b""[..]));
    let mut content = Vec::new();
    entries[0].open().expect("open").read_into(&mut content, 10).expect("read");
    assert_eq!(content, b"abc");
}

#[test]
fn root_that_is_a_link_to_a_directory_is_that_directory() {
    let zoo = Zoo::new();
    zoo.file("d/x", b"");
    std::os::unix::fs::symlink("d", zoo.at("l")).expect("link");
    let (entries, _) = list(&LocalRoot::new(zoo.at("l")), 2);
    assert_eq!((entries.len(), entries[0].file_type()), (2, FileType::Directory));
}

#[test]
fn root_that_is_a_dangling_link_is_kept_as_a_link() {
    let zoo = Zoo::new();
    std::os::unix::fs::symlink("none", zoo.at("l")).expect("link");
    let (entries, _) = list(&LocalRoot::new(zoo.at("l")), 2);
    assert_eq!((entries.len(), entries[0].file_type()), (1, FileType::Symlink));
    assert!(entries[0].kind().is_ok());
}

#[test]
fn attributes_of_the_root_itself_can_be_read() {
    let zoo = Zoo::new();
    assert!(zoo.listed("").attributes().is_ok());
}

#[test]
fn stream_is_one_file_read_in_full_steps() {
    let mut stream = Stream::new("dump.sql", &b"0123456789"[..]).expect("name");
    let entry = stream.entry(Timestamp { seconds: 5, nanoseconds: 0 });
    assert_eq!((entry.path.as_bytes(), entry.token), (&b"dump.sql"[..], None));
    let mut buffer = Vec::new();
    let lengths: Vec<_> = (0..3).map(|_| stream.read_into(&mut buffer, 6).expect("read")).collect();
    assert_eq!((lengths, buffer), (vec![6, 4, 0], b"0123456789".to_vec()));
}

#[test]
fn stream_needs_a_name_a_file_can_have() {
    for name in ["", ".", "..", "a/b", "/a", "a\0"] {
        assert!(Stream::new(name, &b""[..]).is_err(), "{name:?}");
    }
}
