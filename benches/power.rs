//! T4, longer: `cargo bench --bench power -- COUNT [SEED] [ext4|xfs]`.
//!
//! For each deed the power goes before every flush, at moments drawn from the seed, and after the end, seed after seed until there
//! were COUNT cuts.
#![expect(clippy::print_stdout, reason = "a campaign tells its figures")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "../tests/power/cut.rs"]
mod cut;
#[path = "../tests/kill/tree.rs"]
mod tree;

use cut::{DEEDS, Moment, Scene, obstacle};
use tree::Dice;

/// Cuts at moments that no call marks, for each deed.
const DRAWN: usize = 12;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let Some(count) = words.first().and_then(|word| word.parse::<usize>().ok()) else { return ExitCode::SUCCESS };
    let first: u64 = words.get(1).map_or(1, |word| word.parse().expect("a seed"));
    let kind = words.get(2).map_or("ext4", String::as_str);
    if let Some(why) = obstacle(kind) {
        println!("skipped: {why}");
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let (mut cuts, mut broken) = (0, 0);
    for seed in first.. {
        let mut dice = Dice::new(seed);
        for deed in DEEDS {
            let scene = Scene::new(deed, seed, kind).expect("a scene");
            let flushes = scene.flushes().expect("a clean run");
            let drawn = (0..DRAWN).map(|_| Moment::After(Duration::from_micros(500 * dice.below(200) as u64)));
            let moments = (1..=flushes).map(Moment::BeforeFlush).chain(drawn).chain([Moment::AtTheEnd]);
            for moment in moments.collect::<Vec<_>>() {
                cuts += 1;
                if let Err(reason) = scene.strike(moment) {
                    broken += 1;
                    println!("BROKEN {reason}");
                }
            }
            println!("seed {seed} {deed:?}: {flushes} flushes; in all {cuts} cuts of {kind}, {broken} broken");
            if cuts >= count {
                break;
            }
        }
        if cuts >= count {
            break;
        }
    }
    println!("{cuts} cuts of {kind} from seed {first}, {broken} broken, in {} s", begun.elapsed().as_secs());
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
