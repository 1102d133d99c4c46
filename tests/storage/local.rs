//! What is particular to a store in a folder: modes, leftovers, strangers, symbolic links, failures of the system.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use snap::platform::Ways;
use snap::storage::local::LocalStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{Attempt, ByteRange, Put, Storage, StorageErrorKind};

use super::contract::pack;

const BOTH: [Ways; 2] = [Ways::Native, Ways::Portable];

/// A store, its folder, and what removes that in the end.
fn store(ways: Ways) -> (LocalStorage, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (LocalStorage::create(&path, ways).unwrap(), path, folder)
}

fn content() -> Bytes {
    Bytes::from_static(b"content")
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

fn plant(path: &Path, age: Duration) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn only_the_owner_may_read_what_is_stored() {
    for ways in BOTH {
        let (store, path, _folder) = store(ways);
        assert_eq!(store.put_if_absent(&pack(0xab, 1), content()).unwrap(), Put::Created);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("packs")), 0o700);
        assert_eq!(mode(&path.join("packs/ab")), 0o700);
        assert_eq!(mode(&path.join(pack(0xab, 1).as_str())), 0o600);
    }
}

#[test]
fn a_put_leaves_one_file_with_one_name() {
    for ways in BOTH {
        let (store, path, _folder) = store(ways);
        for put in [Put::Created, Put::Exists] {
            assert_eq!(store.put_if_absent(&pack(1, 1), content()).unwrap(), put);
            assert_eq!(files_below(&path), [path.join(pack(1, 1).as_str())]);
        }
    }
}

#[test]
fn pack_folders_are_made_on_demand() {
    let (store, path, _folder) = store(Ways::Native);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    assert_eq!(store.put_if_absent(&pack(0xab, 1), content()).unwrap(), Put::Created);
    assert_eq!(fs::read_dir(path.join("packs")).unwrap().count(), 1);
}

#[test]
fn opening_needs_a_folder_and_creating_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c");
    let error = LocalStorage::open(&path, Ways::Native).unwrap_err();
    assert_eq!((error.kind, error.attempt), (StorageErrorKind::NotFound, Attempt::Open));
    let created = LocalStorage::create(&path, Ways::Native).unwrap();
    assert_eq!(created.put_if_absent(&ObjectName::config(), content()).unwrap(), Put::Created);
    for again in [LocalStorage::open(&path, Ways::Native), LocalStorage::create(&path, Ways::Native)] {
        assert_eq!(again.unwrap().get(&ObjectName::config(), ByteRange::All).unwrap(), content());
    }
    let file = path.join("config");
    assert_eq!(LocalStorage::open(&file, Ways::Native).unwrap_err().kind, StorageErrorKind::Corrupt);
}

#[test]
fn temporary_files_and_strangers_are_not_listed() {
    let (store, path, _folder) = store(Ways::Native);
    assert_eq!(store.put_if_absent(&pack(1, 1), content()).unwrap(), Put::Created);
    for stranger in [".tmp-0-0", "packs/.tmp-0-0", "packs/01/.tmp-0-0", "lost+found/x", "packs/a b", "a/b/c/d"] {
        plant(&path.join(stranger), Duration::ZERO);
    }
    symlink(path.join(pack(1, 1).as_str()), path.join("packs/01/link")).unwrap();
    let names: Vec<_> = store.list(&Prefix::All).unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, [pack(1, 1)]);
}

#[test]
fn temporary_files_of_dead_writers_are_cleared_away_after_a_day() {
    let (_, path, _folder) = store(Ways::Native);
    let leftovers = |name| [1, 2].map(|folder| path.join(format!("packs/0{folder}/.tmp-{name}-1")));
    let (old, young) = (leftovers("old"), leftovers("young"));
    old.iter().for_each(|file| plant(file, Duration::from_secs(25 * 60 * 60)));
    young.iter().for_each(|file| plant(file, Duration::from_secs(60 * 60)));
    let store = LocalStorage::open(&path, Ways::Native).unwrap();
    for folder in [1, 2] {
        assert_eq!(store.put_if_absent(&pack(folder, 1), content()).unwrap(), Put::Created);
    }
    assert!(old.iter().all(|file| !file.exists()));
    assert!(young.iter().all(|file| file.exists()));
}

#[test]
fn the_time_of_an_object_is_that_of_its_put() {
    let (store, path, _folder) = store(Ways::Native);
    assert_eq!(store.put_if_absent(&pack(1, 1), content()).unwrap(), Put::Created);
    let modified = fs::metadata(path.join(pack(1, 1).as_str())).unwrap().modified().unwrap();
    assert_eq!(store.list(&Prefix::Packs).unwrap()[0].modified, modified);
}

#[test]
fn a_symbolic_link_is_never_followed() {
    for ways in BOTH {
        let (store, path, folder) = store(ways);
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        symlink(&outside, path.join("g")).unwrap();
        symlink(outside.join("secret"), path.join("config")).unwrap();

        assert!(store.put_if_absent(&ObjectName::prune_intent(1), content()).is_err());
        assert!(store.put_if_absent(&ObjectName::config(), content()).is_err());
        let error = store.get(&ObjectName::config(), ByteRange::All).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Corrupt);
        assert!(store.list(&Prefix::Generations).is_err());
        assert!(store.delete(&"g/secret".parse().unwrap()).is_err());
        assert_eq!(files_below(&outside), [outside.join("secret")]);
        assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    }
}

#[test]
fn what_is_no_regular_file_is_damage() {
    let (store, path, _folder) = store(Ways::Native);
    fs::create_dir_all(path.join("g/1")).unwrap();
    assert!(Command::new("mkfifo").arg(path.join("g/2")).status().unwrap().success());
    for generation in [1, 2] {
        let error = store.get(&ObjectName::prune_intent(generation), ByteRange::All).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Corrupt);
    }
}

#[test]
fn a_file_in_place_of_a_folder_is_damage() {
    let (store, path, _folder) = store(Ways::Native);
    fs::write(path.join("packs"), "").unwrap();
    assert_eq!(store.put_if_absent(&pack(1, 1), content()).unwrap_err().kind, StorageErrorKind::Corrupt);
    assert_eq!(store.list(&Prefix::Packs).unwrap_err().kind, StorageErrorKind::Corrupt);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn a_store_without_permission_says_denied() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may do everything");
        return;
    }
    let (store, path, _folder) = store(Ways::Native);
    assert_eq!(store.put_if_absent(&pack(1, 1), content()).unwrap(), Put::Created);
    fs::set_permissions(path.join("packs"), Permissions::from_mode(0o000)).unwrap();
    assert_eq!(store.get(&pack(1, 1), ByteRange::All).unwrap_err().kind, StorageErrorKind::Denied);
    assert_eq!(store.put_if_absent(&pack(1, 2), content()).unwrap_err().kind, StorageErrorKind::Denied);
    assert_eq!(store.list(&Prefix::All).unwrap_err().kind, StorageErrorKind::Denied);
    fs::set_permissions(path.join("packs"), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_store_whose_folder_vanished_takes_nothing() {
    let (store, path, _folder) = store(Ways::Native);
    fs::remove_dir_all(&path).unwrap();
    assert!(store.put_if_absent(&ObjectName::config(), content()).is_err());
    assert!(store.put_if_absent(&pack(1, 1), content()).is_err());
}

#[test]
fn two_processes_share_a_store() {
    let (first, path, _folder) = store(Ways::Native);
    let second = LocalStorage::open(&path, Ways::Portable).unwrap();
    assert_eq!(first.put_if_absent(&pack(1, 1), content()).unwrap(), Put::Created);
    assert_eq!(second.put_if_absent(&pack(1, 1), Bytes::from_static(b"other")).unwrap(), Put::Exists);
    assert_eq!(second.put_if_absent(&pack(1, 2), content()).unwrap(), Put::Created);
    assert_eq!(first.list(&Prefix::All).unwrap().len(), 2);
}
