//! `snap tag`: gives snapshots other tags.
//!
//! Nothing is overwritten: a new record with the same trees replaces the old one.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

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
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    for reference in &arguments.references {
        context.reference(reference)?;
    }
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("tag"))
}
