//! `copy`: snapshots of one repository into another, under its keys and cut as it cuts.
//!
//! Nothing that is sealed can be carried over: ids, frames and page boundaries hang on keys. So every byte is read, proven, cut
//! anew and stored as if it were captured; what the other repository has already, also from backups of its own, is not stored
//! again. A snapshot that was copied is known by its record (`original`) and skipped; of one that is cut short, what was
//! stored stays. Unchanged entries of a snapshot whose predecessor was copied are not even read.

use std::sync::Arc;

use thiserror::Error;

use crate::id::SnapshotId;
use crate::operation::backup::{error_chain, tool};
use crate::operation::copy::pairs::{Pair, Pairs};
use crate::operation::copy::transcribe::{Earlier, Transcriber, transcribe};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;
use crate::repository::session::{Mode, Session, SessionMark};
use crate::repository::snapshot::Snapshot;
use crate::resource::{Original, ResourceRecord, SnapshotRecord, Totals, escape_path};
use crate::tree::error::TreeError;

pub mod pairs;
mod transcribe;

/// How often one snapshot is begun again because a prune held the copy for dead.
const REVOCATIONS_MAX: usize = 4;

/// What a copy would do.
#[derive(Clone, Debug, Default)]
pub struct CopyPlan {
    /// Snapshots to copy, oldest first.
    pub pending: Vec<Snapshot>,
    /// Those that are there already, and as which.
    pub copied: Pairs,
    /// Whether both repositories cut content alike, so that chunks stay what they are.
    pub is_cut_alike: bool,
}

/// A snapshot that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// In the source and in the target; the latter nobody keeps in a dry run.
    pub pair: Pair,
    /// Bytes of new chunks and pages, before compression.
    pub bytes_new: u64,
    /// Bytes written.
    pub bytes_stored: u64,
}

/// Why a snapshot was not copied.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The source does not hold all of it any more.
    #[error("snapshot {id} cannot be copied whole: {path}: {reason}")]
    Incomplete {
        /// Which snapshot.
        id: SnapshotId,
        /// Path in the layout, escaped.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// Storage or the target failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The tree could not be built.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The user asked to stop; what was stored is not sent again.
    #[error("interrupted; what was stored so far will not be sent again")]
    Interrupted,
}

/// Who copies, and whether anything is written.
#[derive(Clone, Debug)]
pub struct Copying {
    /// This process.
    pub mark: SessionMark,
    /// A dry run reads and cuts as much, and writes nothing.
    pub mode: Mode,
}

/// What of the chosen snapshots is to be copied; `snapshots` are all of the source. Nothing is written.
pub fn plan(
    source: &Repository,
    target: &Repository,
    snapshots: &[Snapshot],
    chosen: Vec<Snapshot>,
) -> Result<CopyPlan, RepositoryError> {
    let copied = Pairs::find(source, target, snapshots)?;
    let mut pending = chosen;
    pending.retain(|snapshot| copied.copy_of(&snapshot.id).is_none());
    pending.sort_by_key(|snapshot| (snapshot.record.time, snapshot.id));
    Ok(CopyPlan { pending, copied, is_cut_alike: is_cut_alike(source, target) })
}

fn is_cut_alike(source: &Repository, target: &Repository) -> bool {
    let (one, other) = (source.cutting_keys(), target.cutting_keys());
    one.chunker == other.chunker && source.config().chunker == target.config().chunker
}

/// Copies one snapshot from the source that `from` reads; `copied` are those that are there already, of which the nearest in
/// its series saves reading.
pub fn copy(
    from: &Reader<'_>,
    target: &Arc<Repository>,
    snapshot: &Snapshot,
    copied: &Pairs,
    copying: &Copying,
    progress: &dyn Progress,
) -> Result<Copied, CopyError> {
    let mut tries = REVOCATIONS_MAX;
    loop {
        tries -= 1;
        match copy_once(from, target, snapshot, copied, copying, progress) {
            Err(CopyError::Repository(RepositoryError::Revoked)) if tries > 0 => {
                let message = "a prune held this copy for dead while it slept; it begins again".to_owned();
                progress.report(Event::Warning { message });
            }
            outcome => return outcome,
        }
    }
}

fn copy_once(
    from: &Reader<'_>,
    target: &Arc<Repository>,
    snapshot: &Snapshot,
    copied: &Pairs,
    copying: &Copying,
    progress: &dyn Progress,
) -> Result<Copied, CopyError> {
    let session = Session::begin(Arc::clone(target), &copying.mark, copying.mode)?;
    // What the snapshot before this one missed may be there by now.
    from.look_again();
    let to = Reader::new(target, session.index());
    let predecessor = copied.nearest(snapshot, target)?;
    let mut resources = Vec::with_capacity(snapshot.record.resources.len());
    for resource in &snapshot.record.resources {
        progress.report(Event::Started { agent: resource.path.clone() });
        let earlier = predecessor.and_then(|pair| earlier(pair, resource, from, &to));
        let work = Transcriber::new(&session, from, snapshot.id, resource, progress);
        let transcribed = transcribe(&work, earlier);
        progress.report(Event::Finished { agent: resource.path.clone() });
        match transcribed {
            Ok(resource) => resources.push(resource),
            Err(error) => {
                // What was stored stays for the next run, and nobody waits for this session.
                session.close()?;
                return Err(error);
            }
        }
    }
    let stored = session.settle()?;
    let mut record = SnapshotRecord {
        resources,
        parent: snapshot.record.parent.and_then(|parent| copied.copy_of(&parent)),
        amends: None,
        original: Some(Original { repository: from.repository().config().id, snapshot: snapshot.id }),
        tool: tool(),
        ..snapshot.record.clone()
    };
    record.summary.totals = Totals::default();
    for resource in &record.resources {
        record.summary.totals.add(&resource.totals);
    }
    (record.summary.bytes_new, record.summary.bytes_stored) = (stored.new, stored.written);
    let copy = Snapshot { id: session.commit(record.clone())?, record };
    let pair = Pair { source: snapshot.clone(), target: copy };
    Ok(Copied { pair, bytes_new: stored.new, bytes_stored: stored.written })
}

/// The same resource in both snapshots of a pair.
fn earlier<'a, 's, 't>(
    pair: &Pair,
    resource: &ResourceRecord,
    from: &'a Reader<'s>,
    to: &'a Reader<'t>,
) -> Option<Earlier<&'a Reader<'s>, &'a Reader<'t>>> {
    let same = |other: &&ResourceRecord| other.path == resource.path && other.source == resource.source;
    let source = pair.source.record.resources.iter().find(same)?;
    let target = pair.target.record.resources.iter().find(same)?;
    Some(Earlier::new((from, source.root), (to, target.root)))
}

impl CopyError {
    /// Something of the source cannot be read. A store that does not answer has lost nothing: that ends the run.
    fn of_entry(id: SnapshotId, path: &[u8], error: TreeError) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if error.downcast_ref::<RepositoryError>().is_some_and(|error| !error.is_loss()) {
                break;
            }
            cause = error.source();
        }
        match cause {
            None => Self::Incomplete { id, path: escape_path(path), reason: error_chain(&error) },
            Some(_) => Self::Tree(error),
        }
    }
}
