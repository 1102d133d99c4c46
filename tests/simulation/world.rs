//! The simulated world: one store, one clock, and a scheduler that lets one process at a time go on to its next call.
//!
//! Every put, listing and delete is a point at which any other process may run. A seed decides who runs, how far the clock
//! moves, who dies at a call, whose reply is lost, and when the put or delete of a dead process takes effect after all.

use std::collections::VecDeque;
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

/// More than a writer may be silent.
const HOURS: Duration = Duration::from_secs(7 * 3600);
/// Calls that fail after a death by the script: more than anybody repeats.
const DEAD_CALLS: u32 = 6;
/// Where changes are made.
const FOLDERS: [Prefix; 7] =
    [Prefix::Sessions, Prefix::Packs, Prefix::Index, Prefix::Cells, Prefix::Forgets, Prefix::Generations, Prefix::Base];

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

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Put,
    List,
    Delete,
}

/// A stretch in which one process runs alone: scenes that dice find too seldom begin with a few of them.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) process: usize,
    /// It ends before the process makes so many-th of these calls, or where it makes no more.
    pub(crate) before: (Act, Prefix, u32),
    /// Whether the process dies at that call.
    pub(crate) dies: bool,
    /// Whether hours have passed before it, and whoever gave no sign is held for dead.
    pub(crate) after_hours: bool,
    /// Whether the calls at which processes of the script died arrive before it.
    pub(crate) lands: bool,
}

struct State {
    turns: Vec<Turn>,
    /// The call at which each process waits.
    calls: Vec<Option<(Act, Prefix)>>,
    dice: Dice,
    /// What takes effect late, and at which step.
    late: Vec<(u64, Late)>,
    script: VecDeque<Stage>,
    /// Whether the process of the first stage has begun to run in it.
    is_under_way: bool,
    /// Whose next call is its last by the script, and those that were.
    dying: Option<usize>,
    held: Vec<Late>,
    /// Calls of each process that fail yet, since it is dead.
    silent: Vec<u32>,
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
    pub(crate) fn new(seed: u64, processes: usize, faults: u32, script: Vec<Stage>) -> Arc<Self> {
        let state = State {
            turns: vec![Turn::Running; processes],
            calls: vec![None; processes],
            dice: Dice::new(seed),
            late: Vec::new(),
            script: script.into(),
            is_under_way: false,
            dying: None,
            held: Vec::new(),
            silent: vec![0; processes],
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

    /// Waits until it is this process's turn to make its call, and says what becomes of it.
    fn wait_for_turn(&self, process: usize, act: Act, prefix: Prefix) -> Fate {
        let mut state = self.lock();
        state.turns[process] = Turn::Waiting;
        state.calls[process] = Some((act, prefix));
        self.pass_on(&mut state);
        while state.turns[process] != Turn::Running {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.steps += 1;
        if act == Act::List {
            return Fate::Goes;
        }
        if state.dying == Some(process) {
            (state.dying, state.silent[process]) = (None, DEAD_CALLS);
            return Fate::Held;
        }
        if state.silent[process] > 0 {
            state.silent[process] -= 1;
            return Fate::Nothing;
        }
        // What decides, and what others build on, is struck more often than the rest.
        let seldom = if matches!(prefix, Prefix::Cells | Prefix::Index) { 8 } else { 60 };
        if state.faults_left > 0 && state.dice.one_in(seldom) {
            state.faults_left -= 1;
            return match state.dice.below(3) {
                0 => Fate::LostReply,
                1 => Fate::Twice,
                _ => Fate::Death,
            };
        }
        Fate::Goes
    }

    /// The process makes no more calls.
    pub(crate) fn end(&self, process: usize) {
        let mut state = self.lock();
        state.turns[process] = Turn::Ended;
        self.pass_on(&mut state);
    }

    /// All that was still under way when everybody had ended arrives.
    pub(crate) fn land(&self) {
        let mut state = self.lock();
        state.late.sort_by_key(|(due, _)| *due);
        let late: Vec<Late> = state.late.drain(..).map(|(_, late)| late).collect();
        state.held.drain(..).chain(late).for_each(|late| self.take_effect(late));
    }

    /// Once nobody runs, lets something happen and chooses who does.
    fn pass_on(&self, state: &mut State) {
        if state.turns.contains(&Turn::Running) {
            return;
        }
        let waiting: Vec<usize> = (0..state.turns.len()).filter(|at| state.turns[*at] == Turn::Waiting).collect();
        self.store.advance(if state.dice.one_in(40) { HOURS } else { Duration::from_secs(1) });
        let now = state.steps;
        let (due, later) = std::mem::take(&mut state.late).into_iter().partition(|(due, _)| *due <= now);
        state.late = later;
        for (_, late) in due {
            self.take_effect(late);
        }
        let chosen = self.next_of_script(state);
        if !waiting.is_empty() {
            let chosen = chosen.unwrap_or_else(|| waiting[state.dice.below(waiting.len())]);
            state.turns[chosen] = Turn::Running;
            self.changed.notify_all();
        }
    }

    /// Who runs next by the script, as long as there is one.
    fn next_of_script(&self, state: &mut State) -> Option<usize> {
        while let Some(stage) = state.script.front_mut() {
            let process = stage.process;
            let is_there = state.calls[process].as_ref() == Some(&(stage.before.0, stage.before.1));
            let has_ended = state.turns[process] == Turn::Ended;
            if !state.is_under_way && stage.after_hours {
                self.store.advance(HOURS);
            }
            if !state.is_under_way && stage.lands {
                state.held.drain(..).for_each(|late| self.take_effect(late));
            }
            // The call at which it waits when its stage begins is not counted.
            if is_there && state.is_under_way {
                stage.before.2 -= 1;
            }
            if !has_ended && stage.before.2 > 0 {
                state.is_under_way = true;
                return Some(process);
            }
            let dies = stage.dies && !has_ended;
            state.script.pop_front();
            state.is_under_way = false;
            if dies {
                state.dying = Some(process);
                return Some(process);
            }
        }
        None
    }

    fn take_effect(&self, late: Late) {
        match late {
            Late::Put(name, content) => drop(self.store.put_if_absent(&name, content)),
            Late::Delete(name) => drop(self.store.delete(&name)),
        }
    }

    /// Soon, long afterwards, or when everybody has ended.
    fn take_effect_later(&self, late: Late) {
        let mut state = self.lock();
        let delay = [20, 400, usize::MAX][state.dice.below(3)];
        let delay = if delay == usize::MAX { u64::MAX / 2 } else { state.dice.below(delay) as u64 };
        let due = state.steps + delay;
        state.late.push((due, late));
    }
}

enum Fate {
    Goes,
    /// Performed, and nobody is told.
    LostReply,
    /// Performed, and once more at any later time: an earlier attempt that was given up on arrives after all.
    Twice,
    /// Nobody is told, and it may be performed at any later time.
    Death,
    /// The same by the script, which says when it is performed.
    Held,
    /// Neither performed nor told.
    Nothing,
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

impl Seen {
    /// Makes a change as fate has it; nothing is answered where nobody is told.
    fn change<T>(&self, act: Act, name: &ObjectName, late: Late, make: impl FnOnce(&MemoryStorage) -> T) -> Option<T> {
        let prefix = FOLDERS.into_iter().find(|folder| folder.covers(name)).unwrap_or(Prefix::All);
        match self.world.wait_for_turn(self.process, act, prefix) {
            Fate::Goes => return Some(make(&self.world.store)),
            Fate::Twice => {
                self.world.take_effect_later(late);
                return Some(make(&self.world.store));
            }
            Fate::LostReply => drop(make(&self.world.store)),
            Fate::Death => self.world.take_effect_later(late),
            Fate::Held => self.world.lock().held.push(late),
            Fate::Nothing => {}
        }
        None
    }
}

impl Storage for Seen {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        let late = Late::Put(name.clone(), content.clone());
        let put = self.change(Act::Put, name, late, |store| store.put_if_absent(name, content));
        put.unwrap_or_else(|| Err(silence(name.as_str(), Attempt::Put)))
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        // What is there never changes: when it is read matters only to whether it is still there, which the points before
        // and after decide as well.
        self.world.store.get(name, range)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        // In two pages, between which others may act: what comes or goes meanwhile may be in it or not.
        let _fate = self.world.wait_for_turn(self.process, Act::List, *prefix);
        let first = self.world.store.list(prefix)?;
        let Some(middle) = first.get(first.len() / 2).map(|object| object.name.clone()) else { return Ok(first) };
        let _fate = self.world.wait_for_turn(self.process, Act::List, *prefix);
        let second = self.world.store.list(prefix)?;
        let mut listed: Vec<StoredObject> = first.into_iter().filter(|object| object.name < middle).collect();
        listed.extend(second.into_iter().filter(|object| object.name >= middle));
        Ok(listed)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        let deleted = self.change(Act::Delete, name, Late::Delete(name.clone()), |store| store.delete(name));
        deleted.unwrap_or_else(|| Err(silence(name.as_str(), Attempt::Delete)))
    }
}
