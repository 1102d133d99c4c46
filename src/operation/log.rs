//! `log`: the history of one path: each snapshot beside the one before it in its series.

use std::collections::HashMap;

use crate::operation::part::parts;
use crate::repository::reader::Reader;
use crate::repository::snapshot::Snapshot;
use crate::tree::cursor;
use crate::tree::error::TreeError;

/// A snapshot and what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'s> {
    /// The snapshot.
    pub snapshot: &'s Snapshot,
    /// The one before it in its series; `None` for the first.
    pub earlier: Option<&'s Snapshot>,
}

/// The steps of all series, or of one, newest first. The snapshots come oldest first.
pub fn steps<'s>(snapshots: &'s [Snapshot], series: Option<&str>) -> Vec<Step<'s>> {
    let mut last: HashMap<&str, &Snapshot> = HashMap::new();
    let chosen = snapshots.iter().filter(|snapshot| series.is_none_or(|series| snapshot.record.series == series));
    let step = |snapshot: &'s Snapshot| Step { snapshot, earlier: last.insert(&snapshot.record.series, snapshot) };
    let mut steps: Vec<Step<'s>> = chosen.map(step).collect();
    steps.reverse();
    steps
}

/// Whether anything stands at or under `path` of the layout.
pub fn is_there(reader: &Reader<'_>, snapshot: &Snapshot, path: &[u8]) -> Result<bool, TreeError> {
    for part in parts(&snapshot.record, path) {
        let Some(inside) = &part.inside else { return Ok(true) };
        let folder = [inside.as_slice(), b"/"].concat();
        if cursor::find(reader, part.record.root, inside)?.is_some()
            || cursor::find(reader, part.record.root, &folder)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
