//! The work of a walk and who does it: directories to list and runs of names to ask about, earliest path first.
//!
//! Workers take the earliest job that nobody has; whoever consumes the walk takes the very one it waits for, or helps.
//! Results that are not consumed yet count against a budget of bytes; only a job the consumer needs may exceed it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::resource::Gap;
use crate::source::local::directory::Directory;
use crate::source::local::exclude::Rules;
use crate::source::local::listed::Listed;
use crate::source::local::listing::Names;

/// A piece of work; it is known by its slot.
pub(crate) struct Job {
    /// Where its results begin; earlier ones are done first.
    pub(crate) path: Vec<u8>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) task: Task,
}

/// What is to be done.
pub(crate) enum Task {
    /// List a directory whose path is the job's.
    List { directory: Arc<Directory>, rules: Option<Arc<Rules>> },
    /// Ask about some names of a large directory.
    Ask { listing: Arc<Listing>, first: usize, end: usize },
}

/// The names of a directory too large to be asked about at once.
pub(crate) struct Listing {
    pub(crate) directory: Arc<Directory>,
    pub(crate) path: Vec<u8>,
    pub(crate) names: Names,
    pub(crate) rules: Option<Arc<Rules>>,
}

/// Where the outcome of a job appears, once.
pub(crate) struct Slot(Mutex<Option<Outcome>>);

/// What a job found.
#[derive(Default)]
pub(crate) struct Outcome {
    /// In path order.
    pub(crate) items: Vec<Item>,
    /// What comes after the items, in path order.
    pub(crate) rest: Vec<Arc<Slot>>,
    /// Bytes of memory the items take.
    pub(crate) items_size: usize,
    /// Bytes of memory that stay taken until the last of `rest` is consumed.
    pub(crate) listing_size: usize,
}

/// One thing found.
pub(crate) enum Item {
    Entry(Listed),
    /// A directory and where its content appears.
    Directory(Listed, Arc<Slot>),
    Gap(Gap),
}

/// What is to be done, shared by workers and consumer.
pub(crate) struct Schedule {
    state: Mutex<State>,
    /// Told when there are jobs that may be done, or all ends.
    work: Condvar,
    /// Told when a job is done and the consumer waits.
    done: Condvar,
    budget_bytes: usize,
}

#[derive(Default)]
struct State {
    queue: BinaryHeap<Earliest>,
    unconsumed_bytes: usize,
    idle_workers: usize,
    consumer_waits: bool,
    ended: bool,
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(None)))
    }
}

impl Schedule {
    pub(crate) fn new(budget_bytes: usize, first: Job) -> Self {
        let state = State { queue: BinaryHeap::from([Earliest(first)]), ..State::default() };
        Self { state: Mutex::new(state), work: Condvar::new(), done: Condvar::new(), budget_bytes }
    }

    /// Does jobs until all ends. `run` gives the outcome and the jobs that follow from it.
    pub(crate) fn work(&self, mut run: impl FnMut(Job, &mut Vec<Job>) -> Outcome) {
        let mut jobs = Vec::new();
        let mut state = lock(&self.state);
        while !state.ended {
            match self.earliest(&mut state, None) {
                Some(job) => {
                    drop(state);
                    self.run(job, &mut jobs, &mut run);
                    state = lock(&self.state);
                }
                None => {
                    state.idle_workers += 1;
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle_workers -= 1;
                }
            }
        }
    }

    /// The outcome of a slot: does jobs, the earliest first, until it is there.
    ///
    /// It must be the slot of the earliest job that is not consumed, so that all can be done in that order.
    pub(crate) fn outcome(&self, slot: &Arc<Slot>, mut run: impl FnMut(Job, &mut Vec<Job>) -> Outcome) -> Outcome {
        let mut jobs = Vec::new();
        loop {
            if let Some(outcome) = lock(&slot.0).take() {
                return outcome;
            }
            let mut state = lock(&self.state);
            if let Some(job) = self.earliest(&mut state, Some(slot)) {
                drop(state);
                self.run(job, &mut jobs, &mut run);
                continue;
            }
            assert!(!state.ended, "a worker ended before its work was done");
            if lock(&slot.0).is_none() {
                state.consumer_waits = true;
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.consumer_waits = false;
            }
        }
    }

    /// Memory that was consumed.
    pub(crate) fn consumed(&self, bytes: usize) {
        let mut state = lock(&self.state);
        state.unconsumed_bytes = state.unconsumed_bytes.saturating_sub(bytes);
        let wake = state.idle_workers > 0 && !state.queue.is_empty() && state.unconsumed_bytes < self.budget_bytes;
        drop(state);
        if wake {
            self.work.notify_all();
        }
    }

    /// Ends all work as soon as each worker has done what it is at.
    pub(crate) fn end(&self) {
        lock(&self.state).ended = true;
        self.work.notify_all();
    }

    /// The job to do next: the earliest, if the budget allows it or it is the `wanted` one.
    fn earliest(&self, state: &mut State, wanted: Option<&Arc<Slot>>) -> Option<Job> {
        let is_wanted = |job: &Job| wanted.is_some_and(|slot| Arc::ptr_eq(slot, &job.slot));
        let next = state.queue.peek()?;
        if state.unconsumed_bytes >= self.budget_bytes && !is_wanted(&next.0) {
            return None;
        }
        state.queue.pop().map(|Earliest(job)| job)
    }

    fn run(&self, job: Job, jobs: &mut Vec<Job>, run: &mut impl FnMut(Job, &mut Vec<Job>) -> Outcome) {
        let _ends_on_panic = EndsOnPanic(self);
        let slot = Arc::clone(&job.slot);
        let outcome = run(job, jobs);
        let bytes = outcome.items_size + outcome.listing_size;
        *lock(&slot.0) = Some(outcome);
        let mut state = lock(&self.state);
        state.unconsumed_bytes += bytes;
        let more = jobs.len();
        state.queue.extend(jobs.drain(..).map(Earliest));
        let (wake_workers, wake_consumer) = (state.idle_workers > 0 && more > 0, state.consumer_waits);
        drop(state);
        if wake_workers {
            self.work.notify_all();
        }
        if wake_consumer {
            self.done.notify_one();
        }
    }
}

/// Lets nobody wait for a worker that panicked.
struct EndsOnPanic<'a>(&'a Schedule);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
            self.0.done.notify_all();
        }
    }
}

/// Jobs in the order of their paths, the earliest greatest, as [`BinaryHeap`] wants it.
struct Earliest(Job);

impl PartialEq for Earliest {
    fn eq(&self, other: &Self) -> bool {
        self.0.path == other.0.path
    }
}

impl Eq for Earliest {}

impl PartialOrd for Earliest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Earliest {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.path.cmp(&self.0.path)
    }
}

/// No code panics while it holds one of these locks, and none leaves the data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
