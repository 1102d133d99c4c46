//! Random histories of a small tree: edits, backups, restores, tags, crashes, held against plain pictures of the tree.
//!
//! `machine` is shared with `cargo bench --bench state -- SEQUENCES [SEED]`, which goes on for longer. A failure names its
//! seed; `machine::run(seed, STEPS)` plays it again.

pub(crate) mod edit;
pub(crate) mod machine;
pub(crate) mod picture;

use std::sync::atomic::{AtomicU64, Ordering};

const SEQUENCES: u64 = 150;
const STEPS: usize = 12;

#[test]
fn whatever_happens_every_snapshot_restores_what_was_there() {
    let next = AtomicU64::new(0);
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEQUENCES {
                return;
            }
            if let Err(failure) = machine::run(seed, STEPS) {
                panic!("seed {seed}: {failure}");
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(play);
        scope.spawn(play);
    });
}
