//! Parts of a snapshot: by path, by pattern.

use std::fs;

use snap::operation::restore::{RestoreError, RestoreRequest};

use super::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    for path in ["a/x.txt", "a/y.bin", "a/b/z.txt", "c/x.txt", "a.txt", "a-/q"] {
        bench.write(path, 700);
    }
    bench
}

fn inside(bench: &Bench, path: &str) -> RestoreRequest {
    RestoreRequest { inside: Some(format!("{}/{path}", bench.layout()).into_bytes()), ..bench.request() }
}

fn patterns(bench: &Bench, include: &[&str], exclude: &[&str]) -> RestoreRequest {
    let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    RestoreRequest { include: owned(include), exclude: owned(exclude), ..bench.request() }
}

#[test]
fn a_folder_goes_directly_into_the_target_and_a_file_under_its_name() {
    let bench = bench();
    let record = bench.backup();
    bench.restore(&record, &inside(&bench, "a"));
    assert_eq!(bench.out_paths(), ["", "b", "b/z.txt", "x.txt", "y.bin"]);
    fs::remove_dir_all(bench.out("")).unwrap();
    bench.restore(&record, &inside(&bench, "a/"));
    assert_eq!(bench.out_paths(), ["", "b", "b/z.txt", "x.txt", "y.bin"]);
    fs::remove_dir_all(bench.out("")).unwrap();
    bench.restore(&record, &inside(&bench, "a/b/z.txt"));
    assert_eq!(bench.out_paths(), ["", "z.txt"]);
    fs::remove_dir_all(bench.out("")).unwrap();
    let above = RestoreRequest { inside: Some(b"local".to_vec()), ..bench.request() };
    bench.restore(&record, &above);
    assert!(bench.out(&format!("{}/a/x.txt", &bench.layout()["local/".len()..])).exists());
}

#[test]
fn what_is_not_in_the_snapshot_is_an_error_and_makes_nothing() {
    let bench = bench();
    let record = bench.backup();
    for path in ["zebra", "a/x", "a/x.txt/", "a/x.txt/y"] {
        let (outcome, _) = bench.restore_told(&record, &inside(&bench, path));
        assert!(matches!(outcome, Err(RestoreError::NotThere { .. })), "{path}");
    }
    assert!(!bench.out("").exists());
}

#[test]
fn patterns_are_of_the_layout_or_of_the_resource() {
    let bench = bench();
    let record = bench.backup();
    let layout = bench.layout();
    let cases: [(&[&str], &[&str], &[&str]); 6] = [
        (&["*.txt"], &[], &["", "a", "a/b", "a/b/z.txt", "a/x.txt", "a.txt", "c", "c/x.txt"]),
        (&["/a"], &[], &["", "a", "a/b", "a/b/z.txt", "a/x.txt", "a/y.bin"]),
        (&["a/b"], &[], &["", "a", "a/b", "a/b/z.txt"]),
        (&[], &["*.txt", "c"], &["", "a", "a/b", "a/y.bin", "a-", "a-/q"]),
        (&["/a"], &["b", "*.bin"], &["", "a", "a/x.txt"]),
        (&[&format!("{layout}/c")], &[], &["", "c", "c/x.txt"]),
    ];
    for (include, exclude, expected) in cases {
        bench.restore(&record, &patterns(&bench, include, exclude));
        assert_eq!(bench.out_paths(), sorted(expected), "{include:?} {exclude:?}");
        fs::remove_dir_all(bench.out("")).unwrap();
    }
}

/// Sorted as paths are, name by name.
fn sorted(paths: &[&str]) -> Vec<String> {
    let mut paths: Vec<_> = paths.iter().map(std::path::PathBuf::from).collect();
    paths.sort();
    paths.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

#[test]
fn folders_above_what_is_included_get_their_metadata() {
    let bench = bench();
    let record = bench.backup();
    bench.restore(&record, &patterns(&bench, &["a/b"], &[]));
    let time = |path| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(time(bench.out("a")), time(bench.live("a")));
}

#[test]
fn hard_links_without_their_first_are_links_of_one_another() {
    let bench = bench();
    bench.write("a/first", 100_000);
    for name in ["c/second", "c/third"] {
        fs::hard_link(bench.live("a/first"), bench.live(name)).unwrap();
    }
    let record = bench.backup();
    bench.restore(&record, &patterns(&bench, &["c"], &[]));
    let inode = |path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    assert_eq!(fs::read(bench.out("c/third")).unwrap(), fs::read(bench.live("a/first")).unwrap());
    assert_eq!(inode(bench.out("c/second")), inode(bench.out("c/third")));
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let bench = bench();
    let (outcome, _) = bench.restore_told(&bench.backup(), &patterns(&bench, &["a{"], &[]));
    assert!(matches!(outcome, Err(RestoreError::Pattern { .. })), "{outcome:?}");
}
