//! More histories than the suite plays: `cargo bench --bench state -- SEQUENCES [SEED]`.
//!
//! Seeds go up from SEED; the first failure ends it and names its seed.
#![expect(clippy::print_stdout, reason = "a command prints")]

#[path = "../tests/dice.rs"]
mod dice;
#[path = "../tests/state/edit.rs"]
mod edit;
#[path = "../tests/state/machine.rs"]
mod machine;
#[path = "../tests/state/picture.rs"]
mod picture;

use std::time::Instant;

const STEPS: usize = 24;
/// Histories that are played in turns, as in the suite.
const GROUP: usize = 75;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = || arguments.next().map(|text| text.parse::<u64>().expect("a number"));
    let (Some(sequences), seed) = (number(), number().unwrap_or(0)) else { return };
    let started = Instant::now();
    let mut counts = machine::Counts::default();
    for first in (seed..seed + sequences).step_by(GROUP) {
        match machine::play(first..(first + GROUP as u64).min(seed + sequences), STEPS) {
            Ok(group) => counts.add(group),
            Err(failure) => {
                println!("{failure}");
                std::process::exit(1);
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{sequences} sequences of {STEPS} steps in {seconds:.1} s; {counts:?}");
}
