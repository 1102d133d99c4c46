//! The simulated world: one store, one clock, and a scheduler that lets one process at a time go on to its next call.
//!
//! Every put, listing and delete is a point at which any other process may run. A seed decides who runs, how far the clock
//! moves, who dies at a call, whose reply is lost, and when the put or delete of a dead process takes effect after all.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use snap::repository::error::RepositoryError;
use snap::repository::random::Randomness;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{Attempt, ByteRange, Put, Storage, StorageError, StorageErrorKind, StoredObject};

/// A small generator that a seed repeats (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("it is below a usize")
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// Salts and ids that a seed repeats.
#[derive(Debug)]
pub(crate) struct SeededRandomness(pub(crate) Mutex<Dice>);

impl Randomness for SeededRandomness {
    fn fill(&self, target: &mut [u8]) -> Result<(), RepositoryError> {
        let mut dice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in target.chunks_mut(8) {
            part.copy_from_slice(&dice.next().to_le_bytes()[..part.len()]);
        }
        Ok(())
    }
}

/// What a process that died at a call had asked for.
#[derive(Clone, Debug)]
enum Late {
    Put(ObjectName, Bytes),
    Delete(ObjectName),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Waits at a call.
    Waiting,
    /// Goes on to its next call.
    Running,
    Ended,
}

struct State {
    turns: Vec<Turn>,
    dice: Dice,
    late: Vec<Late>,
    /// Calls at which processes still die or replies are lost.
    faults_left: u32,
    steps: u64,
}

/// The store, the clock and who runs.
pub(crate) struct World {
    pub(crate) store: MemoryStorage,
    state: Mutex<State>,
    changed: Condvar,
}

impl World {
    pub(crate) fn new(seed: u64, processes: usize, faults: u32) -> Arc<Self> {
        let state = State {
            turns: vec![Turn::Running; processes],
            dice: Dice::new(seed),
            late: Vec::new(),
            faults_left: faults,
            steps: 0,
        };
        Arc::new(Self { store: MemoryStorage::new(), state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that were made in all.
    pub(crate) fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Waits until it is this process's turn to make its call; `true` if it is to die there.
    fn wait_for_turn(&self, process: usize, is_change: bool) -> Fate {
        let mut state = self.lock();
        state.turns[process] = Turn::Waiting;
        self.pass_on(&mut state);
        while state.turns[process] != Turn::Running {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.steps += 1;
        if is_change && state.faults_left > 0 && state.dice.one_in(60) {
            state.faults_left -= 1;
            return if state.dice.one_in(2) { Fate::LostReply } else { Fate::Death };
        }
        Fate::Goes
    }

    /// The process makes no more calls.
    pub(crate) fn end(&self, process: usize) {
        let mut state = self.lock();
        state.turns[process] = Turn::Ended;
        self.pass_on(&mut state);
    }

    /// Once nobody runs, lets something happen and chooses who does.
    fn pass_on(&self, state: &mut State) {
        if state.turns.contains(&Turn::Running) {
            return;
        }
        let waiting: Vec<usize> = (0..state.turns.len()).filter(|at| state.turns[*at] == Turn::Waiting).collect();
        if state.dice.one_in(40) {
            self.store.advance(Duration::from_secs(7 * 3600));
        } else {
            self.store.advance(Duration::from_secs(1));
        }
        if !state.late.is_empty() && (state.dice.one_in(25) || waiting.is_empty()) {
            let at = state.dice.below(state.late.len());
            match state.late.swap_remove(at) {
                Late::Put(name, content) => drop(self.store.put_if_absent(&name, content)),
                Late::Delete(name) => drop(self.store.delete(&name)),
            }
        }
        if !waiting.is_empty() {
            let chosen = waiting[state.dice.below(waiting.len())];
            state.turns[chosen] = Turn::Running;
            self.changed.notify_all();
        }
    }

    fn take_effect_later(&self, late: Late) {
        self.lock().late.push(late);
    }
}

enum Fate {
    Goes,
    /// Performed, and nobody is told.
    LostReply,
    /// Nobody is told, and it may be performed at any later time.
    Death,
}

/// The store as one process sees it.
pub(crate) struct Seen {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store as process {} sees it", self.process)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulation")
    }
}

fn silence(name: &str, attempt: Attempt) -> StorageError {
    let (location, name) = ("simulation".to_owned(), name.to_owned());
    StorageError { location, name, attempt, kind: StorageErrorKind::Unreachable, source: None }
}

impl Storage for Seen {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        match self.world.wait_for_turn(self.process, true) {
            Fate::Goes => self.world.store.put_if_absent(name, content),
            Fate::LostReply => {
                drop(self.world.store.put_if_absent(name, content));
                Err(silence(name.as_str(), Attempt::Put))
            }
            Fate::Death => {
                self.world.take_effect_later(Late::Put(name.clone(), content));
                Err(silence(name.as_str(), Attempt::Put))
            }
        }
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        // What is there never changes: when it is read matters only to whether it is still there, which the points before
        // and after decide as well.
        self.world.store.get(name, range)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        // In two pages, between which others may act: what comes or goes meanwhile may be in it or not.
        let _fate = self.world.wait_for_turn(self.process, false);
        let first = self.world.store.list(prefix)?;
        let Some(middle) = first.get(first.len() / 2).map(|object| object.name.clone()) else { return Ok(first) };
        let _fate = self.world.wait_for_turn(self.process, false);
        let second = self.world.store.list(prefix)?;
        let mut listed: Vec<StoredObject> = first.into_iter().filter(|object| object.name < middle).collect();
        listed.extend(second.into_iter().filter(|object| object.name >= middle));
        Ok(listed)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        match self.world.wait_for_turn(self.process, true) {
            Fate::Goes => self.world.store.delete(name),
            Fate::LostReply => {
                drop(self.world.store.delete(name));
                Err(silence(name.as_str(), Attempt::Delete))
            }
            Fate::Death => {
                self.world.take_effect_later(Late::Delete(name.clone()));
                Err(silence(name.as_str(), Attempt::Delete))
            }
        }
    }
}
