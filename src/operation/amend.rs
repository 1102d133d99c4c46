//! A new snapshot in place of another: the same trees under a changed record (`tag`, `undo`).
//!
//! Nothing is overwritten. As every writer, whoever amends first proves that all the new record will refer to is in its
//! view of the repository; a snapshot that could not be restored in full is never made.

use std::sync::{Arc, Mutex};

use thiserror::Error;

use crate::id::{ChunkId, PageId, SnapshotId};
use crate::operation::backup::session_mark;
use crate::operation::reach::{Fault, Reach, Soundness, Witness};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::Access;
use crate::repository::index::Index;
use crate::repository::reader::Reader;
use crate::repository::session::{Mode, Session};
use crate::repository::snapshot::Snapshot;
use crate::resource::{SnapshotRecord, escape_path};

/// Why a snapshot was not amended.
#[derive(Debug, Error)]
pub enum AmendError {
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
    /// A prune under way may take part of the snapshot.
    #[error("a prune is under way that may take part of snapshot {id}: {path}")]
    PruneUnderWay {
        /// Which snapshot.
        id: SnapshotId,
        /// Path in the layout, escaped.
        path: String,
    },
    /// The user asked to stop; nothing was changed.
    #[error("interrupted")]
    Interrupted,
}

/// Who amends, when, and whether anything is written.
#[derive(Clone, Copy, Debug)]
pub struct Amending<'a> {
    /// A dry run proves as much, and writes nothing.
    pub mode: Mode,
    /// This machine.
    pub host: &'a str,
    /// Now.
    pub now: jiff::Timestamp,
}

/// Commits the snapshot's record anew, changed by `change`, and returns its id. The old one stays as it is.
pub fn amend(
    repository: &Arc<Repository>,
    snapshot: &Snapshot,
    change: impl FnOnce(&mut SnapshotRecord),
    amending: &Amending<'_>,
    progress: &dyn Progress,
) -> Result<SnapshotId, AmendError> {
    let mark = session_mark(amending.host, amending.now);
    let session = Session::begin(Arc::clone(repository), &mark, amending.mode)?;
    if let Err(error) = prove(repository, &session, snapshot, progress) {
        session.close()?;
        return Err(error);
    }
    let mut record = snapshot.record.clone();
    change(&mut record);
    record.amends = Some(snapshot.id);
    Ok(session.commit(record)?)
}

/// That all of the snapshot can be counted on by this session.
fn prove(
    repository: &Repository,
    session: &Session,
    snapshot: &Snapshot,
    progress: &dyn Progress,
) -> Result<(), AmendError> {
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
            let (id, path) = (snapshot.id, escape_path(&path));
            // What an open intent condemns may be kept in the end, and no writer can tell.
            if repository.generation(Access::Read)?.open.is_some() {
                return Err(AmendError::PruneUnderWay { id, path });
            }
            Err(AmendError::Incomplete { id, path, reason })
        }
        None if progress.interrupted() => Err(AmendError::Interrupted),
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
