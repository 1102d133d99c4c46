//! Copies between repositories of other keys: equal to the last byte, nothing twice, resumable, whole or not at all.

mod command;

use std::collections::HashMap;
use std::sync::Arc;

use snap::id::SnapshotId;
use snap::operation::backup::session_mark;
use snap::operation::check::Verdict;
use snap::operation::copy::{Copied, CopyError, Copying, copy, plan};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::session::Mode;
use snap::storage::Storage;
use snap::storage::faulty::{Effect, Fault, Lasting};
use snap::storage::name::{ObjectName, Prefix};

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
    let plan = plan(&from, to, from.snapshots().expect("snapshots").valid)?;
    assert!(!plan.is_cut_alike, "other keys cut otherwise");
    let mut known: HashMap<SnapshotId, SnapshotId> = plan.copied.clone();
    let (mut copied, mut failed) = (Vec::new(), Vec::new());
    for snapshot in &plan.pending {
        match copy(&from, to, snapshot, &known, &copying(target), &Silent) {
            Ok(done) => {
                known.insert(done.old, done.new);
                copied.push(done);
            }
            Err(error) => failed.push(error),
        }
    }
    Ok((copied, failed))
}

fn note(source: &Scene, target: &mut Scene, copied: &[Copied]) {
    for Copied { old, new, .. } in copied {
        target.known.insert(*new, source.known[old].clone());
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
    assert_eq!((original.snapshot, original.repository), (copied[1].old, source.repository.config().id));
    assert_eq!(record.parent, Some(copied[0].new));
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
        let all = plan(&source.another(), &target.another(), Vec::new()).expect("a plan").copied;
        let all: Vec<Copied> =
            all.into_iter().map(|(old, new)| Copied { old, new, bytes_new: 0, bytes_stored: 0 }).collect();
        assert_eq!(all.len(), 2, "call {call}");
        note(&source, &mut target, &all);
        target.all_restore();
        assert_eq!(target.check().verdict(), Verdict::Sound, "call {call}");
        if is_over {
            assert!(call > 20, "{call}");
            return;
        }
    }
}
