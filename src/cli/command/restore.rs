//! `snap restore`: puts a snapshot, or part of it, into a folder.
//!
//! What is written where, and that nothing leaves the target, is the operation's business.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

/// Puts a snapshot, or part of it, into a folder
///
/// Writes the layout that `snap ls` shows under --target; with REF:PATH only that part, its parents too. Every byte is
/// verified. Metadata is set last. What is there already and equal is left alone.
///
/// Examples:
///   snap restore latest --target out
///   snap restore latest:local/home/me/site --target out
///   snap restore @2026-11-01 --target / --include local/etc --dry-run
///   snap restore tag:prod --target out --delete --yes
///
/// Exit codes:
///   0 done · 1 failed, or data is lost (it is named) · 2 usage · 3 done, but something could not be written or set ·
///   10 no repository · 12 wrong password · 13 store unreachable · 130, 143 interrupted; run it again to go on
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot, and a path inside it
    #[arg(value_name = "REF[:PATH]")]
    pub reference: OsString,
    /// Folder to write into
    #[arg(short, long, value_name = "DIR")]
    pub target: PathBuf,
    /// Only what is at or under this path, or matches this glob
    #[arg(short, long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Not what is at or under this path, or matches this glob
    #[arg(short, long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// What to do with files that are there already
    #[arg(long, value_enum, value_name = "WHEN", default_value = "if-changed")]
    pub overwrite: OverwriteWish,
    /// Remove what is in the target but was captured as absent; never what was not captured
    #[arg(long)]
    pub delete: bool,
    /// Show what would be written and removed, do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Leave owners and groups as they come
    #[arg(long)]
    pub no_owner: bool,
    /// Make holes of long runs of zeros in every file
    #[arg(long)]
    pub sparse: bool,
    /// Do not ask before removing
    #[arg(short, long)]
    pub yes: bool,
}

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OverwriteWish {
    /// Write each again
    Always,
    /// Write those that differ in size, time or content
    IfChanged,
    /// Leave them as they are
    Never,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    context.reference(&arguments.reference)?;
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("restore"))
}
