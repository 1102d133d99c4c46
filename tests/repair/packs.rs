//! `repair packs`: what is intact in a damaged pack is saved, the pack is distrusted, and what is lost comes back with the next
//! backup that has it.

use snap::operation::check::Verdict;
use snap::operation::repair::{Repaired, packs};
use snap::progress::Silent;
use snap::repository::generation::Access;
use snap::storage::name::{ObjectName, Prefix};

use super::super::prune::scene::{Scene, files};
use super::{kept, reading, repairing};

/// A repository of two snapshots whose only large data pack has a flipped bit in its middle.
fn damaged() -> (Scene, ObjectName) {
    let mut scene = Scene::new();
    // More than one frame, so that part of the pack stays intact.
    scene.back_up(&files(&(1..=60).collect::<Vec<u64>>()));
    scene.back_up(&files(&[1, 2]));
    let largest = scene.objects().into_iter().filter(|(name, _)| name.pack_id().is_some());
    let (name, _) = largest.max_by_key(|(_, content)| content.len()).expect("a pack");
    super::damage(&scene, name.as_str());
    (scene, name)
}

fn repair(scene: &Scene) -> packs::PacksPlan {
    let repository = scene.another();
    let plan = packs::plan(&repository, None, &reading(), &Silent).expect("a plan");
    let before = kept(scene);
    let repaired = packs::apply(&repository, &plan, &repairing(), &Silent).expect("a repair");
    assert!(matches!(repaired, Repaired::At(_)), "{repaired:?}");
    let after = kept(scene);
    assert!(before.iter().all(|name| after.contains(name)), "a repair deletes nothing");
    plan
}

#[test]
fn what_is_lost_comes_back_with_the_next_backup_and_the_pack_goes() {
    let (mut scene, name) = damaged();
    assert_eq!(scene.check().verdict(), Verdict::Lost);
    let plan = repair(&scene);
    let [pack] = plan.damaged.as_slice() else { panic!("{plan:?}") };
    assert_eq!(Some(pack.id), name.pack_id());
    assert!(pack.saved > 0 && pack.lost > 0 && pack.saved + pack.lost == pack.chunks, "{pack:?}");
    let generation = scene.another().generation(Access::Read).expect("readable");
    assert_eq!(generation.manifest.distrusted, [pack.id]);
    // Nothing of a distrusted pack goes as long as it is the last copy.
    scene.prune_with(&scene.another(), 0).expect("a prune");
    assert!(scene.names(Prefix::Packs).contains(&name.to_string()));
    // The same files again: unchanged for all that a backup can tell.
    let again = files(&(1..=60).collect::<Vec<u64>>());
    scene.back_up(&again);
    scene.all_restore();
    assert!(scene.prune_with(&scene.another(), 0).expect("a prune").swept.packs > 0);
    assert!(!scene.names(Prefix::Packs).contains(&name.to_string()));
    assert_eq!(scene.check().verdict(), Verdict::Sound, "{:?}", scene.check());
    scene.all_restore();
}

#[test]
fn a_second_repair_finds_nothing_to_do() {
    let (scene, _) = damaged();
    repair(&scene);
    let plan = packs::plan(&scene.another(), None, &reading(), &Silent).expect("a plan");
    assert!(plan.is_empty() && plan.damaged[0].is_distrusted, "{plan:?}");
}

#[test]
fn only_the_packs_that_are_named_are_read() {
    let (scene, name) = damaged();
    let others: Vec<_> = scene
        .another()
        .stored_packs()
        .expect("packs")
        .into_keys()
        .filter(|pack| Some(*pack) != name.pack_id())
        .collect();
    let plan = packs::plan(&scene.another(), Some(&others), &reading(), &Silent).expect("a plan");
    assert_eq!((plan.damaged.len(), plan.read.packs), (0, others.len() as u64));
    let named = [name.pack_id().expect("a pack")];
    let plan = packs::plan(&scene.another(), Some(&named), &reading(), &Silent).expect("a plan");
    assert_eq!((plan.damaged.len(), plan.read.packs), (1, 1));
}

#[test]
fn another_prune_that_ends_the_generation_distrusts_the_same_and_deletes_none_of_it() {
    let (mut scene, name) = damaged();
    // All that is in the pack has another copy: a prune by itself would take it.
    repair(&scene);
    scene.back_up(&files(&(1..=60).collect::<Vec<u64>>()));
    let pack = name.pack_id().expect("a pack");
    let repository = scene.another();
    let number = repository.generation(Access::Read).expect("readable").number + 1;
    let intent = snap::repository::generation::Intent { condemned: vec![pack], distrusted: vec![pack] };
    assert_eq!(repository.put_intent(number, &intent).expect("put"), snap::storage::Put::Created);
    let report = scene.prune_with(&scene.another(), 0).expect("a prune");
    assert_eq!(report.helped, 1, "{report:?}");
    let manifest = scene.another().manifest(number).expect("readable").0;
    assert_eq!((manifest.deleted, manifest.distrusted), (Vec::new(), vec![pack]));
    scene.all_restore();
}
