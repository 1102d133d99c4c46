//! Replays the kept corpus of the fuzzers, `fixtures/fuzz/<target>/`, on a stable compiler.
//!
//! `cargo bench --bench fuzz -- corpus` writes the seeds there anew; inputs that once failed are added by hand and stay.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use targets::TARGETS;

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/fuzz"))
}

#[test]
fn nothing_in_the_corpus_fails() {
    for target in &TARGETS {
        let inputs = fs::read_dir(corpus().join(target.name)).expect("every target has a corpus");
        let mut count = 0;
        for input in inputs {
            (target.run)(&fs::read(input.expect("an input").path()).expect("its bytes"));
            count += 1;
        }
        assert!(count > 0, "the corpus of {} is empty", target.name);
    }
}

#[test]
fn no_prefix_of_a_seed_and_no_flipped_bit_fails() {
    for target in &TARGETS {
        for seed in (target.seeds)() {
            (0..seed.len()).for_each(|length| (target.run)(&seed[..length]));
            for bit in 0..seed.len() * 8 {
                let mut changed = seed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                (target.run)(&changed);
            }
        }
    }
}

#[test]
fn every_target_has_its_fuzzer_and_its_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let listed = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        entries.map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned()).collect()
    };
    assert_eq!(listed(corpus()), names);
    let fuzz = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"));
    assert_eq!(listed(&fuzz.join("fuzz_targets")), names);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
    assert!(names.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
}
