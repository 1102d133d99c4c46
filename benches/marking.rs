//! Marking snapshots that share nearly all: `cargo bench --bench marking [snapshots entries changes]`, of 100 snapshots of a
//! million entries that differ in 100 if not given.
//!
//! Prints how many pages there are and were read, how many bytes of packs there are and were read, and how long it took.
#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

#[path = "../tests/prune/marking.rs"]
mod marking;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let mut next = |otherwise| numbers.next().unwrap_or(otherwise);
    let (snapshots, entries, changes) = (next(100), next(1_000_000), next(100));
    let marking::Figures { pages, read, bytes, bytes_read, time } = marking::mark_many(snapshots, entries, changes);
    println!(
        "{snapshots} snapshots of {entries} entries: {read} of {pages} pages read in {time:.2?}, {bytes_read} of {bytes} bytes"
    );
}
