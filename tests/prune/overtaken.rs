//! Whoever a prune overtakes, from beginning to end, at each of its calls: all succeed as if nobody had pruned.

use std::collections::HashSet;
use std::fmt::{Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use snap::id::SnapshotId;
use snap::operation::check::{CheckRequest, Depth, Verdict, check};
use snap::operation::prune::foretell;
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::progress::Silent;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Put, Storage, StorageError, StoredObject};

use super::scene::{Scene, files};

/// A store that does something before one of the calls.
struct Interrupted {
    inner: Arc<dyn Storage>,
    calls: AtomicU64,
    at: u64,
    act: Box<dyn Fn() + Send + Sync>,
}

impl Interrupted {
    fn call(&self) -> &dyn Storage {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            (self.act)();
        }
        self.inner.as_ref()
    }
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted at {}", self.at)
    }
}

impl Display for Interrupted {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Storage for Interrupted {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        self.call().put_if_absent(name, content)
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        self.call().get(name, range)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.call().list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.call().delete(name)
    }
}

/// A scene with something to delete and something to repack, and a snapshot of these files, if any, that is yet to be forgotten.
fn scene(going: &[u64]) -> (Arc<Scene>, Option<SnapshotId>) {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3, 4]));
    scene.back_up(&files(&[3, 4, 5]));
    scene.forget(first);
    let going = (!going.is_empty()).then(|| scene.back_up(&files(going)));
    scene.known.retain(|id, _| Some(*id) != going);
    (Arc::new(scene), going)
}

/// Runs `act` on scene after scene, each time overtaken one call later, until it makes no more calls. What it returns are
/// snapshots that it made of what the scene shows.
fn overtake(act: impl Fn(&Scene, Arc<dyn Storage>) -> Option<SnapshotId>) {
    overtake_forgetting(&[], act);
}

/// The same, with a snapshot of these files forgotten just before the overtaking prune.
fn overtake_forgetting(going: &[u64], act: impl Fn(&Scene, Arc<dyn Storage>) -> Option<SnapshotId>) {
    let ended = Arc::new(AtomicU64::new(0));
    for at in 0.. {
        let (scene, going) = scene(going);
        let (inner, other, ended_here) = (Arc::clone(&scene.storage), Arc::clone(&scene), Arc::clone(&ended));
        let forget = move |scene: &Scene| {
            if let Some(id) = going {
                scene.repository.forget(id, scene.now(), "host").expect("forgotten");
            }
        };
        // While the first is a writer, the other waits for it and decides nothing.
        let overtaking = move || {
            forget(&other);
            let decided = other.prune().generation.is_some();
            ended_here.fetch_add(u64::from(decided), Ordering::Relaxed);
        };
        let store = Arc::new(Interrupted { inner, calls: AtomicU64::new(0), at, act: Box::new(overtaking) });
        let made = act(&scene, Arc::clone(&store) as _);
        forget(&scene);
        let calls = store.calls.load(Ordering::Relaxed);
        drop(store);
        let mut scene = Arc::into_inner(scene).expect("nobody else has it any more");
        scene.known.extend(made.map(|id| (id, files(&[3, 4, 5]))));
        assert_eq!(scene.check().verdict(), Verdict::Sound, "overtaken at call {at}");
        scene.all_restore();
        if calls <= at {
            assert!(ended.load(Ordering::Relaxed) > 0, "it was overtaken");
            return;
        }
    }
}

#[test]
fn a_prune_that_is_overtaken_anywhere_succeeds() {
    overtake(|scene, store| {
        let repository = scene.through(store);
        scene.prune_with(&repository, 0).unwrap_or_else(|error| panic!("{:?}: {error}", repository.storage()));
        None
    });
}

#[test]
fn what_would_come_back_is_told_though_a_prune_overtakes() {
    overtake(|scene, store| {
        let repository = scene.through(store);
        let limits = Limits { max_unused: MaxUnused::Part(0), max_repack: None };
        let told = foretell(&repository, &HashSet::new(), limits, &Silent);
        told.unwrap_or_else(|error| panic!("{:?}: {error}", repository.storage()));
        None
    });
}

#[test]
fn a_backup_that_is_overtaken_anywhere_restores() {
    overtake(|scene, store| Some(scene.try_back_up(&scene.through(store)).expect("a backup")));
}

#[test]
fn a_restore_that_is_overtaken_anywhere_loses_nothing() {
    overtake(|scene, store| {
        scene.restores(&scene.through(store));
        None
    });
}

#[test]
fn a_check_that_is_overtaken_anywhere_finds_all_sound() {
    for depth in [Depth::Structure, Depth::Data(100.0)] {
        overtake_forgetting(&[6, 7], |scene, store| {
            let request = CheckRequest { depth, threads: 1, now: scene.now() };
            let report = check(&scene.through(store), &request, &Silent).expect("it is read");
            assert_eq!(report.verdict(), Verdict::Sound, "{report:?}");
            None
        });
    }
}
