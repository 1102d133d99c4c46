//! `snap cat`: writes the bytes of one file to standard output.
//!
//! Nothing but those bytes is ever written there, so `--json` is a usage error.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;
use crate::cli::output::Form;

/// Writes a file of a snapshot to standard output
///
/// Every byte is verified before it is written.
///
/// Examples:
///   snap cat latest:local/home/me/site/index.html
///   snap cat latest~2:local/home/me/dump.sql | psql
///
/// Exit codes:
///   0 done · 1 failed, or the path is not a file · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot and the path of a file in it
    #[arg(value_name = "REF:PATH", required = true)]
    pub references: Vec<OsString>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    if context.output.form() == Form::Json {
        return Err(Failure::usage("`snap cat` writes the file's own bytes, which --json has no room for"));
    }
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    for reference in &arguments.references {
        context.reference(reference)?;
    }
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("cat"))
}
