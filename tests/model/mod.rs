#![doc = include_str!("README.md")]

pub(crate) mod liveness;
pub(crate) mod mutants;
pub(crate) mod pruner;
pub(crate) mod rules;
pub(crate) mod scene;
pub(crate) mod scenes;
pub(crate) mod search;
pub(crate) mod state;
pub(crate) mod validity;
pub(crate) mod writer;

use liveness::Ends;
use mutants::{GUARDED_TWICE, MUTANTS};
use rules::Rule;
use scene::{Model, Scene};
use scenes::{LARGE, LARGEST, ONE, ONE_LOST_REPLIES, PATIENT, PRUNERS, SMALL, TOO_PATIENT, TWO_LOST_REPLIES, UNDO};
use search::{Event, Found, Traces};
use validity::Violation;

const STATES_MAX: usize = 4_000_000;
const README: &str = include_str!("README.md");

fn search(scene: Scene, broken: &'static [Rule]) -> Found {
    Model { scene, broken }.search(STATES_MAX, Traces::Kept)
}

/// A history, one event a line.
fn story(trace: &[Event]) -> String {
    trace.iter().map(|event| format!("\n  {event}")).collect()
}

fn assert_nothing_is_lost(scene: Scene, broken: &'static [Rule]) {
    let found = Model { scene, broken }.search(STATES_MAX, Traces::Dropped);
    if let Some(violation) = found.violation {
        panic!("{} without {broken:?}: {violation}:{}", scene.name, story(&search(scene, broken).trace));
    }
    assert!(found.complete, "{} has more states than {STATES_MAX}", scene.name);
}

#[test]
fn the_whole_protocol_loses_nothing() {
    for scene in SMALL {
        assert_nothing_is_lost(*scene, &[]);
    }
}

#[test]
fn without_any_rule_something_is_lost() {
    for mutant in MUTANTS {
        let found = search(mutant.scene, mutant.without);
        assert!(found.violation.is_some(), "{} loses nothing in {}", mutant.name, mutant.scene.name);
        assert_eq!(found.trace.len(), mutant.steps, "{} ends so:{}", mutant.name, story(&found.trace));
    }
}

#[test]
fn a_rule_that_others_guard_as_well_can_be_missed() {
    for broken in GUARDED_TWICE {
        for scene in [ONE_LOST_REPLIES, UNDO] {
            assert_nothing_is_lost(scene, broken);
        }
    }
}

#[test]
fn from_every_state_all_can_finish() {
    for scene in [ONE, UNDO, PRUNERS, PATIENT] {
        let ends = Model { scene, broken: &[] }.ends();
        assert_eq!(ends.without_end, 0, "{}: {ends:?}", scene.name);
        // That search compares states, the other their fingerprints.
        assert_eq!(ends.states, search(scene, &[]).states, "{}", scene.name);
    }
}

/// A search that sees less than it did finds nothing either.
#[test]
fn the_search_reaches_what_it_reached() {
    let Found { states, transitions, depth, .. } = search(ONE, &[]);
    assert_eq!((states, transitions, depth), (39_535, 105_385, 47));
}

#[test]
fn the_scenes_of_the_bench_can_begin() {
    for scene in LARGE.iter().chain([&LARGEST, &TWO_LOST_REPLIES]) {
        let state = Model { scene: *scene, broken: &[] }.beginning();
        assert!(!state.is_finished(), "{} is over before it begins", scene.name);
    }
}

#[test]
fn a_wait_without_end_is_seen() {
    let stuck = |scene, broken| {
        let Ends { without_end, .. } = Model { scene, broken }.ends();
        without_end > 0 && search(scene, broken).violation == Some(Violation::Stuck)
    };
    assert!(stuck(PATIENT, &[Rule::P3e]), "who waits for a cell that was deleted waits for ever");
    assert!(stuck(TOO_PATIENT, &[]), "who waits for the dead waits for ever");
}

#[test]
fn every_rule_has_its_mutant_and_its_line() {
    for rule in Rule::ALL {
        let broken = |rules: &[Rule]| rules.contains(rule);
        let has_mutant = MUTANTS.iter().any(|mutant| broken(mutant.without)) || *rule == Rule::P3e;
        assert!(has_mutant || GUARDED_TWICE.iter().any(|rules| broken(rules)), "{rule:?} has no mutant");
        assert!(README.contains(&format!("| {rule:?} |")), "README.md does not say what {rule:?} is");
    }
    for mutant in MUTANTS {
        let row = format!("| `{}` | {} | {} |", mutant.name, mutant.scene.name, mutant.steps);
        assert!(README.contains(&row), "README.md does not say: {row}");
    }
}
