//! What a prune deletes, and what it leaves.

use snap::id::PackId;
use snap::operation::check::Verdict;
use snap::operation::prune::plan::{CONDEMNED_MAX, Limits, PackState, PackUse, Reason, plan};
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::storage::name::Prefix;

use super::scene::{Files, Scene, files};

#[test]
fn what_only_forgotten_snapshots_held_goes_in_one_run() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3, 4, 5, 6]));
    scene.back_up(&files(&[7, 8]));
    let before = scene.bytes(Prefix::Packs);
    scene.forget(first);
    let report = scene.prune();
    assert_eq!(report.generation, Some(1));
    let freed = before - scene.bytes(Prefix::Packs);
    assert!(freed > 6 * 40_000, "{freed} bytes came back: {report:?}");
    assert_eq!(freed, report.swept.bytes);
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
}

#[test]
fn nothing_is_begun_where_there_is_nothing_to_free() {
    let mut scene = Scene::new();
    scene.back_up(&files(&[1, 2]));
    let before = scene.names(Prefix::All);
    let report = scene.prune();
    assert_eq!(report.generation, None);
    assert_eq!(scene.names(Prefix::All), before);
}

#[test]
fn packs_in_part_unused_are_written_anew_within_the_limit() {
    let mut scene = Scene::new();
    let all = scene.back_up(&files(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    scene.back_up(&files(&[1, 2, 3]));
    scene.forget(all);
    let lenient = scene.prune_with(&scene.repository, 9_000).expect("a prune");
    assert_eq!(lenient.plan.repacked().count(), 0, "{:?}", lenient.plan);
    let before = scene.bytes(Prefix::Packs);
    let strict = scene.prune();
    assert!(strict.plan.repacked().count() > 0, "{:?}", strict.plan);
    let after = scene.bytes(Prefix::Packs);
    assert!(after < before - 6 * 40_000, "{before} bytes became {after}");
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
    assert_eq!(scene.prune().swept.packs, 0, "a second prune finds nothing");
}

#[test]
fn packs_that_an_interrupted_backup_left_behind_go() {
    let mut scene = Scene::new();
    scene.back_up(&files(&[1]));
    let stray = snap::storage::name::ObjectName::pack(&PackId([7; 32]));
    scene.storage.inner().tamper(&stray, bytes::Bytes::from_static(b"nobody knows what this is"));
    let report = scene.prune();
    assert_eq!(report.plan.reasons.get(&Reason::Unnamed).map(|(packs, _)| *packs), Some(1));
    assert!(!scene.names(Prefix::Packs).contains(&stray.to_string()));
    scene.all_restore();
}

#[test]
fn marks_and_cells_of_what_ended_go_and_those_of_snapshots_stay() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2]));
    let second = scene.back_up(&files(&[3]));
    scene.begin().close().expect("closed");
    scene.forget(first);
    assert!(scene.prune().generation.is_some());
    assert_eq!(scene.names(Prefix::Sessions), Vec::<String>::new());
    assert_eq!(scene.names(Prefix::Cells), [format!("c/{second}")]);
    assert_eq!(scene.names(Prefix::Forgets), Vec::<String>::new());
    assert_eq!(scene.names(Prefix::Index), Vec::<String>::new());
    assert_eq!(scene.names(Prefix::Base).len(), 1);
    assert_eq!(scene.names(Prefix::Generations), ["g/1", "g/1.commit", "g/1.commit.copy"]);
    scene.all_restore();
}

#[test]
fn years_of_days_stay_small() {
    let mut scene = Scene::new();
    let mut kept = Vec::new();
    for day in 0..30 {
        // One file of ten changes each day.
        let today: Files = files(&(0..10).map(|file| file + 10 * ((day + file) / 10)).collect::<Vec<u64>>());
        kept.push(scene.back_up(&today));
        if kept.len() > 3 {
            scene.forget(kept.remove(0));
            scene.prune_with(&scene.repository, 1_000).expect("a prune");
        }
        assert!(scene.bytes(Prefix::Packs) < 14 * 50_000, "{} bytes on day {day}", scene.bytes(Prefix::Packs));
    }
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
    assert!(scene.names(Prefix::Base).len() < 3, "{:?}", scene.names(Prefix::Base));
    assert!(scene.names(Prefix::Index).len() < 4, "{:?}", scene.names(Prefix::Index));
}

#[test]
fn a_repository_without_snapshots_keeps_no_pack() {
    let mut scene = Scene::new();
    let only = scene.back_up(&files(&[1, 2, 3]));
    scene.forget(only);
    scene.prune();
    assert_eq!(scene.names(Prefix::Packs), Vec::<String>::new());
    scene.back_up(&files(&[1]));
    scene.all_restore();
}

#[test]
fn a_store_that_went_back_is_refused_by_whoever_saw_it_further_on() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2]));
    scene.forget(first);
    let older: Vec<_> = scene.objects();
    scene.prune();
    let (cache, refused) = (tempfile::tempdir().expect("a folder"), |repository: &Repository| {
        matches!(repository.snapshots(), Err(RepositoryError::WentBack { seen: 1, found: 0, .. }))
    });
    let client = scene.with_cache(cache.path());
    assert!(!refused(&client), "it sees generation 1 and remembers it");
    scene.put_back(&older);
    assert!(refused(&client) && refused(&scene.with_cache(cache.path())));
    let elsewhere = tempfile::tempdir().expect("a folder");
    assert!(!refused(&scene.with_cache(elsewhere.path())), "who never saw it cannot know");
}

#[test]
fn a_manifest_that_nobody_could_read_is_not_written() {
    let scene = Scene::new();
    let deleted = vec![PackId([7; 32]); 1_010_000];
    let manifest = snap::repository::generation::Manifest { deleted, ..Default::default() };
    let put = scene.repository.put_manifest(1, &manifest);
    assert!(matches!(put, Err(RepositoryError::DocumentTooLarge { .. })), "{put:?}");
    assert_eq!(scene.names(Prefix::Generations), Vec::<String>::new());
}

#[test]
fn of_more_than_a_manifest_can_name_the_largest_go_first() {
    let pack = |number: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let size = if number.is_multiple_of(2) { 2 } else { 1 };
        PackUse { id: PackId(id), size, total: size, used: 0, duplicate: 0, state: PackState::Sound }
    };
    let packs: Vec<PackUse> = (0..2 * CONDEMNED_MAX - 10).map(pack).collect();
    let plan = plan(&packs, Limits::default());
    assert_eq!((plan.condemned.len(), plan.kept), (CONDEMNED_MAX, CONDEMNED_MAX as u64 - 10));
    assert_eq!((plan.freed(), plan.unused_bytes), (2 * CONDEMNED_MAX as u64 - 5, CONDEMNED_MAX as u64 - 10));
}
