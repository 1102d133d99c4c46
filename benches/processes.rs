//! T7, longer: `cargo bench --bench processes -- SECONDS local|s3 [SEED]`.
//!
//! Four writers, two pruners and a checker, real processes, are stopped, killed and given wrong clocks for so long; then
//! everything must be whole.
#![expect(clippy::print_stdout, reason = "a command prints")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "../tests/processes/crowd.rs"]
mod crowd;
#[path = "../tests/dice.rs"]
mod dice;
#[cfg(feature = "s3")]
#[path = "../tests/s3/fake.rs"]
#[expect(dead_code, reason = "a storm needs less of it than its own tests")]
mod fake;
#[cfg(feature = "s3")]
#[path = "../tests/s3/fault.rs"]
#[expect(dead_code, reason = "a storm knows fewer faults")]
mod fault;
#[cfg(feature = "s3")]
#[path = "../tests/s3/http.rs"]
mod http;
#[path = "../tests/processes/place.rs"]
mod place;
#[cfg(feature = "s3")]
#[path = "../tests/s3/policy.rs"]
mod policy;
#[path = "../tests/processes/storm.rs"]
mod storm;

use place::Place;
use storm::{Storm, Until};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let Some(seconds) = words.first().and_then(|word| word.parse().ok()) else { return ExitCode::SUCCESS };
    let place = match words.get(1).map(String::as_str) {
        #[cfg(feature = "s3")]
        Some("s3") => Place::s3(),
        _ => Place::local(),
    };
    let seed = words.get(2).map_or(1, |word| word.parse().expect("a seed"));
    println!("seed {seed}, clocks {}", if storm::clock_library().is_some() { "shifted" } else { "right" });
    let begun = Instant::now();
    let storm = Storm::new(place.address(), Duration::from_secs(15), place.disturbance());
    let mut wrong = storm.play(seed, Until { backups: u64::MAX, time: Duration::from_secs(seconds) });
    place.recover();
    wrong.extend(storm.judge());
    println!("{} s: {}", begun.elapsed().as_secs(), storm.summary());
    wrong.iter().for_each(|what| println!("WRONG {what}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
