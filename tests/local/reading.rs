//! Opening what was listed and reading it: swaps, holes, and changes meanwhile.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, symlink};

use rustix::fs::{CWD, Mode, mkfifoat};
use snap::entry::PosixMetadata;
use snap::source::local::LocalError;
use snap::source::local::metadata::OwnerNames;
use snap::source::local::read::{OpenFile, Span};

use crate::local::zoo::{Zoo, skipped};

fn read_all(file: &mut OpenFile, length_max: usize) -> (Vec<u8>, Vec<Span>) {
    let (mut content, mut spans) = (Vec::new(), Vec::new());
    loop {
        let mut buffer = Vec::with_capacity(1 << 16);
        let span = file.read_into(&mut buffer, length_max).expect("read");
        spans.push(span);
        match span {
            Span::Data(length) => assert_eq!(length, buffer.len()),
            Span::Hole(length) => buffer.resize(usize::try_from(length).expect("small"), 0),
            Span::End => return (content, spans),
        }
        content.extend(buffer);
    }
}

#[test]
fn content_comes_whole_whatever_the_length_of_the_reads() {
    let zoo = Zoo::new();
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    zoo.file("f", &content);
    for length_max in [1000, 4096, 65_536, 1_000_000, usize::MAX] {
        let (read, _) = read_all(&mut zoo.listed("f").open().expect("open"), length_max);
        assert!(read == content, "with reads of {length_max}");
    }
}

#[test]
fn bytes_are_appended_to_what_the_buffer_holds() {
    let zoo = Zoo::new();
    zoo.file("f", b"abc");
    let mut buffer = b"before ".to_vec();
    let mut file = zoo.listed("f").open().expect("open");
    assert_eq!(file.read_into(&mut buffer, 2).expect("read"), Span::Data(2));
    assert_eq!(file.read_into(&mut buffer, 2).expect("read"), Span::Data(1));
    assert_eq!(file.read_into(&mut buffer, 2).expect("read"), Span::End);
    assert_eq!(buffer, b"before abc");
}

#[test]
fn empty_file_ends_at_once() {
    let zoo = Zoo::new();
    zoo.file("f", b"");
    assert_eq!(read_all(&mut zoo.listed("f").open().expect("open"), 10).1, [Span::End]);
}

#[test]
fn only_regular_files_are_opened() {
    let zoo = Zoo::new();
    zoo.directory("d");
    symlink("/etc/passwd", zoo.at("l")).expect("link");
    for path in ["d/", "l", ""] {
        assert!(matches!(zoo.listed(path).open(), Err(LocalError::NotAFile { .. })));
    }
}

#[test]
fn file_that_vanished_says_so() {
    let zoo = Zoo::new();
    let path = zoo.file("d/f", b"x");
    let mut listed = zoo.listed("d/f");
    std::fs::remove_file(path).expect("remove");
    let error = listed.open().expect_err("it is gone");
    assert!(matches!(error, LocalError::Vanished { .. }));
    assert_eq!((&*error.gap().path, &*error.gap().reason), ("d/f", "vanished while reading"));
    assert!(matches!(listed.refresh(), Err(LocalError::Vanished { .. })));
}

#[test]
fn file_whose_directory_vanished_says_so() {
    let zoo = Zoo::new();
    zoo.file("d/f", b"x");
    let listed = zoo.listed("d/f");
    std::fs::remove_dir_all(zoo.at("d")).expect("remove");
    assert!(matches!(listed.open(), Err(LocalError::Vanished { .. })));
}

#[test]
fn file_swapped_for_a_fifo_is_not_waited_for() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"x");
    let listed = zoo.listed("f");
    std::fs::remove_file(&path).expect("remove");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("fifo");
    assert!(matches!(listed.open(), Err(LocalError::Replaced { .. })));
}

#[test]
fn file_swapped_for_a_link_is_not_followed() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"x");
    let other = zoo.file("other", b"secret");
    let listed = zoo.listed("f");
    std::fs::remove_file(&path).expect("remove");
    symlink(other, &path).expect("link");
    assert!(matches!(listed.open(), Err(LocalError::Replaced { .. })));
}

#[test]
fn file_swapped_for_a_socket_is_not_opened() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"x");
    let listed = zoo.listed("f");
    std::fs::remove_file(&path).expect("remove");
    let _socket = std::os::unix::net::UnixListener::bind(&path).expect("socket");
    assert!(matches!(listed.open(), Err(LocalError::Replaced { .. })));
}

#[test]
fn parent_swapped_for_a_link_does_not_lead_elsewhere() {
    let zoo = Zoo::new();
    zoo.file("d/f", b"mine");
    zoo.file("other/f", b"secret");
    let listed = zoo.listed("d/f");
    std::fs::rename(zoo.at("d"), zoo.at("moved")).expect("rename");
    symlink(zoo.at("other"), zoo.at("d")).expect("link");
    if let Ok(mut file) = listed.open() {
        assert_eq!(read_all(&mut file, 10).0, b"mine");
    }
}

#[test]
fn file_replaced_by_another_is_opened_after_a_refresh() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"old");
    let mut listed = zoo.listed("f");
    std::fs::rename(zoo.file("g", b"newer"), path).expect("rename");
    assert!(matches!(listed.open(), Err(LocalError::Replaced { .. })));
    listed.refresh().expect("still a file");
    assert_eq!(read_all(&mut listed.open().expect("open"), 10).0, b"newer");
}

#[test]
fn file_that_became_a_directory_stays_replaced() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"old");
    let mut listed = zoo.listed("f");
    std::fs::remove_file(&path).expect("remove");
    std::fs::create_dir(&path).expect("directory");
    assert!(matches!(listed.open(), Err(LocalError::Replaced { .. })));
    assert!(matches!(listed.refresh(), Err(LocalError::Replaced { .. })));
}

#[test]
fn link_replaced_by_a_file_has_no_target() {
    let zoo = Zoo::new();
    symlink("x", zoo.at("l")).expect("link");
    let listed = zoo.listed("l");
    std::fs::remove_file(zoo.at("l")).expect("remove");
    zoo.file("l", b"");
    assert!(matches!(listed.kind(), Err(LocalError::Replaced { .. })));
}

#[test]
fn file_that_grows_is_read_to_the_size_it_had() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"abc");
    let mut file = zoo.listed("f").open().expect("open");
    std::fs::File::options().append(true).open(path).expect("open").write_all(b"def").expect("write");
    assert_eq!(read_all(&mut file, 100).0, b"abc");
    assert!(!file.is_unchanged_since_open().expect("stat"));
    file.rewind().expect("rewind");
    assert_eq!(read_all(&mut file, 100).0, b"abcdef");
    assert!(file.is_unchanged_since_open().expect("stat"));
    assert_eq!(file.stat().size, 6);
}

#[test]
fn file_that_shrinks_ends_early() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"abcdef");
    let mut file = zoo.listed("f").open().expect("open");
    std::fs::File::options().write(true).open(path).expect("open").set_len(2).expect("truncate");
    assert_eq!(read_all(&mut file, 100).0, b"ab");
    assert!(!file.is_unchanged_since_open().expect("stat"));
}

#[test]
fn overwriting_in_place_with_the_same_size_shows() {
    let zoo = Zoo::new();
    let path = zoo.file("f", b"abc");
    let writer = std::fs::File::options().write(true).open(path).expect("open");
    writer.set_modified(std::time::UNIX_EPOCH).expect("time");
    let file = zoo.listed("f").open().expect("open");
    writer.write_all_at(b"xyz", 0).expect("write");
    assert!(!file.is_unchanged_since_open().expect("stat"));
}

#[test]
fn reading_alone_changes_nothing() {
    let zoo = Zoo::new();
    zoo.file("f", b"abc");
    let mut file = zoo.listed("f").open().expect("open");
    read_all(&mut file, 100);
    assert!(file.is_unchanged_since_open().expect("stat"));
}

fn sparse(zoo: &Zoo, parts: &[(u64, &[u8])], size: u64) -> bool {
    let mut file = std::fs::File::create(zoo.at("s")).expect("create");
    for (offset, bytes) in parts {
        file.seek(SeekFrom::Start(*offset)).expect("seek");
        file.write_all(bytes).expect("write");
    }
    file.set_len(size).expect("size");
    file.sync_all().expect("sync");
    zoo.listed("s").stat.is_sparse()
}

#[test]
fn holes_are_reported_and_not_read() {
    let zoo = Zoo::new();
    let data = [7; 4096];
    if !sparse(&zoo, &[(1 << 20, &data), (3 << 20, &data)], 4 << 20) {
        return skipped("this file system makes no holes");
    }
    let (content, spans) = read_all(&mut zoo.listed("s").open().expect("open"), 1 << 16);
    assert!(content == std::fs::read(zoo.at("s")).expect("read"));
    let holes: u64 = spans.iter().map(|span| if let Span::Hole(length) = span { *length } else { 0 }).sum();
    assert_eq!(holes, (4 << 20) - 8192);
    assert_eq!(zoo.listed("s").posix_metadata(&OwnerNames::new()).flags, PosixMetadata::SPARSE);
}

#[test]
fn terabyte_of_nothing_is_one_hole() {
    let zoo = Zoo::new();
    if !sparse(&zoo, &[], 1 << 40) {
        return skipped("this file system makes no holes");
    }
    let mut file = zoo.listed("s").open().expect("open");
    let mut buffer = Vec::new();
    assert_eq!(file.read_into(&mut buffer, 100).expect("read"), Span::Hole(1 << 40));
    assert_eq!(file.read_into(&mut buffer, 100).expect("read"), Span::End);
    file.rewind().expect("rewind");
    assert_eq!(file.read_into(&mut buffer, 100).expect("read"), Span::Hole(1 << 40));
}

#[test]
fn sparse_file_that_shrinks_ends_where_it_ends() {
    let zoo = Zoo::new();
    if !sparse(&zoo, &[(1 << 20, &[7; 4096])], 4 << 20) {
        return skipped("this file system makes no holes");
    }
    let mut file = zoo.listed("s").open().expect("open");
    std::fs::File::options().write(true).open(zoo.at("s")).expect("open").set_len(5000).expect("truncate");
    assert_eq!(read_all(&mut file, 1 << 16).0.len(), 5000);
}

#[test]
fn full_file_is_not_called_sparse() {
    let zoo = Zoo::new();
    zoo.file("f", &[1; 10_000]);
    assert_eq!(zoo.listed("f").posix_metadata(&OwnerNames::new()).flags, 0);
}

#[test]
fn any_difference_of_size_time_or_inode_is_another_state() {
    let zoo = Zoo::new();
    zoo.file("f", b"abc");
    let stat = zoo.listed("f").stat;
    let differs = |change: &dyn Fn(&mut snap::source::local::stat::FileStat)| {
        let mut after = stat;
        change(&mut after);
        !stat.is_same_state(&after)
    };
    assert!(!differs(&|_| {}) && !differs(&|after| after.link_count += 1));
    assert!(differs(&|after| after.size += 1));
    assert!(differs(&|after| after.changed.nanoseconds ^= 1));
    assert!(differs(&|after| after.modified.nanoseconds ^= 1));
    assert!(differs(&|after| after.identity.inode += 1));
}
