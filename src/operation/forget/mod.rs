//! `forget`: which snapshots go, and marking them.
//!
//! `policy` decides by rules and `complete` says what a series must not lose; both are pure, and so is the plan. Carrying
//! it out only marks: nothing is deleted, and `undo` brings a snapshot back until a prune has taken its data.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rayon::prelude::*;
use thiserror::Error;

use crate::id::SnapshotId;
use crate::operation::forget::complete::last_to_go;
use crate::operation::forget::policy::{Decision, LastComplete, Rules, by_series, decide};
use crate::operation::selection::Selection;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::snapshot::Snapshot;

pub mod complete;
pub mod policy;
pub mod within;

/// Why nothing, or not everything, was forgotten.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A series would hold less than it did.
    #[error("{id} is the last complete snapshot of the series {series}: none as complete and wide would be left")]
    LastComplete {
        /// The snapshot.
        id: SnapshotId,
        /// Its series.
        series: String,
    },
    /// The user asked to stop; what was marked stays so.
    #[error("interrupted")]
    Interrupted,
}

/// What becomes of snapshots: a pure value, to be shown and then carried out, or not.
#[derive(Clone, Debug)]
pub struct ForgetPlan<'s> {
    /// Each snapshot that was asked about; by series, then time.
    pub decisions: Vec<Decision<'s>>,
    /// Those that go though without them their series holds less than it did.
    pub last_complete: Vec<&'s Snapshot>,
}

impl<'s> ForgetPlan<'s> {
    /// What the rules mean for the snapshots of the selection; `snapshots` are all there are.
    pub fn by_rules(
        snapshots: &'s [Snapshot],
        selection: &Selection,
        rules: &Rules,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        Self::of(snapshots, decide(snapshots, selection, rules, now, zone))
    }

    /// Forgetting just these; `snapshots` are all there are.
    ///
    /// # Errors
    /// Where one is the last complete one of its series and may not go.
    pub fn by_name(
        snapshots: &'s [Snapshot],
        named: &[SnapshotId],
        last_complete: LastComplete,
    ) -> Result<Self, ForgetError> {
        let oldest_first = by_series(snapshots).into_values().flat_map(|series| series.into_iter().rev());
        let goes = oldest_first.filter(|snapshot| named.contains(&snapshot.id));
        let plan = Self::of(snapshots, goes.map(|snapshot| Decision { snapshot, reasons: Vec::new() }).collect());
        match (last_complete, plan.last_complete.first()) {
            (LastComplete::Stays, Some(Snapshot { id, record })) => {
                Err(ForgetError::LastComplete { id: *id, series: record.series.clone() })
            }
            _ => Ok(plan),
        }
    }

    fn of(snapshots: &'s [Snapshot], decisions: Vec<Decision<'s>>) -> Self {
        let mut going: Vec<SnapshotId> =
            decisions.iter().filter(|decision| !decision.stays()).map(|decision| decision.snapshot.id).collect();
        going.sort_unstable();
        let goes = |snapshot: &Snapshot| going.binary_search(&snapshot.id).is_ok();
        let last_complete = by_series(snapshots).values().flat_map(|series| last_to_go(series, goes)).collect();
        Self { decisions, last_complete }
    }

    /// The snapshots that go.
    pub fn going(&self) -> impl Iterator<Item = &'s Snapshot> {
        self.decisions.iter().filter(|decision| !decision.stays()).map(|decision| decision.snapshot)
    }

    /// Marks what goes as forgotten, all with the same time and host, by which `undo` knows them as one.
    pub fn carry_out(
        &self,
        repository: &Repository,
        now: Timestamp,
        host: &str,
        progress: &dyn Progress,
    ) -> Result<(), ForgetError> {
        let going: Vec<SnapshotId> = self.going().map(|snapshot| snapshot.id).collect();
        let stopped = AtomicBool::new(false);
        going.par_iter().try_for_each(|id| {
            if progress.interrupted() {
                stopped.store(true, Ordering::Relaxed);
                return Ok(());
            }
            repository.forget(*id, now, host)
        })?;
        if stopped.into_inner() { Err(ForgetError::Interrupted) } else { Ok(()) }
    }
}
