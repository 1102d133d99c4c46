//! Which snapshots are meant, by their series, host and tags.

use crate::resource::SnapshotRecord;

/// Snapshots for which each of these holds; all of them where nothing is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of this series.
    pub series: Option<String>,
    /// Those of this host.
    pub host: Option<String>,
    /// Those that have all of these tags.
    pub tags: Vec<String>,
}

impl Selection {
    /// Whether the snapshot of this record is one of them.
    pub fn includes(&self, record: &SnapshotRecord) -> bool {
        self.series.as_ref().is_none_or(|series| record.series == *series)
            && self.host.as_ref().is_none_or(|host| record.host == *host)
            && self.tags.iter().all(|tag| record.tags.contains(tag))
    }
}
