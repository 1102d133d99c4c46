//! `repair index`: whatever part of the index or of the generations is damaged or gone, it is made anew from the packs.

use snap::operation::check::Verdict;
use snap::operation::prune::PruneError;
use snap::operation::repair::{Repaired, index};
use snap::progress::Silent;
use snap::storage::Storage;
use snap::storage::name::Prefix;

use super::super::prune::scene::{Scene, files};
use super::{damage, generation, kept, object, repairing};

/// Two snapshots, pruned once, and a third after it: there are a base, a manifest and deltas.
fn pruned() -> Scene {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3]));
    scene.back_up(&files(&[3, 4]));
    scene.forget(first);
    assert_eq!(scene.prune().generation, Some(1));
    scene.back_up(&files(&[3, 4, 5]));
    scene
}

fn is_stopped(scene: &Scene) -> bool {
    matches!(scene.prune_with(&scene.another(), 0), Err(PruneError::Damaged { .. }))
}

fn repair(scene: &Scene) -> Repaired {
    let repository = scene.another();
    let plan = index::plan(&repository, &Silent).expect("a plan");
    assert!(!plan.is_empty(), "{plan:?}");
    let before = kept(scene);
    let repaired = index::apply(&repository, &repairing(), &Silent).expect("a repair");
    let after = kept(scene);
    assert!(before.iter().all(|name| after.contains(name)), "a repair deletes nothing");
    repaired
}

/// After a repair: nothing is damaged, nothing to repair, everything restores, and pruning goes on.
fn is_whole(scene: &Scene) {
    assert_eq!(scene.check().verdict(), Verdict::Sound, "{:?}", scene.check());
    assert!(index::plan(&scene.another(), &Silent).expect("a plan").is_empty());
    scene.all_restore();
    scene.prune_with(&scene.another(), 0).expect("a prune");
    assert_eq!(scene.check().verdict(), Verdict::Sound);
    scene.all_restore();
}

#[test]
fn whatever_object_of_the_index_is_damaged_or_gone_it_is_made_anew() {
    let names = {
        let scene = pruned();
        scene.names(Prefix::Index).len() + scene.names(Prefix::Base).len()
    };
    assert_eq!(names, 2);
    for at in 0..names {
        for gone in [false, true] {
            let mut scene = pruned();
            let name = [scene.names(Prefix::Index), scene.names(Prefix::Base)].concat().remove(at);
            if gone {
                scene.storage.inner().delete(&object(&scene, &name).0).expect("deleted");
            } else {
                damage(&scene, &name);
            }
            assert!(is_stopped(&scene), "{name}, gone: {gone}");
            assert_eq!(repair(&scene), Repaired::At(2), "{name}, gone: {gone}");
            is_whole(&scene);
            scene.back_up(&files(&[3, 4, 5, 6]));
            is_whole(&scene);
        }
    }
}

#[test]
fn a_damaged_manifest_is_followed_by_one_that_is_whole() {
    for name in ["g/1.commit", "g/1.commit.copy"] {
        let scene = pruned();
        let name =
            scene.names(Prefix::Generations).into_iter().find(|other| other.starts_with(name)).expect("it is there");
        damage(&scene, &name);
        assert_eq!(repair(&scene), Repaired::At(2), "{name}");
        is_whole(&scene);
    }
}

#[test]
fn an_intent_that_cannot_be_read_is_decided_so_that_nothing_goes() {
    let mut scene = pruned();
    let asleep = scene.begin();
    let doomed = scene.back_up(&files(&[9]));
    scene.forget(doomed);
    assert!(!scene.prune().waits_for.is_empty());
    asleep.close().expect("closed");
    damage(&scene, "g/2");
    assert!(is_stopped(&scene));
    assert_eq!(repair(&scene), Repaired::At(2));
    is_whole(&scene);
}

#[test]
fn a_writer_that_began_before_is_waited_for() {
    let scene = pruned();
    let delta = scene.names(Prefix::Index).remove(0);
    damage(&scene, &delta);
    let session = scene.begin();
    assert!(matches!(repair(&scene), Repaired::WaitsFor(writers) if writers.len() == 1));
    assert_eq!(generation(&scene), 1);
    session.close().expect("closed");
    assert_eq!(repair(&scene), Repaired::At(2));
    is_whole(&scene);
}

#[test]
fn a_sound_index_is_left_alone() {
    let scene = pruned();
    // What an interrupted run leaves behind is no damage.
    let session = scene.begin();
    let mut writer = session.writer(snap::repository::pack::PackKind::Data).expect("a writer");
    writer.store(&[7; 30_000], snap::repository::session::Origin::Small).expect("stored");
    writer.flush().expect("flushed");
    drop(session);
    assert!(index::plan(&scene.another(), &Silent).expect("a plan").is_empty());
}

#[test]
fn a_pack_that_was_away_meanwhile_is_found_again() {
    let mut scene = Scene::new();
    for seed in 1..=9 {
        scene.back_up(&files(&[seed]));
    }
    let doomed = scene.back_up(&files(&[20]));
    scene.forget(doomed);
    scene.prune();
    let away = scene.names(Prefix::Packs).remove(0);
    let (away, bytes) = object(&scene, &away);
    scene.storage.inner().delete(&away).expect("deleted");
    scene.back_up(&files(&[30]));
    let delta = scene.names(Prefix::Index).remove(0);
    damage(&scene, &delta);
    assert_eq!(repair(&scene), Repaired::At(2));
    scene.storage.inner().tamper(&away, bytes);
    assert_eq!(repair(&scene), Repaired::At(3));
    is_whole(&scene);
}

#[test]
fn what_writers_of_the_open_generation_put_is_named_once() {
    let mut scene = pruned();
    let asleep = scene.begin();
    let doomed = scene.back_up(&files(&[9]));
    scene.forget(doomed);
    assert!(!scene.prune().waits_for.is_empty());
    let damaged = scene.names(Prefix::Index).remove(0);
    scene.back_up(&files(&[3, 4, 5, 6]));
    asleep.close().expect("closed");
    damage(&scene, &damaged);
    assert_eq!(repair(&scene), Repaired::At(2));
    let (found, _) = scene.another().index().expect("an index");
    let mut packs: Vec<_> = found.packs().map(|pack| pack.id).collect();
    let named = packs.len();
    packs.sort();
    packs.dedup();
    assert_eq!(packs.len(), named, "no pack is named twice");
    is_whole(&scene);
}
