//! The whole damage campaign: every bit of a small repository flipped, every length it can be cut to, and all that can be
//! done to whole objects.
//!
//! `cargo bench --bench damage -- [cases|full] [seed]` (10,000 drawn cases if not given); ends with status 1 if a promise
//! was broken. `tests/README.md` has the last figures.
#![expect(clippy::print_stdout, reason = "figures are what a campaign is for")]

use std::process::ExitCode;
use std::time::Instant;

use rayon::prelude::*;

#[path = "../tests/damage/campaign.rs"]
mod campaign;
#[path = "../tests/damage/fixture.rs"]
mod fixture;

use campaign::{Tally, draw};
use fixture::Fixture;

/// Cases between two lines of progress.
const STRETCH: u64 = 50_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let count = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let is_full = arguments.first().is_some_and(|count| count == "full");
    let seed = arguments.get(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let fixture = Fixture::make();
    fixture.inventory().iter().for_each(|line| println!("{line}"));
    let total = fixture.case_count();
    println!("{total} flips and cuts in all; seed {seed}");
    let start = Instant::now();
    let mut tally = fixture.run(fixture.whole_object_cases().into_par_iter());
    if is_full {
        for first in (0..total).step_by(STRETCH as usize) {
            let last = total.min(first + STRETCH);
            tally = tally.add(fixture.run((first..last).into_par_iter().map(|number| fixture.case(number))));
            report(&tally, start);
        }
    } else {
        tally = tally.add(fixture.run(draw(seed, count, total).map(|number| fixture.case(number))));
        report(&tally, start);
    }
    tally.examples.iter().for_each(|example| println!("{example}"));
    if tally.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(tally: &Tally, start: Instant) {
    let Tally { cases, found, lawful, served, wrong, .. } = tally;
    let seconds = start.elapsed().as_secs();
    println!(
        "{cases} cases, {found} found, {lawful} lawful, {served} read whole all the same, {wrong} wrong; {seconds} s"
    );
}
