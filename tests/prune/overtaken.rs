//! A prune, a check or a restore that a prune overtakes, from beginning to end, at each of its calls: it succeeds all the same.

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

/// Runs `act` on scene after scene, each time overtaken one call later, until it makes no more calls.
fn overtake(act: impl Fn(&Arc<Scene>, Arc<dyn Storage>)) {
    overtake_forgetting(&[], act);
}

/// The same, with a snapshot of these files forgotten just before the overtaking prune.
fn overtake_forgetting(going: &[u64], act: impl Fn(&Arc<Scene>, Arc<dyn Storage>)) {
    let ended = Arc::new(AtomicU64::new(0));
    for at in 0.. {
        let (scene, going) = scene(going);
        let (inner, other, ended_here) = (Arc::clone(&scene.storage), Arc::clone(&scene), Arc::clone(&ended));
        let forget = move |scene: &Scene| {
            if let Some(id) = going {
                scene.repository.forget(id, scene.now(), "host").expect("forgotten");
            }
        };
        // While the first repacks, the other waits for it and decides nothing.
        let overtaking = move || {
            forget(&other);
            let decided = other.prune().generation.is_some();
            ended_here.fetch_add(u64::from(decided), Ordering::Relaxed);
        };
        let store = Arc::new(Interrupted { inner, calls: AtomicU64::new(0), at, act: Box::new(overtaking) });
        act(&scene, Arc::clone(&store) as _);
        forget(&scene);
        assert_eq!(scene.check().verdict(), Verdict::Sound, "overtaken at call {at}");
        scene.all_restore();
        if store.calls.load(Ordering::Relaxed) <= at {
            assert!(ended.load(Ordering::Relaxed) > 10, "it was overtaken");
            return;
        }
    }
}

#[test]
fn a_prune_that_is_overtaken_anywhere_succeeds() {
    overtake(|scene, store| {
        let repository = scene.through(store);
        scene.prune_with(&repository, 0).unwrap_or_else(|error| panic!("{:?}: {error}", repository.storage()));
    });
}

#[test]
fn what_would_come_back_is_told_though_a_prune_overtakes() {
    overtake(|scene, store| {
        let repository = scene.through(store);
        let limits = Limits { max_unused: MaxUnused::Part(0), max_repack: None };
        let told = foretell(&repository, &std::collections::HashSet::new(), limits, &Silent);
        told.unwrap_or_else(|error| panic!("{:?}: {error}", repository.storage()));
    });
}

#[test]
fn a_check_that_a_prune_overtakes_anywhere_calls_nothing_damaged() {
    for depth in [Depth::Structure, Depth::Data(100.0)] {
        overtake_forgetting(&[6, 7], |scene, store| {
            let request = CheckRequest { depth, threads: 1, now: scene.now() };
            let report = check(&scene.through(store), &request, &Silent).expect("it is read");
            assert_eq!(report.verdict(), Verdict::Sound, "{report:?}");
        });
    }
}

#[test]
fn a_restore_that_a_prune_overtakes_anywhere_is_whole() {
    overtake(|scene, store| scene.all_restore_by(&scene.through(store)));
}
