//! One command of the program, struck at one system call, and what must hold afterwards (families T2 and T3).
//!
//! A scene is a folder with a repository, a source, a cache and a home, as they are just before the command. Each strike
//! works on a fresh copy of it, at the same path, so that nothing is shared between two. The calls are counted in a
//! clean run; strace delivers the blow. Shared by the tests and by the campaign in `benches/kill.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::tree::{Dice, copy, edit, photograph, populate};

/// Calls that change what is stored; `openat` counts only where it creates.
const CALLS: &str = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,linkat,symlinkat,mkdir,mkdirat,\
    unlink,unlinkat,ftruncate,fallocate,copy_file_range,utimensat,fchmod,fchmodat,fchown,fchownat";

/// What the program is doing when it is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Init,
    FirstBackup,
    NextBackup,
    Restore,
    RestoreOver,
    Check,
    KeyAdd,
    Forget,
    Prune,
    ForgetPrune,
    Undo,
    Tag,
}

/// Every deed.
pub(crate) const DEEDS: [Deed; 12] = [
    Deed::Init,
    Deed::FirstBackup,
    Deed::NextBackup,
    Deed::Restore,
    Deed::RestoreOver,
    Deed::Check,
    Deed::KeyAdd,
    Deed::Forget,
    Deed::Prune,
    Deed::ForgetPrune,
    Deed::Undo,
    Deed::Tag,
];

impl Deed {
    /// Whether it works on two snapshots, of which the older one is forgotten or comes back.
    fn is_of_two(self) -> bool {
        matches!(self, Self::Forget | Self::Prune | Self::ForgetPrune | Self::Undo)
    }
}

/// Which calls are counted: strace counts those of each thread apart, so the uploads, which come later than the main
/// thread's calls of the same kind, are only met where their folders alone are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Anywhere,
    Packs,
}

/// The `nth` call of a kind that a thread makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) place: Place,
    pub(crate) call: String,
    pub(crate) nth: usize,
}

/// What happens at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The process is gone before the call was made.
    Kill,
    /// The call fails, once.
    Fails(&'static str),
    /// It fails from then on.
    FailsFromThen(&'static str),
}

/// Whether a blow fell; threads race, so a clean run may have made a call that this one did not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Struck {
    Yes,
    Missed,
}

/// A folder as it is just before a deed.
pub(crate) struct Scene {
    root: TempDir,
    deed: Deed,
    seed: u64,
    /// The acknowledged snapshot that must survive, where there is one.
    earlier: Option<String>,
}

/// Why no call can be struck here.
pub(crate) fn obstacle() -> Option<&'static str> {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    match quiet(Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"])) {
        Err(_) => Some("strace is not installed"),
        Ok(status) if !status.success() => Some("strace may not trace here"),
        Ok(_) => None,
    }
}

impl Scene {
    /// Makes the folder; `seed` decides what is in the source.
    pub(crate) fn new(deed: Deed, seed: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
        let mut scene = Self { root, deed, seed, earlier: None };
        let mut dice = Dice::new(seed);
        for name in ["home", "source"] {
            fs::create_dir_all(scene.live(name)).expect("created");
        }
        fs::write(scene.live("key"), format!("{}\n", "5a".repeat(32))).expect("written");
        populate(&scene.live("source"), &mut dice);
        if deed != Deed::Init {
            scene.must(&["init"]);
        }
        if !matches!(deed, Deed::Init | Deed::FirstBackup) {
            scene.must(&["backup", "source"]);
            if deed.is_of_two() {
                copy(&scene.live("source"), &scene.live("older"));
                edit(&scene.live("source"), &mut dice);
                scene.must(&["backup", "source"]);
            }
            if matches!(deed, Deed::Prune | Deed::Undo) {
                scene.must(&["forget", "--keep-last", "1"]);
            }
            let listed = scene.must(&["snapshots", "--json"]);
            let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("one document");
            let last = listed["snapshots"].as_array().and_then(|all| all.last()).expect("a snapshot");
            let id = last["id"].as_str().expect("an id");
            // A tag gives it another id.
            scene.earlier = Some(if deed == Deed::Tag { "latest" } else { id }.to_owned());
            copy(&scene.live("source"), &scene.live("before"));
        }
        if matches!(deed, Deed::NextBackup | Deed::RestoreOver) {
            edit(&scene.live("source"), &mut dice);
        }
        if deed == Deed::RestoreOver {
            copy(&scene.live("source"), &scene.live("target"));
        }
        copy(&scene.live(""), &scene.root.path().join("template"));
        scene
    }

    fn live(&self, name: &str) -> PathBuf {
        self.root.path().join("live").join(name)
    }

    fn reset(&self) {
        fs::remove_dir_all(self.live("")).expect("removed");
        copy(&self.root.path().join("template"), &self.live(""));
    }

    /// Where the source is in a snapshot.
    fn reference(&self, snapshot: &str) -> String {
        let source = fs::canonicalize(self.live("source")).expect("it exists");
        format!("{snapshot}:local{}", source.display())
    }

    fn arguments(&self) -> Vec<String> {
        let earlier = || self.reference(self.earlier.as_deref().expect("there is an earlier snapshot"));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.deed {
            Deed::Init => vec!["init".into()],
            Deed::FirstBackup | Deed::NextBackup => vec!["backup".into(), "source".into()],
            Deed::Restore | Deed::RestoreOver => {
                vec!["restore".into(), earlier(), "--delete".into(), "--yes".into(), "--target".into(), "target".into()]
            }
            Deed::Check => vec!["check".into(), "--read-data".into()],
            Deed::KeyAdd => vec!["key".into(), "add".into(), "--new-key-file".into(), "second".into()],
            Deed::Forget => words(&["forget", "--keep-last", "1"]),
            Deed::Prune => words(&["prune", "--max-unused", "0", "--wait", "0s"]),
            Deed::ForgetPrune => words(&["forget", "--keep-last", "1", "--prune"]),
            Deed::Undo => words(&["undo"]),
            Deed::Tag => words(&["tag", "latest", "--add", "kept"]),
        }
    }

    fn prepare(&self, command: &mut Command, key: &str) {
        command.env_clear().env("HOME", self.live("home")).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.live("")).stdin(Stdio::null());
        command.env("SNAP_REPOSITORY", self.live("repository")).env("SNAP_CACHE_DIR", self.live("cache"));
        command.env("SNAP_KEY_FILE", self.live(key));
    }

    fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Output {
        self.run_with("key", arguments)
    }

    fn run_with<S: AsRef<std::ffi::OsStr>>(&self, key: &str, arguments: &[S]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.args(["-q", "--no-progress"]).args(arguments);
        self.prepare(&mut command, key);
        command.output().expect("it starts")
    }

    fn must(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert!(output.status.success(), "seed {}: {arguments:?}: {output:?}", self.seed);
        output
    }

    fn traced(&self, place: Place, options: &[&str], log: &Path) -> Output {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(log).args(["-e", &format!("trace={CALLS}")]);
        if place == Place::Packs {
            let packs = self.live("repository").join("packs");
            command.arg("-P").arg(&packs);
            for first in 0..=u8::MAX {
                command.arg("-P").arg(packs.join(format!("{first:02x}")));
            }
        }
        command.args(options).arg(env!("CARGO_BIN_EXE_snap")).args(["-q", "--no-progress"]).args(self.arguments());
        self.prepare(&mut command, "key");
        command.output().expect("strace starts")
    }

    /// Every moment of a clean run, in a fixed order.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut moments = BTreeSet::new();
        for place in [Place::Anywhere, Place::Packs] {
            if place == Place::Packs && !matches!(self.deed, Deed::FirstBackup | Deed::NextBackup) {
                continue;
            }
            self.reset();
            let log = self.root.path().join("log");
            let output = self.traced(place, &[], &log);
            assert!(output.status.success(), "seed {}: a clean run under strace: {output:?}", self.seed);
            let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
            for line in String::from_utf8_lossy(&fs::read(&log).expect("strace wrote it")).lines() {
                let mut words = line.splitn(2, ' ');
                let (thread, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim_start());
                let Some((call, arguments)) = rest.split_once('(').filter(|_| !rest.starts_with('<')) else { continue };
                let count = counts.entry((thread.to_owned(), call.to_owned())).or_default();
                *count += 1;
                if call != "openat" || arguments.contains("O_CREAT") {
                    moments.insert(Moment { place, call: call.to_owned(), nth: *count });
                }
            }
        }
        moments.into_iter().collect()
    }

    /// Strikes once, and sees that nothing acknowledged is lost and that the same command then succeeds.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn strike(&self, moment: &Moment, blow: Blow) -> Result<Struck, String> {
        self.reset();
        let Moment { place, call, nth } = moment;
        let inject = match blow {
            Blow::Kill => format!("inject={call}:signal=KILL:when={nth}"),
            Blow::Fails(error) => format!("inject={call}:error={error}:when={nth}"),
            Blow::FailsFromThen(error) => format!("inject={call}:error={error}:when={nth}+"),
        };
        let log = self.root.path().join("log");
        let output = self.traced(*place, &["-e", &inject], &log);
        let struck = match blow {
            Blow::Kill => output.status.signal() == Some(9),
            _ => fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)"),
        };
        let told = |reason: String| format!("{:?}, seed {}, {moment:?}, {blow:?}: {reason}", self.deed, self.seed);
        if !matches!(blow, Blow::Kill) {
            self.verify_told(&output).map_err(told)?;
        } else if !struck && !output.status.success() {
            return Err(told(format!("it was not killed and failed: {output:?}")));
        }
        self.verify().map_err(told)?;
        Ok(if struck { Struck::Yes } else { Struck::Missed })
    }

    /// A run that met an error either did its work all the same or says that it did not.
    fn verify_told(&self, output: &Output) -> Result<(), String> {
        match output.status.code() {
            Some(0) if self.deed == Deed::Restore => self.compare("target", "before"),
            Some(0) if matches!(self.deed, Deed::FirstBackup | Deed::NextBackup) => {
                self.restored("latest", "source", "done")
            }
            Some(0) if self.deed == Deed::Init => self.expect(&["check"], 0),
            Some(0) => Ok(()),
            Some(1..=21) if String::from_utf8_lossy(&output.stderr).contains("snap: ") => Ok(()),
            Some(3) if !output.stderr.is_empty() => Ok(()),
            Some(20 | 21) if !output.stdout.is_empty() => Ok(()),
            _ => Err(format!("it failed without a word: {output:?}")),
        }
    }

    fn expect<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(&self, arguments: &[S], code: i32) -> Result<(), String> {
        let output = self.run(arguments);
        if output.status.code() == Some(code) { Ok(()) } else { Err(format!("{arguments:?}: not {code}: {output:?}")) }
    }

    fn restored(&self, snapshot: &str, truth: &str, target: &str) -> Result<(), String> {
        self.expect(&["restore", &self.reference(snapshot), "--target", target], 0)?;
        self.compare(target, truth)
    }

    fn compare(&self, found: &str, truth: &str) -> Result<(), String> {
        let [found, truth] = [found, truth].map(|name| photograph(&self.live(name)));
        let differing: Vec<_> = truth.iter().filter(|(path, entry)| found.get(*path) != Some(*entry)).collect();
        if differing.is_empty() && found.len() == truth.len() {
            return Ok(());
        }
        let extra: Vec<_> = found.keys().filter(|path| !truth.contains_key(*path)).collect();
        Err(format!("it is not what was captured: {differing:?}, and there are {extra:?}"))
    }

    /// What must hold after any blow.
    fn verify(&self) -> Result<(), String> {
        if self.deed == Deed::Init {
            return self.verify_init();
        }
        // Half a pair of key slots is damage that nothing needs; the next writer mends it.
        if self.deed != Deed::KeyAdd {
            self.expect(&["check"], 0)?;
        }
        if let Some(earlier) = &self.earlier {
            self.restored(earlier, "before", "earlier")?;
        }
        let repository = self.live("repository");
        let kept = (count(&repository.join("i")), data_packs(&repository.join("packs")));
        let again = self.run(&self.arguments());
        // What it did before it died is not there to be undone.
        let may_say_no = self.deed == Deed::Undo && again.status.code() == Some(1);
        if !again.status.success() && !may_say_no {
            return Err(format!("again: {again:?}"));
        }
        if self.deed != Deed::KeyAdd {
            self.expect(&["check", "--read-data"], 0)?;
        }
        match self.deed {
            Deed::FirstBackup | Deed::NextBackup => {
                let named = kept.0 > count(&self.root.path().join("template/repository/i"));
                if named && data_packs(&repository.join("packs")) != kept.1 {
                    return Err("packs that a delta names were sent again".to_owned());
                }
                self.restored("latest", "source", "latest")
            }
            Deed::Restore | Deed::RestoreOver => self.compare("target", "before"),
            Deed::KeyAdd => {
                let output = self.run_with("second", &["check"]);
                if output.status.success() { Ok(()) } else { Err(format!("with the new key: {output:?}")) }
            }
            Deed::Undo => {
                self.restored("latest", "before", "latest")?;
                self.restored("latest~1", "older", "older-again")
            }
            Deed::Forget | Deed::ForgetPrune | Deed::Prune => {
                self.restored("latest", "before", "latest")?;
                match self.run(&["restore", "latest~1", "--target", "nothing"]).status.code() {
                    Some(1) => Ok(()),
                    _ => Err("what was forgotten still counts".to_owned()),
                }
            }
            Deed::Tag => self.restored("tag:kept", "before", "latest"),
            Deed::Check | Deed::Init => Ok(()),
        }
    }

    fn verify_init(&self) -> Result<(), String> {
        if self.run(&["snapshots"]).status.code() == Some(10) {
            self.expect(&["init"], 0)?;
        }
        self.expect(&["backup", "source"], 0)?;
        self.expect(&["check"], 0)?;
        self.restored("latest", "source", "latest")
    }
}

/// Finished objects under a folder.
fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.expect("it can be read").path())
        .map(|path| if path.is_dir() { count(&path) } else { usize::from(!path.to_string_lossy().contains(".tmp-")) })
        .sum()
}

/// Finished packs of data. Those of pages may come again: a file just written has no token yet.
fn data_packs(folder: &Path) -> usize {
    const KIND_AT: usize = 9;
    let folders = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("it can be read").path());
    let packs = folders.flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let packs = packs.map(|entry| entry.expect("it can be read").path());
    let finished = packs.filter(|path| !path.to_string_lossy().contains(".tmp-"));
    finished.filter(|path| fs::read(path).expect("it can be read")[KIND_AT] == 1).count()
}
