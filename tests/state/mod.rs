//! Random histories of a small tree: edits, backups, restores, tags, forgetting, prunes, crashes, held against plain pictures of the tree.
//!
//! `machine` is shared with `cargo bench --bench state -- SEQUENCES [SEED]`, which goes on for longer. A failure names its
//! seed and the range it was played in; the same range plays it again.

pub(crate) mod edit;
pub(crate) mod machine;
pub(crate) mod picture;

use machine::Counts;

/// Histories that are played in turns.
const GROUP: u64 = 75;
const GROUPS: u64 = 2;
const STEPS: usize = 24;

#[test]
fn whatever_happens_every_snapshot_restores_what_was_there() {
    let play = |group| machine::play(group * GROUP..(group + 1) * GROUP, STEPS);
    let groups: Vec<Result<Counts, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..GROUPS).map(|group| scope.spawn(move || play(group))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut counts = Counts::default();
    for group in groups {
        counts.add(group.unwrap_or_else(|failure| panic!("{failure}")));
    }
    assert!(counts.trusted > 0 && counts.swept > 0 && counts.repacked > 0, "{counts:?}");
}
