//! `cargo fuzz run page`; what it does stands in `targets`.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = targets::TARGETS.iter().find(|target| target.name == "page").expect("it is in the table");
    (target.run)(bytes);
});
