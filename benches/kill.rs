//! The campaign of family T2: kills the program at every state-changing system call of every command.
//!
//! `cargo bench --bench kill -- all|COUNT [SEED]`: `all` goes on, tree after tree, until 10,000 kills fell and the tree was
//! finished; COUNT ends it at as many. Each kill is followed by a check, restores and the same command again.

#![expect(clippy::print_stdout, reason = "a campaign tells its figures")]

use std::time::Instant;

#[path = "../tests/kill/scene.rs"]
#[expect(dead_code, reason = "the test strikes in more ways than the campaign")]
mod scene;

use scene::{Blow, DEEDS, Scene, Struck, obstacle};

const ALL: usize = 10_000;

fn main() {
    if let Some(why) = obstacle() {
        println!("skipped: {why}");
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let count = words.first().map_or(ALL, |word| if word == "all" { ALL } else { word.parse().expect("a count") });
    let first: u64 = words.get(1).map_or(1, |word| word.parse().expect("a seed"));
    let began = Instant::now();
    let (mut fell, mut missed, mut broken) = (0, 0, 0);
    for seed in first.. {
        for deed in DEEDS {
            let scene = Scene::new(deed, seed);
            let moments = scene.moments();
            for moment in &moments {
                match scene.strike(moment, Blow::Kill) {
                    Ok(Struck::Yes) => fell += 1,
                    Ok(Struck::Missed) => missed += 1,
                    Err(reason) => {
                        (fell, broken) = (fell + 1, broken + 1);
                        println!("BROKEN {reason}");
                    }
                }
                if fell >= count {
                    break;
                }
            }
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "seed {seed} {deed:?}: {} moments; in all {fell} kills, {missed} missed, {broken} broken, {:.1} kills/s",
                moments.len(),
                f64::from(u32::try_from(fell).expect("few")) / seconds
            );
        }
        if fell >= count {
            break;
        }
    }
    println!("{fell} kills from seed {first}, {broken} broken, in {:.0} s", began.elapsed().as_secs_f64());
    assert_eq!(broken, 0, "what is named above does not hold");
}
