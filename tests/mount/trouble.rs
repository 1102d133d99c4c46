//! What happens to a mount: new snapshots, prunes, damage, signals, an early death, a target that will not do.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::mounted::{Mounted, can_mount, is_mounted, skipped};
use crate::query::{KEY, Store, flip, noise};

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let folder = folder.as_ref();
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn tags_series_and_hosts_lead_to_the_same_snapshots() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    store.write("f", "1");
    let first = store.backup_with(&["--tag", "a", "--tag", "x/y", "--host", "one"]);
    store.write("f", "2");
    let second = store.backup_with(&["--tag", "a", "--host", "two"]);
    store.write("f", "3");
    let other = store.snap(&["backup", "site", "--json", "--series", "other", "--host", "one"]).expect_code(0);
    let third = other.json_lines().pop().expect("a summary")["snapshot"].as_str().expect("an id").to_owned();
    let mounted = Mounted::new(&store, "m", &[]);
    assert_eq!(mounted.hello["snapshots"], 3);
    assert_eq!(names(mounted.path("")), ["hosts", "latest", "series", "snapshots", "tags"]);
    assert_eq!(names(mounted.path("tags")), ["a", "x%2Fy"]);
    assert_eq!(names(mounted.path("series")), ["other", "s"]);
    assert_eq!(names(mounted.path("hosts")), ["one", "two"]);
    let all = names(mounted.path("snapshots"));
    assert_eq!(all.len(), 3);
    for (id, text) in [(&first, "1"), (&second, "2"), (&third, "3")] {
        let name = all.iter().find(|name| name.ends_with(&id[..8])).expect("it has the id in its name");
        for reference in [name, id, &id[..6].to_owned()] {
            let file = mounted.site(&store, &format!("snapshots/{reference}")).join("f");
            assert_eq!(fs::read_to_string(file).expect("read"), text, "{reference}");
        }
    }
    let read = |folder: &str| fs::read_to_string(mounted.site(&store, folder).join("f")).expect("read");
    let latest = ["latest", "tags/a/latest", "tags/x%2Fy/latest", "series/other/latest", "hosts/one/latest"].map(read);
    assert_eq!(latest, ["3", "2", "1", "3", "3"]);
    assert_eq!(names(mounted.path("tags/a")).len(), 3, "two and the latest");
    for none in ["tags/none", "snapshots/none", "snapshots/0", "none", "latest/none"] {
        assert_eq!(fs::metadata(mounted.path(none)).expect_err(none).kind(), std::io::ErrorKind::NotFound);
    }
    mounted.end();
    let name_of_first = all.iter().find(|name| name.ends_with(&first[..8])).expect("it is there");
    let one = Mounted::new(&store, "one", &["--host", "one", "--series", "s"]);
    assert_eq!(names(one.path("snapshots")), [name_of_first.as_str()]);
    assert_eq!(
        (names(one.path("hosts")), names(one.path("tags"))),
        (vec!["one".to_owned()], vec!["a".to_owned(), "x%2Fy".to_owned()])
    );
    one.end();
    let tagged = Mounted::new(&store, "tagged", &["--tag", "a", "--tag", "x/y"]);
    assert_eq!(names(tagged.path("snapshots")), [name_of_first.as_str()]);
    tagged.end();
}

/// Waits for what comes by itself within seconds.
#[track_caller]
fn until(what: impl Fn() -> bool) {
    for _ in 0..600 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not come");
}

#[test]
fn a_new_snapshot_appears_and_prunes_take_nothing_away_that_is_shown() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    let kept: Vec<Vec<u8>> = (0..3).map(|seed| noise(seed, 3_000_000)).collect();
    for (at, kept) in kept.iter().enumerate() {
        // What goes lies between what stays, so that a prune writes anew what stays.
        fs::write(store.site(&format!("{at}-goes")), noise(at as u64 + 50, 2_000_000)).expect("written");
        fs::write(store.site(&format!("{at}-stays")), kept).expect("written");
    }
    let first = store.backup();
    let mounted = Mounted::new(&store, "m", &[]);
    let mut begun = File::open(mounted.site(&store, "latest").join("0-stays")).expect("it opens");
    let mut bytes = vec![0; 100_000];
    begun.read_exact(&mut bytes).expect("read");
    assert!(bytes == kept[0][..100_000]);
    for round in 0..2 {
        fs::remove_file(store.site(&format!("{round}-goes"))).expect("removed");
        let next = store.backup();
        until(|| names(mounted.path("snapshots")).iter().any(|name| name.ends_with(&next[..8])));
        until(|| fs::read_link(mounted.path("latest")).is_ok_and(|link| link.to_string_lossy().ends_with(&next[..8])));
        store.snap(&["forget", "--keep-last", "1", "--prune", "--max-unused", "0"]).expect_code(0);
        until(|| names(mounted.path("snapshots")).len() == 1);
        // Read for the first time, from packs that were not there when it was mounted.
        let path = mounted.site(&store, "latest").join(format!("{}-stays", round + 1));
        assert!(fs::read(path).expect("read") == kept[round + 1], "round {round}");
    }
    begun.seek(SeekFrom::Start(1_000_000)).expect("sought");
    let mut rest = Vec::new();
    begun.read_to_end(&mut rest).expect("a file that is open is read on");
    assert!(rest == kept[0][1_000_000..]);
    let gone = mounted.path("snapshots").join(&first);
    assert!(fs::metadata(gone).is_err(), "what is forgotten is shown no more");
    let said = mounted.end();
    assert!(!said.contains("lost") && !said.contains("progress"), "{said}");
}

#[test]
fn damage_is_an_error_for_its_bytes_alone() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    let content = noise(1, 12_000_000);
    fs::write(store.site("large"), &content).expect("written");
    fs::write(store.site("whole"), noise(2, 100)).expect("written");
    store.backup();
    let pack = store.packs().into_iter().next().expect("a pack");
    flip(&pack, 2_500_000);
    let mounted = Mounted::new(&store, "m", &[]);
    let file = File::open(mounted.site(&store, "latest").join("large")).expect("it opens");
    let (mut good, mut bad) = (0, Vec::new());
    for (at, page) in content.chunks(4096).enumerate() {
        let mut bytes = vec![0; page.len()];
        match file.read_exact_at(&mut bytes, at as u64 * 4096) {
            Ok(()) => {
                assert!(bytes == page, "page {at}");
                good += 1;
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "page {at}");
                bad.push(at);
            }
        }
    }
    let (first, last) = (bad[0], *bad.last().expect("something is lost"));
    assert_eq!(bad.len(), last - first + 1, "the loss is one stretch");
    assert!(bad.len() * 4096 < 4 << 20 && good * 4096 > 8_000_000, "{} pages lost", bad.len());
    assert!(fs::read(mounted.site(&store, "latest").join("whole")).is_ok());
    assert!(fs::read(mounted.site(&store, "latest").join("large")).is_err(), "what is lost is no end of a file");
    let said = mounted.end();
    let told: Vec<&str> = said.lines().filter(|line| line.contains("are lost")).collect();
    assert!(!told.is_empty() && told.len() < 100 && told.iter().all(|line| line.contains("site/large")), "{said}");
}

#[test]
fn a_lost_page_of_names_ends_a_listing_with_an_error() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    fs::create_dir(store.site("")).expect("created");
    for number in 0..5_000 {
        fs::write(store.site(&format!("{number:05}")), b"").expect("written");
    }
    store.backup();
    // Pages are in the smallest packs; one of which every frame is damaged.
    let pages = store.packs().pop().expect("a pack");
    let mounted = Mounted::new(&store, "m", &[]);
    flip(&pages, usize::try_from(fs::metadata(&pages).expect("it is there").len() / 3).expect("it is small"));
    let listed: Vec<_> = match fs::read_dir(mounted.site(&store, "latest")) {
        Ok(listed) => listed.collect(),
        Err(error) => vec![Err(error)],
    };
    assert!(listed.iter().any(Result::is_err) && listed.len() <= 5_001, "{} names", listed.len());
    let said = mounted.end();
    assert!(said.contains("lost") || said.contains("cannot be read"), "{said}");
}

#[test]
fn signals_and_umount_end_it_well_even_while_somebody_is_in_it() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    store.write("f", "x");
    store.backup();
    for (number, signal) in [Signal::INT, Signal::TERM].into_iter().enumerate() {
        let mut mounted = Mounted::new(&store, &format!("m{number}"), &[]);
        let held = File::open(mounted.site(&store, "latest").join("f")).expect("it opens");
        mounted.signal(signal);
        let (status, said) = mounted.wait();
        assert_eq!((status.code(), is_mounted(&mounted.target)), (Some(0), false), "{said}");
        drop(held);
        assert_eq!(names(&mounted.target), Vec::<String>::new());
    }
    let mut mounted = Mounted::new(&store, "m", &[]);
    assert!(Command::new("umount").arg(&mounted.target).status().expect("it runs").success());
    let (status, said) = mounted.wait();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("unmounted"), "{said}");
}

#[test]
fn what_a_killed_mount_leaves_is_named_and_cleared_by_umount() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    store.write("f", "x");
    store.backup();
    let mut mounted = Mounted::new(&store, "m", &[]);
    mounted.signal(Signal::KILL);
    assert_eq!(mounted.wait().0.code(), None);
    let again = store.snap(&["mount", "m"]).expect_code(1);
    assert!(again.stderr.contains("umount "), "{again:?}");
    assert!(Command::new("umount").arg(&mounted.target).status().expect("it runs").success());
    Mounted::at(&store, &store.machine.work("m"), &[]).end();
}

#[test]
fn a_target_that_will_not_do_is_refused_with_the_way_out() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    store.write("f", "x");
    store.backup();
    let refused = |target: &str, code: i32| {
        let ran = store.snap(&["mount", target]).expect_code(code);
        assert!(ran.stderr.contains("\nhint: ") && ran.stdout.is_empty(), "{ran:?}");
        ran.stderr
    };
    assert!(refused("none", 1).contains("there is no folder"));
    assert!(refused("key", 1).contains("is no folder"));
    assert!(refused("site", 1).contains("is not empty"));
    let mounted = Mounted::new(&store, "m", &[]);
    assert!(refused("m", 11).contains("mounted"));
    mounted.end();
    store.snap(&["mount"]).expect_code(2);
}

#[test]
fn without_the_device_it_says_what_is_missing() {
    if !can_mount() {
        return;
    }
    let store = Store::new();
    store.write("f", "x");
    store.backup();
    fs::create_dir(store.machine.work("m")).expect("created");
    // In a space of mounts of its own, where /dev is empty.
    let line = "mount -t tmpfs none /dev && exec \"$0\" -r repository mount m";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", line, env!("CARGO_BIN_EXE_snap")]).env(KEY.0, KEY.1);
    let ran = command.current_dir(store.machine.work("")).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    if said.contains("unshare failed") {
        return skipped("no space of mounts can be made here");
    }
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no /dev/fuse") && said.contains("modprobe fuse"), "{said}");
    assert!(!is_mounted(Path::new(&store.machine.work("m"))));
}
