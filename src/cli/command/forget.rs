//! `snap forget`: takes snapshots off the list, by rules or by name.
//!
//! Which go is the operation's pure plan; here it is shown, asked about where a series would lose its last complete
//! snapshot, and carried out.

use std::collections::HashSet;
use std::ffi::OsString;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::arguments::{Flags, Talk};
use crate::cli::command::prune::{self, LimitArgs};
use crate::cli::config::Flag;
use crate::cli::consent::Consent;
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::selection::SelectionArgs;
use crate::cli::table::{Lean, lines};
use crate::cli::view::{coverage, id_digits, local_time, resolve, short_id, snapshots};
use crate::cli::watch::Items;
use crate::cli::{repository, text};
use crate::id::SnapshotId;
use crate::operation::forget::policy::{Decision, Interval, LastComplete, Reason, Rules};
use crate::operation::forget::within::Within;
use crate::operation::forget::{ForgetError, ForgetPlan};
use crate::operation::prune::{PruneReport, foretell};
use crate::progress::Silent;
use crate::repository::Repository;
use crate::repository::session::Mode;
use crate::repository::snapshot::Snapshot;

/// Takes snapshots off the list, by rules or by name
///
/// Rules apply within each series, whatever host or folder its snapshots come from. A snapshot stays if any rule keeps
/// it, and each is shown with the reason. --keep-daily 7 keeps the newest of each of the last 7 days that have one; days
/// without a snapshot do not count. Days and hours are those of the local time zone. Rules may stand in snap.toml under
/// [retention]; those given here go before them, one by one.
///
/// The last complete snapshot of a series stays whatever the rules say, also where newer ones are incomplete or narrower.
/// Complete: every resource was captured without a gap. Narrower: of what the other captured it lacks a folder, or has a
/// filter more. Where a series has no complete one, its newest stays. To forget it, name it or give rules that do not keep
/// it, and say --even-last-complete too. What is dated in the future stays, and counts for no rule.
///
/// Nothing is deleted before `snap prune`, or --prune here: `snap undo` brings back what was forgotten, as long as its data is there.
///
/// Examples:
///   snap forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run
///   snap forget --series laptop --keep-within 30d --keep-tag keep
///   snap forget 4ac1d2 tag:mistake
///   snap forget --keep-daily 7 --prune
///
/// Exit codes:
///   0 done · 1 failed, or refused because a last complete snapshot would go · 2 usage, or no consent ·
///   10 no repository · 12 wrong password · 13 store unreachable · 130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshots to forget, instead of rules
    #[arg(value_name = "REF", conflicts_with_all = ["rules", "selection"])]
    pub references: Vec<OsString>,
    /// What is kept.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Which snapshots the rules are for.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Let the last complete snapshot of a series go too; asks first
    #[arg(long)]
    pub even_last_complete: bool,
    /// Show what would be forgotten, forget nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Give back the space too, as `snap prune` does
    #[arg(long)]
    pub prune: bool,
    /// With --prune.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Rules of retention.
#[derive(Debug, clap::Args)]
#[group(id = "rules", multiple = true)]
pub struct RuleArgs {
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u32>,
    /// Keep the newest of each of the last N hours that have one
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<u32>,
    /// Keep the newest of each of the last N days that have one
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u32>,
    /// Keep the newest of each of the last N weeks that have one
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u32>,
    /// Keep the newest of each of the last N months that have one
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u32>,
    /// Keep the newest of each of the last N years that have one
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<u32>,
    /// Keep all that are less than this much older than the newest: 30d, 1y6m (y years, m months, w weeks, d days, h hours)
    #[arg(long, value_name = "DURATION")]
    pub keep_within: Option<String>,
    /// Keep all with this tag, or another that is given so
    #[arg(long, value_name = "TAG")]
    pub keep_tag: Vec<String>,
}

/// The configuration's key, and the flag, of each count.
const COUNTS: [(Interval, &str, &str); 6] = [
    (Interval::Snapshot, "retention.keep-last", "--keep-last"),
    (Interval::Hour, "retention.keep-hourly", "--keep-hourly"),
    (Interval::Day, "retention.keep-daily", "--keep-daily"),
    (Interval::Week, "retention.keep-weekly", "--keep-weekly"),
    (Interval::Month, "retention.keep-monthly", "--keep-monthly"),
    (Interval::Year, "retention.keep-yearly", "--keep-yearly"),
];

impl Args {
    /// What these options set in the configuration; the flag whose value cannot be read is the error.
    pub fn flags(&self, environment: &Environment) -> Result<Vec<Flag>, &'static str> {
        let rules = &self.rules;
        let counts = [
            rules.keep_last,
            rules.keep_hourly,
            rules.keep_daily,
            rules.keep_weekly,
            rules.keep_monthly,
            rules.keep_yearly,
        ];
        let mut flags = Flags::new(environment);
        for ((_, key, flag), count) in COUNTS.into_iter().zip(counts) {
            flags.count(key, flag, count);
        }
        flags.text("retention.keep-within", "--keep-within", rules.keep_within.as_deref())?;
        flags.texts("retention.keep-tags", "--keep-tag", &rules.keep_tag);
        Ok(flags.flags)
    }

    fn last_complete(&self) -> LastComplete {
        if self.even_last_complete { LastComplete::MayGo } else { LastComplete::Stays }
    }
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let rules = if arguments.references.is_empty() { Some(rules(arguments, context)?) } else { None };
    let repository = repository::open(context)?;
    let all = snapshots(context, &repository)?;
    let now = Timestamp::now();
    let plan = match &rules {
        Some(rules) => ForgetPlan::by_rules(&all, &arguments.selection.selection(), rules, now, &TimeZone::system()),
        None => ForgetPlan::by_name(&all, &named(arguments, context, &all)?, arguments.last_complete())?,
    };
    let digits = id_digits(&all);
    if !arguments.dry_run {
        ask(Consent::of_flag(arguments.yes), &plan, digits)?;
    }
    let frees = foretold(context, &repository, &plan, arguments);
    let cause = if rules.is_some() { Cause::NoRule } else { Cause::Named };
    let watch = context.begin("forget", Items::Counted)?;
    show(context, &plan, cause, digits)?;
    let carried_out: Result<Option<PruneReport>, Failure> = if arguments.dry_run {
        Ok(None)
    } else {
        plan.carry_out(&repository, now, context.host(), &watch).map_err(Failure::from).and_then(|()| {
            let prune = || arguments.limits.prune(&repository, Mode::Write, context, &watch);
            Ok(if arguments.prune { Some(prune()?) } else { None })
        })
    };
    let stop = watch.stop_requested();
    let (_, counts) = context.end(watch);
    match (carried_out, stop) {
        (Err(_), Some(stop)) => Err(Failure::interrupted(stop)),
        (Err(failure), None) => Err(failure),
        (Ok(pruned), _) => {
            summarize(context, &plan, arguments, frees, pruned.as_ref())?;
            if let Some(report) = &pruned {
                prune::show(context, report, Mode::Write, counts.seconds)?;
            }
            Ok(ExitStatus::Done)
        }
    }
}

/// Bytes that the next prune gives back once these are forgotten; `None` where nobody asks or a damage hides it.
fn foretold(context: &Context, repository: &Repository, plan: &ForgetPlan<'_>, arguments: &Args) -> Option<u64> {
    let going: HashSet<SnapshotId> = plan.going().map(|snapshot| snapshot.id).collect();
    if going.is_empty() || arguments.prune && !arguments.dry_run || context.talk() == Talk::Quiet {
        return None;
    }
    match foretell(repository, &going, arguments.limits.limits(), &Silent) {
        Ok(plan) => Some(plan.freed()),
        Err(error) => {
            context.remark(&format!("nobody can say what a prune would free: {error}"));
            None
        }
    }
}

/// What the configuration in force keeps; fails where that is nothing at all.
fn rules(arguments: &Args, context: &Context) -> Result<Rules, Failure> {
    let settings = &context.settings;
    let key = "retention.keep-within";
    let within = settings.text(key).map(str::parse::<Within>).transpose().map_err(|error| {
        let origin = settings.origin(key).map(ToString::to_string).unwrap_or_default();
        Failure::of(ExitStatus::Usage, &error).while_doing(format!("{origin}: keep-within"))
    })?;
    let rules = Rules {
        newest: COUNTS.iter().filter_map(|(interval, key, _)| Some((*interval, settings.count(key)?))).collect(),
        within,
        tags: settings.words("retention.keep-tags"),
        last_complete: arguments.last_complete(),
    };
    if rules.is_empty() {
        return Err(Failure::usage("nothing says what to keep, and no snapshot is named")
            .with_hint("give --keep-daily 7 or another rule, set [retention] in snap.toml, or name what is to go"));
    }
    Ok(rules)
}

fn named(arguments: &Args, context: &Context, all: &[Snapshot]) -> Result<Vec<SnapshotId>, Failure> {
    let resolve_one = |text: &OsString| {
        let reference = context.reference(text)?;
        if reference.path.is_some() {
            return Err(Failure::usage("a snapshot is forgotten as a whole, not a path in it"));
        }
        Ok(resolve(context, all, &reference)?.id)
    };
    arguments.references.iter().map(resolve_one).collect()
}

/// Shows which last complete snapshots go, and asks; where there is none there is nothing to ask.
fn ask(consent: Consent, plan: &ForgetPlan<'_>, digits: usize) -> Result<(), Failure> {
    if plan.last_complete.is_empty() {
        return Ok(());
    }
    consent.obtainable("forgetting the last complete snapshot of a series")?;
    let line = |snapshot: &&Snapshot| {
        let (id, time) = (short_id(snapshot.id, digits), local_time(snapshot.record.time));
        format!("- {id}  {time}  {}", text::printable(snapshot.record.series.as_bytes()))
    };
    let lines: Vec<String> = plan.last_complete.iter().map(line).collect();
    if consent.ask(&lines, "Forget these too? Nothing as complete and as wide stays in their series.")? {
        return Ok(());
    }
    Err(Failure::new(ExitStatus::Failed, "nothing was forgotten, as you did not agree"))
}

/// Why a snapshot goes.
#[derive(Clone, Copy)]
enum Cause {
    NoRule,
    Named,
}

/// Every decision with its reasons, under the names of the series.
fn show(context: &Context, plan: &ForgetPlan<'_>, cause: Cause, digits: usize) -> Result<(), Failure> {
    for decision in &plan.decisions {
        context.output.json_line(&document(decision, cause))?;
    }
    if context.output.form() == Form::Json || context.talk() == Talk::Quiet {
        return Ok(());
    }
    if plan.decisions.is_empty() {
        context.remark("no snapshot is of this series, host and tags");
    }
    let rows: Vec<[String; 7]> = plan.decisions.iter().map(|decision| row(decision, cause, digits)).collect();
    let mut series: Option<&str> = None;
    for (decision, line) in plan.decisions.iter().zip(lines([Lean::Left; 7], &rows)) {
        let own = decision.snapshot.record.series.as_str();
        if series.replace(own) != Some(own) {
            context.output.line(&context.palette.strong(text::printable(own.as_bytes())))?;
        }
        let line = if decision.stays() { line } else { context.palette.bad(line) };
        context.output.line(&line)?;
    }
    Ok(())
}

fn row(decision: &Decision<'_>, cause: Cause, digits: usize) -> [String; 7] {
    let record = &decision.snapshot.record;
    let printable = |text: &str| text::printable(text.as_bytes());
    let why: Vec<String> = match (decision.stays(), cause) {
        (true, _) => decision.reasons.iter().map(|reason| printable(&words(reason))).collect(),
        (false, Cause::NoRule) => vec!["no rule keeps it".to_owned()],
        (false, Cause::Named) => vec!["named".to_owned()],
    };
    let word = coverage(record);
    [
        if decision.stays() { "  keep" } else { "- forget" }.to_owned(),
        short_id(decision.snapshot.id, digits),
        local_time(record.time),
        printable(&record.host),
        printable(&record.tags.join(",")),
        if word == "complete" { String::new() } else { format!("! {word}") },
        why.join(", "),
    ]
}

fn words(reason: &Reason) -> String {
    match reason {
        Reason::Newest(interval) => interval.word().to_owned(),
        Reason::Within => "within".to_owned(),
        Reason::Tag(tag) => format!("tag {tag}"),
        Reason::Future => "dated in the future".to_owned(),
        Reason::LastComplete => "last complete".to_owned(),
    }
}

fn document(decision: &Decision<'_>, cause: Cause) -> Value {
    let record = &decision.snapshot.record;
    let word = |reason: &Reason| match reason {
        Reason::Newest(interval) => json!(interval.word()),
        Reason::Within => json!("within"),
        Reason::Tag(tag) => json!(format!("tag:{tag}")),
        Reason::Future => json!("future"),
        Reason::LastComplete => json!("last_complete"),
    };
    let reasons: Vec<Value> = match (decision.stays(), cause) {
        (true, _) => decision.reasons.iter().map(word).collect(),
        (false, Cause::NoRule) => vec![json!("no_rule")],
        (false, Cause::Named) => vec![json!("named")],
    };
    json!({
        "type": "item",
        "action": if decision.stays() { "keep" } else { "forget" },
        "snapshot": decision.snapshot.id,
        "time": record.time,
        "host": record.host,
        "series": record.series,
        "tags": record.tags,
        "coverage": coverage(record),
        "reasons": reasons,
    })
}

fn summarize(
    context: &Context,
    plan: &ForgetPlan<'_>,
    arguments: &Args,
    frees: Option<u64>,
    pruned: Option<&PruneReport>,
) -> Result<(), Failure> {
    let going = plan.going().count();
    let kept = plan.decisions.len() - going;
    let output = &context.output;
    output.json_line(&json!({
        "type": "summary", "command": "forget", "status": ExitStatus::Done.word(), "code": ExitStatus::Done.code(),
        "dry_run": arguments.dry_run, "kept": kept, "forgotten": going, "would_free_bytes": frees,
        "prune": pruned.map(prune::document),
    }))?;
    if context.talk() == Talk::Quiet || plan.decisions.is_empty() {
        return Ok(());
    }
    let because = |reason| plan.decisions.iter().filter(|decision| decision.reasons.contains(&reason)).count();
    let last = because(Reason::LastComplete);
    if last > 0 {
        output
            .line(&format!("{last} kept only as the last complete of a series; --even-last-complete lets that go"))?;
    }
    let future = because(Reason::Future);
    if future > 0 {
        output.line(&format!("{future} dated in the future, kept and not counted: a clock was wrong"))?;
    }
    let frees = frees.map_or_else(String::new, |bytes| format!("; a prune then frees about {}", text::bytes(bytes)));
    output.line(&match (arguments.dry_run, going, pruned) {
        (true, ..) => format!("would keep {kept} and forget {going}{frees}"),
        (false, 0, _) => format!("kept {kept}, forgot none"),
        (false, _, Some(_)) => format!("kept {kept}, forgot {going}"),
        (false, _, None) => {
            format!("kept {kept}, forgot {going}{frees}; `snap undo` brings them back while their data is there")
        }
    })
}

impl From<ForgetError> for Failure {
    fn from(error: ForgetError) -> Self {
        match error {
            ForgetError::Repository(error) => error.into(),
            ForgetError::LastComplete { .. } => Self::of(ExitStatus::Failed, &error)
                .with_hint("nothing was forgotten; --even-last-complete forgets it all the same"),
            ForgetError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
        }
    }
}
