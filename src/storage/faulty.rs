//! A store that fails when told to, for tests: a script of faults, or faults drawn from a seed.
//!
//! The same calls in the same order meet the same faults. It also counts calls, so that tests can say how many
//! requests something may cost.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{
    Attempt, ByteRange, Distance, Put, Storage, StorageError, StorageErrorKind, StoredObject, Writers,
};

/// When something goes wrong, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which calls are counted; all of them where it is `None`.
    pub attempt: Option<Attempt>,
    /// Strikes at this one of the counted calls, the first being 1.
    pub at: u64,
    /// Whether the calls after it meet it too.
    pub lasting: Lasting,
    /// What happens.
    pub effect: Effect,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// One call.
    Once,
    /// That call and all after it.
    Forever,
}

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is not performed and fails.
    Fail(StorageErrorKind),
    /// It is performed and fails all the same.
    LoseReply(StorageErrorKind),
    /// A read returns at most so many bytes and says nothing of it.
    Truncate(usize),
    /// A read returns one wrong bit: this one, counted from the first byte's lowest, modulo the length.
    FlipBit(usize),
    /// It is not performed, and neither is any call after it.
    Crash,
}

/// A store and its faults.
#[derive(Debug)]
pub struct FaultyStorage<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    faults: Vec<Fault>,
    drawn: Option<Drawn>,
    counts: BTreeMap<Attempt, u64>,
    crashed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Drawn {
    seed: u64,
    one_in: NonZeroU64,
}

impl<S: Storage> FaultyStorage<S> {
    /// Does what the script says; without faults it only counts.
    pub fn scripted(inner: S, faults: Vec<Fault>) -> Self {
        Self::with(inner, faults, None)
    }

    /// About one call in `one_in` fails for a passing reason or loses its reply, which ones depends on the seed only.
    pub fn seeded(inner: S, seed: u64, one_in: NonZeroU64) -> Self {
        Self::with(inner, Vec::new(), Some(Drawn { seed, one_in }))
    }

    fn with(inner: S, faults: Vec<Fault>, drawn: Option<Drawn>) -> Self {
        Self { inner, state: Mutex::new(State { faults, drawn, counts: BTreeMap::new(), crashed: false }) }
    }

    /// Adds a fault to the script; `at` goes on counting from the first call ever made.
    pub fn plan(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Ends all faults, a crash too: the store as a new process finds it.
    pub fn recover(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.drawn = None;
        state.crashed = false;
    }

    /// Calls of one kind so far, those that failed among them.
    pub fn calls(&self, attempt: Attempt) -> u64 {
        self.state().counts.get(&attempt).copied().unwrap_or(0)
    }

    /// Calls of every kind so far.
    pub fn calls_total(&self) -> u64 {
        self.state().counts.values().sum()
    }

    /// The store beneath, where nothing fails and nothing is counted.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(
        &self,
        attempt: Attempt,
        name: &str,
        perform: impl FnOnce() -> Result<T, StorageError>,
        spoil: impl FnOnce(T, Effect) -> T,
    ) -> Result<T, StorageError> {
        let effect = self.state().next_effect(attempt);
        let failed = |kind, what| {
            let (location, name, source) = (self.to_string(), name.to_owned(), Some(io::Error::other(what)));
            Err(StorageError { location, name, attempt, kind, source })
        };
        match effect {
            None => perform(),
            Some(Effect::Fail(kind)) => failed(kind, "a planned fault"),
            Some(Effect::Crash) => failed(StorageErrorKind::Other, "the store crashed as planned"),
            Some(Effect::LoseReply(kind)) => {
                perform()?;
                failed(kind, "the reply was lost as planned")
            }
            Some(effect @ (Effect::Truncate(_) | Effect::FlipBit(_))) => Ok(spoil(perform()?, effect)),
        }
    }
}

impl State {
    fn next_effect(&mut self, attempt: Attempt) -> Option<Effect> {
        let count = self.counts.entry(attempt).or_default();
        *count += 1;
        let (of_kind, of_all) = (*count, self.counts.values().sum::<u64>());
        let strikes = |fault: &&Fault| {
            let count = match fault.attempt {
                None => of_all,
                Some(counted) if counted == attempt => of_kind,
                Some(_) => return false,
            };
            count == fault.at || (fault.lasting == Lasting::Forever && count > fault.at)
        };
        let scripted = self.faults.iter().find(strikes).map(|fault| fault.effect);
        let effect = scripted.or_else(|| self.drawn.and_then(|drawn| drawn.effect_of(of_all)));
        self.crashed |= effect == Some(Effect::Crash);
        if self.crashed { Some(Effect::Crash) } else { effect }
    }
}

impl Drawn {
    fn effect_of(self, call: u64) -> Option<Effect> {
        let bits = split_mix(self.seed.wrapping_add(call));
        (bits % self.one_in == 0).then_some(match bits >> 62 {
            0 => Effect::Fail(StorageErrorKind::Unreachable),
            1 => Effect::Fail(StorageErrorKind::Conflict),
            _ => Effect::LoseReply(StorageErrorKind::Unreachable),
        })
    }
}

/// SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
fn split_mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn spoil_content(content: Bytes, effect: Effect) -> Bytes {
    match effect {
        Effect::Truncate(length) => content.slice(..length.min(content.len())),
        Effect::FlipBit(bit) if !content.is_empty() => {
            let mut spoilt = content.to_vec();
            let length = spoilt.len();
            spoilt[bit / 8 % length] ^= 1 << (bit % 8);
            Bytes::from(spoilt)
        }
        _ => content,
    }
}

impl<S: Storage> fmt::Display for FaultyStorage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

impl<S: Storage> Storage for FaultyStorage<S> {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        self.call(Attempt::Put, name.as_str(), || self.inner.put_if_absent(name, content), |put, _| put)
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        self.call(Attempt::Get, name.as_str(), || self.inner.get(name, range), spoil_content)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.call(Attempt::List, prefix.as_str(), || self.inner.list(prefix), |objects, _| objects)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.call(Attempt::Delete, name.as_str(), || self.inner.delete(name), |(), _| ())
    }

    fn settle(&self, prefix: &Prefix) -> Result<(), StorageError> {
        self.call(Attempt::Settle, prefix.as_str(), || self.inner.settle(prefix), |(), _| ())
    }

    fn probe(&self, name: &ObjectName, content: Bytes) -> Result<Writers, StorageError> {
        self.inner.probe(name, content)
    }

    fn distance(&self) -> Distance {
        self.inner.distance()
    }
}
