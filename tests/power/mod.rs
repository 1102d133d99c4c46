//! T4: the power of a file system is cut, before a flush or right after the program said that it was done.
//!
//! `cargo bench --bench power -- COUNT [SEED] [ext4|xfs]` cuts more often; here a sample. It needs root, loop devices and strace.

use crate::kill::tree;

mod cut;

use cut::{DEEDS, Moment, Scene, obstacle};
use tree::Dice;

const SEED: u64 = 0xc07;

#[test]
fn what_was_acknowledged_outlives_a_power_cut() {
    if let Some(why) = obstacle("ext4") {
        skipped(&why);
        return;
    }
    let mut dice = Dice::new(SEED);
    let mut broken = Vec::new();
    for deed in DEEDS {
        let scene = Scene::new(deed, SEED, "ext4").expect("a scene");
        let flushes = scene.flushes().expect("a clean run");
        assert!(flushes > 1, "{deed:?} flushes nothing");
        let drawn = std::time::Duration::from_millis(dice.below(40) as u64);
        for moment in [Moment::AtTheEnd, Moment::BeforeFlush(2 + dice.below(flushes - 1)), Moment::After(drawn)] {
            broken.extend(scene.strike(moment).err());
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
