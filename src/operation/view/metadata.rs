//! `SNAPSHOT-METADATA.json`: what is known of a snapshot, as a document that needs no program to be read.
//!
//! It says only what the snapshot's record says, in one way: `schema`, `time`, `host`, `user`, `series`, `tags`, `description`, `tool`;
//! `accounts` and `regions`; `totals`, and with them `sources` by name, each with `resources` and how many of these are `complete`,
//! `partial` and `failed`, its `gaps` and how many of these were `denied`; `gaps` in all; `coverage`, in one word; `asked`: which
//! sources were asked, in which account and regions, and what was left out. Last `resources`, each with `path`, `source`,
//! `coverage`, `totals`, `attributes`, `scope` (filters of the backup), and its `gaps` or the `reason` it failed for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::resource::{Asked, Coverage, Gap, ResourceRecord, SnapshotRecord, Totals};

/// Of the document itself.
const SCHEMA: u32 = 1;
/// What the words of services begin with for what they do not allow.
const DENIED: [&str; 4] = ["AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized"];

#[derive(Serialize)]
struct Document<'d> {
    schema: u32,
    time: jiff::Timestamp,
    host: &'d str,
    user: &'d str,
    series: &'d str,
    tags: &'d [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'d str,
    tool: &'d str,
    accounts: BTreeSet<&'d str>,
    regions: BTreeSet<&'d str>,
    coverage: &'static str,
    totals: Totals,
    gaps: u64,
    sources: BTreeMap<&'d str, Source>,
    #[serde(skip_serializing_if = "<[Asked]>::is_empty")]
    asked: &'d [Asked],
    resources: Vec<Resource<'d>>,
}

#[derive(Default, Serialize)]
struct Source {
    resources: u64,
    complete: u64,
    partial: u64,
    failed: u64,
    gaps: u64,
    denied: u64,
    totals: Totals,
}

#[derive(Serialize)]
struct Resource<'d> {
    path: &'d str,
    source: &'d str,
    coverage: &'static str,
    totals: Totals,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'d BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scope: &'d [String],
    #[serde(skip_serializing_if = "<[Gap]>::is_empty")]
    gaps: &'d [Gap],
    #[serde(skip_serializing_if = "is_zero")]
    gaps_not_listed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The document about a snapshot: JSON as people read it, with a line end.
pub fn document(record: &SnapshotRecord) -> Vec<u8> {
    let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
    let mut totals = Totals::default();
    for resource in &record.resources {
        let source = sources.entry(&resource.source).or_default();
        source.resources += 1;
        source.totals.add(&resource.totals);
        totals.add(&resource.totals);
        match &resource.coverage {
            Coverage::Complete => source.complete += 1,
            Coverage::Partial { gaps, count } => {
                let is_denied = |gap: &&Gap| DENIED.iter().any(|word| gap.code.starts_with(word));
                source.partial += 1;
                source.gaps += count;
                source.denied += gaps.iter().filter(is_denied).count() as u64;
            }
            Coverage::Failed { .. } => source.failed += 1,
        }
    }
    let document = Document {
        schema: SCHEMA,
        time: record.time,
        host: &record.host,
        user: &record.user,
        series: &record.series,
        tags: &record.tags,
        description: &record.description,
        tool: &record.tool,
        accounts: attributes(record, "account", record.asked.iter().map(|asked| asked.account.as_str())),
        regions: attributes(record, "region", record.asked.iter().flat_map(|asked| &asked.regions).map(String::as_str)),
        coverage: worst(record),
        totals,
        gaps: sources.values().map(|source| source.gaps).sum(),
        sources,
        asked: &record.asked,
        resources: record.resources.iter().map(resource_of).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&document).expect("because it is plain data");
    text.push(b'\n');
    text
}

/// The values that an attribute has, and more.
fn attributes<'r>(record: &'r SnapshotRecord, name: &str, more: impl Iterator<Item = &'r str>) -> BTreeSet<&'r str> {
    let values = record.resources.iter().filter_map(|resource| resource.attributes.get(name));
    values.map(String::as_str).chain(more).filter(|value| !value.is_empty()).collect()
}

fn resource_of(record: &ResourceRecord) -> Resource<'_> {
    let (gaps, count, reason) = match &record.coverage {
        Coverage::Complete => (&[][..], 0, None),
        Coverage::Partial { gaps, count } => (gaps.as_slice(), *count, None),
        Coverage::Failed { reason } => (&[][..], 0, Some(reason.as_str())),
    };
    Resource {
        path: &record.path,
        source: &record.source,
        coverage: word(&record.coverage),
        totals: record.totals,
        attributes: &record.attributes,
        scope: &record.scope,
        gaps,
        gaps_not_listed: count.saturating_sub(gaps.len() as u64),
        reason,
    }
}

fn word(coverage: &Coverage) -> &'static str {
    match coverage {
        Coverage::Complete => "complete",
        Coverage::Partial { .. } => "partial",
        Coverage::Failed { .. } => "failed",
    }
}

/// A snapshot that misses anything is partial, and failed only where nothing of it was had.
fn worst(record: &SnapshotRecord) -> &'static str {
    let words: BTreeSet<&str> = record.resources.iter().map(|resource| word(&resource.coverage)).collect();
    match (words.contains("complete"), words.contains("partial"), words.contains("failed")) {
        (_, true, _) | (true, _, true) => "partial",
        (false, false, true) => "failed",
        _ => "complete",
    }
}
