//! The local cache of a repository far away: the same answers with it, without it, with half of it, and with a damaged one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use snap::entry::Entry;
use snap::repository::Repository;
use snap::repository::reader::Reader;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{Attempt, ByteRange, Storage};
use snap::tree::cursor::Cursor;

use crate::prune::scene::{Scene, files};

/// Every snapshot and all its entries.
fn answers(repository: &Repository) -> Vec<(String, Vec<Entry>)> {
    let snapshots = repository.snapshots().expect("snapshots");
    assert!(snapshots.damaged.is_empty(), "{:?}", snapshots.damaged);
    let (index, damaged) = repository.index().expect("an index");
    assert!(damaged.is_empty(), "{damaged:?}");
    let reader = Reader::new(repository, &index);
    let entries = |root| Cursor::new(&reader, root).collect::<Result<Vec<Entry>, _>>().expect("entries");
    let of_each = snapshots.valid.iter().map(|snapshot| {
        let entries = snapshot.record.resources.iter().flat_map(|record| entries(record.root));
        (snapshot.id.to_string(), entries.collect())
    });
    of_each.collect()
}

/// The files of the cache beside the index.
fn kept(cache: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(cache).expect("a cache").map(|entry| entry.expect("a folder").path().join("objects"));
    let files = folders.filter(|folder| folder.exists()).flat_map(|folder| fs::read_dir(folder).expect("files"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

fn size(cache: &Path) -> u64 {
    kept(cache).iter().map(|file| file.metadata().expect("it is there").len()).sum()
}

#[test]
fn what_is_kept_is_not_asked_for_again() {
    let mut scene = Scene::far();
    scene.back_up(&files(&[1, 2]));
    scene.back_up(&files(&[2, 3]));
    let cache = tempfile::tempdir().expect("a folder");
    let expected = answers(&scene.with_cache(cache.path()));
    assert_eq!(kept(cache.path()).len(), 4, "two cells and two packs of pages");
    let gets = scene.storage.calls(Attempt::Get);
    assert_eq!(answers(&scene.with_cache(cache.path())), expected);
    assert_eq!(scene.storage.calls(Attempt::Get) - gets, 2, "config and a key slot");
    let near = Scene::new();
    answers(&near.with_cache(&cache.path().join("near")));
    assert!(kept(&cache.path().join("near")).is_empty(), "a store nearby gains nothing by it");
    let unbounded = answers(&scene.with_cache(&cache.path().join("none")).with_cache_size(0));
    assert_eq!(unbounded, expected);
    assert!(kept(&cache.path().join("none")).is_empty());
}

#[test]
fn no_byte_of_it_is_believed() {
    let mut scene = Scene::far();
    scene.back_up(&files(&[1, 2]));
    let cache = tempfile::tempdir().expect("a folder");
    let expected = answers(&scene.with_cache(cache.path()));
    let mut noticed = 0;
    for file in kept(cache.path()) {
        let whole = fs::read(&file).expect("it is kept");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&file, &damaged).expect("written");
            assert_eq!(answers(&scene.with_cache(cache.path())), expected, "byte {at} of {}", file.display());
            // Of a pack, what no page lies in is not read.
            let again = fs::read(&file).unwrap_or_default();
            assert!(again == whole || again == damaged || again.is_empty(), "byte {at} of {}", file.display());
            noticed += usize::from(again != damaged);
            fs::write(&file, &whole).expect("written");
        }
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..length]).expect("written");
            assert_eq!(answers(&scene.with_cache(cache.path())), expected, "{length} bytes of {}", file.display());
        }
    }
    assert!(noticed > 500, "{noticed} bytes were noticed");
}

#[test]
fn any_of_it_may_go_at_any_moment() {
    let mut scene = Scene::far();
    let cache = tempfile::tempdir().expect("a folder");
    scene.repository = Arc::new(scene.with_cache(cache.path()));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut folders: Vec<PathBuf> = Vec::new();
            for turn in 0_u64.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                folders.clear();
                for entry in fs::read_dir(cache.path()).into_iter().flatten().flatten() {
                    folders.extend(["objects", "index"].map(|name| entry.path().join(name)));
                }
                let files = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
                for (number, file) in files.enumerate() {
                    if (number as u64 + turn).is_multiple_of(3) {
                        // It may be gone, or be another's unfinished file.
                        drop(fs::remove_file(file.path()));
                    }
                }
                std::thread::yield_now();
            }
        });
        for round in 0..12 {
            let id = scene.back_up(&files(&[round, round + 1, round + 2]));
            answers(&scene.repository);
            if round % 3 == 2 {
                scene.forget(id);
                scene.prune();
            }
        }
        scene.all_restore();
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(answers(&scene.with_cache(cache.path())), answers(&scene.another()));
}

#[test]
fn it_stays_within_its_bound_and_the_longest_unused_goes_first() {
    let mut scene = Scene::far();
    let cache = tempfile::tempdir().expect("a folder");
    for round in 0..6 {
        scene.back_up(&files(&[round]));
    }
    let expected = answers(&scene.with_cache(cache.path()));
    let all = size(cache.path());
    let first = kept(cache.path()).into_iter().find(|file| file.display().to_string().contains("pack_")).expect("one");
    let old = std::time::SystemTime::UNIX_EPOCH;
    fs::File::options().write(true).open(&first).and_then(|file| file.set_modified(old)).expect("made old");
    scene.back_up(&files(&[7]));
    let bounded = scene.with_cache(cache.path()).with_cache_size(all);
    assert_eq!(answers(&bounded).len(), expected.len() + 1);
    assert!(size(cache.path()) <= all, "{} of {all}", size(cache.path()));
    let tiny = scene.with_cache(cache.path()).with_cache_size(1000);
    assert_eq!(answers(&tiny).len(), expected.len() + 1);
}

#[test]
fn the_listing_decides_what_is_there_and_when() {
    let mut scene = Scene::far();
    let gone = scene.back_up(&files(&[1]));
    let other = scene.back_up(&files(&[2]));
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(answers(&scene.with_cache(cache.path())).len(), 2);
    scene.storage.delete(&ObjectName::commit_cell(&gone)).expect("deleted");
    assert_eq!(answers(&scene.with_cache(cache.path())).len(), 1);
    // The store was put back from a copy and went on otherwise: another object under the name.
    scene.sleep_long();
    let cell = ObjectName::commit_cell(&other);
    let size = scene.storage.get(&cell, ByteRange::All).expect("it is there").len();
    scene.storage.inner().tamper(&cell, vec![7; size].into());
    let snapshots = scene.with_cache(cache.path()).snapshots().expect("snapshots");
    assert_eq!((snapshots.valid.len(), snapshots.damaged.len()), (0, 1));
    assert_eq!(scene.names(Prefix::Cells).len(), 1);
}
