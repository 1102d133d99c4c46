//! `snap find`: looks for names in snapshots.
//!
//! A tree that several snapshots have in common is searched once.

use std::ffi::OsString;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::lines::{EntryLines, Listing, Shape};
use crate::cli::output::Form;
use crate::cli::text;
use crate::cli::view::{View, id_digits, local_time, short_id};
use crate::operation::find::{Names, PatternError, Search, searches};
use crate::operation::list::{Listed, list};
use crate::operation::view::{Extent, Views};
use crate::repository::snapshot::Snapshot;

/// Finds paths in snapshots
///
/// A pattern without a slash is matched with names, one with a slash with whole paths; `*` and `?` do not cross a slash,
/// `**` does. A pattern without capitals ignores case.
///
/// Examples:
///   snap find '*.sql'
///   snap find index.html --snapshot latest
///   snap find 'local/home/**/wp-config.php' --series www
///
/// Exit codes:
///   0 done, found or not · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Glob of a name or path
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,
    /// Only in these snapshots; in all if none is given
    #[arg(long, value_name = "REF")]
    pub snapshot: Vec<OsString>,
    /// Only in this series
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Mode, owner, size and time too
    #[arg(short, long)]
    pub long: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let references = arguments.snapshot.iter().map(|text| context.reference(text)).collect::<Result<Vec<_>, _>>()?;
    let names = Names::parse(&arguments.patterns)?;
    let view = View::open(context)?;
    let mut chosen: Vec<&Snapshot> = match references.as_slice() {
        [] => view.snapshots.iter().collect(),
        some => some.iter().map(|reference| view.resolve(context, reference)).collect::<Result<_, _>>()?,
    };
    if let Some(series) = &arguments.series {
        chosen.retain(|snapshot| snapshot.record.series == *series);
    }
    let reader = view.reader();
    let views = Views::over(&reader, Extent::Members)?;
    let chosen: Vec<Snapshot> = chosen.into_iter().map(|snapshot| views.snapshot(snapshot)).collect();
    let chosen: Vec<&Snapshot> = chosen.iter().collect();
    let digits = id_digits(&view.snapshots);
    let lines = EntryLines::new(context, if arguments.long { Shape::Long } else { Shape::Paths });
    let mut listing = Listing::begin(context, "matches")?;
    let mut found = false;
    for search in searches(&chosen) {
        let heading = heading(context, &search, digits);
        let mut is_open = false;
        list(&reader, &search.part(), &names.only(&lines), |listed| {
            if let Listed::Bytes(bytes) = &listed {
                if bytes.is_empty() {
                    return Ok(());
                }
                if !std::mem::replace(&mut is_open, true) {
                    listing.group(&heading)?;
                }
            }
            listing.take(&listed)
        })?;
        if is_open {
            listing.end_group()?;
            found = true;
        }
    }
    let status = listing.end()?;
    if !found && context.output.form() == Form::Human {
        context.remark("nothing found");
    }
    Ok(status)
}

/// What stands above the paths that were found in one tree: the snapshots that have it, newest first.
fn heading(context: &Context, search: &Search<'_>, digits: usize) -> String {
    let newest = search.snapshots[0];
    if context.output.form() == Form::Json {
        let ids: Vec<String> = search.snapshots.iter().map(|snapshot| snapshot.id.to_string()).collect();
        return json!({ "snapshots": ids, "time": newest.record.time, "series": newest.record.series }).to_string();
    }
    let others = match search.snapshots.len() - 1 {
        0 => String::new(),
        1 => ", and 1 earlier with the same tree".to_owned(),
        count => format!(", and {count} earlier with the same tree"),
    };
    let series = text::printable(newest.record.series.as_bytes());
    let line = format!("{} {} {series}{others}", short_id(newest.id, digits), local_time(newest.record.time));
    context.palette.strong(line)
}

impl From<PatternError> for Failure {
    fn from(error: PatternError) -> Self {
        Self::of(ExitStatus::Usage, &error)
            .with_hint("`*` and `?` stand within a name, `**` for any folders, [a-z] for one of these")
    }
}
