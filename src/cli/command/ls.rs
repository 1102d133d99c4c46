//! `snap ls`: lists what a snapshot holds, in the order of its map.
//!
//! Pages are read as they are printed; memory does not grow with the snapshot.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::lines::{EntryLines, Listing, Shape};
use crate::cli::pager::Pager;
use crate::cli::view::View;
use crate::operation::list::{Found, Listed, list, list_folder};
use crate::operation::part::{parts, trim};
use crate::operation::view::{Extent, Views};
use crate::resource::escape_path;

/// Lists what a snapshot holds
///
/// Every path in full, as in the layout (local/home/me/site/index.html); folders end in a slash. On a terminal it goes
/// through $PAGER. Names that would command a terminal are shown escaped (\x1b); --json has their exact bytes.
///
/// Examples:
///   snap ls latest
///   snap ls latest:local/home/me/site
///   snap ls --long tag:prod
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot, and a path inside it
    #[arg(value_name = "REF[:PATH]", default_value = "latest")]
    pub reference: OsString,
    /// Mode, owner, size and time too
    #[arg(short, long)]
    pub long: bool,
    /// Only what stands directly in the folder
    #[arg(long)]
    pub no_recursive: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let reference = context.reference(&arguments.reference)?;
    let view = View::open(context)?;
    let snapshot = view.resolve(context, &reference)?;
    let path = trim(reference.path.as_deref().unwrap_or_default());
    let reader = view.reader();
    let record = Views::over(&reader, Extent::All)?.record(&snapshot.record);
    let lines = EntryLines::new(context, if arguments.long { Shape::Long } else { Shape::Paths });
    let pager = Pager::begin(&context.output, &context.environment);
    let mut listing = Listing::begin(context, "entries")?;
    let mut found = Found::Nothing;
    let mut take = |listed: Listed<'_>| listing.take(&listed);
    let parts = parts(&record, path);
    if arguments.no_recursive {
        found = list_folder(&reader, &parts, path, &lines, &mut take)?;
    } else {
        for part in &parts {
            if list(&reader, part, &lines, &mut take)? == Found::Something {
                found = Found::Something;
            }
        }
    }
    let ended = listing.end();
    pager.end(&context.output);
    let status = ended?;
    // An empty snapshot is an answer; a path that is not in it is a mistake.
    if found == Found::Nothing && !path.is_empty() {
        let message = format!("the snapshot has nothing at {}", escape_path(path));
        return Err(Failure::new(ExitStatus::Failed, message).with_hint("`snap find` looks for names in all snapshots"));
    }
    Ok(status)
}
