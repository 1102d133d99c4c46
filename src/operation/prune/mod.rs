//! `prune`: space comes back, while anyone may go on writing.
//!
//! A generation is begun by an intent that condemns packs, decided by a manifest once every session that may count on them
//! has ended, then swept. Each step can be repeated and taken over by anyone; no step waits for a lock, and none is undone.
//! The steps P0 to P7 are those of `tests/model`. `usage` and `plan` choose, `repack` writes anew what is worth it.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::id::{SegmentId, SnapshotId};
use crate::operation::mark::{Marks, Unmarked, mark};
use crate::operation::prune::decide::{Decided, await_writers, decide};
use crate::operation::prune::plan::{Limits, Plan, plan};
use crate::operation::prune::repack::repack;
use crate::operation::prune::sweep::{Swept, sweep};
use crate::operation::prune::usage::usage;
use crate::operation::reach::Reached;
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation, Intent};
use crate::repository::index::Index;
use crate::repository::session::{Mode, SessionMark};
use crate::resource::escape_path;
use crate::storage::{Put, Writers};

pub(super) mod decide;
pub mod plan;
pub(super) mod rebase;
mod repack;
mod sweep;
pub mod usage;

/// The name of the work in events.
const AGENT: &str = "prune";
/// Deltas beyond which a generation is begun though nothing is to be deleted: reading the index costs a request for each.
const DELTAS_MAX: usize = 64;
/// How often a prune that finds another's generation open helps it and begins again.
const ROUNDS_MAX: usize = 8;

/// What a prune may do.
pub struct PruneRequest<'p> {
    /// What may stay unused, and how much may be written for it.
    pub limits: Limits,
    /// Longest time for repacking, if there is one.
    pub max_time: Option<Duration>,
    /// Whether anything is written.
    pub mode: Mode,
    /// Whether the user vouches that nobody else writes meanwhile, as a store needs that cannot create if absent.
    pub exclusive: bool,
    /// Who prunes.
    pub mark: SessionMark,
    /// How long writers are waited for.
    pub patience: &'p dyn Patience,
}

/// How long a prune waits for writers.
pub trait Patience: Sync {
    /// Waits a little; `false` says that it was long enough.
    fn pause(&self) -> bool;
}

/// What a prune did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// What it chose; nothing where it only ended another's work.
    pub plan: Plan,
    /// What the snapshots refer to.
    pub reached: Reached,
    /// The generation that was decided; none in a dry run, or where there was nothing to do.
    pub generation: Option<u64>,
    /// Generations of other prunes that it helped to their end.
    pub helped: u64,
    /// Writers that may still count on what is to go: the next prune ends what this one began.
    pub waits_for: Vec<String>,
    /// What was deleted.
    pub swept: Swept,
}

/// Why a prune ended early. Nothing is lost by it, and the next one goes on.
#[derive(Debug, Error)]
pub enum PruneError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Something that decides what may go cannot be read (P0).
    #[error("nothing is pruned while this cannot be read: {what}")]
    Damaged {
        /// What, and why not.
        what: String,
    },
    /// The store overwrites what is there, so nobody can decide anything for all.
    #[error("this store does not keep conditional puts: nothing may write to it while it is pruned")]
    SingleWriter,
    /// The user asked to stop.
    #[error("interrupted; the next prune goes on")]
    Interrupted,
    /// Other prunes began one generation after another.
    #[error("other prunes are at work all the time")]
    Outrun,
}

impl PruneError {
    /// An error if anything is damaged.
    fn stop_at(damaged: Vec<impl Display>) -> Result<(), Self> {
        match damaged.into_iter().next() {
            None => Ok(()),
            Some(first) => Err(Self::Damaged { what: first.to_string() }),
        }
    }
}

impl From<crate::storage::StorageError> for PruneError {
    fn from(error: crate::storage::StorageError) -> Self {
        Self::Repository(error.into())
    }
}

impl From<Unmarked> for PruneError {
    fn from(unmarked: Unmarked) -> Self {
        match unmarked {
            Unmarked::Interrupted => Self::Interrupted,
            Unmarked::Fault(fault) => Self::Damaged {
                what: format!("{} in snapshot {}: {}", escape_path(&fault.path), fault.snapshot, fault.reason),
            },
        }
    }
}

/// Gives back the space of what no snapshot refers to.
pub fn prune(
    repository: &Arc<Repository>,
    request: &PruneRequest<'_>,
    progress: &dyn Progress,
) -> Result<PruneReport, PruneError> {
    repository.config().writable()?;
    if request.mode == Mode::Write && !request.exclusive && repository.writers()? == Writers::One {
        return Err(PruneError::SingleWriter);
    }
    progress.report(Event::Started { agent: AGENT.to_owned() });
    let report = run(repository, request, progress);
    if report.as_ref().is_ok_and(|report| report.swept.packs > 0 || report.generation.is_some()) {
        repository.restore_reserve();
    }
    progress.report(Event::Finished { agent: AGENT.to_owned() });
    report
}

fn run(
    repository: &Arc<Repository>,
    request: &PruneRequest<'_>,
    progress: &dyn Progress,
) -> Result<PruneReport, PruneError> {
    let mut report = PruneReport::default();
    for _ in 0..ROUNDS_MAX {
        let generation = readable_generation(repository)?;
        if request.mode == Mode::Write {
            if let Some(intent) = &generation.open {
                // P2: another's generation comes first, with the list of whoever began it.
                if !end_generation(repository, request, &generation, intent, &mut report, progress)? {
                    return Ok(report);
                }
                report.helped += 1;
                continue;
            }
            sweep_again(repository, &generation, &mut report, progress)?;
        }
        let number = generation.number + 1;
        let intent = match choose(repository, request, &generation, &mut report, progress) {
            // Another may have decided and swept what was being read here.
            Err(_) if has_decided(repository, number)? => continue,
            // Another held its repacking for dead.
            Err(PruneError::Repository(RepositoryError::Revoked)) => continue,
            intent => intent?,
        };
        let Some(intent) = intent else { return Ok(report) };
        let put = with_room(repository, || Ok(repository.put_intent(number, &intent)?))?;
        let begun = repository.intent(number)?;
        if put == Put::Exists && begun != intent {
            continue;
        }
        let generation = Generation { open: Some(begun.clone()), ..generation };
        if end_generation(repository, request, &generation, &begun, &mut report, progress)? {
            report.generation = Some(number);
        }
        return Ok(report);
    }
    Err(PruneError::Outrun)
}

/// The generation, if all that says it can be read (P0).
fn readable_generation(repository: &Repository) -> Result<Generation, PruneError> {
    let generation = match repository.generation(Access::Write) {
        Err(error) if error.is_damage() => return Err(PruneError::Damaged { what: error.to_string() }),
        generation => generation?,
    };
    if generation.number > 0 && generation.hash.is_empty() {
        let what = format!("g/{}.commit, though its copy can", generation.number);
        return Err(PruneError::Damaged { what });
    }
    Ok(generation)
}

/// Whether generation `number` is decided.
fn has_decided(repository: &Repository, number: u64) -> Result<bool, RepositoryError> {
    Ok(repository.generation(Access::Read)?.number >= number)
}

/// What a prune would do once these snapshots are forgotten too. Nothing is written.
pub fn foretell(
    repository: &Repository,
    forgotten: &HashSet<SnapshotId>,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Plan, PruneError> {
    let mut rounds = ROUNDS_MAX;
    loop {
        let generation = readable_generation(repository)?;
        rounds -= 1;
        match survey(repository, &generation, forgotten, limits, progress) {
            // Another prune may have swept what was being read here.
            Err(_) if rounds > 0 && has_decided(repository, generation.number + 1)? => {}
            survey => return survey.map(|survey| survey.plan),
        }
    }
}

/// What is there, what of it is in use, and what would be done.
struct Survey {
    index: Index,
    marks: Marks,
    reached: Reached,
    plan: Plan,
}

fn survey(
    repository: &Repository,
    generation: &Generation,
    forgotten: &HashSet<SnapshotId>,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Survey, PruneError> {
    let mut snapshots = repository.snapshots_of(generation)?;
    PruneError::stop_at(snapshots.damaged)?;
    snapshots.valid.retain(|snapshot| !forgotten.contains(&snapshot.id));
    let (mut index, damaged) = repository.index_at(generation)?;
    PruneError::stop_at(damaged)?;
    let stored = repository.stored_packs()?;
    index.set_absent_packs_aside(&stored);
    let (marks, reached) = mark(repository, &index, &snapshots.valid, progress)?;
    let plan = plan(&usage(&index, &marks, &stored), limits);
    Ok(Survey { index, marks, reached, plan })
}

/// P1: what is condemned, after what is worth it was written anew; `None` where there is nothing to do, or in a dry run.
fn choose(
    repository: &Arc<Repository>,
    request: &PruneRequest<'_>,
    generation: &Generation,
    report: &mut PruneReport,
    progress: &dyn Progress,
) -> Result<Option<Intent>, PruneError> {
    let Survey { index, marks, reached, plan } =
        survey(repository, generation, &HashSet::new(), request.limits, progress)?;
    (report.reached, report.plan) = (reached, plan);
    if request.mode == Mode::DryRun {
        return Ok(None);
    }
    let spared = repack(repository, request, &report.plan, &index, &marks, progress)?;
    let condemned: Vec<_> =
        report.plan.condemned.iter().map(|(pack, _)| *pack).filter(|pack| !spared.contains(pack)).collect();
    if condemned.is_empty() && repository.delta_count(generation.number)? <= DELTAS_MAX {
        return Ok(None);
    }
    Ok(Some(Intent { condemned, distrusted: Vec::new() }))
}

/// P3 to P7 for the generation that is open; whether it was ended, or writers must be waited for.
fn end_generation(
    repository: &Repository,
    request: &PruneRequest<'_>,
    generation: &Generation,
    intent: &Intent,
    report: &mut PruneReport,
    progress: &dyn Progress,
) -> Result<bool, PruneError> {
    let number = generation.number + 1;
    let waits_for =
        with_room(repository, || await_writers(repository, &request.mark, request.patience, number, progress))?;
    if !waits_for.is_empty() {
        report.waits_for = waits_for.iter().map(|session| session.writer()).collect();
        return Ok(false);
    }
    let decided = with_room(repository, || decide(repository, number, intent, generation, progress));
    let Decided { manifest, mut orphans, .. } = match decided {
        // As above.
        Err(_) if has_decided(repository, number)? => {
            Decided { manifest: repository.manifest(number)?.0, is_ours: false, orphans: Vec::new() }
        }
        decided => decided?,
    };
    orphans.extend(generation.manifest.segments.iter().map(|segment| segment.id));
    let swept = sweep(repository, number, &manifest, &orphans, progress)?;
    report.swept.add(swept);
    Ok(true)
}

/// Ends what a prune that was cut short left undone: the manifest's copy, the sweep.
fn sweep_again(
    repository: &Repository,
    generation: &Generation,
    report: &mut PruneReport,
    progress: &dyn Progress,
) -> Result<(), PruneError> {
    if generation.number > 0 {
        with_room(repository, || Ok(repository.mend_manifest_copy(generation.number, &generation.manifest)?))?;
    }
    let before: Vec<SegmentId> = match generation.number {
        0 => return Ok(()),
        1 => Vec::new(),
        number => repository.manifest(number - 1)?.0.segments.iter().map(|segment| segment.id).collect(),
    };
    report.swept.add(sweep(repository, generation.number, &generation.manifest, &before, progress)?);
    Ok(())
}

/// Does something; on a full disk once more without the reserve, which is there for this.
fn with_room<T>(repository: &Repository, act: impl Fn() -> Result<T, PruneError>) -> Result<T, PruneError> {
    match act() {
        Err(PruneError::Repository(error)) if error.is_full() => {
            repository.free_reserve()?;
            act()
        }
        outcome => outcome,
    }
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.packs += other.packs;
        self.bytes += other.bytes;
        self.others += other.others;
    }
}
