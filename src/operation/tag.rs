//! `tag`: the same trees under other tags.
//!
//! Nothing is overwritten: a new snapshot amends the old one (`amend`), which is then forgotten.

use std::sync::Arc;

use crate::id::SnapshotId;
use crate::operation::amend::{AmendError, Amending, amend};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::session::Mode;
use crate::repository::snapshot::Snapshot;

/// What becomes of a snapshot's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Instead of all there are, where given.
    pub set: Option<Vec<String>>,
    /// Taken away.
    pub remove: Vec<String>,
    /// Added at the end.
    pub add: Vec<String>,
}

impl TagChange {
    /// The tags that come of these.
    pub fn apply(&self, tags: &[String]) -> Vec<String> {
        let kept = self.set.as_deref().unwrap_or(tags);
        let mut changed: Vec<String> = Vec::new();
        for tag in kept.iter().filter(|tag| !self.remove.contains(tag)).chain(&self.add) {
            if !changed.contains(tag) {
                changed.push(tag.clone());
            }
        }
        changed
    }
}

/// A snapshot that has other tags now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The snapshot that was forgotten.
    pub old: SnapshotId,
    /// The one in its place; `None` in a dry run, or where nothing changed.
    pub new: Option<SnapshotId>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Gives a snapshot other tags.
pub fn tag(
    repository: &Arc<Repository>,
    snapshot: &Snapshot,
    change: &TagChange,
    amending: &Amending<'_>,
    progress: &dyn Progress,
) -> Result<Tagged, AmendError> {
    let tags = change.apply(&snapshot.record.tags);
    let unchanged = tags == snapshot.record.tags;
    let tagged = |new| Tagged { old: snapshot.id, new, tags: tags.clone() };
    if unchanged || amending.mode == Mode::DryRun {
        return Ok(tagged(None));
    }
    let new = amend(repository, snapshot, |record| record.tags.clone_from(&tags), amending, progress)?;
    // Only now: whatever ends the run before leaves the old one, or both.
    repository.forget(snapshot.id, amending.now, amending.host)?;
    Ok(tagged(Some(new)))
}

#[cfg(test)]
mod tests {
    use super::TagChange;

    #[test]
    fn tags_are_set_removed_and_added_once_each() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let change = TagChange { set: None, remove: words("b"), add: words("d a d") };
        assert_eq!(change.apply(&words("a b c")), words("a c d"));
        let change = TagChange { set: Some(words("x x y")), ..TagChange::default() };
        assert_eq!(change.apply(&words("a b c")), words("x y"));
    }
}
