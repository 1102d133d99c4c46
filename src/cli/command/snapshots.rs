//! `snap snapshots`: lists what there is.
//!
//! Reads commit cells only; sizes were counted when each snapshot was made.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::selection::SelectionArgs;
use crate::cli::table::{Lean, lines};
use crate::cli::view::{coverage, id_digits, local_time, short_id};
use crate::cli::{repository, text, view};
use crate::repository::snapshot::Snapshot;

/// Lists snapshots, oldest first
///
/// With --json one document: {"snapshots": [{"id", "time", "host", "series", "tags", …}]}.
///
/// Examples:
///   snap snapshots
///   snap snapshots --series laptop --latest 5
///   snap snapshots --tag prod --json
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Which are listed.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only the newest N of each series
    #[arg(long, value_name = "N")]
    pub latest: Option<usize>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let (repository, glimpse) = repository::open_and_glimpse(context)?;
    let all = view::readable(context, repository.snapshots_glimpsed(glimpse)?);
    let digits = id_digits(&all);
    let chosen = arguments.choose(&all);
    match context.output.form() {
        Form::Json => {
            let documents: Vec<Value> = chosen.iter().map(|snapshot| document(snapshot)).collect();
            context.output.document(json!({ "snapshots": documents }))?;
        }
        Form::Human => table(context, &chosen, digits)?,
    }
    Ok(ExitStatus::Done)
}

impl Args {
    fn choose<'s>(&self, all: &'s [Snapshot]) -> Vec<&'s Snapshot> {
        let selection = self.selection.selection();
        let mut taken: HashMap<&'s str, usize> = HashMap::new();
        let mut chosen: Vec<&'s Snapshot> = Vec::new();
        for snapshot in all.iter().rev().filter(|snapshot| selection.includes(&snapshot.record)) {
            let taken = taken.entry(&snapshot.record.series).or_default();
            *taken += 1;
            if self.latest.is_none_or(|most| *taken <= most) {
                chosen.push(snapshot);
            }
        }
        chosen.reverse();
        chosen
    }
}

/// A snapshot in JSON: its id, how completely it was captured, and all its record says.
fn document(snapshot: &Snapshot) -> Value {
    let mut value = serde_json::to_value(&snapshot.record).expect("because a record is plain data");
    if let Value::Object(object) = &mut value {
        object.insert("id".to_owned(), snapshot.id.to_string().into());
        object.insert("coverage".to_owned(), coverage(&snapshot.record).into());
    }
    value
}

const HEADINGS: [&str; 7] = ["id", "time", "host", "series", "tags", "size", "coverage"];

fn table(context: &Context, snapshots: &[&Snapshot], digits: usize) -> Result<(), Failure> {
    if snapshots.is_empty() {
        context.remark("no snapshots");
        return Ok(());
    }
    let row = |snapshot: &&Snapshot| {
        let record = &snapshot.record;
        let word = coverage(record);
        [
            short_id(snapshot.id, digits),
            local_time(record.time),
            text::printable(record.host.as_bytes()),
            text::printable(record.series.as_bytes()),
            text::printable(record.tags.join(",").as_bytes()),
            text::bytes(record.summary.totals.bytes),
            if word == "complete" { word.to_owned() } else { format!("! {word}") },
        ]
    };
    let rows: Vec<[String; 7]> = [HEADINGS.map(str::to_owned)].into_iter().chain(snapshots.iter().map(row)).collect();
    let leans = HEADINGS.map(|heading| if heading == "size" { Lean::Right } else { Lean::Left });
    for (at, line) in lines(leans, &rows).into_iter().enumerate() {
        let line = if at == 0 { context.palette.strong(line) } else { line };
        context.output.line(&line)?;
    }
    Ok(())
}
