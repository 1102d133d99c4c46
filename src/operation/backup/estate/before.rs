//! What the snapshots before know of each resource.

use std::collections::{BTreeMap, HashSet};

use crate::repository::snapshot::Snapshot;
use crate::resource::{Coverage, ResourceRecord};

/// Resources as the newest snapshot has them that had anything of them: one that was not asked, or refused, knows nothing.
pub(in crate::operation::backup) struct Before<'s> {
    /// By path.
    pub(super) known: BTreeMap<&'s str, &'s ResourceRecord>,
    /// Paths of those of which the last snapshot lacks something.
    pub(super) partial: HashSet<String>,
}

impl<'s> Before<'s> {
    /// What the snapshots of a series know, oldest first.
    pub(in crate::operation::backup) fn of(series: &'s [Snapshot]) -> Self {
        let last = series.last().into_iter().flat_map(|snapshot| &snapshot.record.resources);
        let partial = last.filter(|record| record.coverage != Coverage::Complete).map(|record| record.path.clone());
        let partial = partial.collect();
        let all = series.iter().flat_map(|snapshot| &snapshot.record.resources);
        let has_any = |record: &&ResourceRecord| !matches!(record.coverage, Coverage::Failed { .. });
        let known = all.filter(has_any).map(|record| (record.path.as_str(), record)).collect();
        Self { known, partial }
    }
}
