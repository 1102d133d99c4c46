//! The index as readers and as writers may see it, at the generation the repository is in.
//!
//! Readers take all that may count; a writer counts only on what no prune can take away while it works. Rules are numbered
//! as in `tests/model`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::codec::hash::digest;
use crate::id::{PackId, SegmentId, SessionId};
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Begun, Generation};
use crate::repository::index::delta::{PackRecord, decode_delta};
use crate::repository::index::{DeltaSource, Index};
use crate::repository::object::{DELTA_SIZE_MAX, OBJECT_OVERHEAD, open_object};
use crate::repository::snapshot::{CommitCell, ListedCells, Snapshots};
use crate::repository::{Repository, get_at_most};
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::{Nearby, both, each};
use crate::storage::{Storage, StorageError, StoredObject};

/// How often the index is read anew where a prune took away what was being read.
const INDEX_TRIES_MAX: u32 = 5;

/// Index deltas that are read at once where all are read.
const DELTAS_AT_ONCE: usize = 8;

/// What a repository lists, before it is unlocked: enough to begin looking at it.
pub struct Glimpse {
    begun: Begun,
    cells: ListedCells,
}

impl Glimpse {
    pub(super) fn list(storage: &dyn Storage) -> Result<Self, StorageError> {
        let (begun, cells) = both(storage, || Begun::list(storage), || ListedCells::list(storage));
        Ok(Self { begun: begun?, cells: cells? })
    }
}

/// What a question needs to know first.
pub struct Look {
    /// The snapshots that count.
    pub snapshots: Snapshots,
    /// Where chunks and pages lie.
    pub index: Index,
    /// Parts of the index that are damaged and were set aside.
    pub damaged: Vec<RepositoryError>,
}

impl Repository {
    /// Opens the index. Damaged parts are set aside and returned; what they named is read from the packs themselves.
    pub fn index(&self) -> Result<(Index, Vec<RepositoryError>), RepositoryError> {
        self.index_of(Access::Read).map(|(_, index, damaged)| (index, damaged))
    }

    /// The index as it is now, unless `known` is just that.
    pub(crate) fn index_since(&self, known: &Index) -> Result<Option<Index>, RepositoryError> {
        let generation = self.generation(Access::Read)?;
        if known.is_made_of(&self.index_names(&generation, Access::Read)?, &generation.manifest) {
            return Ok(None);
        }
        self.index().map(|(index, _)| Some(index))
    }

    /// All that counts of the index at a generation, for a pruner.
    pub fn index_at(&self, generation: &Generation) -> Result<(Index, Vec<RepositoryError>), RepositoryError> {
        let names = self.index_names(generation, Access::Read)?;
        Index::open(&names, &generation.manifest, self, self.cache())
    }

    /// The packs in the index deltas of an epoch, delta by delta.
    pub fn deltas_of(
        &self,
        epoch: u64,
    ) -> Result<impl Iterator<Item = Result<Vec<PackRecord>, RepositoryError>>, RepositoryError> {
        let names = self.delta_names(epoch)?;
        let storage = Arc::clone(&self.storage);
        // A few at once, since all of them need not fit in memory.
        let parts: Vec<Vec<String>> = names.chunks(DELTAS_AT_ONCE).map(<[String]>::to_vec).collect();
        let read = move |names: Vec<String>| each(storage.as_ref(), Nearby::InTurn, &names, |name| self.packs_of(name));
        Ok(parts.into_iter().flat_map(read))
    }

    /// How many index deltas an epoch has.
    pub fn delta_count(&self, epoch: u64) -> Result<usize, RepositoryError> {
        self.delta_names(epoch).map(|names| names.len())
    }

    /// As [`Repository::snapshots`], in fewer round trips.
    pub fn snapshots_glimpsed(&self, glimpse: Glimpse) -> Result<Snapshots, RepositoryError> {
        let Glimpse { begun, cells } = glimpse;
        let generation = || self.generation_of(begun, Access::Read);
        let (generation, cells) = both(self.storage.as_ref(), generation, || self.read_cells(cells));
        self.counting(&generation?, cells?)
    }

    /// As [`Repository::snapshots`] and [`Repository::index`] one after the other, in fewer round trips.
    pub fn look(&self, glimpse: Glimpse) -> Result<Look, RepositoryError> {
        let storage = self.storage.as_ref();
        let Glimpse { begun, cells } = glimpse;
        let before = begun.clone();
        // Deltas after cells: whatever a snapshot refers to was in a delta before its cell was put.
        let (generation, (cells, (deltas, again))) = both(
            storage,
            || self.generation_of(begun, Access::Read),
            || {
                let listings = || both(storage, || storage.list(&Prefix::Index), || Begun::list(storage));
                both(storage, || self.read_cells(cells), listings)
            },
        );
        if !again?.is_same(&before) {
            // A prune decided meanwhile, and may have swept deltas that its base has.
            let snapshots = self.snapshots()?;
            let (index, damaged) = self.index()?;
            return Ok(Look { snapshots, index, damaged });
        }
        let generation = generation?;
        let snapshots = self.counting(&generation, cells?)?;
        let names = self.names_among(&generation, Access::Read, &deltas?)?;
        let (index, damaged) = Index::open(&names, &generation.manifest, self, self.cache())?;
        if damaged.iter().any(RepositoryError::is_not_found) {
            // As above, only later.
            let (index, damaged) = self.index()?;
            return Ok(Look { snapshots, index, damaged });
        }
        Ok(Look { snapshots, index, damaged })
    }

    fn delta_names(&self, epoch: u64) -> Result<Vec<String>, RepositoryError> {
        let objects = self.storage.list(&Prefix::Index)?;
        let of_epoch =
            objects.iter().filter(|object| object.name.index_delta_parts().is_some_and(|(of, _, _)| of == epoch));
        Ok(of_epoch.map(|object| object.name.to_string()).collect())
    }

    /// The packs that a segment of the base names.
    pub fn base_segment(&self, id: &SegmentId) -> Result<Vec<PackRecord>, RepositoryError> {
        self.packs_of(ObjectName::base_segment(id).as_str())
    }

    /// The index as readers or writers may use it, the generation it is of, and what of it is damaged.
    pub(super) fn index_of(
        &self,
        access: Access,
    ) -> Result<(Generation, Index, Vec<RepositoryError>), RepositoryError> {
        let mut tries = INDEX_TRIES_MAX;
        loop {
            let begun = Begun::list(self.storage.as_ref())?;
            let (generation, deltas) =
                both(self.storage.as_ref(), || self.generation_of(begun, access), || self.storage.list(&Prefix::Index));
            let generation = generation?;
            let names = self.names_among(&generation, access, &deltas?)?;
            let (mut index, damaged) = Index::open(&names, &generation.manifest, self, self.cache())?;
            tries -= 1;
            // A prune may have merged deltas into its base while they were read: then its manifest says so.
            if tries > 0
                && damaged.iter().any(RepositoryError::is_not_found)
                && self.generation(access)?.number != generation.number
            {
                continue;
            }
            if access == Access::Write {
                index.forbid(&generation.forbidden().copied().collect());
            }
            return Ok((generation, index, damaged));
        }
    }

    /// The objects that make up the index (V, W3): the base, and the deltas since.
    fn index_names(&self, generation: &Generation, access: Access) -> Result<Vec<String>, RepositoryError> {
        self.names_among(generation, access, &self.storage.list(&Prefix::Index)?)
    }

    /// Those of the listed deltas that count, and the base.
    fn names_among(
        &self,
        generation: &Generation,
        access: Access,
        deltas: &[StoredObject],
    ) -> Result<Vec<String>, RepositoryError> {
        let base = generation.manifest.segments.iter().map(|segment| ObjectName::base_segment(&segment.id).to_string());
        let mut names: Vec<String> = base.collect();
        let listed = deltas.iter().filter_map(|object| Some((object, object.name.index_delta_parts()?)));
        let counting: Vec<_> = listed.filter(|(_, (epoch, _, _))| *epoch >= generation.number).collect();
        // W3d: an older delta of a session that did not end may be a sleeper's, which the next base will not have.
        let is_doubtful = |epoch: u64| access == Access::Write && epoch < generation.epoch();
        let mut doubtful: Vec<SessionId> =
            counting.iter().filter(|(_, (epoch, _, _))| is_doubtful(*epoch)).map(|(_, (_, of, _))| *of).collect();
        doubtful.sort();
        doubtful.dedup();
        let ended = each(self.storage.as_ref(), Nearby::InTurn, &doubtful, |session| self.has_ended(*session));
        let ended = ended.into_iter().collect::<Result<Vec<bool>, _>>()?;
        let is_trusted: HashMap<SessionId, bool> = doubtful.into_iter().zip(ended).collect();
        let counts = |(_, (epoch, session, _)): &&(&StoredObject, (u64, SessionId, u64))| {
            !is_doubtful(*epoch) || is_trusted[session]
        };
        names.extend(counting.iter().filter(counts).map(|(object, _)| object.name.to_string()));
        Ok(names)
    }

    /// Whether the session committed or closed.
    fn has_ended(&self, session: SessionId) -> Result<bool, RepositoryError> {
        match self.cell(session) {
            Ok(CommitCell::Snapshot { .. } | CommitCell::Closed { .. }) => Ok(true),
            Ok(CommitCell::Revoked) => Ok(false),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The index, and beside it what is in packs that no delta names: for those who must not miss a chunk because a
    /// delta was deleted.
    pub fn whole_index(&self) -> Result<(Index, Vec<RepositoryError>), RepositoryError> {
        let (opened, stored) = both(self.storage.as_ref(), || self.index(), || self.stored_packs());
        let (mut index, damaged) = opened?;
        if damaged.is_empty() {
            let beside = self.unnamed_packs(&index, stored?)?;
            if !beside.is_empty() {
                index.adopt(&beside)?;
            }
        }
        Ok((index, damaged))
    }
}

impl DeltaSource for Repository {
    fn packs_of(&self, name: &str) -> Result<Vec<PackRecord>, RepositoryError> {
        let name: ObjectName = name.parse().expect("because it was listed under this name");
        let stored = get_at_most(self.storage.as_ref(), &name, DELTA_SIZE_MAX + OBJECT_OVERHEAD)?;
        if name.base_segment_id().is_some_and(|id| id.0 != digest(&stored)) {
            let reason = "its bytes do not hash to its name".to_owned();
            return Err(RepositoryError::ObjectDamaged { name, reason });
        }
        let plain = open_object(&self.keys, self.config.id, &name, &stored, DELTA_SIZE_MAX)?;
        decode_delta(&plain).map_err(|reason| RepositoryError::ObjectDamaged { name, reason })
    }

    fn packs_of_each(&self, names: &[&String]) -> Vec<Result<Vec<PackRecord>, RepositoryError>> {
        each(self.storage.as_ref(), Nearby::AtOnce, names, |name| self.packs_of(name))
    }

    fn packs_beside(&self, index: &Index) -> Result<Vec<PackRecord>, RepositoryError> {
        self.unnamed_packs(index, self.stored_packs()?)
    }
}

impl Repository {
    /// The stored packs that the index does not name, read from their trailers; unreadable ones are left out.
    fn unnamed_packs(&self, index: &Index, stored: HashMap<PackId, u64>) -> Result<Vec<PackRecord>, RepositoryError> {
        let named: HashSet<PackId> = index.packs().map(|pack| pack.id).collect();
        let mut stored: Vec<(PackId, u64)> = stored.into_iter().collect();
        stored.retain(|(pack, _)| !named.contains(pack));
        let read =
            each(self.storage.as_ref(), Nearby::InTurn, &stored, |(pack, size)| self.read_directory(pack, *size));
        let mut records = Vec::new();
        for record in read {
            match record {
                Ok(record) => records.push(record),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }
}
