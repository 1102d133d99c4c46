//! Path order, whatever the tree and however many threads list it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::prelude::{Strategy, prop};
use proptest::{prop_assert_eq, proptest};
use snap::platform::Ways;
use snap::source::local::LocalRoot;

use crate::local::zoo::{Zoo, list, paths, texts};

#[test]
fn root_comes_first_and_has_the_empty_path() {
    let zoo = Zoo::new();
    assert_eq!(texts(&zoo.root()), [""]);
}

#[test]
fn directory_sorts_as_if_its_name_ended_with_a_slash() {
    let zoo = Zoo::new();
    for path in ["a/x", "a-b", "a0", "a.txt", "a!/y", "a/0/z"] {
        zoo.file(path, b"");
    }
    assert_eq!(texts(&zoo.root()), ["", "a!/", "a!/y", "a-b", "a.txt", "a/", "a/0/", "a/0/z", "a/x", "a0"]);
}

#[test]
fn names_of_eight_bytes_and_around_sort_by_all_their_bytes() {
    let zoo = Zoo::new();
    for path in ["1234567/x", "12345678/x", "12345678-", "123456789", "123456780/x", "1234567-", "12345678"] {
        if path != "12345678" {
            zoo.file(path, b"");
        }
    }
    assert_in_order(&zoo.root());
}

#[test]
fn folder_of_twenty_thousand_is_listed_whole_and_in_order() {
    let zoo = Zoo::large();
    for number in 0..20_000 {
        let path = zoo.path().join(format!("{:05}", (number * 7919) % 20_000));
        if number % 10 == 0 {
            std::fs::create_dir(&path).expect("directory");
        } else {
            std::fs::write(&path, b"").expect("file");
        }
    }
    for threads in [1, 2, 4] {
        assert_eq!(paths(&zoo.root(), threads).len(), 20_001);
        assert_in_order(&zoo.root());
    }
}

#[test]
fn portable_way_lists_the_same() {
    let zoo = Zoo::new();
    for path in ["b/c/d", "a", "b-", "b/c-"] {
        zoo.file(path, b"");
    }
    let portable = LocalRoot { ways: Ways::Portable, ..zoo.root() };
    assert_eq!(paths(&portable, 2), paths(&zoo.root(), 2));
}

#[test]
fn dropping_a_walk_half_way_ends_its_threads() {
    let zoo = Zoo::large();
    for number in 0..2_000 {
        zoo.file(&format!("{}/{number}", number % 50), b"");
    }
    let mut walk = snap::source::local::walk::walk(&zoo.root(), 4).expect("root opens");
    assert!(walk.next().is_some());
}

fn assert_in_order(root: &LocalRoot) {
    let (entries, gaps) = list(root, 3);
    assert!(gaps.is_empty());
    assert!(entries.windows(2).all(|pair| pair[0].path < pair[1].path));
}

fn naive(directory: &Path, prefix: &[u8], found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(directory).expect("directory").flatten() {
        let mut path = [prefix, entry.file_name().as_bytes()].concat();
        if entry.file_type().expect("type").is_dir() {
            path.push(b'/');
            naive(&entry.path(), &path, found);
        }
        found.push(path);
    }
}

fn names() -> impl Strategy<Value = Vec<Vec<String>>> {
    let name = "[ab\\-./0é]{1,10}"
        .prop_map(|name| name.replace('/', "~"))
        .prop_filter("a name", |name| name != "." && name != "..");
    prop::collection::vec(prop::collection::vec(name, 1..5), 0..60)
}

proptest! {
    #[test]
    fn any_tree_is_listed_as_a_naive_sorted_walk_lists_it(tree in names(), threads in 1_usize..4) {
        let zoo = Zoo::new();
        for path in tree {
            let path = zoo.path().join(path.join("/"));
            let _taken = path.parent().is_some_and(|parent| std::fs::create_dir_all(parent).is_ok())
                && std::fs::write(&path, b"").is_ok();
        }
        let mut expected = vec![Vec::new()];
        naive(zoo.path(), b"", &mut expected);
        expected.sort();
        prop_assert_eq!(paths(&zoo.root(), threads), expected);
    }
}
