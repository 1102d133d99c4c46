//! T1: the program's own code, many processes of it, under a scheduler that a seed repeats.
//!
//! `cargo bench --bench simulation -- SEEDS [FIRST]` plays more; a failure names its seed, and that seed alone plays it again.

pub(crate) mod actors;
pub(crate) mod play;
pub(crate) mod world;

const SEEDS: u64 = 2_000;

#[test]
fn no_order_of_events_loses_a_snapshot() {
    let played: Vec<Result<play::Counts, String>> = std::thread::scope(|scope| {
        let half = |first: u64| {
            move || {
                let mut counts = play::Counts::default();
                for seed in (first..SEEDS).step_by(2) {
                    counts.add(play::play(seed).map_err(|failure| format!("seed {seed}: {failure}"))?);
                }
                Ok(counts)
            }
        };
        let threads = [scope.spawn(half(0)), scope.spawn(half(1))];
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    for counts in played {
        let counts = counts.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(counts.snapshots > SEEDS / 2 && counts.generations > SEEDS / 2, "too little happened: {counts:?}");
    }
}
