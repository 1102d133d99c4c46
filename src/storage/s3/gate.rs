//! How many requests are under way at once: fewer when the store asks for fewer, slowly more again.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP does it. Without it, callers that are turned
//! away together come back together, each with its own retries.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::storage::s3::error::Pressure;

const LIMIT_MAX: f64 = 64.0;

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
}

impl Gate {
    /// Wide open.
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { limit: LIMIT_MAX, under_way: 0 }), left: Condvar::new() }
    }

    /// Makes a request when there is room for it; `pressure` reads off its outcome whether there was too much.
    pub(super) fn pass<T>(&self, request: impl FnOnce() -> T, pressure: impl FnOnce(&T) -> Pressure) -> T {
        let full = |state: &mut State| f64::from(state.under_way) >= state.limit;
        let waited = self.left.wait_while(self.state(), full);
        waited.unwrap_or_else(PoisonError::into_inner).under_way += 1;
        let place = Place(self);
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
struct Place<'g>(&'g Gate);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, LIMIT_MAX};
    use crate::storage::s3::error::Pressure;

    fn limit_after(gate: &Gate, outcomes: &[Pressure]) -> f64 {
        for outcome in outcomes {
            gate.pass(|| (), |()| *outcome);
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
            gate.pass(|| panic!("as planned"), |()| Pressure::Unknown);
        }));
        assert!(panicked.is_err());
        assert_eq!(gate.state().under_way, 0);
    }
}
