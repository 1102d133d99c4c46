//! What a writer looks after now and then, since each request to a store far away costs a round trip.
//!
//! Every seventh day of writing the store is asked again whether it decides between writers, and what is stored twice is made
//! whole. When that was last done is remembered in the cache folder; clocks decide no more than how often it is asked.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::repository::Repository;
use crate::storage::name::ObjectName;
use crate::storage::together::both;
use crate::storage::{Distance, Writers};

const INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// In the cache: when it was last done, in seconds since 1970.
const DONE_FILE: &str = "upkeep";

impl Repository {
    /// Does what is due, once the mark of a session is there with this content. Returns how many may write, if that was asked.
    ///
    /// Best effort: a writer may lack the right, and what is not mended `check` still reports.
    pub(super) fn upkeep(&self, mark: &ObjectName, content: Bytes) -> Option<Writers> {
        if self.storage.distance() == Distance::Near {
            let _ = self.mend_pairs();
            return None;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if !self.is_upkeep_due(now) {
            return None;
        }
        // The session's own mark is what any writer may put.
        let (probed, _) = both(self.storage.as_ref(), || self.storage.probe(mark, content), || self.mend_pairs());
        let writers = probed.ok()?;
        if let Some(folder) = self.cache.folder() {
            drop(std::fs::write(folder.join(DONE_FILE), format!("{}\n", now.as_secs())));
        }
        Some(writers)
    }

    /// Also where the clock went back, or nothing is remembered.
    fn is_upkeep_due(&self, now: Duration) -> bool {
        let done = self.cache.folder().and_then(|folder| std::fs::read_to_string(folder.join(DONE_FILE)).ok());
        let done = done.and_then(|text| text.trim_end().parse().ok()).map(Duration::from_secs);
        done.and_then(|done| now.checked_sub(done)).is_none_or(|since| since >= INTERVAL)
    }
}
