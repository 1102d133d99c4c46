//! Prunes while others write: who is waited for, and who is held for dead and loses nothing by it.

use std::sync::Arc;

use snap::operation::backup::BackupError;
use snap::operation::check::Verdict;
use snap::progress::{Event, Progress};
use snap::repository::error::RepositoryError;
use snap::repository::pack::PackKind;
use snap::repository::session::Origin;

use super::scene::{Scene, files, noise};

#[test]
fn a_writer_that_began_before_is_waited_for_and_keeps_what_it_counted_on() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3]));
    scene.forget(first);
    // It may count on all that is there, forgotten or not.
    let session = scene.begin();
    let report = scene.prune();
    assert_eq!(report.generation, None);
    assert_eq!(report.waits_for.len(), 1, "{report:?}");
    assert_eq!(report.swept.packs, 0);
    session.close().expect("closed");
    let report = scene.prune();
    assert_eq!((report.helped, report.swept.packs > 0), (1, true), "{report:?}");
    scene.all_restore();
}

#[test]
fn what_is_condemned_is_stored_again_by_whoever_begins_now() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3]));
    scene.forget(first);
    let asleep = scene.begin();
    assert!(!scene.prune().waits_for.is_empty());
    // Generation 1 is open: the same content again must not rest on what is condemned.
    scene.back_up(&files(&[1, 2, 3]));
    asleep.close().expect("closed");
    scene.prune();
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
}

#[test]
fn a_sleeper_is_revoked_after_six_hours_and_told_so() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3]));
    scene.forget(first);
    let asleep = scene.begin();
    let mut writer = asleep.writer(PackKind::Data).expect("a writer");
    writer.store(&noise(40_000, 99), Origin::Small).expect("stored");
    writer.flush().expect("flushed");
    scene.sleep_long();
    assert!(scene.prune().generation.is_some());
    let late = asleep.close();
    assert!(matches!(late, Err(RepositoryError::Revoked)), "{late:?}");
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    // What it put after all is inert, and goes with the next prune.
    scene.prune();
    assert_eq!(scene.names(snap::storage::name::Prefix::Packs), Vec::<String>::new());
}

/// Falls asleep for a week while a file is captured, and is pruned away meanwhile; once.
struct Sleeper<'s> {
    scene: &'s Scene,
    slept: std::sync::Mutex<bool>,
}

impl Progress for Sleeper<'_> {
    fn report(&self, event: Event) {
        if matches!(event, Event::Finished { .. }) && !std::mem::replace(&mut *self.slept.lock().expect("alone"), true)
        {
            self.scene.sleep_long();
            let report = self.scene.prune_with(&self.scene.another(), 0).expect("a prune");
            assert!(report.generation.is_some(), "{report:?}");
        }
    }
}

#[test]
fn a_backup_that_slept_through_a_prune_captures_again() {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3]));
    scene.forget(first);
    let kept = files(&[1, 2, 3, 4]);
    scene.show(&kept);
    let sleeper = Sleeper { scene: &scene, slept: std::sync::Mutex::new(false) };
    let id = scene.back_up_watched(&sleeper).expect("a backup");
    assert!(*sleeper.slept.lock().expect("alone"));
    scene.known.insert(id, kept);
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
}

#[test]
fn another_prune_helps_with_the_list_of_the_one_that_began() {
    let mut scene = Scene::new();
    let (first, second) = (scene.back_up(&files(&[1, 2])), scene.back_up(&files(&[3, 4])));
    scene.forget(first);
    let asleep = scene.begin();
    assert!(!scene.prune().waits_for.is_empty());
    asleep.close().expect("closed");
    // Forgotten after the intent: the other pruner's list does not have it, a generation of its own does.
    scene.forget(second);
    let report = scene.prune_with(&scene.another(), 0).expect("a prune");
    assert_eq!((report.helped, report.generation), (1, Some(2)), "{report:?}");
    assert_eq!(scene.names(snap::storage::name::Prefix::Packs), Vec::<String>::new());
}

#[test]
fn two_prunes_at_once_lose_nothing() {
    for _ in 0..20 {
        let mut scene = Scene::new();
        let first = scene.back_up(&files(&[1, 2, 3, 4]));
        scene.back_up(&files(&[3, 4, 5]));
        scene.forget(first);
        let pruners: Vec<_> = (0..3).map(|_| scene.another()).collect();
        std::thread::scope(|scope| {
            for pruner in &pruners {
                let scene = &scene;
                scope.spawn(move || scene.prune_with(pruner, 0).expect("a prune"));
            }
        });
        assert_eq!(scene.check().verdict(), Verdict::Sound);
        scene.all_restore();
        // What several wrote anew at once is there several times, until the next.
        scene.prune();
        assert_eq!(scene.prune().swept.packs, 0);
    }
}

#[test]
fn backups_and_prunes_at_once_lose_nothing() {
    let mut scene = Scene::new();
    for round in 0..15_u64 {
        let first = scene.back_up(&files(&[round, round + 1, round + 2]));
        scene.forget(first);
        // The same files again, while what they were is pruned.
        let wanted = files(&[round, round + 1, round + 2]);
        let repository = scene.another();
        let id = std::thread::scope(|scope| {
            let scene = &scene;
            let pruner = scope.spawn(move || scene.prune_with(&scene.another(), 0));
            let id: Result<_, BackupError> = scene.try_back_up(&Arc::clone(&repository));
            let pruned = pruner.join().expect("no panic");
            assert!(pruned.is_ok(), "{pruned:?}");
            id.expect("a backup")
        });
        scene.known.insert(id, wanted);
        assert_eq!(scene.check().verdict(), Verdict::Sound, "round {round}");
        scene.all_restore();
        scene.forget(id);
    }
}
