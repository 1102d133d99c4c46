//! T7: real processes of the program under SIGSTOP, SIGKILL and wrong clocks.
//!
//! Here a storm that ends after so many backups; `cargo bench --bench processes -- SECONDS local|s3 [SEED]` lets it go on.

mod crowd;
mod place;
mod storm;

use std::time::Duration;

#[cfg(feature = "s3")]
use crate::s3::{fake, fault};
use place::Place;
use storm::{Storm, Until, clock_library};

const SEED: u64 = 20_261_122;
const BACKUPS: u64 = 14;

fn storm(place: &Place) {
    if clock_library().is_none() {
        skipped("libfaketime is not installed; all clocks are right");
    }
    let storm = Storm::new(place.address(), Duration::from_millis(1500), place.disturbance());
    let wrong = storm.play(SEED, Until { backups: BACKUPS, time: Duration::MAX });
    assert!(wrong.is_empty(), "seed {SEED}: {}\n{}", wrong.join("\n"), storm.summary());
    place.recover();
    let wrong = storm.judge();
    assert!(wrong.is_empty(), "seed {SEED}, afterwards: {}\n{}", wrong.join("\n"), storm.summary());
}

#[expect(clippy::print_stderr, reason = "a test that did less says so")]
fn skipped(why: &str) {
    eprintln!("skipped in part: {why}");
}

#[test]
fn a_storm_of_processes_on_a_local_repository_loses_nothing() {
    storm(&Place::local());
}

#[cfg(feature = "s3")]
#[test]
fn a_storm_of_processes_on_a_repository_in_s3_loses_nothing() {
    storm(&Place::s3());
}
