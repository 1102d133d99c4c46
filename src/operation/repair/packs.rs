//! `repair packs`: what is intact in damaged packs is stored once more, and nobody counts on the packs any longer.
//!
//! So the next backup that still has what was lost sends it again. A distrusted pack stays until all that snapshots need of
//! it has an intact copy; then a prune takes it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::id::PackId;
use crate::operation::check::packs::{DataSummary, Packs, read_data, read_packs};
use crate::operation::check::{CheckRequest, Depth};
use crate::operation::repair::{RepairError, Repaired, Repairing, renew};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::generation::Access;
use crate::repository::index::Index;
use crate::repository::index::segment::Location;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::session::{Mode, Origin, Session};

/// The name of the work in events.
const AGENT: &str = "repair";

/// What is damaged among the packs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacksPlan {
    /// What reading the packs came to.
    pub read: DataSummary,
    /// Packs that the index names and that are there, but are not what they should be; in the order of their ids.
    pub damaged: Vec<DamagedPack>,
    /// Packs that the index names and that are gone. Backups send anew what was in them.
    pub missing: Vec<PackId>,
}

/// A damaged pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPack {
    /// Which.
    pub id: PackId,
    /// What is wrong with it.
    pub reason: String,
    /// Whether nobody counts on it already.
    pub is_distrusted: bool,
    /// Chunks and pages in it.
    pub chunks: u64,
    /// Those of them that cannot be read here nor anywhere else.
    pub lost: u64,
    /// Those that can be read only here: they are to be stored once more.
    pub saved: u64,
}

impl PacksPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.damaged.iter().all(|pack| pack.is_distrusted && pack.saved == 0)
    }
}

/// Reads packs, all or the chosen ones, byte by byte. Nothing is written.
pub fn plan(
    repository: &Repository,
    chosen: Option<&[PackId]>,
    request: &CheckRequest,
    progress: &dyn Progress,
) -> Result<PacksPlan, RepairError> {
    let (index, _) = repository.index()?;
    let packs = Packs::survey(repository, &index)?;
    let read = match chosen {
        None => {
            let Depth::Data(percent) = request.depth else { return Ok(PacksPlan::default()) };
            read_data(repository, &packs, request, percent, progress)
        }
        Some(chosen) => {
            let sized: Vec<_> = chosen.iter().filter_map(|pack| Some((*pack, *packs.stored.get(pack)?))).collect();
            read_packs(repository, &packs, &sized, request, progress)
        }
    };
    if progress.interrupted() {
        return Err(RepairError::Interrupted);
    }
    let mut found: BTreeMap<PackId, String> = read.damaged.into_iter().collect();
    let named: HashSet<PackId> = index.packs().map(|pack| pack.id).collect();
    found.retain(|pack, _| named.contains(pack));
    for (pack, reason) in packs.suspects.iter().filter(|(pack, _)| chosen.is_none_or(|of| of.contains(pack))) {
        found.entry(*pack).or_insert_with(|| reason.clone());
    }
    let mut missing: Vec<PackId> = found.keys().filter(|pack| !packs.stored.contains_key(pack)).copied().collect();
    missing.sort();
    found.retain(|pack, _| packs.stored.contains_key(pack));
    let damaged = weigh(repository, &index, found)?;
    Ok(PacksPlan { read: read.summary, damaged, missing })
}

/// What can still be had of damaged packs.
fn weigh(
    repository: &Repository,
    index: &Index,
    found: BTreeMap<PackId, String>,
) -> Result<Vec<DamagedPack>, RepairError> {
    let reader = Reader::new(repository, index);
    let ids: HashSet<PackId> = found.keys().copied().collect();
    let mut damaged: BTreeMap<PackId, DamagedPack> = BTreeMap::new();
    for (id, reason) in found {
        let is_distrusted = index.is_distrusted(&id);
        damaged.insert(id, DamagedPack { id, reason, is_distrusted, chunks: 0, lost: 0, saved: 0 });
    }
    for wanted in chunks_of(index, &ids) {
        let Some(pack) = damaged.get_mut(&wanted.1.pack) else { continue };
        pack.chunks += 1;
        if !has_copy_beside(index, &ids, &wanted) {
            match reader.stored(wanted.1.header.kind, &wanted.0) {
                Ok(_) => pack.saved += 1,
                Err(error) if error.is_loss() => pack.lost += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(damaged.into_values().collect())
}

/// Stores what is intact once more, and has the packs distrusted.
pub fn apply(
    repository: &Arc<Repository>,
    plan: &PacksPlan,
    repairing: &Repairing<'_>,
    progress: &dyn Progress,
) -> Result<Repaired, RepairError> {
    if plan.damaged.iter().any(|pack| pack.saved > 0) {
        save(repository, plan, repairing, progress)?;
    }
    let distrusted: Vec<PackId> = plan.damaged.iter().filter(|pack| !pack.is_distrusted).map(|pack| pack.id).collect();
    if distrusted.is_empty() {
        return Ok(Repaired::At(repository.generation(Access::Read)?.number));
    }
    renew(repository, &distrusted, repairing, progress)
}

/// Copies what can be read and has no copy elsewhere into new packs: an ordinary session, which ends closed.
fn save(
    repository: &Arc<Repository>,
    plan: &PacksPlan,
    repairing: &Repairing<'_>,
    progress: &dyn Progress,
) -> Result<(), RepairError> {
    let ids: HashSet<PackId> = plan.damaged.iter().map(|pack| pack.id).collect();
    let mut session = Session::begin(Arc::clone(repository), &repairing.mark, Mode::Write)?;
    session.set_aside(&ids);
    let (index, _) = repository.index()?;
    let reader = Reader::new(repository, &index);
    let (mut data, mut pages) = (session.writer(PackKind::Data)?, session.writer(PackKind::Pages)?);
    for wanted in chunks_of(&index, &ids) {
        if progress.interrupted() {
            return Err(RepairError::Interrupted);
        }
        if has_copy_beside(&index, &ids, &wanted) {
            continue;
        }
        let (id, Location { header, pack, .. }) = wanted;
        match reader.stored(header.kind, &id) {
            Ok(bytes) => {
                let writer = if header.kind == PackKind::Data { &mut data } else { &mut pages };
                let _id = writer.store(&bytes, Origin::Small)?;
            }
            Err(error) if error.is_loss() => {
                let message = format!("of pack {pack}: {error}");
                progress.report(Event::Failed { path: AGENT.as_bytes().to_vec(), message });
            }
            Err(error) => return Err(error.into()),
        }
    }
    data.flush()?;
    pages.flush()?;
    Ok(session.close()?)
}

/// The chunks and pages of these packs in the order in which they lie, so that each frame is opened once.
fn chunks_of(index: &Index, packs: &HashSet<PackId>) -> Vec<([u8; 32], Location)> {
    let mut chunks: Vec<_> = index.chunks().filter(|(_, location)| packs.contains(&location.pack)).collect();
    chunks.sort_by_key(|(_, location)| (location.pack, location.frame.number, location.offset));
    chunks
}

/// Whether another pack that is not among these has the chunk and is trusted.
fn has_copy_beside(index: &Index, packs: &HashSet<PackId>, (id, location): &([u8; 32], Location)) -> bool {
    let mut copies = index.find(id).filter(|copy| copy.header.kind == location.header.kind);
    copies.any(|copy| !packs.contains(&copy.pack) && !index.is_distrusted(&copy.pack))
}
