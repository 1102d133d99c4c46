//! A repository on a file system of its own, in a file, whose power is cut: what was not flushed is gone.
//!
//! The cut is the shutdown call of ext4 and XFS without a flush of their log. It falls just before a flush that the program asks for,
//! at any moment, or right after the program has ended, when all it said must be true. Then the file system is mounted again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::tree::{Dice, copy, edit, photograph, populate};

/// Cuts the power of the file system at a path: `ioctl(EXT4_IOC_SHUTDOWN, NOLOGFLUSH)`; XFS has the same number.
const CUT: &str = "import fcntl,os,struct,sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
const SIZE: u64 = 48 << 20;
/// XFS takes no less.
const SIZE_XFS: u64 = 320 << 20;
/// What is counted: every flush.
const FLUSHES: &str = "fsync,fdatasync,syncfs,sync_file_range";

/// What the program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Backup,
    Forget,
    Prune,
    Undo,
    Tag,
}

pub(crate) const DEEDS: [Deed; 5] = [Deed::Backup, Deed::Forget, Deed::Prune, Deed::Undo, Deed::Tag];

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Just before the so many-th flush of a thread.
    BeforeFlush(usize),
    /// So long after the start.
    After(Duration),
    /// Once the program has ended.
    AtTheEnd,
}

/// A repository just before a deed.
pub(crate) struct Scene {
    root: TempDir,
    kind: String,
    deed: Deed,
    seed: u64,
}

fn run(program: &str, arguments: &[&str]) -> Result<Output, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} does not start: {error}"))?;
    if output.status.success() { Ok(output) } else { Err(format!("{program} {arguments:?}: {output:?}")) }
}

/// Why no power can be cut here.
pub(crate) fn obstacle(kind: &str) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may mount".to_owned());
    }
    let scene = Scene::empty(Deed::Backup, 0, kind);
    let tried = scene.format().and_then(|()| scene.mount()).and_then(|()| scene.cut()).and_then(|()| scene.unmount());
    let traced = run("strace", &["-f", "-qq", "-o", "/dev/null", "true"]);
    tried.and(traced).err()
}

impl Scene {
    fn empty(deed: Deed, seed: u64, kind: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
        for name in ["home", "source", "mount"] {
            fs::create_dir(root.path().join(name)).expect("created");
        }
        Self { root, kind: kind.to_owned(), deed, seed }
    }

    /// Makes it; `kind` is `ext4` or `xfs`.
    pub(crate) fn new(deed: Deed, seed: u64, kind: &str) -> Result<Self, String> {
        let scene = Self::empty(deed, seed, kind);
        let mut dice = Dice::new(seed);
        fs::write(scene.at("key"), format!("{}\n", "5a".repeat(32))).expect("written");
        scene.format()?;
        scene.mount()?;
        populate(&scene.at("source"), &mut dice);
        scene.must(&["init"])?;
        scene.must(&["backup", "source"])?;
        copy(&scene.at("source"), &scene.at("older"));
        edit(&scene.at("source"), &mut dice);
        scene.must(&["backup", "source"])?;
        copy(&scene.at("source"), &scene.at("newer"));
        if matches!(deed, Deed::Prune | Deed::Undo) {
            scene.must(&["forget", "--keep-last", "1"])?;
        }
        if deed == Deed::Backup {
            populate(&scene.at("source/more"), &mut dice);
        }
        scene.unmount()?;
        fs::rename(scene.at("image"), scene.at("template")).map_err(|error| error.to_string())?;
        copy(&scene.at("cache"), &scene.at("cache-template"));
        Ok(scene)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    fn format(&self) -> Result<(), String> {
        let file = fs::File::create(self.at("image")).map_err(|error| error.to_string())?;
        file.set_len(if self.kind == "xfs" { SIZE_XFS } else { SIZE }).map_err(|error| error.to_string())?;
        run(&format!("mkfs.{}", self.kind), &["-q", &self.text("image")]).map(drop)
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-t", &self.kind, "-o", "loop", &self.text("image"), &self.text("mount")]).map(drop)
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[&self.text("mount")]).map(drop)
    }

    fn cut(&self) -> Result<(), String> {
        run("python3", &["-c", CUT, &self.text("mount")]).map(drop)
    }

    fn arguments(&self) -> Vec<&'static str> {
        match self.deed {
            Deed::Backup => vec!["backup", "source"],
            Deed::Forget => vec!["forget", "--keep-last", "1"],
            Deed::Prune => vec!["prune", "--max-unused", "0", "--wait", "0s"],
            Deed::Undo => vec!["undo"],
            Deed::Tag => vec!["tag", "latest", "--add", "kept"],
        }
    }

    fn prepare(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.arg("--no-progress").args(arguments).env_clear().env("HOME", self.at("home"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(self.root.path());
        command.env("SNAP_REPOSITORY", self.at("mount/repository")).env("SNAP_CACHE_DIR", self.at("cache"));
        command.env("SNAP_KEY_FILE", self.at("key")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn snap(&self, arguments: &[&str]) -> Output {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_snap")), arguments).output().expect("it starts")
    }

    fn must(&self, arguments: &[&str]) -> Result<Output, String> {
        let output = self.snap(arguments);
        if output.status.success() { Ok(output) } else { Err(format!("{arguments:?}: {output:?}")) }
    }

    fn traced(&self, options: &[&str]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(self.at("log")).args(["-e", &format!("trace={FLUSHES}")]);
        command.args(options).arg(env!("CARGO_BIN_EXE_snap"));
        self.prepare(command, &self.arguments())
    }

    fn reset(&self) -> Result<(), String> {
        fs::copy(self.at("template"), self.at("image")).map_err(|error| error.to_string())?;
        let _was_not_there = fs::remove_dir_all(self.at("cache"));
        copy(&self.at("cache-template"), &self.at("cache"));
        self.mount()
    }

    /// How many flushes a thread asks for at most, when nothing goes wrong.
    pub(crate) fn flushes(&self) -> Result<usize, String> {
        self.reset()?;
        let output = self.traced(&[]).output().map_err(|error| error.to_string())?;
        self.unmount()?;
        if !output.status.success() {
            return Err(format!("a clean run: {output:?}"));
        }
        let log = fs::read_to_string(self.at("log")).map_err(|error| error.to_string())?;
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for line in log.lines().filter(|line| !line.contains("<... ") && line.contains('(')) {
            *counts.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
        }
        Ok(counts.into_values().max().unwrap_or(0))
    }

    /// Cuts the power, and sees that what was acknowledged is there.
    pub(crate) fn strike(&self, moment: Moment) -> Result<(), String> {
        let told = |reason: String| format!("{:?}, seed {}, {}, {moment:?}: {reason}", self.deed, self.seed, self.kind);
        self.reset().map_err(told)?;
        let ended = self.run_until(moment).map_err(told)?;
        self.cut().and_then(|()| self.unmount()).and_then(|()| self.mount()).map_err(told)?;
        let verdict = self.verify(ended.status.success());
        self.unmount().map_err(told)?;
        verdict.map_err(|reason| told(format!("{reason}, after {ended:?}")))
    }

    fn run_until(&self, moment: Moment) -> Result<Output, String> {
        let program = Command::new(env!("CARGO_BIN_EXE_snap"));
        let output = match moment {
            Moment::BeforeFlush(nth) => {
                self.traced(&["-e", &format!("inject={FLUSHES}:signal=KILL:when={nth}")]).output()
            }
            Moment::AtTheEnd => self.prepare(program, &self.arguments()).output(),
            Moment::After(time) => {
                let child = self.prepare(program, &self.arguments()).spawn().map_err(|error| error.to_string())?;
                std::thread::sleep(time);
                self.cut()?;
                child.wait_with_output()
            }
        };
        output.map_err(|error| error.to_string())
    }

    fn verify(&self, is_acknowledged: bool) -> Result<(), String> {
        self.must(&["check", "--read-data"])?;
        let is_new = self.deed == Deed::Backup && is_acknowledged;
        self.restored("latest", if is_new { "source" } else { "newer" })?;
        let old = match self.deed {
            Deed::Backup if is_new => Some("latest~2"),
            Deed::Backup => Some("latest~1"),
            Deed::Undo if is_acknowledged => Some("latest~1"),
            Deed::Forget | Deed::Prune | Deed::Undo | Deed::Tag => None,
        };
        if let Some(old) = old {
            self.restored(old, "older")?;
        }
        // It can be done again, unless it was done.
        let again = self.snap(&self.arguments());
        let may_say_no = self.deed == Deed::Undo && again.status.code() == Some(1);
        if !again.status.success() && !may_say_no {
            return Err(format!("again: {again:?}"));
        }
        self.must(&["check", "--read-data"])?;
        self.restored("latest", if self.deed == Deed::Backup { "source" } else { "newer" })
    }

    fn restored(&self, snapshot: &str, truth: &str) -> Result<(), String> {
        let source = fs::canonicalize(self.at("source")).map_err(|error| error.to_string())?;
        let _was_not_there = fs::remove_dir_all(self.at("out"));
        self.must(&["restore", &format!("{snapshot}:local{}", source.display()), "--target", "out"])?;
        if photograph(&self.at("out")) == photograph(&self.at(truth)) {
            Ok(())
        } else {
            Err(format!("{snapshot} is not {truth}"))
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Only where a strike ended early.
        if self.root.path().join("mount/lost+found").exists() || self.root.path().join("mount/repository").exists() {
            let _best_effort = self.unmount();
        }
    }
}
