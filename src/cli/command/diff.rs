//! `snap diff`: shows what changed between two snapshots.
//!
//! Whatever is equal is skipped unread; what is shown of a change is the operation's business.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

/// Shows what changed between two snapshots
///
/// `+` added, `~` changed, `-` removed, `?` not captured in one of them (which is not removed). Access times and other
/// fields that change by themselves stay out unless --all. On a terminal it goes through $PAGER.
///
/// Examples:
///   snap diff latest~1 latest
///   snap diff @2026-11-01 latest -- local/home/me/site
///   snap diff latest~1 latest --patch
///   snap diff --exit-code tag:prod latest && echo the same
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 4 differences found (with --exit-code) · 10 no repository · 12 wrong password ·
///   13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The earlier snapshot
    #[arg(value_name = "A")]
    pub earlier: OsString,
    /// The later snapshot
    #[arg(value_name = "B", default_value = "latest")]
    pub later: OsString,
    /// Only what is at or under these paths
    #[arg(last = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// Only counts, by resource
    #[arg(long, group = "shape")]
    pub stat: bool,
    /// Only a letter (A, M, D) and the path
    #[arg(long, group = "shape")]
    pub name_status: bool,
    /// Changed lines of text files
    #[arg(short, long, group = "shape")]
    pub patch: bool,
    /// Times and other metadata that changes by itself too
    #[arg(long)]
    pub all: bool,
    /// Exit with 4 if anything differs
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    context.reference(&arguments.earlier)?;
    context.reference(&arguments.later)?;
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("diff"))
}
