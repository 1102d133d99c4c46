//! T18: what AWS does on bad days, done by the front to captures of a whole estate.
//!
//! What is lost is said, what is not lost is the same to the last byte, and the next run closes what was open.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use snap::operation::backup::BackupReport;
use snap::resource::{Coverage, ResourceRecord, escape_path};

use super::front::Effect;
use super::stage::{Stage, gaps};
use super::untouched;

/// Service and action.
type Action = (String, String);

/// Each action that a clean run asks for, of services that sign.
fn actions(stage: &Stage) -> BTreeSet<Action> {
    let seen = stage.front.take();
    seen.into_iter().filter(|seen| !seen.service.is_empty()).map(|seen| (seen.service, seen.action)).collect()
}

pub(super) fn by_path(report: &BackupReport) -> BTreeMap<&str, &ResourceRecord> {
    report.record.resources.iter().map(|record| (record.path.as_str(), record)).collect()
}

/// Whether a document says nothing that the other does not, in the same places.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|other| is_part(value, other)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.iter().all(|item| whole.iter().any(|other| is_part(item, other)))
        }
        _ => part == whole,
    }
}

/// What is wrong with a run in which something was refused, against one in which nothing was: whatever differs must be
/// named, and what is there must be true.
pub(super) fn lies(stage: &Stage, clean: &BackupReport, refused: &BackupReport) -> Vec<String> {
    let (before, after) = (by_path(clean), by_path(refused));
    let unknown = |path: &str| {
        let is_above = |record: &&&ResourceRecord| {
            matches!(record.coverage, Coverage::Failed { .. })
                && path.starts_with(record.path.split('@').next().unwrap_or_default())
        };
        after.values().any(|record| is_above(&record))
    };
    let mut lies = Vec::new();
    for (path, record) in &before {
        match after.get(path) {
            None if unknown(path) => {}
            None => lies.push(format!("{path} is not there, and nothing says so")),
            Some(other) if other.root == record.root => {
                if other.coverage == Coverage::Complete && record.coverage != Coverage::Complete {
                    lies.push(format!("{path} is called complete"));
                }
            }
            Some(other) => lies.extend(lies_of(stage, path, record, other)),
        }
    }
    let is_new = |path: &&&str| !before.contains_key(**path);
    for path in after.keys().filter(is_new) {
        if !matches!(after[path].coverage, Coverage::Failed { .. }) {
            lies.push(format!("{path} came from nowhere"));
        }
    }
    lies
}

fn lies_of(stage: &Stage, path: &str, clean: &ResourceRecord, refused: &ResourceRecord) -> Vec<String> {
    let mut lies = Vec::new();
    if matches!(refused.coverage, Coverage::Failed { .. }) {
        return lies;
    }
    let (before, after) = (stage.contents(clean), stage.contents(refused));
    let is_named = |inside: &str| {
        let inside = escape_path(inside.as_bytes());
        let fits = |gap: &str| gap == inside || gap.is_empty() || inside.starts_with(&format!("{gap}/"));
        gaps(refused).iter().any(|gap| fits(&gap.path))
    };
    for (inside, (entry, bytes)) in &before {
        match after.get(inside) {
            Some((other, _)) if other == entry => {}
            _ if !is_named(inside) => lies.push(format!("{path}/{inside} differs, and nothing says so")),
            None => {}
            Some((_, other)) => {
                let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
                if bytes != other && !is_part(&read(other), &read(bytes)) {
                    lies.push(format!("{path}/{inside} says what is not so"));
                }
            }
        }
    }
    lies.extend(
        after.keys().filter(|inside| !before.contains_key(*inside)).map(|inside| format!("{path}/{inside} is new")),
    );
    lies
}

/// Whether a record names the action, says that it is denied, and what to allow.
fn names(report: &BackupReport, (service, action): &Action) -> bool {
    let is_named = |text: &str| text.ends_with(&format!(":{action}"));
    let of = |record: &&ResourceRecord| match &record.coverage {
        Coverage::Complete => false,
        Coverage::Partial { gaps, .. } => gaps
            .iter()
            .any(|gap| is_named(&gap.action) && gap.code.starts_with("AccessDenied") && gap.hint.starts_with("allow ")),
        Coverage::Failed { reason } => {
            reason.contains(&format!(":{action}: AccessDenied"))
                && reason.contains(&format!("(allow {}:", permission(service)))
        }
    };
    report.record.resources.iter().any(|record| of(&record))
}

/// What policies call a service.
fn permission(service: &str) -> &str {
    match service {
        "monitoring" => "cloudwatch",
        "s3control" => "s3",
        "tagging" => "tag",
        other => other,
    }
}

#[test]
fn each_action_that_is_denied_is_named_and_takes_nothing_else_with_it() {
    let stage = untouched();
    let clean = stage.capture("clean");
    let all = actions(&stage);
    assert!(all.len() > 100, "{all:?}");
    // Services do not meet, so one action of each is denied at a time.
    let mut by_service: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
    for action in all.iter().filter(|(service, _)| service != "sts") {
        by_service.entry(&action.0).or_default().push(action);
    }
    let rounds = by_service.values().map(Vec::len).max().unwrap_or_default();
    let mut found = Vec::new();
    for round in 0..rounds {
        let denied: BTreeSet<Action> = by_service.values().filter_map(|of| of.get(round)).copied().cloned().collect();
        let series = format!("round {round}");
        let refuse = denied.clone();
        stage.front.play(move |call| match refuse.contains(&(call.service.clone(), call.action.clone())) {
            true => Effect::Deny,
            false => Effect::Pass,
        });
        let refused = stage.capture(&series);
        for action in denied.iter().filter(|action| !names(&refused, action)) {
            found.push(format!("{action:?} is not named"));
        }
        found.extend(lies(&stage, &clean, &refused).into_iter().map(|lie| format!("without {denied:?}: {lie}")));
        stage.front.play(|_| Effect::Pass);
        let closed = stage.capture(&series);
        let roots = |report: &BackupReport| -> BTreeMap<String, String> {
            report
                .record
                .resources
                .iter()
                .map(|record| (record.path.clone(), format!("{} {:?}", record.root, record.coverage)))
                .collect()
        };
        if roots(&closed) != roots(&clean) {
            let (closed, clean) = (roots(&closed), roots(&clean));
            let other: Vec<&String> =
                clean.iter().filter(|(path, of)| closed.get(*path) != Some(of)).map(|(path, _)| path).collect();
            found.push(format!("after {denied:?} the next run is not as if nothing had been: {other:?}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
