//! T19: years of daily backups by a simulated clock. `cargo bench --bench years -- CYCLES [SEED]`
#![expect(clippy::print_stdout, reason = "a command prints")]

#[path = "../tests/years/life.rs"]
mod life;
#[path = "../tests/prune/scene.rs"]
#[expect(dead_code, reason = "a life needs less of it than its own tests")]
mod scene;

use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = || arguments.next().map(|text| text.parse::<u64>().expect("a number"));
    let (Some(cycles), seed) = (number(), number().unwrap_or(1)) else { return };
    let begun = Instant::now();
    match life::live(cycles, seed) {
        Ok(counts) => println!("seed {seed}: {counts:?} in {:.0} s", begun.elapsed().as_secs_f64()),
        Err(failure) => {
            println!("{failure}");
            std::process::exit(1);
        }
    }
}
