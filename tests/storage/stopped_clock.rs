//! A clock that moves only when someone sleeps, and remembers for how long they did.

use std::sync::Mutex;
use std::time::Duration;

use snap::storage::retry::Clock;

#[derive(Debug, Default)]
pub(super) struct StoppedClock {
    slept: Mutex<Vec<Duration>>,
}

impl StoppedClock {
    pub(super) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }

    fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
    }

    fn draw(&self) -> u64 {
        u64::MAX
    }
}
