//! `snap snapshots`: lists what there is.
//!
//! Reads commit cells only; sizes were counted when each snapshot was made.

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

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
    /// Only those of this series
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Only those of this host
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Only those with all of these tags
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Only the newest N of each series
    #[arg(long, value_name = "N")]
    pub latest: Option<usize>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(_arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("snapshots"))
}
