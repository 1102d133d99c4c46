//! Breadth first through all states a scene can reach, each visited once.
//!
//! Visited states are remembered by a 64-bit fingerprint: with 40 million states the chance that any two share one is 1 in 20,000.
//! The two pruners do the same thing, so states that differ only by which is which are one.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::pruner::Pruning;
use super::scene::Model;
use super::state::{PrunerStep, State, WriterStep, each, only};
use super::validity::Violation;
use super::writer::Writing;

/// What was done to get from one state to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    actor: u8,
    what: &'static str,
    detail: u16,
}

/// Actors: the writers are 0 and 1.
pub(crate) const FIRST_PRUNER: u8 = 2;
const USER: u8 = 4;

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actor {
            USER => write!(formatter, "the user {}", self.what)?,
            actor if actor >= FIRST_PRUNER => write!(formatter, "pruner {} {}", actor - FIRST_PRUNER, self.what)?,
            actor => write!(formatter, "writer {actor} {}", self.what)?,
        }
        if self.detail != 0 {
            let members: Vec<String> = each(self.detail).map(|member| member.to_string()).collect();
            write!(formatter, " {{{}}}", members.join(" "))?;
        }
        Ok(())
    }
}

/// The states that can follow one.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub(crate) list: Vec<(Event, State)>,
}

impl Steps {
    pub(crate) fn push(&mut self, actor: u8, what: &'static str, detail: u16, next: State) {
        self.list.push((Event { actor, what, detail }, next));
    }
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    pub(crate) depth: usize,
    /// Whether all states that can be reached were reached.
    pub(crate) complete: bool,
    pub(crate) violation: Option<Violation>,
    /// How it came to that, if traces were asked for.
    pub(crate) trace: Vec<Event>,
}

/// Whether to remember how each state was reached, which takes twice the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traces {
    Kept,
    Dropped,
}

impl Model {
    /// All that the processes can do next. Each may also stall, for ever if need be, which is no step.
    pub(crate) fn process_steps(&self, state: &State, steps: &mut Steps) {
        for index in 0..2 {
            Writing { model: self, state, index, steps }.turn();
            Pruning { model: self, state, index, steps }.turn();
        }
    }

    /// Any snapshot may be forgotten at any time.
    pub(crate) fn user_steps(&self, state: &State, steps: &mut Steps) {
        let valid = self.valid_snapshots(state, state.newest_manifest());
        for sid in each(valid) {
            let mut next = *state;
            next.session_mut(sid).forget_mark = true;
            next.forgotten |= only(sid);
            steps.push(USER, "forgets the snapshot of session", only(sid), next);
        }
    }

    /// Searches until a violation, the end, or a number of states.
    pub(crate) fn search(&self, states_max: usize, traces: Traces) -> Found {
        let mut visited = Visited::new(traces);
        let beginning = self.beginning();
        visited.insert(fingerprint(&beginning), 0);
        let mut layer = vec![beginning];
        let mut found =
            Found { states: 1, transitions: 0, depth: 0, complete: false, violation: None, trace: Vec::new() };
        let mut steps = Steps::default();
        while !layer.is_empty() && found.states < states_max {
            let mut next_layer = Vec::with_capacity(layer.len());
            found.depth += 1;
            for state in &layer {
                steps.list.clear();
                self.process_steps(state, &mut steps);
                if steps.list.is_empty() && !state.is_finished() {
                    found.violation = Some(Violation::Stuck);
                    found.trace = self.replay(&visited.way_to(fingerprint(state)));
                    return found;
                }
                self.user_steps(state, &mut steps);
                found.transitions += steps.list.len();
                let from = fingerprint(state);
                for (_, next) in &steps.list {
                    let next = next.without_names();
                    let fingerprint = fingerprint(&next);
                    if !visited.insert(fingerprint, from) {
                        continue;
                    }
                    found.states += 1;
                    if let Some(violation) = self.violation(&next) {
                        found.violation = Some(violation);
                        found.trace = self.replay(&visited.way_to(fingerprint));
                        return found;
                    }
                    next_layer.push(next);
                }
            }
            layer = next_layer;
        }
        found.complete = layer.is_empty();
        found
    }

    /// The events that lead through states with these fingerprints.
    fn replay(&self, way: &[u64]) -> Vec<Event> {
        let mut state = self.beginning();
        let mut events = Vec::new();
        for wanted in way.iter().skip(1) {
            let mut steps = Steps::default();
            self.process_steps(&state, &mut steps);
            self.user_steps(&state, &mut steps);
            let step = steps.list.iter().find(|(_, next)| fingerprint(&next.without_names()) == *wanted);
            let (event, next) = step.expect("because the way was gone before");
            events.push(*event);
            // Not without names, so that each pruner keeps its own through the history.
            state = *next;
        }
        events
    }
}

impl State {
    /// The same state with the two pruners in order.
    pub(crate) fn without_names(mut self) -> Self {
        self.pruners.sort_unstable();
        self
    }

    /// I5: all writers have ended, no prune is under way, no generation is open.
    pub(crate) fn is_finished(&self) -> bool {
        let ended = |step| matches!(step, WriterStep::Done | WriterStep::GaveUp | WriterStep::TooLate);
        self.writers.iter().all(|writer| ended(writer.step))
            && self.pruners.iter().all(|pruner| pruner.step == PrunerStep::Begin)
            && self.newest_intent() == self.newest_manifest()
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut mixer = Mixer { mixed: 0x9e37_79b9_7f4a_7c15, filling: 0, filled: 0 };
    state.hash(&mut mixer);
    mixer.finish().max(1)
}

/// Gathers small fields into words and multiplies those into one; each step can be undone, so no word is forgotten.
struct Mixer {
    mixed: u64,
    filling: u64,
    filled: u32,
}

impl Mixer {
    #[inline]
    fn gather(&mut self, value: u64, bits: u32) {
        self.filling |= value << self.filled;
        self.filled += bits;
        if self.filled > 48 {
            self.mixed = mix(self.mixed ^ self.filling);
            self.filling = 0;
            self.filled = 0;
        }
    }
}

#[inline]
fn mix(word: u64) -> u64 {
    let product = (word ^ word >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    product ^ product >> 32
}

impl Hasher for Mixer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.gather(u64::from(*byte), 8);
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.gather(u64::from(value), 8);
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.gather(u64::from(value), 16);
    }

    /// Lengths of arrays, which are always the same.
    #[inline]
    fn write_usize(&mut self, _length: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        mix(mix(self.mixed ^ self.filling))
    }
}

/// Fingerprints seen so far, each with that of the state before it if traces are kept.
struct Visited {
    /// Open addressing; 0 is free.
    seen: Vec<u64>,
    before: Vec<u64>,
    count: usize,
    traces: Traces,
}

impl Visited {
    fn new(traces: Traces) -> Self {
        let size = 1 << 16;
        let before = if traces == Traces::Kept { vec![0; size] } else { Vec::new() };
        Self { seen: vec![0; size], before, count: 0, traces }
    }

    /// Where a fingerprint is, or would be.
    fn slot(&self, fingerprint: u64) -> usize {
        let mask = self.seen.len() - 1;
        let mut slot = usize::try_from(fingerprint).expect("because words have 64 bits") & mask;
        while self.seen[slot] != 0 && self.seen[slot] != fingerprint {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Whether it is new.
    fn insert(&mut self, fingerprint: u64, before: u64) -> bool {
        let slot = self.slot(fingerprint);
        if self.seen[slot] == fingerprint {
            return false;
        }
        self.seen[slot] = fingerprint;
        if self.traces == Traces::Kept {
            self.before[slot] = before;
        }
        self.count += 1;
        if self.count * 5 > self.seen.len() * 4 {
            self.grow();
        }
        true
    }

    fn grow(&mut self) {
        let size = self.seen.len() * 2;
        let seen = std::mem::replace(&mut self.seen, vec![0; size]);
        let before = std::mem::take(&mut self.before);
        if self.traces == Traces::Kept {
            self.before = vec![0; size];
        }
        for (old, fingerprint) in seen.into_iter().enumerate().filter(|(_, fingerprint)| *fingerprint != 0) {
            let slot = self.slot(fingerprint);
            self.seen[slot] = fingerprint;
            if self.traces == Traces::Kept {
                self.before[slot] = before[old];
            }
        }
    }

    /// The fingerprints from the beginning to this one; nothing if traces were dropped.
    fn way_to(&self, fingerprint: u64) -> Vec<u64> {
        if self.traces == Traces::Dropped {
            return Vec::new();
        }
        let before = |fingerprint: &u64| Some(self.before[self.slot(*fingerprint)]).filter(|before| *before != 0);
        let mut way: Vec<u64> = std::iter::successors(Some(fingerprint), before).collect();
        way.reverse();
        way
    }
}
