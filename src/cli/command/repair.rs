//! `snap repair`: makes good what can be made good of a damaged repository.
//!
//! Each action shows its plan, then carries it out; with `--dry-run` only the plan.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::arguments::Talk;
use crate::cli::command::prune::{Until, time};
use crate::cli::consent::Consent;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::repository;
use crate::cli::text;
use crate::cli::view::{id_digits, local_time, resolve, short_id};
use crate::cli::watch::{Items, Watch};
use crate::id::PackId;
use crate::operation::backup::session_mark;
use crate::operation::check::{CheckRequest, Depth};
use crate::operation::repair::{self, RepairError, Repaired, Repairing};
use crate::repository::Repository;

/// Makes good what can be made good of a damaged repository
///
/// `snap check` says what is damaged. Nothing is deleted, and anyone may go on working meanwhile. In this order: the index,
/// the packs, a backup of what is still there (it sends anew what was lost), then the snapshots.
///
/// Examples:
///   snap repair index
///   snap repair packs --dry-run
///   snap repair snapshots --forget
///
/// Exit codes:
///   0 done, or nothing to do · 1 failed · 2 usage · 10 no repository · 11 writers that began before are under way ·
///   12 wrong password · 13 store unreachable · 130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to repair.
    #[command(subcommand)]
    pub action: Action,
}

/// What is repaired.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make the index anew of what the packs say themselves
    ///
    /// Examples:
    ///   snap repair index --dry-run
    ///
    /// Exit codes:
    ///   0 done, or nothing to do · 1 failed · 11 writers that began before are under way
    #[command(verbatim_doc_comment)]
    Index {
        /// How.
        #[command(flatten)]
        how: HowArgs,
    },
    /// Read packs byte by byte, store anew what is intact in damaged ones, count on them no longer
    ///
    /// What is lost comes back with the next backup that still has it.
    ///
    /// Examples:
    ///   snap repair packs
    ///
    /// Exit codes:
    ///   0 done, or nothing to do · 1 failed · 11 writers that began before are under way
    #[command(verbatim_doc_comment)]
    Packs {
        /// Packs to read, by their whole ids; all of them where none is named
        #[arg(value_name = "PACK", value_parser = pack)]
        packs: Vec<PackId>,
        /// How.
        #[command(flatten)]
        how: HowArgs,
    },
    /// Beside each snapshot that lost something, make one of all that is left
    ///
    /// The new snapshot names what is missing. The old one stays, and mounted it gives what is left even of damaged files,
    /// until --forget marks it as forgotten.
    ///
    /// Examples:
    ///   snap repair snapshots --dry-run
    ///   snap repair snapshots latest --forget
    ///
    /// Exit codes:
    ///   0 done, or nothing to do · 1 failed
    #[command(verbatim_doc_comment)]
    Snapshots {
        /// Snapshots to look at; all of them where none is named
        #[arg(value_name = "REF")]
        references: Vec<OsString>,
        /// Forget the old ones, and those whose record cannot be read
        #[arg(long)]
        forget: bool,
        /// Do not ask
        #[arg(short, long, requires = "forget")]
        yes: bool,
        /// Show what would be done, change nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
}

/// How a repair goes.
#[derive(Clone, Debug, clap::Args)]
pub struct HowArgs {
    /// Show what would be done, change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// How long to wait for writers that began earlier
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub wait: Duration,
    /// Nobody else writes meanwhile: needed where the store ignores conditional puts
    #[arg(long)]
    pub exclusive: bool,
}

fn pack(text: &str) -> Result<PackId, &'static str> {
    text.parse().map_err(|_| "it should be the whole id of a pack, as `snap check` shows it")
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let repository = repository::open(context)?;
    match &arguments.action {
        Action::Index { how } => index(context, &repository, how),
        Action::Packs { packs: chosen, how } => packs(context, &repository, chosen, how),
        Action::Snapshots { references, forget, yes, dry_run } => {
            let wish = Wish { forget: *forget, consent: Consent::of_flag(*yes), dry_run: *dry_run };
            snapshots(context, &repository, references, &wish)
        }
    }
}

type Shared = std::sync::Arc<Repository>;

/// Does something that may be interrupted, under a watch.
fn watched<T>(
    context: &Context,
    items: Items,
    act: impl FnOnce(&Watch) -> Result<T, RepairError>,
) -> Result<T, Failure> {
    let watch = context.begin("repair", items)?;
    let result = act(&watch);
    let stop = watch.stop_requested();
    context.end(watch);
    match (result, stop) {
        (Err(RepairError::Interrupted), Some(status)) => Err(Failure::interrupted(status)),
        (result, _) => Ok(result?),
    }
}

fn repaired(
    context: &Context,
    repository: &Shared,
    how: &HowArgs,
    act: impl FnOnce(&Shared, &Repairing<'_>, &Watch) -> Result<Repaired, RepairError>,
) -> Result<ExitStatus, Failure> {
    let patience = Until(Instant::now() + how.wait);
    let mark = session_mark(context.host(), jiff::Timestamp::now());
    let repairing = Repairing { mark, exclusive: how.exclusive, patience: &patience };
    let done = watched(context, Items::Counted, |watch| act(repository, &repairing, watch))?;
    match done {
        Repaired::At(generation) => {
            say(context, &format!("repaired, generation {generation}"))?;
            Ok(ExitStatus::Done)
        }
        Repaired::WaitsFor(writers) => {
            let hint = "run it again when they have ended, or with a longer --wait";
            Err(Failure::new(ExitStatus::Conflict, format!("writers are under way: {}", writers.join(", ")))
                .with_hint(hint))
        }
    }
}

fn index(context: &Context, repository: &Shared, how: &HowArgs) -> Result<ExitStatus, Failure> {
    let plan = watched(context, Items::Counted, |watch| repair::index::plan(repository, watch))?;
    for damaged in &plan.damaged {
        say(context, &format!("{} {}", context.palette.attention("!"), text::harmless(damaged)))?;
    }
    if plan.is_empty() {
        say(context, "the index is whole: nothing to repair")?;
    } else {
        let (packs, bytes) = (text::count(plan.recovered.len() as u64), text::bytes(plan.recovered_bytes));
        say(context, &format!("{packs} packs, {bytes}, are named by what they say themselves"))?;
    }
    let status = match plan.is_empty() || how.dry_run {
        true => ExitStatus::Done,
        false => repaired(context, repository, how, |repository, repairing, watch| {
            repair::index::apply(repository, repairing, watch)
        })?,
    };
    summary(
        context,
        json!({ "what": "index", "dry_run": how.dry_run, "damaged": plan.damaged, "recovered_packs": plan.recovered,
            "recovered_bytes": plan.recovered_bytes }),
    )?;
    Ok(status)
}

fn packs(context: &Context, repository: &Shared, chosen: &[PackId], how: &HowArgs) -> Result<ExitStatus, Failure> {
    let request = CheckRequest {
        depth: Depth::Data(100.0),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        now: jiff::Timestamp::now(),
    };
    let chosen = (!chosen.is_empty()).then_some(chosen);
    let plan = watched(context, Items::Counted, |watch| repair::packs::plan(repository, chosen, &request, watch))?;
    for pack in &plan.damaged {
        let reason = text::harmless(&pack.reason);
        say(context, &format!("{} pack {} is damaged: {reason}", context.palette.attention("!"), pack.id))?;
        let [chunks, saved, lost] = [pack.chunks, pack.saved, pack.lost].map(text::count);
        say(
            context,
            &format!("  of {chunks} chunks {saved} are stored anew, {lost} are lost, the others lie elsewhere too"),
        )?;
    }
    for pack in &plan.missing {
        say(context, &format!("{} pack {pack} is gone; backups send anew what was in it", context.palette.bad("-")))?;
    }
    let (read, bytes) = (text::count(plan.read.packs), text::bytes(plan.read.bytes));
    say(context, &format!("{read} packs read, {bytes}"))?;
    let status = match plan.is_empty() || how.dry_run {
        true => ExitStatus::Done,
        false => repaired(context, repository, how, |repository, repairing, watch| {
            repair::packs::apply(repository, &plan, repairing, watch)
        })?,
    };
    let damaged = |pack: &repair::packs::DamagedPack| {
        json!({ "pack": pack.id, "reason": pack.reason, "was_distrusted": pack.is_distrusted, "chunks": pack.chunks,
            "stored_anew": pack.saved, "lost": pack.lost })
    };
    let damaged: Vec<Value> = plan.damaged.iter().map(damaged).collect();
    summary(
        context,
        json!({ "what": "packs", "dry_run": how.dry_run, "read_packs": plan.read.packs, "read_bytes": plan.read.bytes,
            "damaged": damaged, "missing": plan.missing }),
    )?;
    Ok(status)
}

/// What is to become of the old snapshots.
struct Wish {
    forget: bool,
    consent: Consent,
    dry_run: bool,
}

fn snapshots(
    context: &Context,
    repository: &Shared,
    references: &[OsString],
    wish: &Wish,
) -> Result<ExitStatus, Failure> {
    let all = repository.snapshots()?;
    let digits = id_digits(&all.valid);
    let mut chosen = Vec::new();
    for text in references {
        chosen.push(resolve(context, &all.valid, &context.reference(text)?)?.clone());
    }
    let chosen = if references.is_empty() { all.valid } else { chosen };
    let plan =
        watched(context, Items::Counted, |watch| repair::snapshots::plan(repository, chosen, all.damaged, watch))?;
    for hurt in &plan.hurt {
        let (id, time) = (short_id(hurt.snapshot.id, digits), local_time(hurt.snapshot.record.time));
        say(
            context,
            &format!("{} {id}  {time} lost {} things:", context.palette.bad("-"), text::count(hurt.fault_count)),
        )?;
        for fault in hurt.faults.iter().take(FAULTS_SHOWN) {
            say(context, &format!("    {}: {}", text::printable(&fault.path), text::harmless(&fault.reason)))?;
        }
    }
    for cell in &plan.unreadable {
        let what = if wish.forget { "its record cannot be read; it is forgotten" } else { "its record cannot be read" };
        say(context, &format!("{} {}: {what}: {cell}", context.palette.bad("-"), short_id(cell.id, digits)))?;
    }
    if plan.hurt.is_empty() && (plan.unreadable.is_empty() || !wish.forget) {
        say(context, "no snapshot that can be read lost anything: nothing to repair")?;
    }
    let mut made = Vec::new();
    if !wish.dry_run {
        let forgets = plan.hurt.len() + plan.unreadable.len();
        if wish.forget && forgets > 0 {
            wish.consent.obtainable("forgetting damaged snapshots")?;
            if !wish.consent.ask(&[], &format!("Forget {forgets} damaged snapshots?"))? {
                return Err(Failure::new(ExitStatus::Failed, "nothing was changed, as you did not agree"));
            }
        }
        made = carry_out(context, repository, &plan, wish, digits)?;
    }
    let hurt = plan
        .hurt
        .iter()
        .enumerate()
        .map(|(at, hurt)| json!({ "old": hurt.snapshot.id, "new": made.get(at), "lost": hurt.fault_count }));
    let hurt: Vec<Value> = hurt.collect();
    let unreadable: Vec<_> = plan.unreadable.iter().map(|cell| cell.id).collect();
    summary(
        context,
        json!({ "what": "snapshots", "dry_run": wish.dry_run, "forgotten": wish.forget && !wish.dry_run,
            "snapshots": hurt, "unreadable": unreadable }),
    )?;
    Ok(ExitStatus::Done)
}

/// Losses of one snapshot that are shown to people.
const FAULTS_SHOWN: usize = 10;

fn carry_out(
    context: &Context,
    repository: &Shared,
    plan: &repair::snapshots::SnapshotsPlan,
    wish: &Wish,
    digits: usize,
) -> Result<Vec<crate::id::SnapshotId>, Failure> {
    let mut made = Vec::new();
    let now = jiff::Timestamp::now();
    for hurt in &plan.hurt {
        let patience = Until(Instant::now());
        let mark = session_mark(context.host(), jiff::Timestamp::now());
        let repairing = Repairing { mark, exclusive: false, patience: &patience };
        let new =
            watched(context, Items::Counted, |watch| repair::snapshots::apply(repository, hurt, &repairing, watch))?;
        say(context, &format!("{} is now {}, with gaps", short_id(hurt.snapshot.id, digits), short_id(new, digits)))?;
        made.push(new);
        if wish.forget {
            repository.forget(hurt.snapshot.id, now, context.host())?;
        }
    }
    if wish.forget {
        for cell in &plan.unreadable {
            repository.forget(cell.id, now, context.host())?;
        }
    }
    Ok(made)
}

/// A line for people.
fn say(context: &Context, line: &str) -> Result<(), Failure> {
    if context.talk() == Talk::Quiet { Ok(()) } else { context.output.line(line) }
}

fn summary(context: &Context, members: Value) -> Result<(), Failure> {
    let mut summary = json!({
        "type": "summary", "command": "repair", "status": ExitStatus::Done.word(), "code": ExitStatus::Done.code(),
    });
    if let (Value::Object(summary), Value::Object(members)) = (&mut summary, members) {
        summary.extend(members);
    }
    context.output.json_line(&summary)
}

impl From<RepairError> for Failure {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Repository(error) => error.into(),
            RepairError::Generation(error) => error.into(),
            RepairError::Tree(_) => Self::of(ExitStatus::Failed, &error),
            RepairError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
        }
    }
}
