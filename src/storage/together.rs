//! Asking a store several things at once, where each answer costs a round trip.
//!
//! Near stores are asked one thing after another, or by as many threads as there are processors: there nothing is won by
//! waiting for several answers. Which of two answers comes first is never known, so only what has no order belongs here.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::storage::{Distance, Storage};

/// Questions under way at once, at most.
const AT_ONCE_MAX: usize = 32;

/// Whether a near store is asked from several threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearby {
    /// One thing after another, in the order given.
    InTurn,
    /// From all processors, since an answer takes some work.
    AtOnce,
}

/// Both answers; one after the other where the store is near.
pub fn both<A: Send, B: Send>(
    storage: &dyn Storage,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    match storage.distance() {
        Distance::Near => {
            let one = one();
            (one, other())
        }
        Distance::Far => std::thread::scope(|scope| {
            let other = scope.spawn(other);
            (one(), joined(other.join()))
        }),
    }
}

/// What `ask` answers to each item, in their order.
pub fn each<T: Sync, R: Send>(
    storage: &dyn Storage,
    nearby: Nearby,
    items: &[T],
    ask: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    match (storage.distance(), nearby) {
        (Distance::Near, Nearby::InTurn) => items.iter().map(ask).collect(),
        (Distance::Near, Nearby::AtOnce) => items.par_iter().map(&ask).collect(),
        (Distance::Far, _) if items.len() <= 1 => items.iter().map(ask).collect(),
        (Distance::Far, _) => from_threads(items, ask),
    }
}

/// Does something to each item; none is begun after one failed, and the first failure is the outcome.
pub fn try_each<T: Sync, E: Send>(
    storage: &dyn Storage,
    items: &[T],
    act: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let failed = AtomicBool::new(false);
    let outcomes = each(storage, Nearby::InTurn, items, |item| {
        if failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        act(item).inspect_err(|_| failed.store(true, Ordering::Relaxed))
    });
    outcomes.into_iter().collect()
}

/// Threads that a piece of work which mostly waits for the store should have; `processors` where it is near.
pub fn threads(storage: &dyn Storage, processors: NonZeroUsize) -> NonZeroUsize {
    const WAITING: NonZeroUsize = NonZeroUsize::new(16).expect("because 16 is not 0");
    match storage.distance() {
        Distance::Near => processors,
        Distance::Far => processors.max(WAITING),
    }
}

fn from_threads<T: Sync, R: Send>(items: &[T], ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answers: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            let answer = ask(item);
            *answers[at].lock().expect("because no holder panics") = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..items.len().min(AT_ONCE_MAX) {
            scope.spawn(work);
        }
        work();
    });
    let taken = |answer: Mutex<Option<R>>| answer.into_inner().expect("because no holder panics");
    answers.into_iter().map(|answer| taken(answer).expect("because every item was asked")).collect()
}

/// The answer of a thread; a panic in it goes on here.
fn joined<T>(ended: std::thread::Result<T>) -> T {
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
