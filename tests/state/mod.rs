//! Random histories of a small tree: edits, backups, restores, tags, crashes, held against plain pictures of the tree.
//!
//! `machine` is shared with `cargo bench --bench state -- SEQUENCES [SEED]`, which goes on for longer. A failure names its
//! seed and the range it was played in; the same range plays it again.

pub(crate) mod edit;
pub(crate) mod machine;
pub(crate) mod picture;

/// Histories that are played in turns.
const GROUP: u64 = 75;
const GROUPS: u64 = 2;
const STEPS: usize = 12;

#[test]
fn whatever_happens_every_snapshot_restores_what_was_there() {
    let play = |group| machine::play(group * GROUP..(group + 1) * GROUP, STEPS);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..GROUPS).map(|group| scope.spawn(move || play(group))).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic").err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
