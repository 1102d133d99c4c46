//! More simulations than the suite plays: `cargo bench --bench simulation -- SEEDS [FIRST]`.
//!
//! On all processors; the first failure ends it and names its seed, which plays it again alone: `-- 1 SEED`.
#![expect(clippy::print_stdout, reason = "a command prints")]

#[path = "../tests/simulation/actors.rs"]
mod actors;
#[path = "../tests/simulation/play.rs"]
mod play;
#[path = "../tests/simulation/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = || arguments.next().map(|text| text.parse::<u64>().expect("a number"));
    let (Some(seeds), first) = (number(), number().unwrap_or(0)) else { return };
    let (started, next) = (Instant::now(), AtomicU64::new(first));
    let total = Mutex::new(play::Counts::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            match play::play(seed) {
                Ok(counts) => total.lock().expect("no holder panics").add(counts),
                Err(failure) => {
                    println!("seed {seed}: {failure}");
                    std::process::exit(1);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get) {
            scope.spawn(work);
        }
    });
    let total = total.into_inner().expect("no holder panicked");
    println!("{seeds} seeds from {first}: {total:?} in {:.0} s, no loss", started.elapsed().as_secs_f64());
}
