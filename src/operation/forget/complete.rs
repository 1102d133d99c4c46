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

/// Those of a series that are the last of their width: every newer one is narrower.
pub fn last_complete<'s>(newest_first: &[&'s Snapshot]) -> Vec<&'s Snapshot> {
    let best = most_complete(newest_first);
    let is_last = |at: usize| best[..at].iter().all(|newer| is_narrower(&newer.record, &best[at].record));
    (0..best.len()).filter(|at| is_last(*at)).map(|at| best[at]).collect()
}

/// Those of the `going` ones after which their series would hold less: no complete snapshot that stays is as wide, nor a
/// newer one that goes too.
pub fn last_to_go<'s>(newest_first: &[&'s Snapshot], going: impl Fn(&Snapshot) -> bool) -> Vec<&'s Snapshot> {
    let best = most_complete(newest_first);
    let is_last = |at: usize| {
        let stays = best.iter().enumerate().filter(|(other, snapshot)| *other < at || !going(snapshot));
        going(best[at]) && stays.map(|(_, other)| other).all(|other| is_narrower(&other.record, &best[at].record))
    };
    (0..best.len()).filter(|at| is_last(*at)).map(|at| best[at]).collect()
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

/// A filter of a folder above may leave out what the same filter here does not, so there it must have none.
fn surely_contains(outer: &ResourceRecord, inner: &ResourceRecord) -> bool {
    let same = outer.path == inner.path && outer.scope.iter().all(|filter| inner.scope.contains(filter));
    let above = is_below(&inner.path, &outer.path) && outer.scope.is_empty();
    outer.source == inner.source && (same || above)
}

fn is_below(path: &str, folder: &str) -> bool {
    let folder = trim(folder.as_bytes());
    path.as_bytes().strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
}
