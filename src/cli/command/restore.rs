//! `snap restore`: puts a snapshot, or part of it, into a folder.
//!
//! What is written where, and that nothing leaves the target, is the operation's business.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::arguments::Talk;
use crate::cli::consent::Consent;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::repository;
use crate::cli::text;
use crate::cli::watch::{Counts, Items};
use crate::operation::restore::finish::Extraneous;
use crate::operation::restore::{
    Deletion, RestoreError, RestoreMode, RestoreReport, RestoreRequest, extraneous, restore,
};
use crate::operation::target::error::TargetError;
use crate::operation::target::{Holes, Overwrite, Owner, TargetOptions};
use crate::progress::Silent;
use crate::repository::Repository;
use crate::repository::snapshot::Snapshot;

/// Paths shown before the user is asked; the rest is counted.
const SHOWN_MAX: usize = 20;

/// Puts a snapshot, or part of it, into a folder
///
/// Writes the layout that `snap ls` shows under --target. With REF:PATH only that part: what is in a folder goes directly
/// into --target, a file under its own name. Every byte is verified. Metadata is set last. What is there already with the
/// right size and time is left alone.
///
/// Examples:
///   snap restore latest --target out
///   snap restore latest:local/home/me/site --target out
///   snap restore @2026-11-01 --target / --include local/etc --dry-run
///   snap restore tag:prod --target out --delete --yes
///
/// Exit codes:
///   0 done · 1 failed, or data is lost (it is named) · 2 usage · 3 done, but something could not be written or set ·
///   10 no repository · 12 wrong password · 13 store unreachable · 130, 143 interrupted; run it again to go on
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot, and a path inside it
    #[arg(value_name = "REF[:PATH]")]
    pub reference: OsString,
    /// Folder to write into
    #[arg(short, long, value_name = "DIR")]
    pub target: PathBuf,
    /// Only what is at or under this path, or matches this glob
    #[arg(short, long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Not what is at or under this path, or matches this glob
    #[arg(short, long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// What to do with files that are there already
    #[arg(long, value_enum, value_name = "WHEN", default_value = "if-changed")]
    pub overwrite: OverwriteWish,
    /// Remove what is in the target but was captured as absent; never what was not captured
    #[arg(long)]
    pub delete: bool,
    /// Show what would be written and removed, do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Leave owners and groups as they come
    #[arg(long)]
    pub no_owner: bool,
    /// Make holes of long runs of zeros in every file
    #[arg(long)]
    pub sparse: bool,
    /// Do not ask before removing
    #[arg(short, long)]
    pub yes: bool,
}

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OverwriteWish {
    /// Write each again
    Always,
    /// Write those that differ in size or time
    IfChanged,
    /// Leave them as they are
    Never,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let reference = context.reference(&arguments.reference)?;
    let (repository, glimpse) = repository::open_to_look(context)?;
    let snapshots = repository.snapshots_glimpsed(glimpse)?;
    let snapshot = repository::find_snapshot(context, snapshots, &reference)?;
    let request = request(arguments, context, reference.path);
    let consent = Consent::of_flag(arguments.yes);
    if arguments.delete && !arguments.dry_run {
        consent.obtainable("removing with --delete")?;
        if consent == Consent::Asked && !agrees(&repository, &snapshot, &request)? {
            return Err(Failure::new(ExitStatus::Failed, "nothing was restored, as you did not agree"));
        }
    }
    let watch = context.begin("restore", Items::Counted)?;
    repository::report_notices(&repository, &watch);
    let result = restore(&repository, &snapshot.record, &request, &watch);
    let stop = watch.stop_requested();
    let (_, counts) = context.end(watch);
    match result {
        Ok(report) => {
            let status = status(&report);
            show(context, arguments, &snapshot, &report, (status, counts))?;
            Ok(status)
        }
        Err(RestoreError::Interrupted) => Err(Failure::interrupted(stop.unwrap_or(ExitStatus::Interrupted))),
        Err(error) => Err(error.into()),
    }
}

fn request(arguments: &Args, context: &Context, inside: Option<Vec<u8>>) -> RestoreRequest {
    let options = TargetOptions {
        overwrite: match arguments.overwrite {
            OverwriteWish::Always => Overwrite::Always,
            OverwriteWish::IfChanged => Overwrite::IfChanged,
            OverwriteWish::Never => Overwrite::Never,
        },
        owner: if arguments.no_owner { Owner::Ignore } else { Owner::default() },
        holes: if arguments.sparse { Holes::Always } else { Holes::AsCaptured },
        ..TargetOptions::default()
    };
    RestoreRequest {
        target: context.environment.current_folder.join(&arguments.target),
        inside: inside.filter(|path| !path.is_empty()),
        include: arguments.include.clone(),
        exclude: arguments.exclude.clone(),
        options,
        deletion: if arguments.delete { Deletion::Remove } else { Deletion::Keep },
        mode: if arguments.dry_run { RestoreMode::DryRun } else { RestoreMode::Write },
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    }
}

/// Shows what would be removed and asks; where that is nothing there is nothing to ask.
fn agrees(repository: &Repository, snapshot: &Snapshot, request: &RestoreRequest) -> Result<bool, Failure> {
    let Extraneous { listed, count } = extraneous(repository, &snapshot.record, request, &Silent)?;
    if count == 0 {
        return Ok(true);
    }
    let mut lines: Vec<String> =
        listed.iter().take(SHOWN_MAX).map(|path| format!("- {}", text::printable(path))).collect();
    if count > lines.len() as u64 {
        lines.push(format!("  and {} more", text::count(count - lines.len() as u64)));
    }
    let target = text::harmless(&request.target.display().to_string());
    Consent::Asked.ask(&lines, &format!("Remove these from {target}, and restore?"))
}

/// Lost data is failure; what the target would not take leaves the restore incomplete.
fn status(report: &RestoreReport) -> ExitStatus {
    match report {
        RestoreReport { lost: 1.., .. } => ExitStatus::Failed,
        RestoreReport { skipped: 1.., .. } | RestoreReport { unset: 1.., .. } => ExitStatus::Incomplete,
        _ => ExitStatus::Done,
    }
}

fn show(
    context: &Context,
    arguments: &Args,
    snapshot: &Snapshot,
    report: &RestoreReport,
    (status, counts): (ExitStatus, Counts),
) -> Result<(), Failure> {
    let output = &context.output;
    if output.form() == Form::Json {
        return output.json_line(&json!({
            "type": "summary", "command": "restore", "status": status.word(), "code": status.code(),
            "snapshot": snapshot.id.to_string(), "dry_run": arguments.dry_run,
            "restored": report.restored, "bytes": report.bytes, "kept": report.kept, "skipped": report.skipped,
            "lost": report.lost, "deleted": report.deleted, "unset": report.unset,
            "warnings": counts.warnings, "seconds": counts.seconds,
        }));
    }
    if context.talk() == Talk::Quiet {
        return Ok(());
    }
    let verb = if arguments.dry_run { "would restore" } else { "restored" };
    let id = &snapshot.id.to_string()[..8];
    let target = text::harmless(&arguments.target.display().to_string());
    output.line(&format!("{verb} {id} into {target}"))?;
    let mut parts = vec![format!("{} items, {}", text::count(report.restored), text::bytes(report.bytes))];
    let others = [
        (report.kept, "left as they were"),
        (report.deleted, "removed"),
        (report.skipped, "could not be written"),
        (report.unset, "attributes could not be set"),
        (report.lost, "lost: the repository no longer has them whole"),
    ];
    parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", text::count(*n))));
    output.line(&format!("  {}; {}", parts.join("; "), text::seconds(counts.seconds)))
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Repository(error) => error.into(),
            RestoreError::Pattern { .. } => Self::of(ExitStatus::Usage, &error),
            RestoreError::NotThere { .. } => {
                Self::of(ExitStatus::Failed, &error).with_hint("`snap ls REF` shows what a snapshot has")
            }
            RestoreError::Target(TargetError::Full { .. }) => Self::of(ExitStatus::Failed, &error)
                .with_hint("free some space and run it again: what is whole already is left alone"),
            RestoreError::Target(TargetError::ReadOnly { .. }) => {
                Self::of(ExitStatus::Failed, &error).with_hint("choose another --target")
            }
            _ => Self::of(ExitStatus::Failed, &error),
        }
    }
}
