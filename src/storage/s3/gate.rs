//! How many requests and how many bytes are under way at once: fewer requests when the store asks for fewer, slowly more
//! again, and never more bytes than a budget, whatever is sent and read at the same time.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP does it. Without it, callers that are turned
//! away together come back together, each with its own retries.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::storage::s3::error::Pressure;

const LIMIT_MAX: f64 = 64.0;
/// Bytes on their way in both directions: a few packs, which fills a gigabit at a tenth of a second.
const BYTES_MAX: u64 = 64 << 20;

/// Lets requests through, up to a limit that follows the store's answers.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug)]
struct State {
    limit: f64,
    under_way: u32,
    bytes: u64,
}

impl Gate {
    /// Wide open.
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { limit: LIMIT_MAX, under_way: 0, bytes: 0 }), left: Condvar::new() }
    }

    /// Makes a request of so many bytes when there is room for it; `pressure` reads off its outcome whether there was too
    /// much. One that is larger than the budget waits for all others.
    pub(super) fn pass<T>(&self, bytes: u64, request: impl FnOnce() -> T, pressure: impl FnOnce(&T) -> Pressure) -> T {
        let full = |state: &mut State| {
            let is_too_much = state.bytes > 0 && bytes > 0 && state.bytes + bytes > BYTES_MAX;
            f64::from(state.under_way) >= state.limit || is_too_much
        };
        let mut state = self.left.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner);
        state.under_way += 1;
        state.bytes += bytes;
        drop(state);
        let place = Place { gate: self, bytes };
        let outcome = request();
        let mut state = self.state();
        state.limit = match pressure(&outcome) {
            Pressure::TooMuch => (state.limit / 2.0).max(1.0),
            Pressure::Unknown => (state.limit + 1.0 / state.limit).min(LIMIT_MAX),
        };
        drop(state);
        drop(place);
        outcome
    }

    // Numbers are never between two states.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way; given back also where it panics.
struct Place<'g> {
    gate: &'g Gate,
    bytes: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.under_way -= 1;
        state.bytes -= self.bytes;
        drop(state);
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{BYTES_MAX, Gate, LIMIT_MAX};
    use crate::storage::s3::error::Pressure;

    fn limit_after(gate: &Gate, outcomes: &[Pressure]) -> f64 {
        for outcome in outcomes {
            gate.pass(0, || (), |()| *outcome);
        }
        gate.state().limit
    }

    #[test]
    fn pressure_halves_the_limit_down_to_one_and_success_brings_it_back() {
        let gate = Gate::new();
        assert!((limit_after(&gate, &[Pressure::TooMuch]) - LIMIT_MAX / 2.0).abs() < 1e-9);
        assert!((limit_after(&gate, &[Pressure::TooMuch; 20]) - 1.0).abs() < 1e-9);
        assert!((limit_after(&gate, &[Pressure::Unknown]) - 2.0).abs() < 1e-9);
        assert!((limit_after(&gate, &[Pressure::Unknown; 5000]) - LIMIT_MAX).abs() < 1e-9);
    }

    #[test]
    fn a_request_that_panics_gives_its_place_back() {
        let gate = Gate::new();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            gate.pass(7, || panic!("as planned"), |()| Pressure::Unknown);
        }));
        assert!(panicked.is_err());
        let left = gate.state();
        assert_eq!((left.under_way, left.bytes), (0, 0));
    }

    #[test]
    fn bytes_under_way_stay_within_the_budget() {
        let (gate, most) = (Gate::new(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for number in 0..24 {
                let (gate, most) = (&gate, &most);
                let size = if number == 7 { 2 * BYTES_MAX } else { BYTES_MAX / 3 };
                let look = move || {
                    std::thread::yield_now();
                    let bytes = gate.state().bytes;
                    assert!(bytes <= BYTES_MAX || bytes == size, "{bytes} bytes at once");
                    most.fetch_max(bytes, Ordering::Relaxed);
                };
                scope.spawn(move || gate.pass(size, look, |()| Pressure::Unknown));
            }
        });
        assert!(most.load(Ordering::Relaxed) > 0);
        assert_eq!(gate.state().bytes, 0);
    }
}
