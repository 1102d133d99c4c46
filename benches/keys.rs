//! A bucket of very many keys, unchanged: how long listing it and joining it with the snapshot before takes, and how much memory.
//!
//! `cargo bench --bench keys [-- COUNT] [--latency MILLISECONDS]`: COUNT keys (10 million), listed by a synthetic service in this process, in pages of
//! a thousand. The snapshot before is made by a source that has the same keys and no service.

#![expect(clippy::print_stdout, reason = "a campaign tells its figures")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snap::platform::Ways;
use snap::storage::local::LocalStorage;

#[path = "../tests/estate/front/mod.rs"]
#[expect(dead_code, reason = "nothing goes wrong here")]
mod front;
#[path = "../tests/estate/lister.rs"]
mod lister;
#[path = "../tests/estate/stage.rs"]
#[expect(dead_code, reason = "the tests want more of it")]
mod stage;

use front::concurrency;
use stage::Stage;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let count: u64 = words.first().and_then(|word| word.parse().ok()).unwrap_or(10_000_000);
    let after = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1));
    let latency = after("--latency").map_or(0, |text| text.parse().expect("milliseconds"));
    let folder = tempfile::tempdir().expect("a folder");
    let storage = LocalStorage::create(&folder.path().join("repository"), Ways::Native).expect("a store");
    // Nobody stands behind the front: it answers everything itself.
    let stage = Stage::on(Arc::new(storage), SocketAddr::from(([127, 0, 0, 1], 9)), None);
    let begin = Instant::now();
    let first = stage.capture_sources("keys", lister::known(count));
    assert_eq!(first.record.summary.new, count);
    println!("{count} keys: the snapshot before took {:.1} s", begin.elapsed().as_secs_f64());
    stage.front.play(move |call| lister::answer(call, count));
    stage.front.delay(Duration::from_millis(latency));
    // Forgets the most memory so far.
    fs::write("/proc/self/clear_refs", "5").expect("the system lets a process do so");
    let begin = Instant::now();
    let second = stage.capture_only("keys", &["s3"]);
    let seconds = begin.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").expect("a process knows itself");
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let summary = &second.record.summary;
    let seen = stage.front.take();
    let of = |action: &str| seen.iter().filter(|seen| seen.action == action).count();
    println!("listed and joined in {seconds:.1} s ({:.0} keys a second), {peak}", count as f64 / seconds);
    println!("{} pages, {} at once; {} objects fetched", of("ListObjectsV2"), concurrency(&seen), of("GetObject"));
    println!(
        "unchanged {}, new {}, changed {}, removed {}",
        summary.unchanged, summary.new, summary.changed, summary.removed
    );
    assert_eq!((of("GetObject"), summary.changed, summary.removed), (0, 0, 0));
    assert!(summary.unchanged >= count);
}
