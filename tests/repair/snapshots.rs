//! `repair snapshots`: of a snapshot that lost something, one of all that is left, which says what is missing.

use std::sync::Arc;

use snap::operation::check::Verdict;
use snap::operation::prune::PruneError;
use snap::operation::repair::snapshots;
use snap::progress::Silent;
use snap::repository::pack::PackKind;
use snap::resource::Coverage;
use snap::storage::Storage;
use snap::storage::name::ObjectName;

use super::super::prune::scene::{Files, Scene, files, noise};
use super::repairing;

/// A snapshot whose newest file lost its pack.
fn hurt() -> (Scene, Files) {
    let mut scene = Scene::new();
    scene.back_up(&files(&[1, 2, 3]));
    let before = scene.another().stored_packs().expect("packs");
    let mut all = files(&[1, 2, 3]);
    all.insert("big".to_owned(), noise(3_000_000, 77));
    scene.back_up(&all);
    let (index, _) = scene.another().index().expect("an index");
    let of_data = |pack: &snap::id::PackId| {
        index.chunks().any(|(_, place)| place.pack == *pack && place.header.kind == PackKind::Data)
    };
    for pack in scene.another().stored_packs().expect("packs").into_keys() {
        if !before.contains_key(&pack) && of_data(&pack) {
            scene.storage.inner().delete(&ObjectName::pack(&pack)).expect("deleted");
        }
    }
    (scene, all)
}

#[test]
fn all_that_is_left_is_a_snapshot_that_names_what_is_missing() {
    let (mut scene, mut all) = hurt();
    assert_eq!(scene.check().verdict(), Verdict::Lost);
    assert!(matches!(scene.prune_with(&scene.another(), 0), Err(PruneError::Damaged { .. })));
    let repository = scene.another();
    let found = repository.snapshots().expect("snapshots");
    let plan = snapshots::plan(&repository, found.valid, found.damaged, &Silent).expect("a plan");
    let [one] = plan.hurt.as_slice() else { panic!("{plan:?}") };
    assert!(one.fault_count > 0 && one.faults.iter().all(|fault| fault.path.ends_with(b"/big")), "{one:?}");
    let new = snapshots::apply(&repository, one, &repairing(), &Silent).expect("a repair");
    let record = repository.snapshots().expect("snapshots").valid.into_iter().find(|other| other.id == new);
    let record = record.expect("it is there").record;
    assert_eq!(record.amends, Some(one.snapshot.id));
    assert_eq!(record.time, one.snapshot.record.time);
    let Coverage::Partial { gaps, count: 1 } = &record.resources[0].coverage else { panic!("{record:?}") };
    assert!(gaps[0].path == "big" && gaps[0].reason.contains("chunk"), "{gaps:?}");
    // A second look finds the new one in its place; once the old one is forgotten, pruning goes on.
    let found = repository.snapshots().expect("snapshots");
    let plan = snapshots::plan(&repository, found.valid, found.damaged, &Silent).expect("a plan");
    assert_eq!(plan.hurt.iter().map(|one| one.in_its_place).collect::<Vec<_>>(), [Some(new)]);
    scene.forget(one.snapshot.id);
    all.remove("big");
    scene.known.insert(new, all);
    scene.prune_with(&scene.another(), 0).expect("a prune");
    scene.all_restore();
    assert_eq!(scene.check().verdict(), Verdict::Sound, "{:?}", scene.check());
}

#[test]
fn a_lost_page_costs_what_is_in_it_and_no_more() {
    let mut scene = Scene::new();
    let many: Vec<u64> = (0..4000).collect();
    let mut all: Files = many.iter().map(|seed| (format!("{seed:05}"), seed.to_le_bytes().to_vec())).collect();
    let id = scene.back_up(&all);
    let repository = scene.another();
    let (index, _) = repository.index().expect("an index");
    // All but one page stand in another pack as well.
    let pages: Vec<_> = index.chunks().filter(|(_, place)| place.header.kind == PackKind::Pages).collect();
    assert!(pages.len() > 4, "{}", pages.len());
    let record = repository.snapshots().expect("snapshots").valid.remove(0).record;
    let lost = pages.iter().find(|(id, _)| *id != record.resources[0].root.0).expect("a leaf").0;
    let reader = snap::repository::reader::Reader::new(&repository, &index);
    let mut session = snap::repository::session::Session::begin(
        Arc::clone(&repository),
        &repairing().mark,
        snap::repository::session::Mode::Write,
    )
    .expect("a session");
    session.set_aside(&pages.iter().map(|(_, place)| place.pack).collect());
    let mut writer = session.writer(PackKind::Pages).expect("a writer");
    for (id, _) in pages.iter().filter(|(id, _)| *id != lost) {
        let page = reader.stored(PackKind::Pages, id).expect("a page");
        writer.store(&page, snap::repository::session::Origin::Small).expect("stored");
    }
    writer.flush().expect("flushed");
    session.close().expect("closed");
    scene.storage.inner().delete(&ObjectName::pack(&pages[0].1.pack)).expect("deleted");
    let repository = scene.another();
    let found = repository.snapshots().expect("snapshots");
    let plan = snapshots::plan(&repository, found.valid, found.damaged, &Silent).expect("a plan");
    let new = snapshots::apply(&repository, &plan.hurt[0], &repairing(), &Silent).expect("a repair");
    let record = repository.snapshots().expect("snapshots").valid.into_iter().find(|other| other.id == new);
    let resource = record.expect("it is there").record.resources.remove(0);
    assert!(matches!(resource.coverage, Coverage::Partial { count: 1, .. }), "{:?}", resource.coverage);
    let left = usize::try_from(resource.totals.files).expect("it is small");
    assert!(left > 2000 && left < 4000, "{left}");
    scene.forget(id);
    let (index, _) = repository.index().expect("an index");
    let reader = snap::repository::reader::Reader::new(&repository, &index);
    let names: Vec<String> = snap::tree::cursor::Cursor::new(&reader, resource.root)
        .map(|entry| entry.expect("an entry").path.to_string())
        .collect();
    all.retain(|name, _| names.contains(name));
    assert_eq!(all.len(), left);
    scene.known.insert(new, all);
    scene.all_restore();
}

#[test]
fn a_record_that_cannot_be_read_is_forgotten_and_stops_no_prune_any_more() {
    let mut scene = Scene::new();
    let lost = scene.back_up(&files(&[1, 2]));
    scene.back_up(&files(&[2, 3]));
    super::damage(&scene, ObjectName::commit_cell(&lost).as_str());
    scene.known.remove(&lost);
    assert!(matches!(scene.prune_with(&scene.another(), 0), Err(PruneError::Damaged { .. })));
    let repository = scene.another();
    let found = repository.snapshots().expect("snapshots");
    let plan = snapshots::plan(&repository, found.valid, found.damaged, &Silent).expect("a plan");
    assert_eq!((plan.hurt.len(), plan.unreadable.len()), (0, 1));
    assert_eq!(plan.unreadable[0].id, lost);
    scene.forget(lost);
    for _ in 0..2 {
        scene.prune_with(&scene.another(), 0).expect("a prune");
    }
    scene.all_restore();
}
