//! The whole damage campaign: every bit of a small repository flipped, every length it can be cut to, and all that can be
//! done to whole objects.
//!
//! `cargo bench --bench damage -- [cases|full] [seed] [fresh|pruned|prune]` (10,000 drawn cases if not given; of a repository that
//! was never pruned, of one that was, or with a prune after each damage); ends with status 1 if a promise was broken. `tests/README.md` has the last figures.
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
    let what = arguments.get(2).map_or("fresh", String::as_str);
    let fixture = if what == "fresh" { Fixture::make() } else { Fixture::make_pruned() };
    let run = |first: u64, last: u64| {
        let cases = (first..last).into_par_iter().map(|number| fixture.case(number));
        if what == "prune" { fixture.run_prunes(cases) } else { fixture.run(cases) }
    };
    fixture.inventory().iter().for_each(|line| println!("{line}"));
    let total = fixture.case_count();
    println!("{total} flips and cuts in all; seed {seed}");
    let start = Instant::now();
    let whole = fixture.whole_object_cases().into_par_iter();
    let mut tally = if what == "prune" { fixture.run_prunes(whole) } else { fixture.run(whole) };
    if is_full {
        for stretch in 0..total.div_ceil(STRETCH) {
            let first = stretch * STRETCH;
            let last = total.min(first + STRETCH);
            tally = tally.add(run(first, last));
            report(&tally, start);
        }
    } else {
        let cases = draw(seed, count, total).map(|number| fixture.case(number));
        tally = tally.add(if what == "prune" { fixture.run_prunes(cases) } else { fixture.run(cases) });
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
