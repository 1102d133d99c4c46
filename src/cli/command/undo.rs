//! `snap undo`: brings forgotten snapshots back.
//!
//! Which the last `forget` took, and whether one can still be had, is the operation's business.

use std::ffi::OsString;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::arguments::Talk;
use crate::cli::command::tag::UNDER_WAY;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::table::{Lean, lines};
use crate::cli::view::{id_digits, local_time, short_id, snapshots};
use crate::cli::watch::{Items, Watch};
use crate::cli::{repository, text};
use crate::operation::amend::Amending;
use crate::operation::undo::{UndoError, Undone, last_forgotten, still_forgotten, undo};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::forgotten::Forgotten;
use crate::repository::session::Mode;
use crate::repository::snapshot::Snapshot;

/// Brings forgotten snapshots back
///
/// Those that the last `snap forget` took and that are not back yet, or those named. Each comes back under a new id, with
/// the time, series and tags it had, once it is proven that all of it is there. After a prune has taken its data it is too
/// late, and undo says so. The same rules would forget it again: give it a tag that they keep.
///
/// Examples:
///   snap undo --dry-run
///   snap undo
///   snap undo --list
///   snap undo 4ac1d2
///
/// Exit codes:
///   0 done · 1 failed, nothing is forgotten, or it is too late · 2 usage · 3 some are back, for others it is too late ·
///   10 no repository · 11 conflicting operation · 12 wrong password · 13 store unreachable · 130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Forgotten snapshots
    #[arg(value_name = "ID")]
    pub references: Vec<OsString>,
    /// List what is forgotten and not back
    #[arg(long, conflicts_with_all = ["references", "dry_run"])]
    pub list: bool,
    /// Prove that they can come back, change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let repository = repository::open(context)?;
    let valid = snapshots(context, &repository)?;
    let forgotten = repository.forgotten()?;
    for damaged in &forgotten.damaged {
        context.remark(&format!("a forgotten snapshot cannot be read: {damaged}"));
    }
    let forgotten = forgotten.readable;
    if arguments.list {
        return list(context, &still_forgotten(&forgotten, &valid));
    }
    let chosen = choose(arguments, context, &forgotten, &valid)?;
    let watch = context.begin("undo", Items::Counted)?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let result = bring_back(context, &repository, (&chosen, &forgotten, &valid), mode, &watch);
    let stop = watch.stop_requested();
    context.end(watch);
    let tally = match result {
        Err(UndoFailure::Undo(UndoError::Interrupted)) => {
            return Err(Failure::interrupted(stop.unwrap_or(ExitStatus::Interrupted)));
        }
        Err(UndoFailure::Undo(error)) => return Err(error.into()),
        Err(UndoFailure::Output(failure)) => return Err(failure),
        Ok(tally) => tally,
    };
    let status = match (tally.back, tally.late) {
        (_, 0) => ExitStatus::Done,
        (0, _) => ExitStatus::Failed,
        _ => ExitStatus::Incomplete,
    };
    context.output.json_line(&json!({
        "type": "summary", "command": "undo", "status": status.word(), "code": status.code(),
        "dry_run": arguments.dry_run, "back": tally.back, "too_late": tally.late,
    }))?;
    Ok(status)
}

/// Those that are named, or those that the last `forget` took.
fn choose<'f>(
    arguments: &Args,
    context: &Context,
    forgotten: &'f [Forgotten],
    valid: &[Snapshot],
) -> Result<Vec<&'f Forgotten>, Failure> {
    if arguments.references.is_empty() {
        let last = last_forgotten(forgotten, valid);
        if last.is_empty() {
            return Err(Failure::new(ExitStatus::Failed, "there is nothing to bring back"));
        }
        return Ok(last);
    }
    let listed: Vec<_> = forgotten.iter().map(|one| (one.snapshot.id, &one.snapshot.record)).collect();
    let mut chosen: Vec<&Forgotten> = Vec::new();
    for text in &arguments.references {
        let id = context.resolve(&listed, &context.reference(text)?).map_err(|failure| {
            let hint = "`snap undo --list` shows what is forgotten and can come back";
            failure.while_doing("among the forgotten snapshots").with_hint(hint)
        })?;
        if !chosen.iter().any(|other| other.snapshot.id == id) {
            chosen.extend(forgotten.iter().find(|one| one.snapshot.id == id));
        }
    }
    Ok(chosen)
}

/// How many came back, or would.
#[derive(Default)]
struct Tally {
    back: usize,
    late: usize,
}

enum UndoFailure {
    Undo(UndoError),
    Output(Failure),
}

fn bring_back(
    context: &Context,
    repository: &Arc<Repository>,
    (chosen, forgotten, valid): (&[&Forgotten], &[Forgotten], &[Snapshot]),
    mode: Mode,
    watch: &Watch,
) -> Result<Tally, UndoFailure> {
    let amending = Amending { mode, host: context.host(), now: jiff::Timestamp::now() };
    let mut tally = Tally::default();
    for one in chosen {
        match undo(repository, one, (forgotten, valid), &amending, watch) {
            Ok(undone) => {
                tally.back += 1;
                tell(context, &one.snapshot, undone).map_err(UndoFailure::Output)?;
            }
            Err(error @ UndoError::TooLate { .. }) => {
                tally.late += 1;
                watch.report(Event::Failed { path: Vec::new(), message: error.to_string() });
            }
            Err(error) => return Err(UndoFailure::Undo(error)),
        }
    }
    Ok(tally)
}

fn tell(context: &Context, snapshot: &Snapshot, undone: Undone) -> Result<(), Failure> {
    let (action, new) = match undone {
        Undone::As(new) => ("back", Some(new)),
        Undone::Before(new) => ("unchanged", Some(new)),
        Undone::Possible => ("back", None),
    };
    context.output.json_line(&json!({
        "type": "item", "action": action, "old": snapshot.id, "new": new, "series": snapshot.record.series,
        "time": snapshot.record.time,
    }))?;
    if context.talk() == Talk::Quiet {
        return Ok(());
    }
    let digits = id_digits(&[]);
    let old = short_id(snapshot.id, digits);
    let of = format!("{}, {}", local_time(snapshot.record.time), text::printable(snapshot.record.series.as_bytes()));
    context.output.line(&match undone {
        Undone::As(new) => format!("{old} is back as {} ({of})", short_id(new, digits)),
        Undone::Before(new) => format!("{old} is there already, as {} ({of})", short_id(new, digits)),
        Undone::Possible => format!("{old} would be back ({of})"),
    })
}

const HEADINGS: [&str; 6] = ["id", "time", "host", "series", "tags", "forgotten"];

fn list(context: &Context, forgotten: &[&Forgotten]) -> Result<ExitStatus, Failure> {
    let document = |one: &&Forgotten| {
        let record = &one.snapshot.record;
        json!({
            "id": one.snapshot.id, "time": record.time, "host": record.host, "series": record.series,
            "tags": record.tags, "forgotten": one.mark.as_ref().map(|mark| mark.time),
            "forgotten_by": one.mark.as_ref().map(|mark| &mark.host),
        })
    };
    context.output.document(json!({ "forgotten": forgotten.iter().map(document).collect::<Vec<Value>>() }))?;
    if context.output.form() == Form::Json {
        return Ok(ExitStatus::Done);
    }
    if forgotten.is_empty() {
        context.remark("no snapshot is forgotten");
        return Ok(ExitStatus::Done);
    }
    let all: Vec<Snapshot> = forgotten.iter().map(|one| one.snapshot.clone()).collect();
    let digits = id_digits(&all);
    let row = |one: &&Forgotten| {
        let record = &one.snapshot.record;
        [
            short_id(one.snapshot.id, digits),
            local_time(record.time),
            text::printable(record.host.as_bytes()),
            text::printable(record.series.as_bytes()),
            text::printable(record.tags.join(",").as_bytes()),
            one.mark.as_ref().map_or_else(|| "! its mark cannot be read".to_owned(), |mark| local_time(mark.time)),
        ]
    };
    let rows: Vec<[String; 6]> = [HEADINGS.map(str::to_owned)].into_iter().chain(forgotten.iter().map(row)).collect();
    for (at, line) in lines([Lean::Left; 6], &rows).into_iter().enumerate() {
        let line = if at == 0 { context.palette.strong(line) } else { line };
        context.output.line(&line)?;
    }
    Ok(ExitStatus::Done)
}

impl From<UndoError> for Failure {
    fn from(error: UndoError) -> Self {
        match error {
            UndoError::Repository(error) => error.into(),
            UndoError::TooLate { .. } => Self::of(ExitStatus::Failed, &error),
            UndoError::PruneUnderWay { .. } => Self::of(ExitStatus::Conflict, &error).with_hint(UNDER_WAY),
            UndoError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
        }
    }
}
