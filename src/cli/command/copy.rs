//! `snap copy`: snapshots of another repository into this one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::cli::arguments::Talk;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::{Location, LocationError, Presence, WhenAbsent};
use crate::cli::repository::{self, opener_of_secret};
use crate::cli::secret::SecretSource;
use crate::cli::selection::SelectionArgs;
use crate::cli::text;
use crate::cli::view::{id_digits, local_time, resolve, short_id};
use crate::cli::watch::{Items, Watch};
use crate::id::SnapshotId;
use crate::operation::backup::session_mark;
use crate::operation::copy::{CopyError, CopyPlan, Copying, copy, plan};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::reader::Reader;
use crate::repository::session::Mode;
use crate::repository::snapshot::Snapshot;

/// Copies snapshots from another repository into this one
///
/// All that are not here yet, or those named; oldest first. Each repository has keys of its own and cuts by them, so every
/// byte is read, cut anew and stored; what is here already, also from backups, is not stored again. A copy that was
/// interrupted goes on where it stopped.
///
/// The password or key of the other repository is that of this one unless --from-… says otherwise.
///
/// Examples:
///   snap copy --from /mnt/disk/backup
///   snap copy -r s3://bucket/prefix --from /mnt/disk/backup --from-password-file ~/.disk-password
///   snap copy --from /mnt/disk/backup latest --dry-run
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 3 some snapshots could not be copied whole and are not here · 10 no repository ·
///   11 conflicting operation · 12 wrong password · 13 store unreachable · 130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshots of the other repository; all of them where none is named
    #[arg(value_name = "REF")]
    pub references: Vec<OsString>,
    /// The other repository: a folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// Holds the password of the other repository
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from_key_file", "from_password_command"])]
    pub from_password_file: Option<PathBuf>,
    /// Holds the key of the other repository
    #[arg(long, value_name = "FILE", conflicts_with = "from_password_command")]
    pub from_key_file: Option<PathBuf>,
    /// Prints the password of the other repository
    #[arg(long, value_name = "COMMAND")]
    pub from_password_command: Option<String>,
    /// Which of those are copied.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Make this repository if there is none
    #[arg(long)]
    pub init: bool,
    /// Read and cut as much, write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let source = open_source(arguments, context)?;
    let when_absent = if arguments.init && !arguments.dry_run { WhenAbsent::Create } else { WhenAbsent::Refuse };
    let target = repository::open_or_create(context, when_absent)?;
    if source.config().id == target.config().id {
        return Err(Failure::usage("both are the same repository"));
    }
    let all = snapshots(context, &source)?;
    let plan = plan(&source, &target, &all, choose(arguments, context, &all)?)?;
    tell(context, &plan)?;
    let watch = context.begin("copy", Items::Counted)?;
    repository::report_notices(&target, &watch);
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let result = carry_out(context, (&source, &target), &plan, mode, &watch);
    let stop = watch.stop_requested();
    context.end(watch);
    let tally = match (result, stop) {
        (Err(Ended::Copy(CopyError::Interrupted)), Some(status)) => return Err(Failure::interrupted(status)),
        (Err(Ended::Copy(error)), _) => return Err(error.into()),
        (Err(Ended::Output(failure)), _) => return Err(failure),
        (Ok(tally), _) => tally,
    };
    let status = if tally.incomplete == 0 { ExitStatus::Done } else { ExitStatus::Incomplete };
    context.output.json_line(&json!({
        "type": "summary", "command": "copy", "status": status.word(), "code": status.code(),
        "dry_run": arguments.dry_run, "copied": tally.copied, "there_already": plan.copied.ids().len(),
        "incomplete": tally.incomplete, "bytes_new": tally.bytes_new, "bytes_stored": tally.bytes_stored,
        "cut_anew": !plan.is_cut_alike,
    }))?;
    if context.talk() != Talk::Quiet {
        let (count, new) = (text::count(tally.copied), text::bytes(tally.bytes_new));
        let stored = text::bytes(tally.bytes_stored);
        context.output.line(&format!("{count} snapshots copied: {new} new, {stored} stored"))?;
    }
    Ok(status)
}

/// What is said beforehand.
fn tell(context: &Context, plan: &CopyPlan) -> Result<(), Failure> {
    if context.talk() == Talk::Quiet {
        return Ok(());
    }
    let (pending, there) = (text::count(plan.pending.len() as u64), text::count(plan.copied.ids().len() as u64));
    context.output.line(&format!("{pending} snapshots to copy, {there} are here already"))?;
    if !plan.is_cut_alike && !plan.pending.is_empty() {
        context.output.line("the repositories cut by other keys: all content is read and cut anew")?;
    }
    Ok(())
}

/// What came of it.
#[derive(Default)]
struct Tally {
    copied: u64,
    incomplete: u64,
    bytes_new: u64,
    bytes_stored: u64,
}

enum Ended {
    Copy(CopyError),
    Output(Failure),
}

fn carry_out(
    context: &Context,
    (source, target): (&Repository, &Arc<Repository>),
    plan: &CopyPlan,
    mode: Mode,
    watch: &Watch,
) -> Result<Tally, Ended> {
    let mut tally = Tally::default();
    if plan.pending.is_empty() {
        return Ok(tally);
    }
    // One for all of them, after the list of snapshots: what it misses later it looks for in the index as it is by then.
    let (index, _) = source.whole_index().map_err(|error| Ended::Copy(error.into()))?;
    let from = Reader::new(source, &index);
    let mut copied = plan.copied.clone();
    let digits = id_digits(&plan.pending);
    for snapshot in &plan.pending {
        let mark = session_mark(context.host(), jiff::Timestamp::now());
        let copying = Copying { mark, mode };
        match copy(&from, target, snapshot, &copied, &copying, watch) {
            Ok(done) => {
                tally.copied += 1;
                tally.bytes_new += done.bytes_new;
                tally.bytes_stored += done.bytes_stored;
                say(context, snapshot, done.pair.target.id, mode, digits).map_err(Ended::Output)?;
                if mode == Mode::Write {
                    copied.add(done.pair);
                }
            }
            Err(error @ CopyError::Incomplete { .. }) => {
                tally.incomplete += 1;
                watch.report(Event::Failed { path: Vec::new(), message: error.to_string() });
            }
            Err(error) => return Err(Ended::Copy(error)),
        }
    }
    Ok(tally)
}

fn say(context: &Context, old: &Snapshot, new: SnapshotId, mode: Mode, digits: usize) -> Result<(), Failure> {
    let written = (mode == Mode::Write).then_some(new);
    context.output.json_line(&json!({
        "type": "item", "action": "copied", "old": old.id, "new": written, "series": old.record.series,
        "time": old.record.time,
    }))?;
    if context.talk() == Talk::Quiet {
        return Ok(());
    }
    let of = format!("{}, {}", local_time(old.record.time), text::printable(old.record.series.as_bytes()));
    let id = short_id(old.id, digits);
    context.output.line(&match written {
        Some(new) => format!("{id} is here as {} ({of})", short_id(new, digits)),
        None => format!("{id} would be copied ({of})"),
    })
}

/// All snapshots of the other repository.
fn snapshots(context: &Context, source: &Repository) -> Result<Vec<Snapshot>, Failure> {
    let found = source.snapshots()?;
    for damaged in &found.damaged {
        context.remark(&format!("a snapshot of the other repository cannot be read: {damaged}"));
    }
    Ok(found.valid)
}

fn choose(arguments: &Args, context: &Context, all: &[Snapshot]) -> Result<Vec<Snapshot>, Failure> {
    let mut chosen: Vec<Snapshot> = Vec::new();
    for text in &arguments.references {
        let snapshot = resolve(context, all, &context.reference(text)?)?;
        if !chosen.iter().any(|other| other.id == snapshot.id) {
            chosen.push(snapshot.clone());
        }
    }
    if arguments.references.is_empty() {
        chosen = all.to_vec();
    }
    let selection = arguments.selection.selection();
    chosen.retain(|snapshot| selection.includes(&snapshot.record));
    Ok(chosen)
}

/// Opens the other repository with its own secret, or with this one's.
fn open_source(arguments: &Args, context: &Context) -> Result<Arc<Repository>, Failure> {
    let environment = &context.environment;
    let location = Location::of_text(&arguments.from, environment)?;
    if context.presence(&location)? == Presence::Absent {
        return Err(LocationError::Absent { location }.into());
    }
    let resolve = |path: &PathBuf| environment.resolve(&environment.current_folder, path);
    let secret = if let Some(path) = &arguments.from_password_file {
        SecretSource::File(resolve(path))
    } else if let Some(path) = &arguments.from_key_file {
        SecretSource::KeyFile(resolve(path))
    } else if let Some(command) = &arguments.from_password_command {
        SecretSource::Command(command.split_whitespace().map(str::to_owned).collect())
    } else if let Location::Embedded { key_file, .. } = &location {
        SecretSource::KeyFile(key_file.clone())
    } else {
        context.secret_source(&location)
    };
    let opener = opener_of_secret(&secret.read(environment, context.empty_password())?)?;
    let storage = context.stores.open(&location, &context.settings)?;
    let opened = Repository::open(storage, &opener, context.cache_folder());
    let repository = opened.map_err(|error| Failure::from(error).while_doing("the repository to copy from"))?;
    for notice in repository.notices() {
        context.remark(&format!("the repository to copy from: {notice}"));
    }
    Ok(Arc::new(repository))
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Repository(error) => error.into(),
            CopyError::Incomplete { .. } | CopyError::Tree(_) => Self::of(ExitStatus::Failed, &error),
            CopyError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
        }
    }
}
