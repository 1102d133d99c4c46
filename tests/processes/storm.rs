//! Writers, pruners and a checker as real processes on one repository, while processes are stopped and killed and clocks are wrong.
//!
//! It holds at any time: a snapshot whose backup ended with status 0 or 3 restores byte for byte until somebody asks to
//! forget it, and `check` finds nothing. It holds afterwards: whoever died is helped by the next prune, and a backup goes through.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::crowd::{Crowd, Ended};
use crate::dice::Dice;

const WRITERS: u64 = 4;
const PRUNERS: u64 = 2;
/// Snapshots that pruners leave alone, so that there is always something to lose.
const KEPT_MIN: usize = 4;
/// Beyond so many they go faster than they come.
const KEPT_MAX: usize = 30;
/// Contents there are; everybody deduplicates against everybody.
const CONTENTS: u64 = 24;
const CLOCKS: [&str; 4] = ["-3650d", "+3650d", "-8h", "+400d"];
/// Where the library that shifts clocks is.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// The names of the files in a source, and the content of each by its number.
type Files = BTreeMap<String, u64>;

#[derive(Debug, Default)]
struct Known {
    /// Snapshots whose writer said that they are there.
    acknowledged: BTreeMap<String, Files>,
    /// Those that somebody asked to forget, whether he succeeded or not.
    forgotten: BTreeSet<String>,
}

impl Known {
    fn counted(&self) -> Vec<(String, Files)> {
        let counted = self.acknowledged.iter().filter(|(id, _)| !self.forgotten.contains(*id));
        counted.map(|(id, files)| (id.clone(), files.clone())).collect()
    }
}

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// Until each writer made so many backups, whatever came of them.
    pub(crate) backups: u64,
    /// Until so much time has passed.
    pub(crate) time: Duration,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) backups: AtomicU64,
    pub(crate) prunes: AtomicU64,
    pub(crate) checks: AtomicU64,
    pub(crate) restores: AtomicU64,
    pub(crate) undone: AtomicU64,
    pub(crate) shifted: AtomicU64,
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// A repository, and who works on it.
pub(crate) struct Storm {
    folder: TempDir,
    place: String,
    /// Does to the store what its kind needs: faults, hours that pass; now and then.
    disturb: Box<dyn Fn(&mut Dice) + Send + Sync>,
    crowd: Crowd,
    known: Mutex<Known>,
    wrong: Mutex<Vec<String>>,
    writers_left: AtomicU64,
    is_over: AtomicBool,
    pub(crate) counts: Counts,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library that shifts clocks, if it is installed.
pub(crate) fn clock_library() -> Option<&'static str> {
    LIBRARIES.into_iter().find(|path| Path::new(path).exists())
}

/// A folder in memory if there is such a place.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

impl Storm {
    pub(crate) fn new(place: String, longest_sleep: Duration, disturb: Box<dyn Fn(&mut Dice) + Send + Sync>) -> Self {
        Self {
            folder: folder(),
            place,
            disturb,
            crowd: Crowd::new(longest_sleep),
            known: Mutex::default(),
            wrong: Mutex::default(),
            writers_left: AtomicU64::new(WRITERS),
            is_over: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// Plays it; all that did not hold.
    pub(crate) fn play(&self, seed: u64, until: Until) -> Vec<String> {
        let mut dice = Dice::new(seed);
        let first = Actor::new(self, "first".to_owned(), dice.next());
        first.must("init", &["init", "--key-file", &self.key()]);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let mut actors = Vec::new();
            for number in 0..WRITERS {
                let actor = Actor::new(self, format!("writer{number}"), dice.next());
                actors.push(scope.spawn(move || actor.write(number, until, begun)));
            }
            for number in 0..PRUNERS {
                let actor = Actor::new(self, format!("pruner{number}"), dice.next());
                actors.push(scope.spawn(move || actor.prune()));
            }
            let checker = Actor::new(self, "checker".to_owned(), dice.next());
            actors.push(scope.spawn(move || checker.look()));
            let mut next_disturbance = Instant::now();
            while actors.iter().any(|actor| !actor.is_finished()) {
                std::thread::sleep(Duration::from_millis(3));
                self.crowd.strike();
                if self.writers_left.load(Ordering::SeqCst) == 0 && !self.is_over.swap(true, Ordering::SeqCst) {
                    self.crowd.calm();
                }
                if !self.is_over.load(Ordering::SeqCst) && Instant::now() > next_disturbance {
                    (self.disturb)(&mut dice);
                    next_disturbance = Instant::now() + Duration::from_millis(100 + dice.below(300));
                }
            }
        });
        std::mem::take(&mut *lock(&self.wrong))
    }

    /// Afterwards, with the store whole again and everyone who slept long enough to be held for dead.
    pub(crate) fn judge(&self) -> Vec<String> {
        let mut last = Actor::new(self, "last".to_owned(), 0);
        for round in 0..2 {
            let ended = last.must("prune", &["prune", "--max-unused", "0", "--wait", "0s", "--json"]);
            if ended.stdout.contains("process ") {
                self.fails(format!("prune {round} after the storm still waits: {}", ended.stdout));
            }
        }
        last.write_once("last", &mut Files::new());
        let _said = last.must("check", &["check", "--read-data"]);
        let counted = lock(&self.known).counted();
        if counted.len() <= KEPT_MIN {
            self.fails(format!("only {} snapshots are left to look at", counted.len()));
        }
        for (id, files) in counted {
            last.restore(&id, &files);
        }
        std::mem::take(&mut *lock(&self.wrong))
    }

    /// What processes suffered, and what they did all the same.
    pub(crate) fn summary(&self) -> String {
        let known = lock(&self.known);
        format!(
            "{:?}, {:?}; {} snapshots acknowledged, {} of them forgotten",
            self.counts,
            self.crowd.harm,
            known.acknowledged.len(),
            known.acknowledged.keys().filter(|id| known.forgotten.contains(*id)).count()
        )
    }

    pub(crate) fn key(&self) -> String {
        let path = self.folder.path().join("key");
        fs::write(&path, format!("{}\n", "5a".repeat(32))).expect("written");
        path.display().to_string()
    }

    fn fails(&self, what: String) {
        lock(&self.wrong).push(what);
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst) && lock(&self.wrong).is_empty()
    }
}

/// One who runs the program again and again, with a home of his own.
struct Actor<'s> {
    storm: &'s Storm,
    folder: PathBuf,
    name: String,
    dice: Dice,
}

impl<'s> Actor<'s> {
    fn new(storm: &'s Storm, name: String, seed: u64) -> Self {
        let folder = storm.folder.path().join(&name);
        fs::create_dir_all(folder.join("source")).expect("created");
        Self { storm, folder, name, dice: Dice::new(seed) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.args(["--no-progress"]).args(arguments).env_clear().env("HOME", &self.folder);
        command.current_dir(&self.folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SNAP_REPOSITORY", &self.storm.place).env("SNAP_KEY_FILE", self.storm.folder.path().join("key"));
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
        command
    }

    /// Runs it under the storm; an end with a status that is not lawful is told.
    fn run(&mut self, arguments: &[&str], lawful: &[i32]) -> Ended {
        let mut command = self.command(arguments);
        if let Some(library) = clock_library().filter(|_| self.dice.one_in(3)) {
            command.env("LD_PRELOAD", library).env("FAKETIME", self.dice.pick(&CLOCKS)).env("NO_FAKE_STAT", "1");
            // The other clock keeps its pace; who waits for a futex asks the system by it.
            command.env("FAKETIME_DISABLE_SHM", "1").env("DONT_FAKE_MONOTONIC", "1");
            one_more(&self.storm.counts.shifted);
        }
        let ended = self.storm.crowd.run(arguments[0], command, &self.folder, &mut self.dice);
        if ended.code.is_some_and(|code| !lawful.contains(&code)) {
            self.storm.fails(format!("{}: {arguments:?}: {ended:?}", self.name));
        }
        ended
    }

    /// Runs it with nothing against it; it must succeed.
    fn must(&self, kind: &str, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        if ended.code != Some(0) {
            self.storm.fails(format!("after the storm, {kind}: {ended:?}"));
        }
        ended
    }

    fn write(mut self, number: u64, until: Until, begun: Instant) {
        let (mut files, mut rounds) = (Files::new(), 0);
        // Every other one seems to run on another machine: nobody sees whether its process is there.
        let host = if number.is_multiple_of(2) { String::new() } else { format!("machine{number}") };
        while lock(&self.storm.wrong).is_empty() {
            if rounds >= until.backups || begun.elapsed() >= until.time {
                break;
            }
            rounds += 1;
            self.write_once(&host, &mut files);
        }
        self.storm.writers_left.fetch_sub(1, Ordering::SeqCst);
    }

    fn write_once(&mut self, host: &str, files: &mut Files) {
        for _ in 0..=self.dice.below(4) {
            let name = format!("file{}", self.dice.below(10));
            let path = self.folder.join("source").join(&name);
            if self.dice.one_in(4) {
                files.remove(&name);
                let _was_not_there = fs::remove_file(path);
            } else {
                let content = self.dice.below(CONTENTS);
                fs::write(path, bytes_of(content)).expect("written");
                files.insert(name, content);
            }
        }
        let series = self.name.clone();
        let mut arguments = vec!["backup", "source", "--json", "--series", &series];
        if !host.is_empty() {
            arguments.extend(["--host", host]);
        }
        let ended = self.run(&arguments, &[0]);
        if ended.code == Some(0) {
            match field(&ended.stdout, "summary", "snapshot") {
                Some(id) => drop(lock(&self.storm.known).acknowledged.insert(id, files.clone())),
                None => self.storm.fails(format!("a backup without an id: {ended:?}")),
            }
            one_more(&self.storm.counts.backups);
        }
    }

    fn prune(mut self) {
        let mut gone: Vec<(String, Files)> = Vec::new();
        while self.storm.goes_on() {
            gone.extend(self.forget());
            if self.dice.one_in(3) && !gone.is_empty() {
                let (id, files) = self.dice.pick(&gone).clone();
                // 1, 3: too late. 11: held for dead.
                let ended = self.run(&["undo", &id, "--json"], &[0, 1, 3, 11]);
                if let (Some(0), Some(new)) = (ended.code, field(&ended.stdout, "item", "new")) {
                    lock(&self.storm.known).acknowledged.insert(new, files);
                    one_more(&self.storm.counts.undone);
                }
            }
            let part = ["0", "5%", "40%"][usize::try_from(self.dice.below(3)).expect("small")];
            let ended = self.run(&["prune", "--max-unused", part, "--wait", "1s"], &[0, 1]);
            if ended.code == Some(1) && !ended.stderr.contains("other prunes are at work all the time") {
                self.storm.fails(format!("{}: a prune fails: {ended:?}", self.name));
            }
            if ended.code == Some(0) {
                one_more(&self.storm.counts.prunes);
            }
        }
    }

    /// Forgets, or tags, some that still count; they count no more, whether this arrives or not.
    fn forget(&mut self) -> Vec<(String, Files)> {
        let chosen: Vec<(String, Files)> = {
            let mut known = lock(&self.storm.known);
            let mut counted = known.counted();
            // The more there are, the more go, or looking at them all would take longer than the storm.
            let wanted = 1 + self.dice.below(3) + counted.len().saturating_sub(KEPT_MAX) as u64;
            let most = counted.len().saturating_sub(KEPT_MIN);
            let take = usize::try_from(wanted).expect("it is small").min(most);
            let chosen: Vec<_> = (0..take)
                .map(|_| counted.swap_remove(usize::try_from(self.dice.below(counted.len() as u64)).expect("an index")))
                .collect();
            known.forgotten.extend(chosen.iter().map(|(id, _)| id.clone()));
            chosen
        };
        let ids = chosen.iter().map(|(id, _)| id.as_str());
        match chosen.first() {
            None => {}
            Some((id, files)) if self.dice.one_in(4) => {
                let tag = format!("tag{}", self.dice.next());
                // 11: a prune is under way and condemned what was not committed when it chose, or it was held for dead.
                let ended = self.run(&["tag", id, "--add", &tag, "--json"], &[0, 11]);
                if ended.code == Some(0) {
                    let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
                    match document["tagged"][0]["new"].as_str() {
                        Some(new) => drop(lock(&self.storm.known).acknowledged.insert(new.to_owned(), files.clone())),
                        None => self.storm.fails(format!("a tag without an id: {ended:?}")),
                    }
                }
            }
            Some(_) => {
                let words = ["forget", "--even-last-complete", "--yes"].into_iter().chain(ids).collect::<Vec<_>>();
                let _ended = self.run(&words, &[0]);
            }
        }
        chosen
    }

    fn look(mut self) {
        while self.storm.goes_on() {
            let depth = *self.dice.pick(&["--read-data", "--quiet"]);
            if self.run(&["check", depth], &[0]).code == Some(0) {
                one_more(&self.storm.counts.checks);
            }
            for _ in 0..4 {
                let counted = lock(&self.storm.known).counted();
                if counted.is_empty() {
                    break;
                }
                let (id, files) = self.dice.pick(&counted).clone();
                self.restore(&id, &files);
            }
        }
    }

    /// Restores a snapshot; if it still counts afterwards, it must be whole.
    fn restore(&mut self, id: &str, files: &Files) {
        let target = self.folder.join("out");
        let _was_not_there = fs::remove_dir_all(&target);
        let ended = self.run(&["restore", id, "--target", "out"], &[0, 1]);
        if ended.code.is_none() || lock(&self.storm.known).forgotten.contains(id) {
            return;
        }
        let found = files_below(&target);
        if ended.code != Some(0) {
            self.storm.fails(format!("{id} is not restored: {ended:?}"));
        } else if found != files.iter().map(|(name, content)| (name.clone(), bytes_of(*content))).collect() {
            self.storm.fails(format!("{id} restores {:?}, not {files:?}", found.keys()));
        }
        one_more(&self.storm.counts.restores);
    }
}

/// A field of the last line of a kind.
fn field(lines: &str, kind: &str, name: &str) -> Option<String> {
    let values = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let value = values.rev().find(|value| value["type"] == kind)?;
    value[name].as_str().map(str::to_owned)
}

fn bytes_of(content: u64) -> Vec<u8> {
    let mut dice = Dice::new(content);
    let length = 200 + dice.below(40_000);
    (0..length).map(|_| dice.next().to_le_bytes()[0]).collect()
}

/// All files by their names, wherever below they are.
fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("it can be read"));
            }
        }
    }
    found
}
