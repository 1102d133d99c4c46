//! `snap stats`: sizes of snapshots and of the repository.
//!
//! Says what each figure counts, for sizes before and after deduplication differ widely.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

/// Shows sizes: of one snapshot, or of the whole repository
///
/// Bytes before deduplication, after it, as stored, and how many chunks and packs hold them.
///
/// Examples:
///   snap stats
///   snap stats latest
///   snap stats --json
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot; the whole repository if none is given
    #[arg(value_name = "REF")]
    pub reference: Option<OsString>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    if let Some(reference) = &arguments.reference {
        context.reference(reference)?;
    }
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("stats"))
}
