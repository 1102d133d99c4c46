//! Which snapshots are the last complete ones of a series, and what it means to hold less than another.
//!
//! *Complete*: every resource was captured without a gap. *Narrower*: all that it captured lies in what the other
//! captured, and it lacks one of the other's resources, or has a filter that the other had not. Where a series has no
//! complete snapshot, its incomplete ones take their place, so that no series is ever emptied by rules. Pure functions.

use crate::operation::part::trim;
use crate::repository::snapshot::Snapshot;
use crate::resource::{Coverage, ResourceRecord, SnapshotRecord};

/// Whether every resource was captured without a gap.
pub fn is_complete(record: &SnapshotRecord) -> bool {
    record.resources.iter().all(|resource| resource.coverage == Coverage::Complete)
}

/// Whether `one` holds less than `other`. In doubt it does, as then both are kept.
pub fn is_narrower(one: &SnapshotRecord, other: &SnapshotRecord) -> bool {
    let lies_in = held(one).all(|resource| held(other).any(|outer| may_contain(outer, resource)));
    let holds_all = held(other).all(|resource| held(one).any(|outer| surely_contains(outer, resource)));
    lies_in && !holds_all
}

/// The last complete ones of a series: the newest, and before it each that the newer ones of these are all narrower than.
///
/// It does not depend on any rule, so that another rule never makes one of them go.
pub fn last_complete<'s>(newest_first: &[&'s Snapshot]) -> Vec<&'s Snapshot> {
    let mut last: Vec<&Snapshot> = Vec::new();
    for snapshot in most_complete(newest_first) {
        if all_narrower(&last, snapshot) {
            last.push(snapshot);
        }
    }
    last
}

/// Those of the `going` ones after which their series would hold less: all complete ones that stay are narrower. Of several
/// that hold the same only the newest is named.
pub fn last_to_go<'s>(newest_first: &[&'s Snapshot], going: impl Fn(&Snapshot) -> bool) -> Vec<&'s Snapshot> {
    let (goes, stays): (Vec<&Snapshot>, Vec<&Snapshot>) =
        most_complete(newest_first).into_iter().partition(|snapshot| going(snapshot));
    let mut last: Vec<&Snapshot> = Vec::new();
    for snapshot in goes {
        if all_narrower(&stays, snapshot) && all_narrower(&last, snapshot) {
            last.push(snapshot);
        }
    }
    last
}

fn all_narrower(others: &[&Snapshot], snapshot: &Snapshot) -> bool {
    others.iter().all(|other| is_narrower(&other.record, &snapshot.record))
}

/// The complete ones; all if there are none.
fn most_complete<'s>(snapshots: &[&'s Snapshot]) -> Vec<&'s Snapshot> {
    let complete: Vec<&Snapshot> = snapshots.iter().copied().filter(|snapshot| is_complete(&snapshot.record)).collect();
    if complete.is_empty() { snapshots.to_vec() } else { complete }
}

/// Resources of which there is anything.
fn held(record: &SnapshotRecord) -> impl Iterator<Item = &ResourceRecord> {
    record.resources.iter().filter(|resource| !matches!(resource.coverage, Coverage::Failed { .. }))
}

fn may_contain(outer: &ResourceRecord, inner: &ResourceRecord) -> bool {
    outer.source == inner.source && (outer.path == inner.path || is_below(&inner.path, &outer.path))
}

fn surely_contains(outer: &ResourceRecord, inner: &ResourceRecord) -> bool {
    let has_no_more_filters = outer.scope.iter().all(|filter| inner.scope.contains(filter));
    outer.source == inner.source && outer.path == inner.path && has_no_more_filters
}

fn is_below(path: &str, folder: &str) -> bool {
    let folder = trim(folder.as_bytes());
    path.as_bytes().strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
}
