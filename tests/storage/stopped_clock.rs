//! A clock that moves only when someone sleeps, and remembers for how long they did.

use std::sync::Mutex;
use std::time::Duration;

use snap::storage::retry::Clock;

#[derive(Default)]
pub(super) struct StoppedClock {
    slept: Mutex<Vec<Duration>>,
    planned: Mutex<Option<Planned>>,
}

/// What happens at the end of which pause.
type Planned = (usize, Box<dyn FnOnce() + Send>);

impl StoppedClock {
    pub(super) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }

    /// Does something at the end of one pause, the first being 1.
    pub(super) fn at_pause(&self, pause: usize, action: impl FnOnce() + Send + 'static) {
        *self.planned.lock().unwrap() = Some((pause, Box::new(action)));
    }
}

impl std::fmt::Debug for StoppedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoppedClock").field("slept", &self.slept()).finish_non_exhaustive()
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }

    fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
        let pauses = self.slept().len();
        let action = self.planned.lock().unwrap().take_if(|(pause, _)| *pause == pauses);
        if let Some((_, action)) = action {
            action();
        }
    }

    fn draw(&self) -> u64 {
        u64::MAX
    }
}
