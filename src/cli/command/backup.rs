//! `snap backup`: captures folders into a new snapshot.
//!
//! Options that a configuration may set too become its uppermost layer, so that `run` asks one place for each.

use std::path::PathBuf;
use std::time::Instant;

use crate::cli::arguments::{Flags, Switch};
use crate::cli::config::Flag;
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::hook;
use crate::cli::location::WhenAbsent;

/// Captures folders into a new snapshot
///
/// Without paths it captures what the configuration names. A file that did not change since the last snapshot of the
/// series is not read. What cannot be read is reported and the rest goes on. A first backup needs no repository: without
/// --repo one is made in your data folder. An interrupted backup keeps what it stored; run it again to go on.
///
/// Examples:
///   snap backup ~/site /etc
///   snap backup -r /mnt/disk/backup --init ~/site --tag prod
///   snap backup ~ --exclude '*.iso' --exclude-caches --one-file-system
///   pg_dump db | snap backup --stdin --stdin-name db.sql
///
/// Exit codes:
///   0 done · 1 failed, no snapshot · 2 usage · 3 snapshot made, but something could not be read ·
///   10 no repository · 11 conflicting operation · 12 wrong password · 13 store unreachable ·
///   130, 143 interrupted, what was stored is kept
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folders and files to capture
    #[arg(value_name = "PATH", conflicts_with = "stdin")]
    pub paths: Vec<PathBuf>,
    /// Line of snapshots that this one continues [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Name of this machine in the snapshot
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Label of the snapshot
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Free text kept with the snapshot
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub description: String,
    /// Time of the snapshot instead of now (2026-11-01T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub time: Option<jiff::Timestamp>,
    /// Leave out what this glob matches
    #[arg(short, long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// File with one such glob a line
    #[arg(long, value_name = "FILE")]
    pub exclude_file: Vec<PathBuf>,
    /// Leave out folders with a CACHEDIR.TAG
    #[arg(long, value_enum, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    pub exclude_caches: Option<Switch>,
    /// Leave out files larger than this (10M, 2G)
    #[arg(long, value_name = "SIZE")]
    pub exclude_larger_than: Option<String>,
    /// Do not cross into other file systems
    #[arg(short = 'x', long, value_enum, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    pub one_file_system: Option<Switch>,
    /// Leave out what .gitignore files name
    #[arg(long, value_enum, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    pub gitignore: Option<Switch>,
    /// Name of files that hold globs for their folder (.snapignore)
    #[arg(long, value_name = "NAME")]
    pub ignore_file: Vec<String>,
    /// Capture standard input as one file
    #[arg(long)]
    pub stdin: bool,
    /// Name of that file
    #[arg(long, value_name = "NAME", default_value = "stdin", requires = "stdin")]
    pub stdin_name: PathBuf,
    /// Make the repository if there is none
    #[arg(long)]
    pub init: bool,
    /// Show what would be stored, store nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Read every file again, even those that did not change
    #[arg(short, long)]
    pub force: bool,
}

impl Args {
    /// What these options set in the configuration; the flag whose value cannot be read is the error.
    pub fn flags(&self, environment: &Environment) -> Result<Vec<Flag>, &'static str> {
        let mut flags = Flags::new(environment);
        flags.paths("backup.paths", "PATH", &self.paths);
        flags.text("series", "--series", self.series.as_deref())?;
        flags.text("host", "--host", self.host.as_deref())?;
        flags.texts("backup.tags", "--tag", &self.tag);
        flags.texts("backup.exclude", "--exclude", &self.exclude);
        flags.paths("backup.exclude-file", "--exclude-file", &self.exclude_file);
        flags.switch("backup.exclude-caches", "--exclude-caches", self.exclude_caches);
        flags.text("backup.exclude-larger-than", "--exclude-larger-than", self.exclude_larger_than.as_deref())?;
        flags.switch("backup.one-file-system", "--one-file-system", self.one_file_system);
        flags.switch("backup.gitignore", "--gitignore", self.gitignore);
        flags.texts("backup.ignore-file", "--ignore-file", &self.ignore_file);
        Ok(flags.flags)
    }
}

/// Runs the command, with the hooks around it.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    if !arguments.stdin && context.settings.paths("backup.paths").is_empty() {
        return Err(Failure::usage("nothing to capture is named")
            .with_hint("give a path, or set `paths` under [backup] in snap.toml (`snap config init`)"));
    }
    if arguments.dry_run {
        return unwired(arguments, context);
    }
    let began = Instant::now();
    let result = hook::before(&context.settings).and_then(|()| unwired(arguments, context));
    let status = result.as_ref().map_or_else(Failure::status, |status| *status);
    let time = jiff::Timestamp::now().as_second();
    hook::after(context, &hook::Ended { status, time, seconds: began.elapsed().as_secs(), bytes: 0, files: 0 });
    result
}

/// Stands in for the operation until it is wired.
fn unwired(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let when_absent = if arguments.init { WhenAbsent::Create } else { WhenAbsent::CreateDefault };
    context.access(when_absent)?;
    Err(Failure::not_wired("backup"))
}
