//! The campaign of family T2: kills the program at every state-changing system call of every command.
//!
//! `cargo bench --bench kill -- all|COUNT [SEED [DEED,…]]`: `all` goes on, tree after tree, until 10,000 kills fell and the tree was
//! finished; COUNT ends it at as many. DEEDs are those of `tests/kill/scene.rs` (`Prune,Undo`); all if none is named. Each kill is
//! followed by a check, restores and the same command again. With `errors` before all that, calls fail instead (T3): each moment meets
//! each error, once and from then on.

#![expect(clippy::print_stdout, reason = "a campaign tells its figures")]

use std::time::Instant;

#[path = "../tests/kill/scene.rs"]
mod scene;
#[path = "../tests/kill/tree.rs"]
mod tree;

use scene::{Blow, DEEDS, Deed, Scene, Struck, obstacle};

const ALL: usize = 10_000;
/// What calls fail with. One that is interrupted for ever would be made for ever.
const ERRORS: [&str; 7] = ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EACCES", "EROFS", "EINTR"];

/// What a campaign came to so far.
#[derive(Default)]
struct Tally {
    fell: usize,
    missed: usize,
    broken: usize,
}

fn main() {
    if let Some(why) = obstacle() {
        println!("skipped: {why}");
        return;
    }
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_of_errors = words.first().is_some_and(|word| word == "errors");
    words.drain(..usize::from(is_of_errors));
    let blows: Vec<Blow> = if is_of_errors {
        let lasting = ERRORS.into_iter().filter(|error| *error != "EINTR").map(Blow::FailsFromThen);
        ERRORS.into_iter().map(Blow::Fails).chain(lasting).collect()
    } else {
        vec![Blow::Kill]
    };
    let count = words.first().map_or(ALL, |word| if word == "all" { ALL } else { word.parse().expect("a count") });
    let first: u64 = words.get(1).map_or(1, |word| word.parse().expect("a seed"));
    let is_wanted =
        |deed: &Deed| words.get(2).is_none_or(|names| names.split(',').any(|name| name == format!("{deed:?}")));
    let deeds: Vec<Deed> = DEEDS.into_iter().filter(is_wanted).collect();
    assert!(!deeds.is_empty(), "no deed is named so");
    let (began, mut tally) = (Instant::now(), Tally::default());
    for seed in first.. {
        for deed in &deeds {
            let moments = strike(&Scene::new(*deed, seed), &blows, count, &mut tally);
            let Tally { fell, missed, broken } = tally;
            let rate = f64::from(u32::try_from(fell).expect("few")) / began.elapsed().as_secs_f64();
            println!(
                "seed {seed} {deed:?}: {moments} moments; in all {fell} blows, {missed} missed, {broken} broken, {rate:.1}/s"
            );
        }
        if tally.fell >= count {
            break;
        }
    }
    println!(
        "{} blows from seed {first}, {} broken, in {:.0} s",
        tally.fell,
        tally.broken,
        began.elapsed().as_secs_f64()
    );
    assert_eq!(tally.broken, 0, "what is named above does not hold");
}

/// Strikes at every moment of a scene until there were enough; returns how many moments there are.
fn strike(scene: &Scene, blows: &[Blow], count: usize, tally: &mut Tally) -> usize {
    let moments = scene.moments();
    for (moment, blow) in moments.iter().flat_map(|moment| blows.iter().map(move |blow| (moment, blow))) {
        if tally.fell >= count {
            break;
        }
        match scene.strike(moment, *blow) {
            Ok(Struck::Yes) => tally.fell += 1,
            Ok(Struck::Missed) => tally.missed += 1,
            Err(reason) => {
                (tally.fell, tally.broken) = (tally.fell + 1, tally.broken + 1);
                println!("BROKEN {reason}");
            }
        }
    }
    moments.len()
}
