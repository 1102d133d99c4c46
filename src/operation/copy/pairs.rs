//! Which snapshots of the source are in the target already, and as which.

use std::collections::{BTreeMap, HashSet};

use crate::id::SnapshotId;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::snapshot::Snapshot;

/// A snapshot of the source and its copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In the source.
    pub source: Snapshot,
    /// In the target.
    pub target: Snapshot,
}

/// What was copied, looked at once; who copies adds to it.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Ids in the target by those in the source, also of what the source has forgotten since.
    ids: BTreeMap<SnapshotId, SnapshotId>,
    /// Those whose two sides are there, by their id in the source.
    pairs: BTreeMap<SnapshotId, Pair>,
    /// The target's commit cells when it was looked at.
    cells: HashSet<SnapshotId>,
}

impl Pairs {
    /// Looks at the target; `snapshots` are all of the source.
    pub(super) fn find(
        source: &Repository,
        target: &Repository,
        snapshots: &[Snapshot],
    ) -> Result<Self, RepositoryError> {
        let found = target.snapshots_since(&HashSet::new())?;
        let mut all = Self { cells: found.cells, ..Self::default() };
        let sources: BTreeMap<SnapshotId, &Snapshot> = snapshots.iter().map(|one| (one.id, one)).collect();
        for target in found.new {
            let original = target.record.original.filter(|of| of.repository == source.config().id);
            let Some(original) = original else { continue };
            all.ids.insert(original.snapshot, target.id);
            if let Some(source) = sources.get(&original.snapshot) {
                all.pairs.insert(original.snapshot, Pair { source: Snapshot::clone(source), target });
            }
        }
        Ok(all)
    }

    /// Notes what was copied.
    pub fn add(&mut self, pair: Pair) {
        self.cells.insert(pair.target.id);
        self.ids.insert(pair.source.id, pair.target.id);
        self.pairs.insert(pair.source.id, pair);
    }

    /// What a snapshot of the source is in the target.
    pub fn copy_of(&self, source: &SnapshotId) -> Option<SnapshotId> {
        self.ids.get(source).copied()
    }

    /// Ids in the source, and in the target.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = (SnapshotId, SnapshotId)> {
        self.ids.iter().map(|(source, target)| (*source, *target))
    }

    /// The nearest of the series whose copy still counts, whichever side of the snapshot it is on.
    ///
    /// To be asked within a session: what a content list in the target names is there because a snapshot has it, and one that
    /// was forgotten since the pairs were found may have lost its chunks to a prune before the session began.
    pub(super) fn nearest(&self, snapshot: &Snapshot, target: &Repository) -> Result<Option<&Pair>, RepositoryError> {
        let is_of_series = |pair: &&Pair| pair.source.record.series == snapshot.record.series;
        let mut candidates = self.pairs.values().filter(is_of_series).peekable();
        if candidates.peek().is_none() {
            return Ok(None);
        }
        let gone: HashSet<SnapshotId> = target.snapshots_since(&self.cells)?.gone.into_iter().collect();
        let distance = |pair: &&Pair| {
            let time = pair.source.record.time;
            (time.duration_since(snapshot.record.time).abs(), time)
        };
        Ok(candidates.filter(|pair| !gone.contains(&pair.target.id)).min_by_key(distance))
    }
}
