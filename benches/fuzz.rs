//! A plain mutator for where no fuzzer runs: `cargo bench --bench fuzz -- TARGET|all RUNS [SEED]`.
//!
//! It knows nothing of coverage; it takes inputs of the corpus and cuts, joins, flips and overwrites them with the numbers
//! that hurt. `cargo bench --bench fuzz -- corpus` writes the seeds and a few mutants of each to `fixtures/fuzz`.
#![expect(clippy::print_stdout, reason = "a command prints")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use targets::{TARGETS, Target};

/// Mutants of each seed that are kept in the corpus.
const MUTANTS_KEPT: u64 = 6;
/// Longest input.
const LENGTH_MAX: usize = 1 << 16;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(what) = arguments.next() else { return };
    if what == "corpus" {
        return write_corpus();
    }
    let mut number = |default: u64| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (runs, seed) = (number(100_000), number(1));
    for target in TARGETS.iter().filter(|target| what == "all" || what == target.name) {
        let started = Instant::now();
        mutate_and_run(target, runs, seed);
        let seconds = started.elapsed().as_secs_f64();
        println!("{}: {runs} runs, {:.0} a second, no failure", target.name, runs as f64 / seconds);
    }
}

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(target.name)
}

fn mutate_and_run(target: &Target, runs: u64, seed: u64) {
    let mut inputs = (target.seeds)();
    if let Ok(corpus) = fs::read_dir(folder(target)) {
        inputs.extend(corpus.filter_map(|input| fs::read(input.ok()?.path()).ok()));
    }
    let mut random = Random(seed);
    for run in 0..runs {
        let input = mutant(&inputs, &mut random);
        if catch_unwind(|| (target.run)(&input)).is_err() {
            let file = format!("{}-{seed}-{run}", target.name);
            fs::write(&file, &input).expect("written");
            println!("{}: run {run} of seed {seed} fails; its input is {file}", target.name);
            std::process::exit(1);
        }
    }
}

fn write_corpus() {
    for target in &TARGETS {
        fs::create_dir_all(folder(target)).expect("a folder");
        let seeds = (target.seeds)();
        let mut random = Random(7);
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder(target).join(format!("seed-{number}")), seed).expect("written");
            for at in 0..MUTANTS_KEPT {
                let input = mutant(std::slice::from_ref(seed), &mut random);
                fs::write(folder(target).join(format!("mutant-{number}-{at}")), input).expect("written");
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("it is below a usize")
    }
}

/// Numbers at the edges of encodings.
const EDGES: [u64; 14] =
    [0, 1, 250, 251, 252, 253, 255, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 1 << 62, 1 << 63, u64::MAX];

fn mutant(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
            2 => {
                let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][random.below(4)];
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, edge[..width].iter().copied());
            }
            3 => bytes.truncate(at),
            4 => {
                let end = at + random.below(bytes.len() - at + 1);
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            5 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = at + random.below((bytes.len() - at).min(16) + 1);
                bytes.drain(at..end);
            }
        }
    }
    bytes.truncate(LENGTH_MAX);
    bytes
}
