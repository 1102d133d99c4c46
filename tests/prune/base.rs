//! The base of the index: segments of which little goes stay, what is gone stays gone, and caches follow.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use snap::id::PackId;
use snap::operation::backup::session_mark;
use snap::operation::check::Verdict;
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::operation::prune::{Patience, PruneReport, PruneRequest, prune};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::generation::Manifest;
use snap::repository::session::{Mode, Session};
use snap::storage::Storage;
use snap::storage::name::{ObjectName, Prefix};

use super::scene::{Scene, files};

const NOTHING_REPACKED: u16 = 10_000;

fn manifest(scene: &Scene) -> Manifest {
    let repository = scene.another();
    let number = repository.generation(snap::repository::generation::Access::Read).expect("a generation").number;
    repository.manifest(number).expect("a manifest").0
}

/// Runs `meanwhile` once, while the prune waits for a writer.
struct Meanwhile<F: FnOnce() + Send>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Patience for Meanwhile<F> {
    fn pause(&self) -> bool {
        self.0.lock().expect("nobody panicked").take().map(|act| act()).is_some()
    }
}

fn prune_meanwhile(scene: &Scene, session: &Session, meanwhile: impl FnOnce() + Send) -> PruneReport {
    let patience = Meanwhile(Mutex::new(Some(|| {
        meanwhile();
        session.close().expect("closed");
    })));
    let limits = Limits { max_unused: MaxUnused::Part(NOTHING_REPACKED), max_repack: None };
    let mark = session_mark("host", scene.now());
    let request =
        PruneRequest { limits, max_time: None, mode: Mode::Write, exclusive: false, mark, patience: &patience };
    prune(&scene.another(), &request, &Silent).expect("a prune")
}

#[test]
fn a_segment_of_which_little_goes_stays_and_what_is_gone_stays_gone() {
    let mut scene = Scene::new();
    let all: Vec<_> = (1..=10).map(|seed| scene.back_up(&files(&[seed]))).collect();
    scene.forget(all[0]);
    scene.prune();
    let base = scene.names(Prefix::Base);
    let stored: Vec<(ObjectName, Bytes)> = scene.objects();
    scene.forget(all[1]);
    scene.prune_with(&scene.another(), NOTHING_REPACKED).expect("a prune");
    assert_eq!(scene.names(Prefix::Base), base, "nothing of it is written anew");
    let gone: Vec<PackId> = manifest(&scene).segments.remove(0).gone;
    assert_eq!(gone, manifest(&scene).deleted);
    assert_eq!(gone.len(), 2, "its file and its page");
    // While the next prune waits, a power cut takes the deletes back; anyone may repeat them at any time.
    scene.forget(all[2]);
    let lost: Vec<_> =
        stored.into_iter().filter(|(name, _)| name.pack_id().is_some_and(|id| gone.contains(&id))).collect();
    let session = scene.begin();
    prune_meanwhile(&scene, &session, || {
        lost.iter().for_each(|(name, bytes)| scene.storage.inner().tamper(name, bytes.clone()));
    });
    assert!(gone.iter().all(|pack| manifest(&scene).segments[0].gone.contains(pack)), "{:?}", manifest(&scene));
    scene.back_up(&files(&[2]));
    lost.iter().for_each(|(name, _)| scene.storage.inner().delete(name).expect("deleted"));
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
}

/// Chunks with their pack, the offset of their frame and their own in it; and packs.
type Said = (BTreeSet<([u8; 32], PackId, u64, u32)>, BTreeSet<PackId>);

/// What an index says.
fn said(repository: &Repository) -> Said {
    let (index, damaged) = repository.index().expect("an index");
    assert!(damaged.is_empty(), "{damaged:?}");
    let chunks: Vec<_> = index.chunks().collect();
    for (id, place) in &chunks {
        assert!(index.find(id).any(|found| found == *place) && index.contains(id));
    }
    let chunks = chunks.into_iter().map(|(id, place)| (id, place.pack, place.frame.offset, place.offset));
    let packs: Vec<PackId> = index.packs().map(|pack| pack.id).collect();
    let all: BTreeSet<PackId> = packs.iter().copied().collect();
    assert_eq!(all.len(), packs.len(), "no pack is named twice");
    (chunks.collect(), all)
}

/// What is not said by an index made without a cache is not in one with it.
fn absent(scene: &Scene, repository: &Repository) {
    let (index, _) = repository.index().expect("an index");
    let there: BTreeSet<String> = scene.names(Prefix::Packs).into_iter().collect();
    for (id, place) in index.chunks() {
        assert!(there.contains(&ObjectName::pack(&place.pack).to_string()), "{}", hex::encode(id));
    }
}

#[derive(Clone, Debug)]
enum Step {
    BackUp(u64),
    Forget(prop::sample::Index),
    Prune { part: u16, is_cached: bool },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u64..30).prop_map(Step::BackUp),
        2 => any::<prop::sample::Index>().prop_map(Step::Forget),
        2 => (prop_oneof![Just(0), Just(NOTHING_REPACKED)], any::<bool>())
            .prop_map(|(part, is_cached)| Step::Prune { part, is_cached }),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 20..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_cached_index_says_what_one_made_of_the_objects_says(steps in steps()) {
        let mut scene = Scene::new();
        let cache = tempfile::tempdir().expect("a folder");
        let mut cached = Arc::new(scene.with_cache(cache.path()));
        for step in steps {
            match step {
                Step::BackUp(seed) => {
                    scene.show(&files(&[seed, seed + 1]));
                    let id = scene.try_back_up(&cached).expect("a backup");
                    scene.known.insert(id, files(&[seed, seed + 1]));
                }
                Step::Forget(which) if !scene.known.is_empty() => {
                    let ids: Vec<_> = scene.known.keys().copied().collect();
                    scene.forget(*which.get(&ids));
                }
                Step::Forget(_) => {}
                Step::Prune { part, is_cached } => {
                    let repository = if is_cached { Arc::clone(&cached) } else { scene.another() };
                    scene.prune_with(&repository, part).expect("a prune");
                }
                Step::Reopen => cached = Arc::new(scene.with_cache(cache.path())),
            }
            prop_assert_eq!(said(&cached), said(&scene.another()));
            absent(&scene, &cached);
        }
        scene.all_restore();
        prop_assert_eq!(scene.check().verdict(), Verdict::Sound);
    }
}

#[test]
fn a_cached_segment_of_many_objects_outlives_those_of_them_that_go() {
    let mut scene = Scene::new();
    let doomed = scene.back_up(&files(&[1]));
    for seed in 2..=80 {
        scene.back_up(&files(&[seed]));
    }
    scene.forget(doomed);
    scene.prune();
    let base = scene.names(Prefix::Base);
    let cache = tempfile::tempdir().expect("a folder");
    // Each delta becomes a segment, until they are merged with the base, which has more packs and fewer chunks.
    for round in 0..9 {
        let many: Vec<u64> = (0..10).map(|file| 1_000 + round * 10 + file).collect();
        scene.back_up(&files(&many));
        said(&scene.with_cache(cache.path()));
    }
    let segments = || {
        let folder = walk(cache.path());
        folder.into_iter().filter(|path| path.extension().is_some_and(|of| of == "segment")).collect::<BTreeSet<_>>()
    };
    let merged = segments();
    assert!(merged.len() < 9, "they are merged: {merged:?}");
    let doomed = scene.back_up(&files(&[5_000]));
    scene.forget(doomed);
    scene.prune_with(&scene.another(), NOTHING_REPACKED).expect("a prune");
    assert!(scene.names(Prefix::Base).contains(&base[0]), "the base stays");
    assert_eq!(said(&scene.with_cache(cache.path())), said(&scene.another()));
    assert!(segments().intersection(&merged).next().is_some(), "what holds the base is not made anew");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
