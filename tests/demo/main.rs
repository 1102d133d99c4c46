//! The demonstration: an AWS account in an emulator, photographed, changed, photographed again, compared, put back, thinned out.
//!
//! `cargo run --release --example estate [mini]`. Each step is the program itself, with the words that are printed; the emulator is
//! installed into a virtual environment under `target`, binds loopback only and is stopped at the end.

#![expect(clippy::print_stdout, reason = "a demonstration shows what it does")]

#[path = "../servers.rs"]
mod servers;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use servers::{Server, installed};

/// Set where this is to be the program and nothing else.
const AS_PROGRAM: &str = "SNAP_DEMO_IS_PROGRAM";
/// Lines of a long answer that are shown.
const LINES_SHOWN: usize = 24;
/// What the emulators take for credentials.
const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "demo"), ("AWS_SECRET_ACCESS_KEY", "demo")];

fn main() -> ExitCode {
    if std::env::var_os(AS_PROGRAM).is_some() {
        return snap::cli::main();
    }
    let scale = if std::env::args().any(|word| word == "mini") { "mini" } else { "full" };
    let began = Instant::now();
    let demo = Demo::begin(scale);
    demo.run();
    println!("\nAll of it in {} s.", began.elapsed().as_secs());
    ExitCode::SUCCESS
}

struct Demo {
    emulator: Server,
    /// Configuration, repository, what is restored; gone at the end.
    folder: tempfile::TempDir,
    scale: &'static str,
}

impl Demo {
    fn begin(scale: &'static str) -> Self {
        say("An emulator of AWS, installed under target/ and started on loopback");
        let program = installed("ministack");
        let emulator = Server::start(
            &program,
            |_, _| Vec::new(),
            |command, (port, folder)| {
                command.env("BIND_HOST", "127.0.0.1").env("MINISTACK_HOST", "127.0.0.1");
                command.env("GATEWAY_PORT", port.to_string()).env("STATE_DIR", folder).env("LOG_LEVEL", "WARNING");
            },
        );
        Self { emulator, folder: tempfile::tempdir().expect("a folder"), scale }
    }

    fn run(&self) {
        say("An estate of three sites in it");
        self.build(1);
        let config = format!(
            "[account.demo]\nregions = [\"us-east-1\", \"us-west-2\"]\nendpoint = \"http://127.0.0.1:{}\"\n",
            self.emulator.port
        );
        std::fs::write(self.path("snap.toml"), &config).expect("written");
        println!("snap.toml:\n{config}");
        say("Everything, in one command");
        self.snap(&["backup"]);
        self.snap(&["backup"]);
        self.snap(&["ls", "latest:lambda-functions"]);
        say("A deployment changes the estate");
        self.build(2);
        self.snap(&["backup"]);
        say("What changed?");
        self.snap(&["diff", "latest~1", "latest"]);
        say("Put it back, as files");
        self.snap(&[
            "restore",
            "latest~1",
            "--target",
            "restored",
            "--include",
            "lambda-functions",
            "--include",
            "route53-zones",
        ]);
        println!("{} files lie under restored/", files(&self.path("restored")));
        say("Keep one generation, give back the space of the others, prove every byte");
        self.snap(&["forget", "--keep-last", "1", "--prune"]);
        self.snap(&["check", "--read-data"]);
        self.snap(&["snapshots"]);
    }

    fn build(&self, generation: u32) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/estate.py");
        let endpoint = format!("http://127.0.0.1:{}", self.emulator.port);
        let generation = generation.to_string();
        let mut command = Command::new(installed("python"));
        command.arg(script).args(["--endpoint", &endpoint, "--scale", self.scale, "--gen", &generation]);
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // The first line counts what there is; the rest is what this emulator does not know.
        show(&output, 6);
    }

    /// Runs the program and shows the beginning of what it says.
    fn snap(&self, words: &[&str]) {
        println!("$ snap {}", words.join(" "));
        let program = std::env::current_exe().expect("it runs");
        let mut command = Command::new(program);
        command.args(words).current_dir(self.folder.path()).env_clear().env(AS_PROGRAM, "1").envs(CREDENTIALS);
        command.env("HOME", self.folder.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let began = Instant::now();
        let output = command.output().expect("it starts");
        show(&output, LINES_SHOWN);
        println!("  ({:.1} s, exit {})\n", began.elapsed().as_secs_f64(), output.status.code().unwrap_or(-1));
        // 3: the emulator does not know a call or two, and the snapshot says which.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn say(text: &str) {
    println!("\n== {text}\n");
}

fn show(output: &Output, lines_max: usize) {
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    for line in lines.iter().take(lines_max) {
        println!("  {line}");
    }
    if lines.len() > lines_max {
        println!("  … {} lines more", lines.len() - lines_max);
    }
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
