//! Patience: repeats what failed for a passing reason, with growing pauses, until a budget is spent.
//!
//! Only errors that say so themselves ([`StorageError::is_transient`]) are repeated. Time and chance come in through
//! [`Clock`], so that tests neither sleep nor vary.

use std::fmt::{self, Debug};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{
    Attempt, ByteRange, Distance, Put, Storage, StorageError, StorageErrorKind, StoredObject, Writers,
};

/// Where time and chance come from.
pub trait Clock: Debug + Send + Sync {
    /// Time since some fixed instant; never goes back.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);
    /// 64 random bits, so that clients turned away together do not come back together.
    fn draw(&self) -> u64;
}

/// The machine's own clock and random numbers.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn draw(&self) -> u64 {
        // Without random numbers the pauses are the longest ones, which is only slower.
        getrandom::u64().unwrap_or(u64::MAX)
    }
}

/// How long a call may be repeated.
///
/// A store that answers, be it to other calls, is worth waiting for; one that never answered is most likely not there.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Calls made at most while the store has not answered any call yet, the first included.
    pub attempts_unheard_max: u32,
    /// Calls made at most, the first included.
    pub attempts_max: u32,
    /// No repetition begins later than this after the first call, or after the store last answered any other.
    pub time_max: Duration,
    /// Upper bound of the first pause; it doubles with each.
    pub pause_first: Duration,
    /// Upper bound of every pause.
    pub pause_max: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            attempts_unheard_max: 12,
            attempts_max: 12,
            time_max: Duration::from_secs(15 * 60),
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(60),
        }
    }
}

impl Budget {
    /// For a store across a network: it may be away for a quarter of an hour, but a wrong address is told in seconds.
    pub const REMOTE: Self = Self {
        attempts_unheard_max: 6,
        attempts_max: 60,
        time_max: Duration::from_secs(15 * 60),
        pause_first: Duration::from_millis(100),
        pause_max: Duration::from_secs(60),
    };

    /// The pause before repetition `repetition` (from 1): anything from nothing to the bound ("full jitter" in Brooker,
    /// *Exponential Backoff and Jitter*, 2015).
    fn pause(&self, repetition: u32, random: u64) -> Duration {
        let doubled = self.pause_first.saturating_mul(1_u32.checked_shl(repetition - 1).unwrap_or(u32::MAX));
        let share = random as f64 / u64::MAX as f64;
        doubled.min(self.pause_max).mul_f64(share)
    }
}

/// A store that is asked again.
#[derive(Debug)]
pub struct RetryStorage<S> {
    inner: S,
    clock: Arc<dyn Clock>,
    budget: Budget,
    /// When the store last answered any call.
    heard: Mutex<Option<Duration>>,
}

impl<S: Storage> RetryStorage<S> {
    /// Repeats the calls of `inner` within `budget`.
    pub fn new(inner: S, clock: Arc<dyn Clock>, budget: Budget) -> Self {
        Self { inner, clock, budget, heard: Mutex::default() }
    }

    // A time is never between two states.
    fn heard(&self) -> MutexGuard<'_, Option<Duration>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `call` is told how often it was made before.
    fn repeat<T>(&self, mut call: impl FnMut(u32) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let start = self.clock.now();
        for repetition in 1.. {
            let error = match call(repetition - 1) {
                Err(error) if error.is_transient() => error,
                answer => {
                    *self.heard() = Some(self.clock.now());
                    return answer;
                }
            };
            let heard = *self.heard();
            let attempts_max =
                if heard.is_some() { self.budget.attempts_max } else { self.budget.attempts_unheard_max };
            if repetition >= attempts_max {
                return Err(error);
            }
            let pause = self.budget.pause(repetition, self.clock.draw());
            let since = heard.map_or(start, |heard| heard.max(start));
            if self.clock.now().saturating_sub(since).saturating_add(pause) > self.budget.time_max {
                return Err(error);
            }
            self.clock.sleep(pause);
        }
        unreachable!("because the attempts are bounded")
    }

    /// An answer of the wrong length was cut short on its way, which passes like any other break of a connection.
    fn get_once(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        let content = self.inner.get(name, range)?;
        let actual = content.len() as u64;
        let whole = match range {
            ByteRange::All => true,
            ByteRange::From { length, .. } => actual == length,
            ByteRange::Suffix(length) => actual <= length,
        };
        if whole {
            return Ok(content);
        }
        let source = io::Error::new(io::ErrorKind::UnexpectedEof, format!("{actual} bytes came for {range:?}"));
        Err(StorageError {
            location: self.to_string(),
            name: name.to_string(),
            attempt: Attempt::Get,
            kind: StorageErrorKind::Unreachable,
            source: Some(source),
        })
    }
}

impl<S: Storage> fmt::Display for RetryStorage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

impl<S: Storage> Storage for RetryStorage<S> {
    /// Every repetition sends the same bytes. If one of them finds the name taken, an earlier one may have succeeded
    /// and its answer been lost: the object is read back, and `Created` is the answer if it equals `content`. Objects
    /// carry fresh random bytes, so an equal one is ours; where it is not, it makes no difference whose it is.
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        let mut repeated = false;
        let put = self.repeat(|repetition| {
            repeated = repetition > 0;
            self.inner.put_if_absent(name, content.clone())
        })?;
        if put == Put::Exists && repeated && self.get(name, ByteRange::All)? == content {
            return Ok(Put::Created);
        }
        Ok(put)
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        self.repeat(|_| self.get_once(name, range))
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.repeat(|_| self.inner.list(prefix))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.repeat(|_| self.inner.delete(name))
    }

    fn settle(&self, prefix: &Prefix) -> Result<(), StorageError> {
        self.repeat(|_| self.inner.settle(prefix))
    }

    fn probe(&self, name: &ObjectName, content: Bytes) -> Result<Writers, StorageError> {
        self.repeat(|_| self.inner.probe(name, content.clone()))
    }

    fn distance(&self) -> Distance {
        self.inner.distance()
    }
}
