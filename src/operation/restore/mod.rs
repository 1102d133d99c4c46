//! `restore`: a snapshot, or part of it, into a folder.
//!
//! `select` says what and where, `walk` reads it in path order, `plan` makes bounded windows of work, `write` does them
//! with all threads, each pack passed once a window, and `finish` deletes what is not in the snapshot and gives folders
//! their metadata last. Planning the next window overlaps with writing this one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use crate::operation::backup::error_chain;
use crate::operation::restore::finish::Extraneous;
use crate::operation::restore::plan::Planner;
use crate::operation::restore::select::{Patterns, Selection};
use crate::operation::restore::window::Planned;
use crate::operation::target::error::{Part, TargetError, TargetWarning};
use crate::operation::target::{Target, TargetOptions};
use crate::operation::view::{Extent, Views};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;
use crate::resource::{SnapshotRecord, escape_path};
use crate::tree::error::TreeError;

pub mod finish;
mod objects;
mod place;
mod plan;
mod select;
mod values;
mod walk;
mod window;
mod write;

/// The name of the work in events.
const AGENT: &str = "restore";
/// Members of archives that are told of one by one as left in them; the rest is counted.
const WITHHELD_TOLD_MAX: u64 = 10;

/// What is restored, where and how.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// The folder to write into; made where absent.
    pub target: PathBuf,
    /// A path in the layout: a folder's content goes directly into the target, a file under its own name.
    pub inside: Option<Vec<u8>>,
    /// Only what these globs match, or what is beneath that; everything where there are none.
    pub include: Vec<String>,
    /// Not what these match, nor what is beneath that.
    pub exclude: Vec<String>,
    /// What happens to what is there, owners, holes.
    pub options: TargetOptions,
    /// What happens to what the snapshot does not have.
    pub deletion: Deletion,
    /// Whether anything is written.
    pub mode: RestoreMode,
    /// Threads that read and write.
    pub threads: NonZeroUsize,
}

/// What happens to things beneath restored folders that the snapshot does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletion {
    /// They stay.
    #[default]
    Keep,
    /// They are removed, unless the snapshot cannot know of them: gaps, filters of the backup or of this restore.
    Remove,
}

/// Whether a restore writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMode {
    /// It does.
    Write,
    /// It only tells what it would write and remove.
    DryRun,
}

/// What a restore did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Things written, folders among them.
    pub restored: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// Things that stay as they were, by the overwrite policy.
    pub kept: u64,
    /// Things that the target could not take.
    pub skipped: u64,
    /// Files, and stretches of entries, that the repository no longer has whole.
    pub lost: u64,
    /// Things removed.
    pub deleted: u64,
    /// Attributes, modes, times that could not be set; owners do not count.
    pub unset: u64,
}

/// Why a restore ended early, or did not begin.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The tree cannot be read where the restore would begin.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The target can take nothing more, or nothing at all.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A glob that is none.
    #[error("cannot understand the pattern {pattern:?}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// Why not.
        source: ignore::Error,
    },
    /// Nothing of the snapshot stands there.
    #[error("the snapshot has no {path}")]
    NotThere {
        /// The path, escaped.
        path: String,
    },
    /// The user asked to stop.
    #[error("interrupted; what is restored so far stays")]
    Interrupted,
    /// A thread ended before its work, which is a fault of the program.
    #[error("a worker thread stopped early")]
    WorkerStopped,
}

/// What all threads of one restore share.
struct Context<'c> {
    reader: &'c Reader<'c>,
    selection: &'c Selection<'c>,
    progress: &'c dyn Progress,
    mode: RestoreMode,
    tally: Tally,
    stopped: AtomicBool,
    failure: Mutex<Option<RestoreError>>,
    /// Where things went that the target did not take under the name they should have.
    respelled: Mutex<Respellings>,
}

/// Places beneath the target by the part of the selection and the path in its resource.
type Respellings = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

#[derive(Default)]
struct Tally {
    restored: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    skipped: AtomicU64,
    lost: AtomicU64,
    lost_stretches: AtomicU64,
    deleted: AtomicU64,
    unset: AtomicU64,
    owners_refused: AtomicU64,
    withheld: AtomicU64,
    planned: AtomicU64,
    planned_bytes: AtomicU64,
    listed: AtomicBool,
}

/// Restores what the request names of a snapshot.
///
/// What cannot be had or written is reported and counted, and the rest goes on; only a target that takes nothing more,
/// a store that does not answer or the user end it early. Files are whole or absent under their own names.
pub fn restore(
    repository: &Repository,
    record: &SnapshotRecord,
    request: &RestoreRequest,
    progress: &dyn Progress,
) -> Result<RestoreReport, RestoreError> {
    let (index, damaged) = repository.whole_index()?;
    for damaged in damaged {
        progress.report(Event::Warning { message: format!("{damaged}; the packs themselves are read instead") });
    }
    let reader = Reader::new(repository, &index);
    let patterns = Patterns { include: &request.include, exclude: &request.exclude };
    let record = Views::over(&reader, Extent::All)?.record(record);
    let selection = Selection::new(&record, request.inside.as_deref(), patterns, &reader)?;
    let context = Context {
        reader: &reader,
        selection: &selection,
        progress,
        mode: request.mode,
        tally: Tally::default(),
        stopped: AtomicBool::new(false),
        failure: Mutex::default(),
        respelled: Mutex::default(),
    };
    progress.report(Event::Started { agent: AGENT.to_owned() });
    let target = match request.mode {
        RestoreMode::Write => Some(Target::open(&request.target, request.options)?),
        RestoreMode::DryRun => Target::look(&request.target, request.options)?,
    };
    write_all(&context, target.as_ref(), request)?;
    if let (RestoreMode::Write, Some(target)) = (request.mode, &target) {
        objects::rewrite(&context, target)?;
    }
    if let Some(target) = &target {
        finish::finish(&context, target, request.deletion)?;
        if request.mode == RestoreMode::Write {
            target.sync()?;
        }
    }
    let untold = context.tally.withheld.load(Ordering::Relaxed).saturating_sub(WITHHELD_TOLD_MAX);
    if untold > 0 {
        progress.report(Event::Warning { message: format!("{untold} more members are only in their archives") });
    }
    context.report_advance();
    progress.report(Event::Finished { agent: AGENT.to_owned() });
    Ok(context.tally.report())
}

/// What a restore with [`Deletion::Remove`] would remove; nothing is changed.
pub fn extraneous(
    repository: &Repository,
    record: &SnapshotRecord,
    request: &RestoreRequest,
    progress: &dyn Progress,
) -> Result<Extraneous, RestoreError> {
    let (index, _reported_by_the_restore) = repository.whole_index()?;
    let reader = Reader::new(repository, &index);
    let patterns = Patterns { include: &request.include, exclude: &request.exclude };
    let record = Views::over(&reader, Extent::All)?.record(record);
    let selection = Selection::new(&record, request.inside.as_deref(), patterns, &reader)?;
    match Target::look(&request.target, request.options)? {
        Some(target) => finish::extraneous(&reader, &selection, &target, progress),
        None => Ok(Extraneous::default()),
    }
}

fn write_all(context: &Context<'_>, target: Option<&Target>, request: &RestoreRequest) -> Result<(), RestoreError> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    std::thread::scope(|scope| {
        let planner = scope.spawn(|| Planner::new(context, target, sender).run());
        let written = match (request.mode, target) {
            (RestoreMode::Write, Some(target)) => write::write(context, target, request.threads, &receiver),
            _ => Ok(()),
        };
        // The planner must not wait for a writer that has gone.
        drop(receiver);
        planner.join().map_err(|_| RestoreError::WorkerStopped)?;
        written
    })?;
    if let Some(failure) = context.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(failure);
    }
    if context.progress.interrupted() { Err(RestoreError::Interrupted) } else { Ok(()) }
}

impl Context<'_> {
    /// Whether threads are to end.
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.progress.interrupted()
    }

    /// Ends the run.
    fn fail(&self, failure: RestoreError) {
        self.stopped.store(true, Ordering::Relaxed);
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    fn item(&self, action: &'static str, path: impl FnOnce() -> Vec<u8>, bytes: u64) {
        if self.progress.wants_items() {
            self.progress.report(Event::Item { action, path: path(), bytes });
        }
    }

    /// A member of an archive that is only listed: the archive itself has it.
    fn withhold(&self, path: impl Fn() -> Vec<u8>, why: &str) {
        self.item("withheld", &path, 0);
        if self.tally.withheld.fetch_add(1, Ordering::Relaxed) < WITHHELD_TOLD_MAX {
            let path = escape_path(&path());
            self.progress.report(Event::Warning { message: format!("{path} is only in its archive: {why}") });
        }
    }

    /// Something that the repository no longer has.
    fn lost(&self, path: Vec<u8>, message: String) {
        self.tally.lost.fetch_add(1, Ordering::Relaxed);
        self.progress.report(Event::Failed { path, message });
    }

    /// Something that the target does not take.
    fn refused(&self, path: Vec<u8>, error: TargetError) {
        if error.ends_the_run() {
            self.fail(error.into());
            return;
        }
        self.tally.skipped.fetch_add(1, Ordering::Relaxed);
        self.progress.report(Event::Failed { path, message: error_chain(&error) });
    }

    fn warn(&self, warnings: &[TargetWarning]) {
        for warning in warnings {
            if warning.part == Part::Owner {
                // One who may not give things away would be told so for each of them.
                if self.tally.owners_refused.fetch_add(1, Ordering::Relaxed) > 0 {
                    continue;
                }
            } else if warning.part != Part::Deletion {
                self.tally.unset.fetch_add(1, Ordering::Relaxed);
            }
            self.progress.report(Event::Warning { message: error_chain(warning) });
        }
    }

    /// Notes where a thing went that could not go where it should.
    fn respell(&self, planned: &Planned, place: Vec<u8>) {
        let key = (planned.part, planned.entry.path.as_bytes().to_vec());
        self.respelled.lock().unwrap_or_else(PoisonError::into_inner).insert(key, place);
    }

    fn report_advance(&self) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let tally = &self.tally;
        let items = read(&tally.restored) + read(&tally.kept) + read(&tally.skipped) + read(&tally.lost);
        self.progress.report(Event::Advanced {
            agent: AGENT.to_owned(),
            items,
            items_total: read(&tally.planned).max(items),
            bytes: read(&tally.bytes),
            bytes_total: read(&tally.planned_bytes).max(read(&tally.bytes)),
            listed: tally.listed.load(Ordering::Relaxed),
        });
    }
}

impl Tally {
    fn report(&self) -> RestoreReport {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RestoreReport {
            restored: read(&self.restored),
            bytes: read(&self.bytes),
            kept: read(&self.kept),
            skipped: read(&self.skipped),
            lost: read(&self.lost),
            deleted: read(&self.deleted),
            unset: read(&self.unset),
        }
    }
}
