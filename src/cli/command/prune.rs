//! `snap prune`: gives back the space of what no snapshot refers to.
//!
//! Shows what goes and why; with `--dry-run` only that.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::cli::arguments::Talk;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::repository;
use crate::cli::text;
use crate::cli::watch::Items;
use crate::operation::backup::session_mark;
use crate::operation::prune::plan::{Limits, MaxUnused};
use crate::operation::prune::{Patience, PruneError, PruneReport, PruneRequest, prune};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::session::Mode;

/// Frees the space of what no snapshot refers to
///
/// Any number of backups, restores and other prunes may run meanwhile: nobody waits for a lock. A prune that finds writers
/// under way that began before it waits for them (--wait), then leaves the rest to the next prune, which goes on where this
/// one stopped; so does one that is interrupted.
///
/// Examples:
///   snap prune
///   snap prune --dry-run
///   snap prune --max-unused 0 --max-repack 5GiB
///
/// Exit codes:
///   0 done, or left to the next prune with a word · 1 failed · 2 usage · 10 no repository ·
///   11 the store is for one writer (--exclusive) · 12 wrong password · 13 store unreachable · 20 nothing was pruned, since something is damaged · 130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Show what would go, delete nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// How much it may leave and do.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// How much a prune may leave and do; `forget --prune` takes them too.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitArgs {
    /// What may stay unused: a part of all (5%), an amount (200MB), or `unlimited`
    #[arg(long, value_name = "LIMIT", default_value = "5%")]
    pub max_unused: Unused,
    /// Most that is repacked in one run (5GiB)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_repack: Option<u64>,
    /// Longest time for repacking (90s, 30m, 2h)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub max_time: Option<Duration>,
    /// How long to wait for writers that began earlier
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub wait: Duration,
    /// Nobody else writes meanwhile: needed where the store ignores conditional puts
    #[arg(long)]
    pub exclusive: bool,
}

/// What may stay unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused(MaxUnused);

impl FromStr for Unused {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "it should be a percentage as 5%, a size as 200MB, or `unlimited`";
        if text == "unlimited" {
            return Ok(Self(MaxUnused::Unlimited));
        }
        if let Some(number) = text.strip_suffix('%') {
            return hundredths(number.trim()).map(|part| Self(MaxUnused::Part(part))).ok_or(WRONG);
        }
        size(text).map(|bytes| Self(MaxUnused::Bytes(bytes))).map_err(|_| WRONG)
    }
}

/// A number from 0 to 100 with at most two digits behind the point, in hundredths.
fn hundredths(text: &str) -> Option<u16> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{behind:0<2}");
    let all_digits = !whole.is_empty() && digits.len() == 2 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let part: u16 = if all_digits { format!("{whole}{digits}").parse().ok()? } else { return None };
    (part <= 10_000).then_some(part)
}

fn size(text: &str) -> Result<u64, &'static str> {
    text::parse_bytes(text).ok_or("it should be a size as 500MB or 5GiB")
}

/// A length of time as people write it.
pub fn time(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "it should be a time as 90s, 30m or 2h";
    let span: jiff::SignedDuration = text.parse().map_err(|_| WRONG)?;
    Duration::try_from(span).map_err(|_| WRONG)
}

/// Waits a second at a time, until a point in time.
pub struct Until(pub Instant);

impl Patience for Until {
    fn pause(&self) -> bool {
        let left = self.0.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(Duration::from_secs(1)));
        !left.is_zero()
    }
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let repository = repository::open(context)?;
    let watch = context.begin("prune", Items::Counted)?;
    let result = arguments.limits.prune(&repository, mode, context, &watch);
    let stop = watch.stop_requested();
    let (_, counts) = context.end(watch);
    let report = match (result, stop) {
        (Err(PruneError::Interrupted), Some(status)) => return Err(Failure::interrupted(status)),
        (result, _) => result?,
    };
    let mut summary = json!({
        "type": "summary", "command": "prune", "status": ExitStatus::Done.word(), "code": ExitStatus::Done.code(),
        "dry_run": arguments.dry_run,
    });
    if let (Value::Object(summary), Value::Object(members)) = (&mut summary, document(&report)) {
        summary.extend(members);
    }
    context.output.json_line(&summary)?;
    show(context, &report, mode, counts.seconds)?;
    Ok(ExitStatus::Done)
}

impl LimitArgs {
    /// Prunes within these limits.
    pub fn prune(
        &self,
        repository: &Arc<Repository>,
        mode: Mode,
        context: &Context,
        progress: &dyn Progress,
    ) -> Result<PruneReport, PruneError> {
        let request = PruneRequest {
            limits: self.limits(),
            max_time: self.max_time,
            mode,
            exclusive: self.exclusive,
            mark: session_mark(context.host(), jiff::Timestamp::now()),
            patience: &Until(Instant::now() + self.wait),
        };
        prune(repository, &request, progress)
    }

    /// What may stay, and how much may be written.
    pub fn limits(&self) -> Limits {
        Limits { max_unused: self.max_unused.0, max_repack: self.max_repack }
    }
}

/// What a prune came to, for people.
pub fn show(context: &Context, report: &PruneReport, mode: Mode, seconds: u64) -> Result<(), Failure> {
    let output = &context.output;
    if context.talk() == Talk::Quiet || output.form() == Form::Json {
        return Ok(());
    }
    let plan = &report.plan;
    for (reason, (packs, bytes)) in &plan.reasons {
        let (packs, bytes) = (text::count(*packs), text::bytes(*bytes));
        output.line(&format!("  {:<12} {packs} packs, {bytes}", reason.word()))?;
    }
    let kept = format!(
        "  {:<12} {} packs, {}, of which {} are unused",
        "kept",
        text::count(plan.kept),
        text::bytes(plan.kept_bytes),
        text::bytes(plan.unused_bytes)
    );
    output.line(&kept)?;
    for writer in &report.waits_for {
        output.line(&format!("{} waits for {writer}", context.palette.attention("!")))?;
    }
    let freed = text::bytes(report.swept.bytes.saturating_sub(plan.rewritten));
    let time = text::seconds(seconds);
    output.line(&match (mode, report.generation) {
        (Mode::DryRun, _) => format!("would free about {}", text::bytes(plan.freed())),
        _ if !report.waits_for.is_empty() => {
            format!("began to free about {}; the next prune ends it", text::bytes(plan.freed()))
        }
        (Mode::Write, Some(generation)) => {
            format!("freed {freed} in {} packs, generation {generation}; {time}", text::count(report.swept.packs))
        }
        (Mode::Write, None) if report.swept.packs > 0 => format!("ended an earlier prune: freed {freed}; {time}"),
        (Mode::Write, None) => format!("nothing to free; {time}"),
    })?;
    Ok(())
}

/// What a prune came to, in JSON.
pub fn document(report: &PruneReport) -> Value {
    let plan = &report.plan;
    let reasons: Map<String, Value> = plan
        .reasons
        .iter()
        .map(|(reason, (packs, bytes))| (reason.word().to_owned(), json!({ "packs": packs, "bytes": bytes })))
        .collect();
    json!({
        "generation": report.generation,
        "helped": report.helped,
        "condemned": reasons,
        "rewritten_bytes": plan.rewritten,
        "would_free_bytes": plan.freed(),
        "kept_packs": plan.kept,
        "kept_bytes": plan.kept_bytes,
        "unused_bytes": plan.unused_bytes,
        "deleted_packs": report.swept.packs,
        "deleted_bytes": report.swept.bytes,
        "deleted_objects": report.swept.others,
        "waits_for": report.waits_for,
    })
}

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Repository(error) => error.into(),
            PruneError::Damaged { .. } => Self::of(ExitStatus::Damaged, &error)
                .with_hint("`snap check` says what else is damaged; `snap repair` makes good what can be made good"),
            PruneError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
            PruneError::SingleWriter => Self::of(ExitStatus::Conflict, &error)
                .with_hint("make sure that no backup runs anywhere, then give --exclusive"),
            PruneError::Outrun => Self::of(ExitStatus::Failed, &error).with_hint("run it again later"),
        }
    }
}
