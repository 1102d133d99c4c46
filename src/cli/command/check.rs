//! `snap check`: proves that snapshots can be had again.
//!
//! Structure always, every byte with `--read-data`; what was verified when is remembered by the operation.

use std::num::NonZeroUsize;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::cli::arguments::Talk;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::repository;
use crate::cli::text;
use crate::cli::view::{local_time, short_id};
use crate::cli::watch::Items;
use crate::id::SnapshotId;
use crate::operation::check::{CheckReport, CheckRequest, Depth, Verdict, check};
use crate::operation::reach::{Extent, Fault};

/// Verifies the repository
///
/// Without --read-data: every snapshot's pages, and that each chunk they name is in a pack that is there. With it every
/// byte is read, decrypted and compared with its name; with a percentage that part which was verified longest ago.
///
/// Examples:
///   snap check
///   snap check --read-data
///   snap check --read-data=10%
///
/// Exit codes:
///   0 sound · 1 failed · 2 usage · 10 no repository · 11 conflicting operation · 12 wrong password ·
///   13 store unreachable · 20 damaged, but every byte can be had again · 21 data is lost (it is named) ·
///   130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Read everything, or the given part of it
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "100")]
    pub read_data: Option<Percent>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let repository = repository::open_for_check(context)?;
    let request = CheckRequest {
        depth: arguments.read_data.map_or(Depth::Structure, |percent| Depth::Data(percent.0)),
        threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        now: jiff::Timestamp::now(),
    };
    let watch = context.begin("check", Items::Counted)?;
    let result = check(&repository, &request, &watch);
    let stop = watch.stop_requested();
    let (_, counts) = context.end(watch);
    let report = result?;
    let status = stop.unwrap_or(match report.verdict() {
        Verdict::Sound => ExitStatus::Done,
        Verdict::Recoverable => ExitStatus::Damaged,
        Verdict::Lost => ExitStatus::Lost,
    });
    match context.output.form() {
        Form::Json => context.output.json_line(&document(&report, status))?,
        Form::Human => show(context, &report, counts.seconds)?,
    }
    match stop {
        Some(status) => Err(Failure::interrupted(status)),
        None => Ok(status),
    }
}

/// One thing that is lost, and the snapshots that lost it, newest first.
struct Loss<'r> {
    fault: &'r Fault,
    snapshots: Vec<SnapshotId>,
}

fn losses(report: &CheckReport) -> Vec<Loss<'_>> {
    let mut losses: Vec<Loss<'_>> = Vec::new();
    for fault in &report.lost {
        let same = |loss: &&mut Loss<'_>| {
            (&loss.fault.path, &loss.fault.extent, &loss.fault.reason) == (&fault.path, &fault.extent, &fault.reason)
        };
        match losses.iter_mut().find(same) {
            Some(loss) if loss.snapshots.contains(&fault.snapshot) => {}
            Some(loss) => loss.snapshots.push(fault.snapshot),
            None => losses.push(Loss { fault, snapshots: vec![fault.snapshot] }),
        }
    }
    losses
}

/// Losses that are shown to people; JSON has more.
const LOSSES_SHOWN: usize = 50;
/// Digits of a snapshot's id that are shown.
const ID_DIGITS: usize = 8;

fn show(context: &Context, report: &CheckReport, seconds: u64) -> Result<(), Failure> {
    let (output, palette) = (&context.output, context.palette);
    for damaged in &report.damaged {
        output.line(&format!("{} {}", palette.attention("!"), text::harmless(damaged)))?;
    }
    for snapshot in &report.lost_snapshots {
        output.line(&format!("{} a snapshot is lost: {}", palette.bad("-"), text::harmless(snapshot)))?;
    }
    let losses = losses(report);
    for loss in losses.iter().take(LOSSES_SHOWN) {
        let ids: Vec<String> = loss.snapshots.iter().map(|id| short_id(*id, ID_DIGITS)).collect();
        let (path, reason) = (text::printable(&loss.fault.path), text::harmless(&loss.fault.reason));
        let extent = extent_text(&loss.fault.extent);
        output.line(&format!("{} lost: {path}{extent} in {}: {reason}", palette.bad("-"), ids.join(", ")))?;
    }
    if losses.len() > LOSSES_SHOWN || report.lost_count > report.lost.len() as u64 {
        let count = text::count(report.lost_count);
        output.line(&format!("  … {count} losses in all, counted in each snapshot; --json lists more"))?;
    }
    if context.talk() == Talk::Quiet {
        return Ok(());
    }
    output.line(&format!(
        "checked {} snapshots in {}: {} entries in {} pages, {} references to chunks",
        text::count(report.snapshots),
        text::seconds(seconds),
        text::count(report.reached.entries),
        text::count(report.reached.tree_pages + report.reached.list_pages),
        text::count(report.reached.references),
    ))?;
    show_packs(context, report)?;
    output.line(&match report.verdict() {
        Verdict::Sound => palette.good("sound: nothing is damaged"),
        Verdict::Recoverable => palette
            .attention("damaged, but every byte of every snapshot can be had again: `snap repair index`, then `packs`"),
        Verdict::Lost => {
            palette.bad("data is lost: what is listed above cannot be had again (`snap repair` saves what is left)")
        }
    })
}

fn show_packs(context: &Context, report: &CheckReport) -> Result<(), Failure> {
    let output = &context.output;
    output.line(&format!("  {} packs, {}", text::count(report.packs), text::bytes(report.pack_bytes)))?;
    if let Some(data) = report.data {
        let since = match data.oldest {
            Some(time) => format!("every pack was found whole since {}", local_time(time)),
            None => format!("{} packs were never found whole", text::count(data.never)),
        };
        let (packs, bytes) = (text::count(data.packs), text::bytes(data.bytes));
        output.line(&format!("  {packs} packs, {bytes} read byte by byte; {since}"))?;
    }
    if report.unnamed_packs > 0 || report.unfinished_sessions > 0 {
        output.line(&format!(
            "  left by runs that were interrupted or still go on: {} packs, {}, {} sessions",
            text::count(report.unnamed_packs),
            text::bytes(report.unnamed_bytes),
            text::count(report.unfinished_sessions),
        ))?;
    }
    Ok(())
}

fn extent_text(extent: &Extent) -> String {
    match extent {
        Extent::Bytes { start, end } => format!(" bytes {start} to {end}"),
        Extent::Entries { end, totals } => {
            let until = end
                .as_ref()
                .map_or_else(|| "the end of its resource".to_owned(), |end| format!("before {}", text::printable(end)));
            format!(" to {until} ({} entries)", text::count(totals.entries))
        }
    }
}

fn document(report: &CheckReport, status: ExitStatus) -> Value {
    let loss = |loss: &Loss<'_>| {
        let mut object = serde_json::Map::new();
        text::insert_path(&mut object, "path", &loss.fault.path);
        object.insert("reason".to_owned(), loss.fault.reason.clone().into());
        object.insert("snapshots".to_owned(), json!(loss.snapshots));
        match &loss.fault.extent {
            Extent::Bytes { start, end } => {
                object.insert("start".to_owned(), (*start).into());
                object.insert("end".to_owned(), (*end).into());
            }
            Extent::Entries { end, totals } => {
                object.insert("totals".to_owned(), json!(totals));
                if let Some(end) = end {
                    text::insert_path(&mut object, "until", end);
                }
            }
        }
        Value::Object(object)
    };
    let data = report.data.map(|data| {
        json!({ "packs": data.packs, "bytes": data.bytes, "never_verified": data.never, "verified_since": data.oldest })
    });
    json!({
        "type": "summary",
        "command": "check",
        "status": status.word(),
        "code": status.code(),
        "snapshots": report.snapshots,
        "entries": report.reached.entries,
        "pages": report.reached.tree_pages + report.reached.list_pages,
        "references": report.reached.references,
        "packs": report.packs,
        "bytes": report.pack_bytes,
        "data": data,
        "leftover_packs": report.unnamed_packs,
        "leftover_bytes": report.unnamed_bytes,
        "unfinished_sessions": report.unfinished_sessions,
        "damaged": report.damaged,
        "lost_snapshots": report.lost_snapshots,
        "lost": losses(report).iter().map(loss).collect::<Vec<_>>(),
        "lost_count": report.lost_count,
    })
}

/// A part of everything, above 0 and at most 100 percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let percent: f64 = number.parse().map_err(|_| "it should be a percentage as 10%")?;
        if percent > 0.0 && percent <= 100.0 { Ok(Self(percent)) } else { Err("it should be above 0 and at most 100%") }
    }
}

#[cfg(test)]
mod tests {
    use super::Percent;

    #[test]
    fn a_part_is_above_nothing_and_at_most_all() {
        assert_eq!("2.5%".parse(), Ok(Percent(2.5)));
        assert_eq!("100".parse(), Ok(Percent(100.0)));
        for wrong in ["0", "101%", "-1", "NaN", "x", ""] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
    }
}
