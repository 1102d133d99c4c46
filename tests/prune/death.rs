//! A prune that dies at any call: nothing is lost, and another one ends what it began.

use snap::operation::check::Verdict;
use snap::storage::StorageErrorKind;
use snap::storage::faulty::{Effect, Fault, Lasting};
use snap::storage::name::Prefix;

use super::scene::{Scene, files};

/// Two snapshots that share a pack in part, one of them forgotten.
fn scene() -> Scene {
    let mut scene = Scene::new();
    let first = scene.back_up(&files(&[1, 2, 3, 4, 5]));
    scene.back_up(&files(&[1, 6]));
    scene.back_up(&files(&[2, 7]));
    scene.forget(first);
    scene
}

fn calls_of_a_prune() -> u64 {
    let scene = scene();
    let before = scene.storage.calls_total();
    assert!(scene.prune().generation.is_some());
    scene.storage.calls_total() - before
}

/// What each call comes to in a prune that meets `effect` there, and in the next one.
fn meet_at_every_call(effect: Effect, lasting: Lasting) {
    let calls = calls_of_a_prune();
    assert!(calls > 30, "{calls} calls");
    for call in 1..=calls {
        let scene = scene();
        let at = scene.storage.calls_total() + call;
        scene.storage.plan(Fault { attempt: None, at, lasting, effect });
        let result = scene.prune_with(&scene.repository, 0);
        if lasting == Lasting::Forever && call < calls {
            assert!(result.is_err(), "call {call}: {result:?}");
        }
        scene.storage.recover();
        assert_ne!(scene.check().verdict(), Verdict::Lost, "call {call}");
        scene.all_restore();
        scene.sleep_long();
        let report = scene.prune();
        assert!(report.waits_for.is_empty(), "call {call}: {report:?}");
        scene.prune();
        assert_eq!(scene.check().verdict(), Verdict::Sound, "call {call}");
        scene.all_restore();
        assert!(scene.bytes(Prefix::Packs) < 6 * 45_000, "call {call}: {} bytes stay", scene.bytes(Prefix::Packs));
    }
}

#[test]
fn a_crash_at_any_call_loses_nothing_and_the_next_prune_goes_on() {
    meet_at_every_call(Effect::Crash, Lasting::Forever);
}

#[test]
fn a_lost_reply_of_any_call_loses_nothing() {
    meet_at_every_call(Effect::LoseReply(StorageErrorKind::Unreachable), Lasting::Once);
}

#[test]
fn a_call_that_fails_loses_nothing() {
    meet_at_every_call(Effect::Fail(StorageErrorKind::Unreachable), Lasting::Once);
    meet_at_every_call(Effect::Fail(StorageErrorKind::Denied), Lasting::Once);
}

#[test]
fn a_put_that_finds_no_room_ends_no_prune_in_waiting_for_itself() {
    let calls = calls_of_a_prune();
    for call in 1..=calls {
        let scene = scene();
        let at = scene.storage.calls_total() + call;
        let effect = Effect::Fail(StorageErrorKind::NoSpace);
        scene.storage.plan(Fault { attempt: None, at, lasting: Lasting::Once, effect });
        if let Ok(report) = scene.prune_with(&scene.repository, 0) {
            assert!(report.waits_for.is_empty(), "call {call}: {report:?}");
        }
        scene.storage.recover();
        scene.all_restore();
    }
}
