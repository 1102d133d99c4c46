//! `snap ls`: lists what a snapshot holds, in the order of its map.
//!
//! Pages are read as they are printed; memory does not grow with the snapshot.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

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
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    context.reference(&arguments.reference)?;
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("ls"))
}
