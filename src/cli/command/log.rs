//! `snap log`: the history of one path across snapshots, changes only.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use crate::cli::change;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::lines::Listing;
use crate::cli::output::Form;
use crate::cli::text;
use crate::cli::view::{View, id_digits, local_time, short_id};
use crate::operation::diff::{DiffRequest, Silence, Told, diff};
use crate::operation::list::Listed;
use crate::operation::log::{Step, is_there, steps};
use crate::operation::part::trim;
use crate::operation::view::{Extent, Views};
use crate::repository::reader::Reader;
use crate::repository::snapshot::Snapshot;

/// Shows when a path changed
///
/// Each snapshot is compared with the one before it in its series; those in which nothing changed at or under the path are
/// left out. Newest first.
///
/// Examples:
///   snap log local/home/me/site/index.html
///   snap log local/home/me/site --series www
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 3 part of the history cannot be read · 10 no repository · 12 wrong password ·
///   13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Path in the layout of snapshots, as `snap ls` shows it
    #[arg(value_name = "PATH")]
    pub path: OsString,
    /// Only in this series
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Times and other metadata that changes by itself too
    #[arg(long)]
    pub all: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let path = trim(arguments.path.as_bytes()).to_vec();
    if path.is_empty() {
        return Err(Failure::usage("a path has at least one character"));
    }
    let view = View::open(context)?;
    let reader = view.reader();
    let views = Views::over(&reader, Extent::Members)?;
    let snapshots: Vec<Snapshot> = view.snapshots.iter().map(|snapshot| views.snapshot(snapshot)).collect();
    let digits = id_digits(&snapshots);
    let silence = if arguments.all { Silence::None } else { Silence::Usual };
    let mut listing = Listing::begin(context, "log")?;
    let mut found = false;
    for step in steps(&snapshots, arguments.series.as_deref()) {
        let heading = heading(context, &step, digits);
        found |= show(context, &reader, &step, (&path, silence), &heading, &mut listing)?;
    }
    let status = listing.end()?;
    if !found && context.output.form() == Form::Human {
        context.remark("no snapshot has anything there");
    }
    Ok(status)
}

/// Shows what changed in one step; whether anything did.
fn show(
    context: &Context,
    reader: &Reader<'_>,
    step: &Step<'_>,
    (path, silence): (&[u8], Silence),
    heading: &str,
    listing: &mut Listing<'_>,
) -> Result<bool, Failure> {
    let Some(earlier) = step.earlier else {
        return match is_there(reader, step.snapshot, path) {
            Ok(false) => Ok(false),
            Ok(true) => {
                listing.group(heading)?;
                listing.take(&Listed::Bytes(&first_seen(context, path)))?;
                listing.end_group().map(|()| true)
            }
            Err(error) => {
                listing.hole(&error);
                Ok(false)
            }
        };
    };
    let paths = [path.to_vec()];
    let request = DiffRequest { old: &earlier.record, new: &step.snapshot.record, paths: &paths, silence };
    let (mut is_open, mut folder) = (false, Vec::new());
    diff(reader, &request, |told| match told {
        Told::Resource(of) => {
            folder = of.to_vec();
            Ok(())
        }
        Told::Change(changed) => {
            if !std::mem::replace(&mut is_open, true) {
                listing.group(heading)?;
            }
            let bytes = match context.output.form() {
                Form::Json => change::json_bytes(&folder, changed, None),
                Form::Human => format!("{}\n", change::line(&folder, changed, context.palette)).into_bytes(),
            };
            listing.take(&Listed::Bytes(&bytes))
        }
        Told::Hole(error) => {
            listing.hole(&error);
            Ok(())
        }
        Told::End => Ok(()),
    })?;
    if is_open {
        listing.end_group()?;
    }
    Ok(is_open)
}

/// The line of a path in the first snapshot that has it.
fn first_seen(context: &Context, path: &[u8]) -> Vec<u8> {
    match context.output.form() {
        Form::Human => format!("{}\n", context.palette.good(format!("+ {}", text::printable(path)))).into_bytes(),
        Form::Json => {
            let mut object = serde_json::Map::new();
            object.insert("change".to_owned(), "added".into());
            text::insert_path(&mut object, "path", path);
            format!(",{}", serde_json::Value::Object(object)).into_bytes()
        }
    }
}

fn heading(context: &Context, step: &Step<'_>, digits: usize) -> String {
    let record = &step.snapshot.record;
    if context.output.form() == Form::Json {
        let earlier = step.earlier.map(|earlier| earlier.id);
        return json!({ "snapshot": step.snapshot.id, "earlier": earlier, "time": record.time, "series": record.series })
            .to_string();
    }
    let series = text::printable(record.series.as_bytes());
    let line = format!("{} {} {series}", short_id(step.snapshot.id, digits), local_time(record.time));
    context.palette.strong(line)
}
