//! Real processes of the program, each with a fate: left alone, stopped for a while, or killed.
//!
//! A fate strikes at a moment drawn from the time that such commands take. A process is reaped only after it was taken off the
//! list, so that no signal ever goes to another one that got its number.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::dice::Dice;

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; none if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What is to happen to a process.
#[derive(Clone, Copy, Debug)]
struct Event {
    due: Instant,
    process: Pid,
    signal: Signal,
}

/// What was done to processes.
#[derive(Debug, Default)]
pub(crate) struct Harm {
    pub(crate) kills: AtomicU64,
    pub(crate) stops: AtomicU64,
}

/// All processes that run.
pub(crate) struct Crowd {
    running: Mutex<Vec<Pid>>,
    events: Mutex<Vec<Event>>,
    /// How long a command of a kind takes when it is left alone.
    lengths: Mutex<BTreeMap<String, Duration>>,
    /// How long the soundest sleepers sleep.
    longest_sleep: Duration,
    is_calm: AtomicBool,
    pub(crate) harm: Harm,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    pub(crate) fn new(longest_sleep: Duration) -> Self {
        Self {
            running: Mutex::default(),
            events: Mutex::default(),
            lengths: Mutex::default(),
            longest_sleep,
            is_calm: AtomicBool::new(false),
            harm: Harm::default(),
        }
    }

    /// Runs a command to its end, whatever that is. `kind` says how long it may take, `folder` is for what it says.
    pub(crate) fn run(&self, kind: &str, mut command: Command, folder: &Path, dice: &mut Dice) -> Ended {
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| folder.join(name));
        let file = |path: &Path| File::create(path).expect("a file for what it says");
        command.stdin(Stdio::null()).stdout(file(&stdout)).stderr(file(&stderr));
        let begun = Instant::now();
        let mut child = {
            // Those that wake or kill everybody must not miss it.
            let mut running = lock(&self.running);
            let child = command.spawn().expect("the program starts");
            running.push(Pid::from_child(&child));
            child
        };
        let process = Pid::from_child(&child);
        let is_spared = self.is_calm.load(Ordering::SeqCst) || !self.foretell(kind, process, begun, dice);
        while waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).is_err() {}
        lock(&self.running).retain(|other| *other != process);
        lock(&self.events).retain(|event| event.process != process);
        let status = child.wait().expect("it has ended");
        // What the library that shifts clocks leaves of a process that was killed.
        for name in ["faketime_shm", "sem.faketime_sem"] {
            let _was_not_there = fs::remove_file(format!("/dev/shm/{name}_{}", child.id()));
        }
        if is_spared {
            lock(&self.lengths).insert(kind.to_owned(), begun.elapsed());
        }
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("what it said")).into_owned();
        Ended { code: status.code(), stdout: read(&stdout), stderr: read(&stderr) }
    }

    /// Draws a process's fate; `false` if it is left alone.
    fn foretell(&self, kind: &str, process: Pid, begun: Instant, dice: &mut Dice) -> bool {
        let length = lock(&self.lengths).get(kind).copied().unwrap_or(Duration::from_millis(60));
        let due = begun + length.mul_f64(dice.below(1000) as f64 / 900.0);
        let mut events = lock(&self.events);
        match dice.below(10) {
            0..5 => return false,
            5..7 => events.push(Event { due, process, signal: Signal::KILL }),
            fate => {
                let sleep = [length, 4 * length, Duration::from_millis(700), self.longest_sleep];
                let sleep = *dice.pick(&sleep);
                events.push(Event { due, process, signal: Signal::STOP });
                // Some are killed in their sleep.
                let end = if fate == 9 && dice.one_in(2) { Signal::KILL } else { Signal::CONT };
                events.push(Event { due: due + sleep, process, signal: end });
            }
        }
        true
    }

    /// Lets happen what is due.
    pub(crate) fn strike(&self) {
        let now = Instant::now();
        // Whoever is on the list has not been reaped.
        let running = lock(&self.running);
        lock(&self.events).retain(|event| {
            let is_due = event.due <= now;
            if is_due && running.contains(&event.process) && kill_process(event.process, event.signal).is_ok() {
                match event.signal {
                    Signal::KILL => drop(self.harm.kills.fetch_add(1, Ordering::Relaxed)),
                    Signal::STOP => drop(self.harm.stops.fetch_add(1, Ordering::Relaxed)),
                    _ => {}
                }
            }
            !is_due
        });
    }

    /// No more harm: of those that sleep every other one is killed, the rest wakes.
    pub(crate) fn calm(&self) {
        self.is_calm.store(true, Ordering::SeqCst);
        let running = lock(&self.running);
        let mut events = lock(&self.events);
        let asleep = events.drain(..).filter(|event| event.signal != Signal::STOP && running.contains(&event.process));
        for (at, event) in asleep.enumerate() {
            let signal = if at % 2 == 0 { Signal::KILL } else { Signal::CONT };
            let _ended_already = kill_process(event.process, signal);
        }
    }
}
