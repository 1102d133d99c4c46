//! `snap stats`: sizes of snapshots and of the repository.
//!
//! Says what each figure counts, for sizes before and after deduplication differ widely.

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::text;
use crate::cli::view::{View, id_digits, local_time, short_id};
use crate::operation::stats::{Held, RepositoryStats, SnapshotStats, repository_stats, snapshot_stats};
use crate::progress::Silent;
use crate::repository::snapshot::Snapshot;

/// Shows sizes: of one snapshot, or of the whole repository
///
/// Bytes before deduplication, after it, as stored, and how many chunks and packs hold them.
///
/// Examples:
///   snap stats
///   snap stats latest
///   snap stats --json
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot; the whole repository if none is given
    #[arg(value_name = "REF")]
    pub reference: Option<OsString>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let reference = arguments.reference.as_ref().map(|text| context.reference(text)).transpose()?;
    let view = View::open(context)?;
    let (document, lines) = match reference {
        Some(reference) => {
            let snapshot = view.resolve(context, &reference)?;
            let stats = snapshot_stats(&view.reader(), &view.snapshots, snapshot.id, &Silent);
            (of_snapshot(snapshot, &stats), snapshot_lines(snapshot, &stats, id_digits(&view.snapshots)))
        }
        None => {
            let stats = repository_stats(&view.repository, &view.index, &view.snapshots)?;
            (of_repository(&stats), repository_lines(&stats))
        }
    };
    match context.output.form() {
        Form::Json => context.output.document(document)?,
        Form::Human => lines.iter().try_for_each(|line| context.output.line(line))?,
    }
    Ok(ExitStatus::Done)
}

fn of_held(held: &Held) -> Value {
    json!({ "count": held.count, "bytes": held.bytes, "stored": held.stored })
}

fn of_repository(stats: &RepositoryStats) -> Value {
    json!({
        "snapshots": stats.snapshots,
        "held": stats.held,
        "chunks": of_held(&stats.chunks),
        "pages": of_held(&stats.pages),
        "packs": { "count": stats.packs, "bytes": stats.pack_bytes },
        "index_bytes": stats.index_bytes,
        "bytes": stats.bytes,
        "deduplication": ratio(stats.held.bytes, stats.chunks.bytes),
        "compression": ratio(stats.chunks.bytes, stats.chunks.stored),
    })
}

fn of_snapshot(snapshot: &Snapshot, stats: &SnapshotStats) -> Value {
    json!({
        "snapshot": snapshot.id,
        "held": stats.held,
        "chunks": of_held(&stats.chunks),
        "pages": of_held(&stats.pages),
        "unique": of_held(&stats.unique),
        "deduplication": ratio(stats.held.bytes, stats.chunks.bytes),
        "compression": ratio(stats.chunks.bytes, stats.chunks.stored),
        "faults": stats.faults,
    })
}

/// How many times more the first is; none where there is nothing to compare.
fn ratio(before: u64, after: u64) -> Option<f64> {
    (after > 0).then(|| (before as f64 / after as f64 * 100.0).round() / 100.0)
}

fn ratio_text(before: u64, after: u64) -> String {
    ratio(before, after).map_or_else(String::new, |ratio| format!("  ({ratio:.2} ×)"))
}

fn repository_lines(stats: &RepositoryStats) -> Vec<String> {
    let (chunks, pages) = (&stats.chunks, &stats.pages);
    vec![
        format!("snapshots     {}", text::count(stats.snapshots)),
        format!(
            "held          {} in {} files, {} entries, as if each snapshot stood alone",
            text::bytes(stats.held.bytes),
            text::count(stats.held.files),
            text::count(stats.held.entries)
        ),
        format!(
            "deduplicated  {} in {} chunks{}",
            text::bytes(chunks.bytes),
            text::count(chunks.count),
            ratio_text(stats.held.bytes, chunks.bytes)
        ),
        format!("compressed    {}{}", text::bytes(chunks.stored), ratio_text(chunks.bytes, chunks.stored)),
        format!(
            "pages         {} as {} in {} pages",
            text::bytes(pages.bytes),
            text::bytes(pages.stored),
            text::count(pages.count)
        ),
        format!("packs         {} in {}", text::bytes(stats.pack_bytes), text::count(stats.packs)),
        format!("index         {}", text::bytes(stats.index_bytes)),
        format!("in all        {}", text::bytes(stats.bytes)),
    ]
}

fn snapshot_lines(snapshot: &Snapshot, stats: &SnapshotStats, digits: usize) -> Vec<String> {
    let chunks = &stats.chunks;
    let mut lines = vec![
        format!("snapshot      {}  {}", short_id(snapshot.id, digits), local_time(snapshot.record.time)),
        format!(
            "holds         {} in {} files, {} entries",
            text::bytes(stats.held.bytes),
            text::count(stats.held.files),
            text::count(stats.held.entries)
        ),
        format!(
            "deduplicated  {} in {} chunks{}",
            text::bytes(chunks.bytes),
            text::count(chunks.count),
            ratio_text(stats.held.bytes, chunks.bytes)
        ),
        format!("compressed    about {}{}", text::bytes(chunks.stored), ratio_text(chunks.bytes, chunks.stored)),
        format!("pages         about {} in {} pages", text::bytes(stats.pages.stored), text::count(stats.pages.count)),
        format!(
            "its own       about {}: {} chunks and pages that no other snapshot needs",
            text::bytes(stats.unique.stored),
            text::count(stats.unique.count)
        ),
    ];
    if stats.faults > 0 {
        lines.push(format!("! {} parts cannot be read; `snap check` names them", text::count(stats.faults)));
    }
    lines
}
