//! `tag`: the same trees under other tags.
//!
//! Nothing is overwritten: a new snapshot amends the old one, which is then forgotten. As every writer, it first proves
//! that all it will refer to is in its view of the repository.

use std::sync::{Arc, Mutex};

use thiserror::Error;

use crate::id::{ChunkId, PageId, SnapshotId};
use crate::operation::backup::session_mark;
use crate::operation::reach::{Fault, Reach, Soundness, Witness};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::Index;
use crate::repository::reader::Reader;
use crate::repository::session::{Mode, Session};
use crate::repository::snapshot::Snapshot;
use crate::resource::escape_path;

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

/// Why a snapshot keeps its tags.
#[derive(Debug, Error)]
pub enum TagError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Part of the snapshot is lost, so no new one may refer to it.
    #[error("part of snapshot {id} cannot be had, so nothing may take its place: {path}: {reason}")]
    Incomplete {
        /// Which snapshot.
        id: SnapshotId,
        /// Path in the layout, escaped.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// The user asked to stop; nothing was changed.
    #[error("interrupted")]
    Interrupted,
}

/// Who runs it, and when.
#[derive(Clone, Copy, Debug)]
pub struct TagRequest<'t> {
    /// What becomes of the tags.
    pub change: &'t TagChange,
    /// Whether anything is written.
    pub mode: Mode,
    /// This machine.
    pub host: &'t str,
    /// Now.
    pub now: jiff::Timestamp,
}

/// Gives a snapshot other tags.
pub fn tag(
    repository: &Arc<Repository>,
    snapshot: &Snapshot,
    request: &TagRequest<'_>,
    progress: &dyn Progress,
) -> Result<Tagged, TagError> {
    let tags = request.change.apply(&snapshot.record.tags);
    let unchanged = tags == snapshot.record.tags;
    let tagged = |new| Tagged { old: snapshot.id, new, tags: tags.clone() };
    if unchanged || request.mode == Mode::DryRun {
        return Ok(tagged(None));
    }
    let session = Session::begin(Arc::clone(repository), &session_mark(request.host, request.now), request.mode)?;
    if let Err(error) = prove(repository, &session, snapshot, progress) {
        session.close()?;
        return Err(error);
    }
    let mut record = snapshot.record.clone();
    record.tags = tags.clone();
    record.amends = Some(snapshot.id);
    let new = session.commit(record)?;
    // Only now: whatever ends the run before leaves the old one, or both.
    repository.forget(snapshot.id, request.now, request.host)?;
    Ok(tagged(Some(new)))
}

/// That all of the snapshot can be counted on by this session.
fn prove(
    repository: &Repository,
    session: &Session,
    snapshot: &Snapshot,
    progress: &dyn Progress,
) -> Result<(), TagError> {
    let reader = Reader::new(repository, session.index());
    let witness = InView { index: session.index(), progress, fault: Mutex::default() };
    let reach = Reach::new(&reader, &witness);
    for record in &snapshot.record.resources {
        if reach.resource(snapshot.id, record) == Soundness::Faulty {
            break;
        }
        session.keep_alive()?;
    }
    let fault = witness.fault.lock().expect("because no holder panics").take();
    match fault {
        Some(Fault { path, reason, .. }) => {
            Err(TagError::Incomplete { id: snapshot.id, path: escape_path(&path), reason })
        }
        None if progress.interrupted() => Err(TagError::Interrupted),
        None => Ok(()),
    }
}

/// Asks whether a writer may count on what a walk meets.
struct InView<'v> {
    index: &'v Index,
    progress: &'v dyn Progress,
    fault: Mutex<Option<Fault>>,
}

impl InView<'_> {
    fn holds(&self, kind: &str, id: &[u8; 32]) -> Result<(), String> {
        if self.index.contains(id) { Ok(()) } else { Err(format!("{kind} {} is not in the index", hex::encode(id))) }
    }
}

impl Witness for InView<'_> {
    fn chunk(&self, id: &ChunkId, _length: u32) -> Result<(), String> {
        self.holds("chunk", &id.0)
    }

    fn page(&self, id: &PageId) -> Result<(), String> {
        self.holds("page", &id.0)
    }

    fn fault(&self, fault: Fault) {
        self.fault.lock().expect("because no holder panics").get_or_insert(fault);
    }

    fn goes_on(&self) -> bool {
        !self.progress.interrupted()
    }
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
