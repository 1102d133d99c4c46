//! What commands cost on a repository in S3: requests, round trips one after the other, seconds, with a warm cache and without.
//!
//! `cargo bench --bench s3 -- [FOLDER] [--delay MILLISECONDS] [--server HOST:PORT] [--trace]`: FOLDER is backed up (a small tree where none
//! is named) through a line that adds the delay (30 ms) to each answer. The server is our own fake, in memory, or one that is
//! running already (`--trace` names each request) and has an empty bucket named `bucket`, with the credentials AKIDEXAMPLE and `not-a-secret`.

#![expect(clippy::print_stdout, reason = "a campaign tells its figures")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[path = "../tests/s3/fake.rs"]
#[expect(dead_code, reason = "the tests want more of it")]
mod fake;
#[path = "../tests/s3/fault.rs"]
#[expect(dead_code, reason = "nothing goes wrong here")]
mod fault;
#[path = "../tests/s3/http.rs"]
mod http;
#[path = "../tests/s3/policy.rs"]
mod policy;
#[path = "../tests/s3/proxy.rs"]
mod proxy;

use fake::Fake;
use proxy::{Proxy, waves};

struct Line {
    proxy: Proxy,
    /// Cache, restored trees, and the small tree where none was named.
    folder: tempfile::TempDir,
    source: PathBuf,
    is_traced: bool,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let after = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1));
    let delay = after("--delay").map_or(30, |text| text.parse().expect("milliseconds"));
    let server: Option<SocketAddr> = after("--server").map(|text| text.parse().expect("an address"));
    let named = words.first().filter(|word| !word.starts_with("--")).map(PathBuf::from);
    let folder = tempfile::tempdir().expect("a folder");
    let source = named.unwrap_or_else(|| small_tree(folder.path()));
    let fake = Fake::start();
    fake.rule(|rules| rules.demands_condition = server.is_none());
    let proxy = Proxy::start(server.unwrap_or(fake.address()), Duration::from_millis(delay));
    let is_traced = words.iter().any(|word| word == "--trace");
    let line = Line { proxy, folder, source, is_traced };
    println!("{:24} {:>9} {:>9} {:>9}", "", "requests", "trips", "seconds");
    let source = line.source.display().to_string();
    line.run("init", &["init"]);
    line.run("first backup", &["backup", &source]);
    line.run("unchanged", &["backup", &source]);
    line.change();
    line.run("one file more", &["backup", &source]);
    for (name, arguments) in
        [("snapshots", &["snapshots"][..]), ("list all", &["ls", "latest"]), ("diff", &["diff", "latest~1", "latest"])]
    {
        line.run(name, arguments);
        line.run(&format!("{name}, warm"), arguments);
        line.forget_cache();
        line.run(&format!("{name}, cold"), arguments);
    }
    line.forget_cache();
    let target = line.folder.path().join("out").display().to_string();
    line.run("restore, cold", &["restore", "latest", "--target", &target]);
    line.run("forget", &["forget", "--keep-last", "1", "--yes"]);
    line.run("prune", &["prune", "--max-unused", "0"]);
    line.run("check", &["check"]);
}

impl Line {
    fn run(&self, name: &str, arguments: &[&str]) {
        self.proxy.take();
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.args(arguments).args(["--quiet"]).env_clear().current_dir(self.folder.path());
        command
            .env("HOME", self.folder.path())
            .env("SNAP_REPOSITORY", self.proxy.place("p"))
            .env("SNAP_PASSWORD", "open");
        command.env("SNAP_CACHE_DIR", self.cache()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
        let begin = Instant::now();
        let output = command.output().expect("it starts");
        let seconds = begin.elapsed().as_secs_f64();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let seen = self.proxy.take();
        println!("{name:24} {:>9} {:>9} {seconds:>9.2}", seen.len(), waves(&seen));
        for request in seen.iter().filter(|_| self.is_traced) {
            println!("    {:9.3} {}", (request.begin - begin).as_secs_f64(), request.what);
        }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn forget_cache(&self) {
        std::fs::remove_dir_all(self.cache()).expect("there is a cache");
    }

    /// One file more, in the source.
    fn change(&self) {
        std::fs::write(self.source.join("added-by-the-bench"), format!("{:?}", Instant::now())).expect("written");
    }
}

fn small_tree(folder: &Path) -> PathBuf {
    let source = folder.join("source");
    for number in 0..2000 {
        let place = source.join(format!("{}/{number}", number % 50));
        std::fs::create_dir_all(place.parent().expect("it has one")).expect("a folder");
        std::fs::write(place, format!("file {number}\n").repeat(number)).expect("a file");
    }
    source
}
