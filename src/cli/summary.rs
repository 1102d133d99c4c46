//! The end of a backup as it is told: what the snapshot holds, what changed, what is missing.
//!
//! Takes a report and gives lines for people or the `summary` line of `--json`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::cli::arguments::Talk;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::table::{Lean, lines};
use crate::cli::text;
use crate::cli::watch::Counts;
use crate::operation::backup::BackupReport;
use crate::resource::{Coverage, Gap, ResourceRecord, SnapshotRecord, Totals, unescape_path};

/// Digits of an id that are shown to people.
const ID_DIGITS: usize = 8;
/// The source whose resources are told one by one.
const LOCAL: &str = "local";

/// Tells how a backup ended.
pub fn show(context: &Context, report: &BackupReport, status: ExitStatus, counts: Counts) -> Result<(), Failure> {
    let output = &context.output;
    if output.form() == Form::Json {
        return output.json_line(&json(report, status, counts));
    }
    if context.talk() == Talk::Quiet {
        return Ok(());
    }
    let record = &report.record;
    let summary = &record.summary;
    let series = text::printable(record.series.as_bytes());
    match report.id {
        Some(id) => output.line(&format!("snapshot {}  {series}", &id.to_string()[..ID_DIGITS]))?,
        None => output.line(&format!("dry run, nothing was stored  {series}"))?,
    }
    for resource in record.resources.iter().filter(|resource| resource.source == LOCAL) {
        output.line(&format!("  {}", resource_line(resource)))?;
    }
    for line in estate_lines(record) {
        output.line(&format!("  {line}"))?;
    }
    output.line(&format!(
        "  {} new, {} changed, {} removed, {} unchanged; read {}, stored {} in {}",
        text::count(summary.new),
        text::count(summary.changed),
        text::count(summary.removed),
        text::count(summary.unchanged),
        text::bytes(summary.bytes_read),
        text::bytes(summary.bytes_stored),
        text::seconds(summary.milliseconds / 1000),
    ))?;
    if report.gap_count() > 0 {
        let word = if status == ExitStatus::Incomplete { "incomplete" } else { "accepted" };
        let gaps = text::count(report.gap_count());
        output.line(&format!("  {word}: {gaps} could not be captured; the snapshot says which"))?;
        let hints: BTreeSet<&str> =
            gaps_of(record).map(|gap| gap.hint.as_str()).filter(|hint| !hint.is_empty()).collect();
        for hint in hints {
            output.line(&format!("  {}", text::harmless(hint)))?;
        }
    }
    Ok(())
}

fn gaps_of(record: &SnapshotRecord) -> impl Iterator<Item = &Gap> {
    record.resources.iter().flat_map(|resource| match &resource.coverage {
        Coverage::Partial { gaps, .. } => gaps.as_slice(),
        _ => &[],
    })
}

/// A line for each source of the estate: how many resources, what they hold, how completely.
fn estate_lines(record: &SnapshotRecord) -> Vec<String> {
    let mut sources: BTreeMap<&str, (Totals, [u64; 3])> = BTreeMap::new();
    for resource in record.resources.iter().filter(|resource| resource.source != LOCAL) {
        let (totals, counts) = sources.entry(&resource.source).or_default();
        totals.add(&resource.totals);
        counts[match resource.coverage {
            Coverage::Complete => 0,
            Coverage::Partial { .. } => 1,
            Coverage::Failed { .. } => 2,
        }] += 1;
    }
    let row = |(source, (totals, counts)): (&str, (Totals, [u64; 3]))| {
        let parts = counts.into_iter().zip(["complete", "partial", "failed"]).filter(|(count, _)| *count > 0);
        let coverage: Vec<String> = parts.map(|(count, word)| format!("{} {word}", text::count(count))).collect();
        let files = format!("{} files", text::count(totals.files));
        [source.to_owned(), files, text::bytes(totals.bytes), coverage.join(", ")]
    };
    let rows: Vec<[String; 4]> = sources.into_iter().map(row).collect();
    lines([Lean::Left, Lean::Right, Lean::Right, Lean::Left], &rows)
}

fn resource_line(resource: &ResourceRecord) -> String {
    let path = unescape_path(&resource.path).unwrap_or_default();
    let coverage = match &resource.coverage {
        Coverage::Complete => "complete".to_owned(),
        Coverage::Partial { count, .. } => format!("partial, {} missing", text::count(*count)),
        Coverage::Failed { reason } => format!("failed: {}", text::harmless(reason)),
    };
    let (files, bytes) = (text::count(resource.totals.files), text::bytes(resource.totals.bytes));
    format!("{}  {files} files, {bytes}  {coverage}", text::printable(&path))
}

fn json(report: &BackupReport, status: ExitStatus, counts: Counts) -> Value {
    let record = &report.record;
    let resources: Vec<Value> = record
        .resources
        .iter()
        .map(|resource| {
            let (source, path, totals) = (&resource.source, &resource.path, &resource.totals);
            json!({ "source": source, "path": path, "totals": totals, "coverage": resource.coverage })
        })
        .collect();
    json!({
        "type": "summary",
        "command": "backup",
        "status": status.word(),
        "code": status.code(),
        "snapshot": report.id.map(|id| id.to_string()),
        "parent": record.parent.map(|id| id.to_string()),
        "series": record.series,
        "time": record.time,
        "summary": record.summary,
        "gaps": report.gap_count(),
        "warnings": counts.warnings,
        "resources": resources,
    })
}
