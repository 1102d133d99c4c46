//! `snap tag`: gives snapshots other tags.
//!
//! Nothing is overwritten: a new record with the same trees replaces the old one.

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::repository;
use crate::cli::text;
use crate::cli::view::{id_digits, resolve, short_id, snapshots};
use crate::operation::amend::{AmendError, Amending};
use crate::operation::tag::{TagChange, Tagged, tag};
use crate::progress::Silent;
use crate::repository::session::Mode;
use crate::repository::snapshot::Snapshot;

/// Changes the tags of snapshots
///
/// Examples:
///   snap tag latest --add prod
///   snap tag tag:prod --remove prod
///   snap tag 4ac1d2 --set release --set v2 --dry-run
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 11 conflicting operation · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshots
    #[arg(value_name = "REF", required = true)]
    pub references: Vec<OsString>,
    /// Tag to add
    #[arg(long, value_name = "TAG", required_unless_present_any = ["remove", "set"])]
    pub add: Vec<String>,
    /// Tag to take away
    #[arg(long, value_name = "TAG")]
    pub remove: Vec<String>,
    /// Tags to have instead of all others
    #[arg(long, value_name = "TAG", conflicts_with_all = ["add", "remove"])]
    pub set: Vec<String>,
    /// Show what would change, change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let change = TagChange {
        set: (!arguments.set.is_empty()).then(|| arguments.set.clone()),
        remove: arguments.remove.clone(),
        add: arguments.add.clone(),
    };
    if change.add.iter().chain(&arguments.set).any(String::is_empty) {
        return Err(Failure::usage("a tag has at least one character"));
    }
    let references = arguments.references.iter().map(|text| context.reference(text)).collect::<Result<Vec<_>, _>>()?;
    let repository = repository::open(context)?;
    let all = snapshots(context, &repository)?;
    let mut chosen: Vec<&Snapshot> = Vec::new();
    for reference in &references {
        let snapshot = resolve(context, &all, reference)?;
        if !chosen.iter().any(|other| other.id == snapshot.id) {
            chosen.push(snapshot);
        }
    }
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let amending = Amending { mode, host: context.host(), now: jiff::Timestamp::now() };
    let mut documents: Vec<Value> = Vec::new();
    for snapshot in chosen {
        let tagged = tag(&repository, snapshot, &change, &amending, &Silent)?;
        if context.output.form() == Form::Human {
            context.output.line(&line(&tagged, snapshot, mode, id_digits(&all)))?;
        }
        documents.push(json!({
            "old": tagged.old,
            "new": tagged.new,
            "tags": tagged.tags,
            "changed": tagged.tags != snapshot.record.tags,
        }));
    }
    context.output.document(json!({ "tagged": documents, "dry_run": arguments.dry_run }))?;
    Ok(ExitStatus::Done)
}

fn line(tagged: &Tagged, snapshot: &Snapshot, mode: Mode, digits: usize) -> String {
    let old = short_id(tagged.old, digits);
    let tags = if tagged.tags.is_empty() { "none".to_owned() } else { tagged.tags.join(", ") };
    let tags = text::printable(tags.as_bytes());
    match tagged.new {
        Some(new) => format!("{old} is now {}: tags {tags}", short_id(new, digits)),
        None if mode == Mode::DryRun && tagged.tags != snapshot.record.tags => format!("{old} would have tags {tags}"),
        None => format!("{old} keeps its tags: {tags}"),
    }
}

/// The way out where a prune has condemned what a snapshot needs.
pub const UNDER_WAY: &str = "`snap prune` ends it, if nobody does; then run this again";

impl From<AmendError> for Failure {
    fn from(error: AmendError) -> Self {
        match error {
            AmendError::Repository(error) => error.into(),
            AmendError::Incomplete { .. } => {
                Self::of(ExitStatus::Failed, &error).with_hint("`snap check` says what else is lost")
            }
            AmendError::PruneUnderWay { .. } => Self::of(ExitStatus::Conflict, &error).with_hint(UNDER_WAY),
            AmendError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
        }
    }
}
