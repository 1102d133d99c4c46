//! `repair snapshots`: beside each snapshot that lost something, one that holds all that can still be had.
//!
//! The new snapshot amends the old one and says as gaps what is missing, so nobody takes it for complete. The old one stays
//! unless it is forgotten too: as long as it is there, a mount of it gives even the parts of files that are left.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use crate::entry::{Content, Entry, Metadata, Piece};
use crate::id::{ChunkId, SnapshotId};
use crate::operation::backup::{error_chain, tree_parameters};
use crate::operation::pages::PageWriter;
use crate::operation::reach::{Fault, Reach, Witness};
use crate::operation::repair::{RepairError, Repairing};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::Index;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::session::{ChunkWriter, Mode, Origin, Session};
use crate::repository::snapshot::{DamagedCell, Snapshot};
use crate::resource::{Coverage, Gap, ResourceRecord, Totals, escape_path};
use crate::tree::builder::TreeBuilder;
use crate::tree::cursor::Cursor;
use crate::tree::list::{ListBuilder, PieceIter};

/// Snapshots that cannot be restored in full.
#[derive(Debug, Default)]
pub struct SnapshotsPlan {
    /// Those that lost something, oldest first, and what.
    pub hurt: Vec<HurtSnapshot>,
    /// Records that cannot be read: nobody knows what these snapshots were.
    pub unreadable: Vec<DamagedCell>,
}

/// A snapshot that lost something.
#[derive(Clone, Debug)]
pub struct HurtSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What it lost, at most [`HurtSnapshot::FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How much of that there is.
    pub fault_count: u64,
    /// The snapshot that an earlier repair made of what is left.
    pub in_its_place: Option<SnapshotId>,
}

impl HurtSnapshot {
    /// Most faults that are listed one by one.
    pub const FAULTS_MAX: usize = 1000;
}

/// Finds snapshots that lost something. Nothing is written.
pub fn plan(
    repository: &Repository,
    snapshots: Vec<Snapshot>,
    unreadable: Vec<DamagedCell>,
    progress: &dyn Progress,
) -> Result<SnapshotsPlan, RepairError> {
    let (mut index, _) = repository.index()?;
    index.set_lost_packs_aside(&repository.stored_packs()?);
    let reader = Reader::new(repository, &index);
    let mut plan = SnapshotsPlan { hurt: Vec::new(), unreadable };
    let witness = Having { reader: &reader, progress, faults: Mutex::default() };
    let reach = Reach::new(&reader, &witness);
    let amended: HashMap<SnapshotId, SnapshotId> =
        snapshots.iter().filter_map(|snapshot| Some((snapshot.record.amends?, snapshot.id))).collect();
    for snapshot in snapshots {
        for record in &snapshot.record.resources {
            reach.resource(snapshot.id, record);
        }
        if progress.interrupted() {
            return Err(RepairError::Interrupted);
        }
        let (faults, fault_count) = std::mem::take(&mut *witness.faults.lock().expect("because no holder panics"));
        if fault_count > 0 {
            let in_its_place = amended.get(&snapshot.id).copied();
            plan.hurt.push(HurtSnapshot { snapshot, faults, fault_count, in_its_place });
        }
    }
    // One that is hurt itself is no replacement.
    let hurt: HashSet<SnapshotId> = plan.hurt.iter().map(|hurt| hurt.snapshot.id).collect();
    for one in &mut plan.hurt {
        one.in_its_place = one.in_its_place.filter(|id| !hurt.contains(id));
    }
    Ok(plan)
}

/// Sees whether what a walk meets can be had: by the index, or where that knows no copy to count on, by reading it.
struct Having<'h, 'r> {
    reader: &'h Reader<'r>,
    progress: &'h dyn Progress,
    faults: Mutex<(Vec<Fault>, u64)>,
}

impl Witness for Having<'_, '_> {
    fn chunk(&self, id: &ChunkId, _length: u32) -> Result<(), String> {
        let index = self.reader.index();
        if index.contains(&id.0) && index.find(&id.0).any(|copy| !index.is_distrusted(&copy.pack)) {
            return Ok(());
        }
        self.reader.chunk(id).map(drop).map_err(|error| error.to_string())
    }

    fn fault(&self, fault: Fault) {
        let (faults, count) = &mut *self.faults.lock().expect("because no holder panics");
        *count += 1;
        if faults.len() < HurtSnapshot::FAULTS_MAX {
            faults.push(fault);
        }
    }

    fn goes_on(&self) -> bool {
        !self.progress.interrupted()
    }
}

/// Makes a snapshot of what can be had of this one; its id.
pub fn apply(
    repository: &Arc<Repository>,
    hurt: &HurtSnapshot,
    repairing: &Repairing<'_>,
    progress: &dyn Progress,
) -> Result<SnapshotId, RepairError> {
    let session = Session::begin(Arc::clone(repository), &repairing.mark, Mode::Write)?;
    let (index, _) = repository.index()?;
    let reader = Reader::new(repository, &index);
    let mut record = hurt.snapshot.record.clone();
    for resource in &mut record.resources {
        *resource = salvage(&session, &reader, resource, progress)?;
        session.keep_alive()?;
    }
    record.amends = Some(hurt.snapshot.id);
    record.summary.totals = Totals::default();
    for resource in &record.resources {
        record.summary.totals.add(&resource.totals);
    }
    Ok(session.commit(record)?)
}

/// A resource with what can be had of it.
fn salvage(
    session: &Session,
    reader: &Reader<'_>,
    old: &ResourceRecord,
    progress: &dyn Progress,
) -> Result<ResourceRecord, RepairError> {
    let mut pages = PageWriter::new(session.writer(PackKind::Pages)?);
    let mut salvager = Salvager {
        index: session.index(),
        reader,
        data: session.writer(PackKind::Data)?,
        lists: PageWriter::new(session.writer(PackKind::Pages)?),
    };
    let mut gaps = Gaps::of(&old.coverage);
    let mut builder = TreeBuilder::new(tree_parameters(session.repository()), &mut pages);
    let mut cursor = Cursor::new(reader, old.root);
    let mut last: Option<String> = None;
    loop {
        if progress.interrupted() {
            return Err(RepairError::Interrupted);
        }
        match cursor.peek() {
            Ok(None) => break,
            Ok(Some(entry)) => {
                let path = escape_path(entry.path.as_bytes());
                let entry = entry.clone();
                cursor.next();
                match salvager.entry(&entry)? {
                    Ok(entry) => builder.push(&entry)?,
                    Err(reason) => gaps.add(path.clone(), reason),
                }
                last = Some(path);
            }
            Err(error) => {
                gaps.add(last.clone().unwrap_or_default(), format!("what comes next is lost: {}", error_chain(&error)));
            }
        }
    }
    let root = builder.finish()?;
    pages.flush()?;
    salvager.flush()?;
    let coverage = if matches!(old.coverage, Coverage::Failed { .. }) { old.coverage.clone() } else { gaps.coverage() };
    Ok(ResourceRecord { root: root.id, totals: root.totals, coverage, ..old.clone() })
}

/// Takes entries over into the session.
struct Salvager<'s, 'r> {
    /// What the session may count on.
    index: &'s Index,
    reader: &'s Reader<'r>,
    data: ChunkWriter<'s>,
    lists: PageWriter<'s>,
}

impl Salvager<'_, '_> {
    /// The entry, all of whose bytes the session may count on; or why it cannot be had.
    fn entry(&mut self, entry: &Entry) -> Result<Result<Entry, String>, RepairError> {
        let mut entry = entry.clone();
        match self.content(&entry.content)? {
            Ok(content) => entry.content = content,
            Err(reason) => return Ok(Err(reason)),
        }
        if let Metadata::Posix(posix) = &mut entry.metadata {
            for xattr in &mut posix.xattrs {
                match self.content(&xattr.value)? {
                    Ok(value) => xattr.value = value,
                    Err(reason) => return Ok(Err(reason)),
                }
            }
        }
        Ok(Ok(entry))
    }

    fn content(&mut self, content: &Content) -> Result<Result<Content, String>, RepairError> {
        let profile = match content {
            Content::Empty | Content::Inline(_) => return Ok(Ok(content.clone())),
            Content::Pieces { profile, .. } | Content::List { profile, .. } => *profile,
        };
        let mut list = ListBuilder::new(&mut self.lists, profile);
        for piece in PieceIter::new(self.reader, content) {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Ok(Err(error_chain(&error))),
            };
            if let Piece::Chunk { id, .. } = &piece
                && !self.index.contains(&id.0)
            {
                match self.reader.chunk(id) {
                    Ok(bytes) => drop(self.data.store(&bytes, Origin::Small)?),
                    Err(error) if error.is_loss() => return Ok(Err(error.to_string())),
                    Err(error) => return Err(error.into()),
                }
            }
            list.push(piece)?;
        }
        Ok(Ok(list.finish()?))
    }

    fn flush(self) -> Result<(), RepositoryError> {
        self.data.flush()?;
        self.lists.flush()
    }
}

/// What is missing of a resource.
struct Gaps {
    gaps: Vec<Gap>,
    count: u64,
}

impl Gaps {
    fn of(coverage: &Coverage) -> Self {
        match coverage {
            Coverage::Partial { gaps, count } => Self { gaps: gaps.clone(), count: *count },
            Coverage::Complete | Coverage::Failed { .. } => Self { gaps: Vec::new(), count: 0 },
        }
    }

    fn add(&mut self, path: String, reason: String) {
        self.count += 1;
        if self.gaps.len() < Coverage::GAPS_MAX {
            self.gaps.push(Gap { path, action: "repair".to_owned(), reason, ..Gap::default() });
        }
    }

    fn coverage(self) -> Coverage {
        if self.count == 0 { Coverage::Complete } else { Coverage::Partial { gaps: self.gaps, count: self.count } }
    }
}
