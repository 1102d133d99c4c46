//! What is left out: patterns, ignore files, caches, large files.

use snap::source::local::LocalRoot;
use snap::source::local::exclude::{Caches, Excludes};

use crate::local::zoo::{Zoo, as_nobody, list, texts};

const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# comment";

fn patterns(patterns: &[&str]) -> Excludes {
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Excludes::none().with_patterns(&patterns).expect("patterns")
}

fn without(zoo: &Zoo, excludes: Excludes) -> Vec<String> {
    texts(&LocalRoot { excludes, ..zoo.root() })
}

fn forest() -> Zoo {
    let zoo = Zoo::new();
    for path in ["a/x.log", "a/y.txt", "b/a/z.log", "target/o", "b/target", "keep.log"] {
        zoo.file(path, b"12345");
    }
    zoo
}

#[test]
fn pattern_without_a_slash_matches_at_any_depth() {
    let left = without(&forest(), patterns(&["*.log"]));
    assert_eq!(left, ["", "a/", "a/y.txt", "b/", "b/a/", "b/target", "target/", "target/o"]);
}

#[test]
fn pattern_with_a_leading_slash_matches_at_the_root_only() {
    let left = without(&forest(), patterns(&["/a"]));
    assert!(!left.contains(&"a/".to_owned()) && left.contains(&"b/a/z.log".to_owned()));
}

#[test]
fn pattern_with_a_trailing_slash_matches_directories_only() {
    let left = without(&forest(), patterns(&["target/"]));
    assert!(!left.contains(&"target/o".to_owned()) && left.contains(&"b/target".to_owned()));
}

#[test]
fn later_pattern_brings_back() {
    let left = without(&forest(), patterns(&["*.log", "!keep.log"]));
    assert!(left.contains(&"keep.log".to_owned()) && !left.contains(&"a/x.log".to_owned()));
}

#[test]
fn malformed_pattern_is_refused() {
    assert!(Excludes::none().with_patterns(&["[z-a]".to_owned()]).is_err());
}

#[test]
fn no_patterns_leave_nothing_out() {
    assert_eq!(without(&forest(), patterns(&[])), texts(&forest().root()));
}

#[test]
fn ignore_file_rules_in_its_directory_and_below() {
    let zoo = forest();
    zoo.file("b/.snapignore", b"*.log\r\n# x\n/target\n");
    let left = without(&zoo, Excludes::none().with_ignore_files(&[".snapignore"]));
    assert_eq!(
        left,
        ["", "a/", "a/x.log", "a/y.txt", "b/", "b/.snapignore", "b/a/", "keep.log", "target/", "target/o"]
    );
}

#[test]
fn inner_ignore_file_overrules_outer_one_and_patterns() {
    let zoo = forest();
    zoo.file("b/a/.snapignore", b"!z.log\n");
    zoo.file(".snapignore", b"*.txt\n");
    let left = without(&zoo, patterns(&["*.log"]).with_ignore_files(&[".snapignore"]));
    assert!(left.contains(&"b/a/z.log".to_owned()));
    assert!(!left.contains(&"a/x.log".to_owned()) && !left.contains(&"a/y.txt".to_owned()));
}

#[test]
fn ignore_file_is_only_a_file_unless_asked_for() {
    let zoo = forest();
    zoo.file(".gitignore", b"*\n");
    assert!(without(&zoo, Excludes::none().with_ignore_files(&[".snapignore"])).contains(&"a/x.log".to_owned()));
    assert_eq!(without(&zoo, Excludes::none().with_ignore_files(&[".snapignore", ".gitignore"])), [""]);
}

#[test]
fn ignore_file_that_is_a_fifo_is_not_waited_for() {
    let zoo = forest();
    rustix::fs::mkfifoat(rustix::fs::CWD, zoo.at(".snapignore"), rustix::fs::Mode::RUSR).expect("fifo");
    assert!(without(&zoo, Excludes::none().with_ignore_files(&[".snapignore"])).contains(&"a/x.log".to_owned()));
}

#[test]
fn cache_directory_keeps_itself_and_its_tag() {
    let zoo = forest();
    zoo.file("a/CACHEDIR.TAG", TAG);
    let left = without(&zoo, Excludes::none().with_caches(Caches::LeftOut));
    assert!(left.contains(&"a/".to_owned()) && left.contains(&"a/CACHEDIR.TAG".to_owned()));
    assert!(!left.contains(&"a/x.log".to_owned()));
}

#[test]
fn cache_directory_is_kept_unless_asked_for() {
    let zoo = forest();
    zoo.file("a/CACHEDIR.TAG", TAG);
    assert!(texts(&zoo.root()).contains(&"a/x.log".to_owned()));
}

#[test]
fn tag_without_the_signature_tags_nothing() {
    let zoo = forest();
    zoo.file("a/CACHEDIR.TAG", b"Signature: none");
    assert!(without(&zoo, Excludes::none().with_caches(Caches::LeftOut)).contains(&"a/x.log".to_owned()));
}

#[test]
fn only_files_over_the_limit_are_left_out() {
    let zoo = forest();
    zoo.file("six", b"123456");
    let left = without(&zoo, Excludes::none().with_larger_than(5));
    assert!(
        !left.contains(&"six".to_owned()) && left.contains(&"a/x.log".to_owned()) && left.contains(&"a/".to_owned())
    );
}

#[test]
fn excluded_unreadable_directory_makes_no_gap() {
    use std::os::unix::fs::PermissionsExt;
    let zoo = forest();
    std::fs::set_permissions(zoo.at("a"), std::fs::Permissions::from_mode(0o000)).expect("mode");
    let root = LocalRoot { excludes: patterns(&["/a"]), ..zoo.root() };
    let (gaps, all) = as_nobody(&zoo, move |zoo| (list(&root, 2).1, list(&zoo.root(), 2).1));
    std::fs::set_permissions(zoo.at("a"), std::fs::Permissions::from_mode(0o755)).expect("mode");
    assert_eq!((gaps.len(), all.len()), (0, 1));
}
