//! Kills the program, and makes its system calls fail, at moments drawn from a seed (families T2 and T3).
//!
//! `cargo bench --bench kill -- all` strikes at every call of every command; here is a sample that fits into each run.

mod scene;
pub(crate) mod tree;

use scene::{Blow, DEEDS, Deed, Scene, Struck, obstacle};
use tree::Dice;

const SEED: u64 = 0x5eed;

/// Strikes `count` times at moments of each deed, and shows all that did not hold.
fn sample(deeds: &[(Deed, usize)], mut blow: impl FnMut(&mut Dice) -> Blow) {
    if let Some(why) = obstacle() {
        skipped(why);
        return;
    }
    let mut dice = Dice::new(SEED);
    let mut broken = Vec::new();
    for &(deed, count) in deeds {
        let scene = Scene::new(deed, SEED);
        let moments = scene.moments();
        assert!(moments.len() >= 3, "{deed:?} has only {moments:?}");
        let mut fell = 0;
        for _ in 0..count {
            match scene.strike(&moments[dice.below(moments.len())], blow(&mut dice)) {
                Ok(struck) => fell += usize::from(struck == Struck::Yes),
                Err(reason) => broken.push(reason),
            }
        }
        assert!(fell > 0 || !broken.is_empty(), "no blow fell on {deed:?}");
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn killed_at_any_call_it_loses_nothing_and_can_be_run_again() {
    let counts = DEEDS.map(|deed| match deed {
        Deed::Init | Deed::FirstBackup | Deed::NextBackup => (deed, 12),
        Deed::Check => (deed, 3),
        Deed::Prune => (deed, 12),
        Deed::Forget | Deed::ForgetPrune | Deed::Undo | Deed::Tag => (deed, 5),
        _ => (deed, 7),
    });
    sample(&counts, |_| Blow::Kill);
}

#[test]
fn a_call_that_fails_is_told_and_loses_nothing() {
    let errors = ["EIO", "ENOSPC", "EROFS", "EMFILE", "EDQUOT", "EINTR", "EACCES"];
    let counts = [
        (Deed::Init, 3),
        (Deed::FirstBackup, 5),
        (Deed::NextBackup, 5),
        (Deed::Restore, 5),
        (Deed::Prune, 7),
        (Deed::Forget, 3),
        (Deed::Undo, 3),
    ];
    sample(&counts, |dice| {
        let error = errors[dice.below(errors.len())];
        // A disk that is full or read-only stays so; the others pass.
        if matches!(error, "ENOSPC" | "EROFS") { Blow::FailsFromThen(error) } else { Blow::Fails(error) }
    });
}
