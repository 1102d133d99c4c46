//! `snap backup`: captures folders into a new snapshot.
//!
//! Options that a configuration may set too become its uppermost layer, so that `run` asks one place for each.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::cli::arguments::{Flags, Switch};
use crate::cli::config::Flag;
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::estate::accepted::Accepted;
use crate::cli::estate::preview::{self, More};
use crate::cli::estate::{Estate, EstateArgs, Local};
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::hook;
use crate::cli::location::{Location, Presence, WhenAbsent};
use crate::cli::repository;
use crate::cli::summary;
use crate::cli::watch::Items;
use crate::operation::backup::stream::backup_stream;
use crate::operation::backup::{BackupError, BackupRequest, Rereading, SnapshotLabel, backup};
use crate::operation::survey::survey;
use crate::repository::Repository;
use crate::repository::session::Mode;
use crate::resource::{Coverage, Gap, ResourceRecord, SnapshotRecord, Totals};
use crate::source::local::exclude::{Caches, Excludes, PatternError};
use crate::source::local::stdin::Stream;
use crate::source::local::{FileSystems, LocalRoot};

/// Captures folders, and an estate, into a new snapshot
///
/// Without paths it captures what the configuration names: folders, AWS accounts, clones of git and more. A file that did not change since the last snapshot of the
/// series is not read. What cannot be read is reported and the rest goes on. A first backup needs no repository: without
/// --repo one is made in your data folder. An interrupted backup keeps what it stored; run it again to go on.
///
/// Examples:
///   snap backup ~/site /etc
///   snap backup -r /mnt/disk/backup --init ~/site --tag prod
///   snap backup ~ --exclude '*.iso' --exclude-caches --one-file-system
///   pg_dump db | snap backup --stdin --stdin-name db.sql
///   snap backup --aws --only s3,lambda
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
    /// What of the estate.
    #[command(flatten)]
    pub estate: EstateArgs,
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
    let estate = arguments.estate.estate(context, !arguments.paths.is_empty())?;
    let has_roots = estate.local == Local::Named && !context.settings.paths("backup.paths").is_empty();
    if !arguments.stdin && estate.sources.is_empty() && !has_roots {
        return Err(Failure::usage("nothing to capture is named")
            .with_hint("give a path, or say what is to be captured in snap.toml (`snap config init`)"));
    }
    if arguments.dry_run {
        return rehearse(arguments, estate, has_roots || arguments.stdin, context);
    }
    let began = Instant::now();
    let result = hook::before(context).and_then(|()| capture(arguments, &estate, context));
    let time = jiff::Timestamp::now().as_second();
    let seconds = began.elapsed().as_secs();
    let ended = match &result {
        Ok((status, Totals { files, bytes, .. }, wrong)) => {
            hook::Ended { status: *status, time, seconds, bytes: *bytes, files: *files, wrong: wrong.clone() }
        }
        Err(failure) => {
            let wrong = failure.lines().lines().map(str::to_owned).collect();
            hook::Ended { status: failure.status(), time, seconds, bytes: 0, files: 0, wrong }
        }
    };
    hook::after(context, &ended);
    result.map(|(status, ..)| status)
}

/// Shows what would be asked of the estate, and what would be stored of folders.
fn rehearse(arguments: &Args, mut estate: Estate, has_local: bool, context: &Context) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::Done;
    let sources = std::mem::take(&mut estate.sources);
    if !sources.is_empty() {
        let watch = context.begin("backup", Items::Counted)?;
        let surveyed = survey(&sources, &watch).map_err(|source| BackupError::Runtime { source });
        let (ended, _) = context.end(watch);
        status = match surveyed? {
            Some(surveyed) => preview::show(context, &surveyed, if has_local { More::Follows } else { More::Nothing })?,
            None => return Err(Failure::interrupted(ended)),
        };
    }
    if !has_local {
        return Ok(status);
    }
    let (of_folders, ..) = capture(arguments, &estate, context)?;
    Ok(if of_folders == ExitStatus::Done { status } else { of_folders })
}

/// The status, what the snapshot holds, and what is missing in it, a line each.
fn capture(arguments: &Args, estate: &Estate, context: &Context) -> Result<(ExitStatus, Totals, Vec<String>), Failure> {
    let (excludes, accepted) = (excludes(context)?, Accepted::of(context)?);
    let label = label(arguments, context);
    let stream = match (arguments.stdin, arguments.stdin_name.to_str()) {
        (false, _) => None,
        (true, Some(name)) => {
            let stream = Stream::new(name, std::io::stdin().lock());
            Some(stream.map_err(|error| Failure::of(ExitStatus::Usage, &error))?)
        }
        (true, None) => return Err(Failure::usage("the value of --stdin-name is not UTF-8")),
    };
    let repository = repository(arguments, context)?;
    let watch = context.begin("backup", Items::Counted)?;
    repository::report_notices(&repository, &watch);
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let result = match stream {
        Some(stream) => backup_stream(&repository, stream, &label, mode, &watch),
        None => {
            let request = BackupRequest {
                roots: if estate.local == Local::Named { roots(context, &excludes) } else { Vec::new() },
                sources: estate.sources.clone(),
                label,
                rereading: if arguments.force { Rereading::Everything } else { Rereading::Changed },
                mode,
                threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            };
            backup(&repository, &request, &watch)
        }
    };
    let stop = watch.stop_requested();
    let (_, counts) = context.end(watch);
    match result {
        Ok(report) => {
            // A stop that came too late to matter leaves a whole snapshot, and that is what is told.
            let uncovered = accepted.uncovered(&report.record);
            let status = if uncovered > 0 { ExitStatus::Incomplete } else { ExitStatus::Done };
            summary::show(context, &report, status, counts)?;
            Ok((status, report.record.summary.totals, missing(&report.record)))
        }
        Err(BackupError::Interrupted) => Err(Failure::interrupted(stop.unwrap_or(ExitStatus::Interrupted))),
        Err(error) => Err(error.into()),
    }
}

/// What is missing in a snapshot, a line each.
fn missing(record: &SnapshotRecord) -> Vec<String> {
    let of = |resource: &ResourceRecord| match &resource.coverage {
        Coverage::Complete => Vec::new(),
        Coverage::Failed { reason } => vec![format!("{}: {reason}", resource.path)],
        Coverage::Partial { gaps, .. } => {
            let line =
                |gap: &Gap| format!("{}/{}: {} {} {}", resource.path, gap.path, gap.action, gap.code, gap.reason);
            gaps.iter().map(line).collect()
        }
    };
    record.resources.iter().flat_map(of).collect()
}

fn repository(arguments: &Args, context: &Context) -> Result<Arc<Repository>, Failure> {
    let when_absent = if arguments.init { WhenAbsent::Create } else { WhenAbsent::CreateDefault };
    let location = context.location()?;
    let may_be_made = arguments.init || matches!(location, Location::Embedded { .. });
    if arguments.dry_run && may_be_made && context.presence(&location)? == Presence::Absent {
        return repository::throw_away();
    }
    repository::open_or_create(context, when_absent)
}

fn roots(context: &Context, excludes: &Excludes) -> Vec<LocalRoot> {
    let file_systems =
        if context.settings.is_on("backup.one-file-system") { FileSystems::One } else { FileSystems::All };
    let root = |path| LocalRoot { excludes: excludes.clone(), file_systems, ..LocalRoot::new(path) };
    context.settings.paths("backup.paths").into_iter().map(root).collect()
}

/// The globs of options, configuration and the files they name, in that order.
fn patterns(context: &Context) -> Result<Vec<String>, Failure> {
    let mut patterns = context.settings.words("backup.exclude");
    for path in context.settings.paths("backup.exclude-file") {
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
        patterns.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    }
    Ok(patterns)
}

fn excludes(context: &Context) -> Result<Excludes, Failure> {
    let settings = &context.settings;
    let wrong = |error: PatternError| Failure::of(ExitStatus::Usage, &error);
    let mut ignore_files = settings.words("backup.ignore-file");
    if settings.is_on("backup.gitignore") {
        ignore_files.push(".gitignore".to_owned());
    }
    let names: Vec<&str> = ignore_files.iter().map(String::as_str).collect();
    let mut excludes = Excludes::none().with_patterns(&patterns(context)?).map_err(wrong)?.with_ignore_files(&names);
    if settings.is_on("backup.exclude-caches") {
        excludes = excludes.with_caches(Caches::LeftOut);
    }
    if let Some(size_max) = settings.size("backup.exclude-larger-than") {
        excludes = excludes.with_larger_than(size_max);
    }
    Ok(excludes)
}

fn label(arguments: &Args, context: &Context) -> SnapshotLabel {
    SnapshotLabel {
        time: arguments.time.unwrap_or_else(jiff::Timestamp::now),
        host: context.host().to_owned(),
        user: context.environment.user(),
        series: context.settings.text("series").map(str::to_owned),
        tags: context.settings.words("backup.tags"),
        description: arguments.description.clone(),
        scope: if arguments.stdin { Vec::new() } else { scope(context) },
    }
}

/// The filters in force, as the snapshot keeps them.
fn scope(context: &Context) -> Vec<String> {
    let settings = &context.settings;
    let mut scope: Vec<String> =
        patterns(context).unwrap_or_default().iter().map(|pattern| format!("exclude {pattern}")).collect();
    scope.extend(settings.words("backup.ignore-file").iter().map(|name| format!("ignore-file {name}")));
    for switch in ["gitignore", "exclude-caches", "one-file-system"] {
        if settings.is_on(&format!("backup.{switch}")) {
            scope.push(switch.to_owned());
        }
    }
    scope.extend(settings.size("backup.exclude-larger-than").map(|size| format!("exclude-larger-than {size}")));
    scope
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Repository(error) => error.into(),
            BackupError::Nothing => {
                Self::of(ExitStatus::Failed, &error).with_hint("no path that was named can be read")
            }
            _ => Self::of(ExitStatus::Failed, &error),
        }
    }
}
