//! Signals as flags: the first SIGINT or SIGTERM asks to stop, the second kills, SIGUSR1 asks how far it is.
//!
//! They are taken over when a long operation begins; until then, and at prompts, the system's own behaviour is right.
//! The file size limit's signal is taken over too, so that it arrives as an error of the write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

use crate::cli::exit::ExitStatus;

/// What signals have asked for so far.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicUsize>,
    asked_once: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over for the rest of the process.
    pub fn take_over(&self) -> io::Result<()> {
        for (signal, status) in [(SIGINT, ExitStatus::Interrupted), (SIGTERM, ExitStatus::Terminated)] {
            // The order matters: at the first signal this finds the flag unset, at the second it ends the process.
            flag::register_conditional_shutdown(signal, i32::from(status.code()), Arc::clone(&self.asked_once))?;
            flag::register(signal, Arc::clone(&self.asked_once))?;
            flag::register_usize(signal, Arc::clone(&self.stop), usize::from(status.code()))?;
        }
        flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        flag::register(SIGUSR1, Arc::clone(&self.report))?;
        Ok(())
    }

    /// How the process is to end, if a signal asked for it.
    pub fn stop(&self) -> Option<ExitStatus> {
        match self.stop.load(Ordering::Relaxed) {
            0 => None,
            code if code == usize::from(ExitStatus::Terminated.code()) => Some(ExitStatus::Terminated),
            _ => Some(ExitStatus::Interrupted),
        }
    }

    /// Whether SIGUSR1 came since this was last asked.
    pub fn take_report_request(&self) -> bool {
        self.report.swap(false, Ordering::Relaxed)
    }
}
