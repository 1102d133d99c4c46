//! `snap find`: looks for names in snapshots.
//!
//! Equal pages of several snapshots are read once.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

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
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    for reference in &arguments.snapshot {
        context.reference(reference)?;
    }
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("find"))
}
