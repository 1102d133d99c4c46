//! How long a whole estate takes, against the least that AWS's limits allow.
//!
//! `cargo bench --bench estate [-- --server HOST:PORT] [--scale mini|full] [--latency MILLISECONDS]`: the estate of
//! `fixtures/estate.py` in ministack, or in an emulator that is running already and holds one, behind the front. The emulator
//! is asked everything once and its answers are kept, so that what is measured is a service that answers at once but for the
//! latency (40 ms) and AWS's limits. Then the program captures it twice. Printed: the bound of each limit, time, memory,
//! what one call after another would have taken, and what the second run fetched.

#![expect(clippy::print_stdout, reason = "a campaign tells its figures")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/estate/front/mod.rs"]
#[expect(dead_code, reason = "nothing goes wrong here")]
mod front;
#[path = "../tests/servers.rs"]
mod servers;
#[path = "../tests/estate/stage.rs"]
#[expect(dead_code, reason = "the tests want more of it")]
mod stage;

use front::limits::{Limits, bounds};
use front::{Seen, concurrency};
use servers::{Server, installed};
use stage::{REGION, Stage};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let after = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1));
    let latency = Duration::from_millis(after("--latency").map_or(40, |text| text.parse().expect("milliseconds")));
    let scale = after("--scale").map_or("full", String::as_str);
    let named: Option<SocketAddr> = after("--server").map(|text| text.parse().expect("an address"));
    let server = named.is_none().then(|| built(scale));
    let upstream = named
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], server.as_ref().expect("because none was named").port)));
    let stage = Stage::before(upstream, None);
    let begin = Instant::now();
    let report = stage.capture("kept");
    let resources = report.record.resources.len();
    println!("{resources} resources, {} gaps; kept in {:.1} s", report.gap_count(), begin.elapsed().as_secs_f64());
    stage.front.take();
    stage.front.delay(latency);
    let home = tempfile::tempdir().expect("a folder");
    for name in ["first", "second"] {
        stage.front.limit(Some(Limits::default()));
        let begin = Instant::now();
        let peak = captured(&stage.front.endpoint(), home.path());
        told(name, begin.elapsed().as_secs_f64(), peak, &stage.front.take());
    }
}

/// ministack with an estate in it.
fn built(scale: &str) -> Server {
    let prepare = |command: &mut Command, (port, folder): (u16, &Path)| {
        command.env("BIND_HOST", "127.0.0.1").env("MINISTACK_HOST", "127.0.0.1").env("STATE_DIR", folder);
        command.env("GATEWAY_PORT", port.to_string()).env("MINISTACK_AUTOCREATE_AWS_MANAGED", "1");
    };
    let server = Server::start(&installed("ministack"), |_, _| Vec::new(), prepare);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/estate.py");
    let mut build = Command::new(installed("python"));
    build.arg(script).args(["--endpoint", &format!("http://127.0.0.1:{}", server.port), "--scale", scale]);
    let status = build.stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "the estate cannot be built");
    server
}

/// Captures the estate; the most memory that it took, in bytes.
fn captured(endpoint: &str, home: &Path) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
    command.args(["backup", "--aws", "--quiet", "--no-progress"]).env_clear().env("HOME", home);
    command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "testing");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut peak = 0;
    loop {
        peak = peak.max(resident(&child));
        if let Some(status) = child.try_wait().expect("a state") {
            assert!(matches!(status.code(), Some(0 | 3)), "{status}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The most memory that a process took so far.
fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or_default() << 10
}

fn told(name: &str, seconds: f64, peak: u64, seen: &[Seen]) {
    let bounds = bounds(seen);
    let bound = bounds.first().map_or(0.0, |bound| bound.2);
    let in_turn = |seen: &[&Seen]| -> f64 { seen.iter().map(|seen| (seen.end - seen.begin).as_secs_f64()).sum() };
    let all: Vec<&Seen> = seen.iter().collect();
    let throttled = seen.iter().filter(|seen| seen.is_throttled).count();
    println!("{name}: {seconds:.1} s, bound {bound:.1} s, ratio {:.3}; peak memory {} MB", seconds / bound, peak >> 20);
    println!(
        "  {} calls, {} at once, {throttled} refused; one after another {:.1} s",
        seen.len(),
        concurrency(seen),
        in_turn(&all)
    );
    for (class, count, seconds) in bounds.iter().take(8) {
        let of: Vec<&Seen> =
            seen.iter().filter(|seen| class.split(':').next() == Some(seen.service.as_str())).collect();
        let end = of.iter().map(|seen| seen.end).max().zip(seen.iter().map(|seen| seen.begin).min());
        let end = end.map_or(0.0, |(end, begin)| (end - begin).as_secs_f64());
        println!("  {class:28} {count:>6} calls, at least {seconds:>6.1} s; over after {end:.1} s");
    }
    let objects: Vec<&Seen> = seen.iter().filter(|seen| seen.action == "GetObject").collect();
    let downloads = seen.iter().filter(|seen| seen.service.is_empty()).count();
    if let (Some(begin), Some(end)) = (objects.iter().map(|of| of.begin).min(), objects.iter().map(|of| of.end).max()) {
        let (wall, in_turn) = ((end - begin).as_secs_f64(), in_turn(&objects));
        println!(
            "  {} objects in {wall:.1} s, one after another {in_turn:.1} s: {:.1} times",
            objects.len(),
            in_turn / wall
        );
    }
    println!("  {} objects and {downloads} archives fetched", objects.len());
    assert!(name == "first" || objects.len() + downloads == 0, "an untouched estate was fetched again");
}
