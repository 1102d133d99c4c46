//! The protocol model at its full size: `cargo bench --bench model` searches all large scenes to the end and prints figures.
//!
//! `-- largest` takes the largest scene of all, which needs a gigabyte and minutes; `-- trace MUTANT` tells how a mutant
//! of `tests/model/README.md` loses something.
#![expect(clippy::print_stdout, reason = "a command prints")]

#[path = "../tests/model/liveness.rs"]
mod liveness;
#[path = "../tests/model/mutants.rs"]
mod mutants;
#[path = "../tests/model/pruner.rs"]
mod pruner;
#[path = "../tests/model/rules.rs"]
mod rules;
#[path = "../tests/model/scene.rs"]
mod scene;
#[path = "../tests/model/scenes.rs"]
mod scenes;
#[path = "../tests/model/search.rs"]
mod search;
#[path = "../tests/model/state.rs"]
mod state;
#[path = "../tests/model/validity.rs"]
mod validity;
#[path = "../tests/model/writer.rs"]
mod writer;

use std::process::ExitCode;
use std::time::Instant;

use mutants::{GUARDED_TWICE, MUTANTS};
use rules::Rule;
use scene::{Model, Scene};
use scenes::{LARGE, LARGEST, PATIENT, SMALL, TOO_PATIENT, TWO_LOST_REPLIES};
use search::{Found, Traces};

const STATES_MAX: usize = 400_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let sound = match arguments[..] {
        [] => all(),
        ["largest"] => total(&[LARGEST], &[]),
        ["trace", name] => trace(name),
        _ => false,
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every check there is; false if any fails.
fn all() -> bool {
    let mut sound = total(SMALL, &[]) & total(LARGE, &[]);
    for rules in GUARDED_TWICE {
        sound &= total(&[TWO_LOST_REPLIES], rules);
    }
    for mutant in MUTANTS {
        let found = Model { scene: mutant.scene, broken: mutant.without }.search(STATES_MAX, Traces::Kept);
        let end = found.violation.map_or("nothing is lost".to_owned(), |violation| violation.to_string());
        println!("{:24} {:2} steps: {end}", mutant.name, found.trace.len());
        sound &= found.violation.is_some() && found.trace.len() == mutant.steps;
    }
    println!("{} rules, {} mutants", Rule::ALL.len(), MUTANTS.len());
    let ends = Model { scene: PATIENT, broken: &[] }.ends();
    println!("{}: {} states, {} of them without end", PATIENT.name, ends.states, ends.without_end);
    sound & (ends.without_end == 0) & (Model { scene: TOO_PATIENT, broken: &[] }.ends().without_end > 0)
}

/// Searches scenes to the end; false if anything is lost.
fn total(scenes: &[Scene], broken: &'static [Rule]) -> bool {
    let started = Instant::now();
    let (mut states, mut sound) = (0, true);
    for scene in scenes {
        let began = Instant::now();
        let found = Model { scene: *scene, broken }.search(STATES_MAX, Traces::Dropped);
        let Found { transitions, depth, complete, violation, .. } = found;
        let end = match violation {
            Some(violation) => violation.to_string(),
            None if complete => "nothing is lost".to_owned(),
            None => "not searched to the end".to_owned(),
        };
        let seconds = began.elapsed().as_secs_f64();
        let name = if broken.is_empty() { scene.name.to_owned() } else { format!("{} without {broken:?}", scene.name) };
        println!(
            "{name:52} {:>9} states {transitions:>10} steps, depth {depth:2}, {seconds:5.1} s: {end}",
            found.states
        );
        states += found.states;
        sound &= complete && violation.is_none();
    }
    println!("{:52} {states:>9} states in {:.0} s", "together", started.elapsed().as_secs_f64());
    sound
}

fn trace(name: &str) -> bool {
    let Some(mutant) = MUTANTS.iter().find(|mutant| mutant.name == name) else { return false };
    let found = Model { scene: mutant.scene, broken: mutant.without }.search(STATES_MAX, Traces::Kept);
    println!("{name} is the protocol without {:?}; {}:", mutant.without, mutant.scene.name);
    for event in found.trace {
        println!("  {event}");
    }
    found.violation.inspect(|violation| println!("{violation}")).is_some()
}
