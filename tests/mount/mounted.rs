//! A mount of the program, which goes when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::query::{KEY, Store};

/// Why mounts cannot be tried here.
pub(super) fn refusal() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root mounts without a word");
    }
    match std::fs::File::options().read(true).write(true).open("/dev/fuse") {
        Ok(_) => None,
        Err(_) => Some("there is no /dev/fuse"),
    }
}

/// Whether mounts can be tried here; says so if not.
pub(super) fn can_mount() -> bool {
    if let Some(why) = refusal() {
        skipped(why);
    }
    refusal().is_none()
}

/// Says that a test, or a part of one, was not run.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub(super) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// A running `snap mount`.
pub(super) struct Mounted {
    child: Option<Child>,
    /// What it says on both streams.
    said: Vec<JoinHandle<String>>,
    /// Where it is mounted.
    pub(super) target: PathBuf,
    /// What it said when it was.
    pub(super) hello: Value,
}

impl Mounted {
    /// Mounts the store's repository at a new folder of this name.
    pub(super) fn new(store: &Store, name: &str, arguments: &[&str]) -> Self {
        let target = store.machine.work(name);
        std::fs::create_dir(&target).expect("created");
        Self::at(store, &target, arguments)
    }

    /// Mounts it at a folder.
    pub(super) fn at(store: &Store, target: &Path, arguments: &[&str]) -> Self {
        let place = target.to_str().expect("it is UTF-8");
        let line = [&["-r", "repository", "mount", place, "--json"], arguments].concat();
        let mut command = store.machine.command(&line);
        command.env(KEY.0, KEY.1).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stderr = listen(child.stderr.take().expect("it is piped"));
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        // From here on a failure unmounts.
        let mut mounted =
            Self { child: Some(child), said: vec![stderr], target: target.to_owned(), hello: Value::Null };
        while mounted.hello["type"] != "mounted" {
            let mut line = String::new();
            let length = stdout.read_line(&mut line).expect("it says something");
            assert!(length > 0, "it ended: {:?}", mounted.wait());
            mounted.hello = serde_json::from_str(&line).expect("JSON");
        }
        mounted.said.push(listen(stdout));
        mounted
    }

    /// A path in it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// The captured folder of a snapshot.
    pub(super) fn site(&self, store: &Store, snapshot: &str) -> PathBuf {
        self.path(snapshot).join(store.layout("").trim_end_matches('/'))
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it is told");
    }

    /// Waits until it ends; how it did, and what it said.
    pub(super) fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.take().expect("it runs").wait().expect("it ends");
        (status, self.said.drain(..).map(|said| said.join().expect("it is UTF-8")).collect())
    }

    /// Ends it as Ctrl-C does.
    pub(super) fn end(mut self) -> String {
        self.signal(Signal::INT);
        let (status, said) = self.wait();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!is_mounted(&self.target), "{said}");
        said
    }
}

/// Reads on, so that the program never waits for this end of the pipe.
fn listen(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("it is UTF-8");
        said
    })
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if is_mounted(&self.target) {
            let _ = Command::new("umount").arg("-l").arg(&self.target).status();
        }
    }
}

/// Whether something is mounted there.
pub(super) fn is_mounted(target: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == target))
}
