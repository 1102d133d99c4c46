//! The index as readers and as writers may see it, at the generation the repository is in.
//!
//! Readers take all that may count; a writer counts only on what no prune can take away while it works. Rules are numbered
//! as in `tests/model`.

use std::collections::{HashMap, HashSet};

use crate::codec::hash::digest;
use crate::id::{PackId, SegmentId, SessionId};
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation};
use crate::repository::index::delta::{PackRecord, decode_delta};
use crate::repository::index::{DeltaSource, Index};
use crate::repository::object::{DELTA_SIZE_MAX, OBJECT_OVERHEAD, open_object};
use crate::repository::snapshot::CommitCell;
use crate::repository::{Repository, get_at_most};
use crate::storage::name::{ObjectName, Prefix};

/// How often the index is read anew where a prune took away what was being read.
const INDEX_TRIES_MAX: u32 = 5;

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
        Ok(self.delta_names(epoch)?.into_iter().map(|name| self.packs_of(&name)))
    }

    /// How many index deltas an epoch has.
    pub fn delta_count(&self, epoch: u64) -> Result<usize, RepositoryError> {
        self.delta_names(epoch).map(|names| names.len())
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
            let generation = self.generation(access)?;
            let names = self.index_names(&generation, access)?;
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
        let base = generation.manifest.segments.iter().map(|segment| ObjectName::base_segment(&segment.id).to_string());
        let mut names: Vec<String> = base.collect();
        let mut is_trusted: HashMap<SessionId, bool> = HashMap::new();
        for object in self.storage.list(&Prefix::Index)? {
            let Some((epoch, session, _)) = object.name.index_delta_parts() else { continue };
            let counts = match access {
                _ if epoch < generation.number => false,
                // W3d: an older delta of a session that did not end may be a sleeper's, which the next base will not have.
                Access::Write if epoch < generation.epoch() => match is_trusted.get(&session) {
                    Some(known) => *known,
                    None => *is_trusted.entry(session).or_insert(self.has_ended(session)?),
                },
                Access::Read | Access::Write => true,
            };
            if counts {
                names.push(object.name.to_string());
            }
        }
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
        let (mut index, damaged) = self.index()?;
        if damaged.is_empty() {
            let beside = self.packs_beside(&index)?;
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

    fn packs_beside(&self, index: &Index) -> Result<Vec<PackRecord>, RepositoryError> {
        let named: HashSet<PackId> = index.packs().map(|pack| pack.id).collect();
        let mut records = Vec::new();
        for (pack, size) in self.stored_packs()? {
            if named.contains(&pack) {
                continue;
            }
            match self.read_directory(&pack, size) {
                Ok(record) => records.push(record),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }
}
