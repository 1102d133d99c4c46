//! Copies between repositories of other keys: equal to the last byte, nothing twice, resumable, whole or not at all.

mod command;

use std::sync::Arc;

use snap::operation::backup::session_mark;
use snap::operation::check::Verdict;
use snap::operation::copy::pairs::Pairs;
use snap::operation::copy::{Copied, CopyError, CopyPlan, Copying, copy, plan};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::reader::Reader;
use snap::repository::session::Mode;
use snap::storage::faulty::{Effect, Fault, Lasting};
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{Attempt, Storage};

use super::prune::scene::{Files, Scene, files, noise};

fn copying(scene: &Scene) -> Copying {
    Copying { mark: session_mark("host", scene.now()), mode: Mode::Write }
}

/// Copies all that is pending; what was copied, and what failed.
fn copy_all(source: &Scene, target: &Scene, to: &Arc<Repository>) -> (Vec<Copied>, Vec<CopyError>) {
    try_copy_all(source, target, to).expect("a plan")
}

fn try_copy_all(
    source: &Scene,
    target: &Scene,
    to: &Arc<Repository>,
) -> Result<(Vec<Copied>, Vec<CopyError>), RepositoryError> {
    let from = source.another();
    let CopyPlan { pending, copied: mut pairs, is_cut_alike } = plan_all(&from, to)?;
    assert!(!is_cut_alike, "other keys cut otherwise");
    let (index, _) = from.whole_index()?;
    let reader = Reader::new(&from, &index);
    let (mut copied, mut failed) = (Vec::new(), Vec::new());
    for snapshot in &pending {
        match copy(&reader, to, snapshot, &pairs, &copying(target), &Silent) {
            Ok(done) => {
                pairs.add(done.pair.clone());
                copied.push(done);
            }
            Err(error) => failed.push(error),
        }
    }
    Ok((copied, failed))
}

fn plan_all(from: &Repository, to: &Repository) -> Result<CopyPlan, RepositoryError> {
    let all = from.snapshots().expect("snapshots").valid;
    plan(from, to, &all, all.clone())
}

fn note(source: &Scene, target: &mut Scene, copied: &[Copied]) {
    for Copied { pair, .. } in copied {
        target.known.insert(pair.target.id, source.known[&pair.source.id].clone());
    }
}

/// Small files, a file of many chunks, one that is mostly zeros.
fn mixed() -> Files {
    let mut all = files(&[1, 2, 3]);
    all.insert("large".to_owned(), noise(9_000_000, 7));
    let mut sparse = vec![0; 20_000_000];
    sparse[12_345_678] = 1;
    all.insert("sparse".to_owned(), sparse);
    all.insert("empty".to_owned(), Vec::new());
    all.insert("inline".to_owned(), b"few bytes".to_vec());
    all
}

#[test]
fn a_copy_restores_as_the_original_and_a_second_run_finds_nothing_to_do() {
    let (mut source, mut target) = (Scene::new(), Scene::new());
    let mut all = mixed();
    source.back_up(&all);
    all.insert("new".to_owned(), noise(50_000, 99));
    all.insert("file2".to_owned(), noise(40_000, 123));
    all.remove("file1");
    source.back_up(&all);
    let (copied, failed) = copy_all(&source, &target, &target.another());
    assert_eq!((copied.len(), failed.len()), (2, 0), "{failed:?}");
    // Of the second only what is new: its other files are not even read.
    assert!(copied[0].bytes_new > 9_000_000 && copied[1].bytes_new < 100_000, "{copied:?}");
    note(&source, &mut target, &copied);
    target.all_restore();
    assert_eq!(target.check().verdict(), Verdict::Sound);
    let record = target.another().snapshots().expect("snapshots").valid.pop().expect("one").record;
    let original = record.original.expect("it is a copy");
    assert_eq!((original.snapshot, original.repository), (copied[1].pair.source.id, source.repository.config().id));
    assert_eq!(record.parent, Some(copied[0].pair.target.id));
    let objects = target.names(Prefix::All);
    assert_eq!(copy_all(&source, &target, &target.another()).0, []);
    assert_eq!(target.names(Prefix::All), objects);
}

#[test]
fn what_is_there_from_backups_is_not_stored_again() {
    let (mut source, mut target) = (Scene::new(), Scene::new());
    source.back_up(&mixed());
    target.back_up(&mixed());
    let (copied, _) = copy_all(&source, &target, &target.another());
    assert!(copied[0].bytes_new < 20_000, "only pages: other times and owners of the same files: {copied:?}");
    note(&source, &mut target, &copied);
    target.all_restore();
}

#[test]
fn a_snapshot_that_lost_something_is_not_copied_and_the_others_are() {
    let (mut source, mut target) = (Scene::new(), Scene::new());
    source.back_up(&files(&[1, 2]));
    let packs = source.names(Prefix::Packs);
    let hurt = source.back_up(&files(&[1, 2, 3]));
    source.back_up(&files(&[1]));
    let (index, _) = source.another().index().expect("an index");
    let data: Vec<ObjectName> = index
        .chunks()
        .filter(|(_, place)| place.header.kind == snap::repository::pack::PackKind::Data)
        .map(|(_, place)| ObjectName::pack(&place.pack))
        .filter(|name| !packs.contains(&name.to_string()))
        .collect();
    source.storage.inner().delete(&data[0]).expect("deleted");
    let (copied, failed) = copy_all(&source, &target, &target.another());
    let [CopyError::Incomplete { id, path, .. }] = failed.as_slice() else { panic!("{failed:?}") };
    assert!(*id == hurt && path.ends_with("file3"), "{path}");
    assert_eq!(copied.len(), 2);
    note(&source, &mut target, &copied);
    target.all_restore();
    assert_eq!(target.check().verdict(), Verdict::Sound);
}

#[test]
fn a_copy_that_dies_at_any_call_is_ended_by_the_next() {
    for call in 1.. {
        let (mut source, mut target) = (Scene::new(), Scene::new());
        source.back_up(&files(&[1, 2, 3]));
        source.back_up(&files(&[2, 3, 4]));
        let at = target.storage.calls_total() + call;
        target.storage.plan(Fault { attempt: None, at, lasting: Lasting::Forever, effect: Effect::Crash });
        let died = try_copy_all(&source, &target, &target.repository);
        let is_over = died.is_ok_and(|(copied, failed)| copied.len() == 2 && failed.is_empty());
        target.storage.recover();
        let (_, failed) = copy_all(&source, &target, &target.another());
        assert!(failed.is_empty(), "call {call}: {failed:?}");
        let all = plan_all(&source.another(), &target.another()).expect("a plan").copied;
        assert_eq!(all.ids().len(), 2, "call {call}");
        for (old, new) in all.ids() {
            target.known.insert(new, source.known[&old].clone());
        }
        target.all_restore();
        assert_eq!(target.check().verdict(), Verdict::Sound, "call {call}");
        if is_over {
            assert!(call > 20, "{call}");
            return;
        }
    }
}

#[test]
fn what_a_snapshot_costs_does_not_grow_with_their_number() {
    const COUNT: usize = 12;
    let (mut source, target) = (Scene::new(), Scene::new());
    for seed in 0..COUNT as u64 {
        source.back_up(&files(&[1, 2, 3, 10 + seed]));
    }
    let (from, to) = (source.another(), target.another());
    let mut plan = plan_all(&from, &to).expect("a plan");
    let (index, _) = from.whole_index().expect("an index");
    let reader = Reader::new(&from, &index);
    let lists = source.storage.calls(Attempt::List);
    let gets = || [&source, &target].map(|scene| scene.storage.calls(Attempt::Get));
    let mut costs = Vec::new();
    for snapshot in &plan.pending {
        let before = gets();
        let done = copy(&reader, &to, snapshot, &plan.copied, &copying(&target), &Silent).expect("copied");
        plan.copied.add(done.pair);
        costs.push([gets()[0] - before[0], gets()[1] - before[1]]);
    }
    assert_eq!(source.storage.calls(Attempt::List), lists, "the source is listed for the plan only");
    let ([first_from, first_to], [last_from, last_to]) = (costs[1], costs[COUNT - 1]);
    assert!(last_from <= first_from, "{costs:?}");
    // Each session opens the index, which has a delta more by each; no other snapshot is read again.
    assert!(last_to - first_to <= COUNT as u64 - 2, "{costs:?}");
}

#[test]
fn a_reader_made_before_a_prune_of_the_source_copies_what_it_moved() {
    let (mut source, mut target) = (Scene::new(), Scene::new());
    let first = source.back_up(&files(&[1, 2, 3, 4]));
    let packs = source.names(Prefix::Packs);
    source.back_up(&files(&[1, 3]));
    source.back_up(&files(&[1, 3, 5]));
    let (from, to) = (source.another(), target.another());
    let mut plan = plan_all(&from, &to).expect("a plan");
    let (index, _) = from.whole_index().expect("an index");
    let reader = Reader::new(&from, &index);
    for (number, snapshot) in plan.pending[1..].iter().enumerate() {
        if number == 0 {
            source.forget(first);
            source.prune();
            let left = source.names(Prefix::Packs);
            assert!(
                packs.iter().all(|pack| !left.contains(pack)),
                "what the others need of the first's packs is moved"
            );
        }
        let done = copy(&reader, &to, snapshot, &plan.copied, &copying(&target), &Silent).expect("copied");
        note(&source, &mut target, std::slice::from_ref(&done));
        plan.copied.add(done.pair);
    }
    target.all_restore();
}

#[test]
fn a_copy_that_is_forgotten_and_pruned_meanwhile_vouches_for_nothing() {
    let (mut source, mut target) = (Scene::new(), Scene::new());
    let mut all: Files = (0..6000).map(|number| (format!("small{number}"), b"few bytes".to_vec())).collect();
    all.extend([1, 2].map(|seed| (format!("large{seed}"), noise(24_000_000, seed))));
    let back_up = |source: &mut Scene, all: &Files| {
        let id = source.try_back_up(&source.repository).expect("a backup");
        source.known.insert(id, all.clone());
    };
    source.show(&all);
    back_up(&mut source, &all);
    back_up(&mut source, &all);
    std::fs::remove_file(source.tree().join("large1")).expect("removed");
    all.remove("large1");
    back_up(&mut source, &all);
    let (from, to) = (source.another(), target.another());
    let mut plan = plan_all(&from, &to).expect("a plan");
    let (index, _) = from.whole_index().expect("an index");
    let reader = Reader::new(&from, &index);
    let pending = plan.pending.clone();
    let copy_one = |target: &mut Scene, at: usize, copied: &Pairs| {
        let done = copy(&reader, &to, &pending[at], copied, &copying(target), &Silent).expect("copied");
        note(&source, target, std::slice::from_ref(&done));
        done.pair
    };
    let first = copy_one(&mut target, 0, &plan.copied);
    copy_one(&mut target, 2, &plan.copied);
    plan.copied.add(first.clone());
    // The pages with `large1` and its list stay, beside those that the other needs; its chunks go.
    let packs = target.names(Prefix::Packs).len();
    target.forget(first.target.id);
    target.prune_with(&target.another(), u16::MAX).expect("a prune");
    assert!(target.names(Prefix::Packs).len() < packs, "chunks of the forgotten go");
    copy_one(&mut target, 1, &plan.copied);
    assert_eq!(target.check().verdict(), Verdict::Sound);
    target.all_restore();
}
