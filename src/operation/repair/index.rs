//! `repair index`: an index made anew of what can be read of it and, for the rest, of the packs themselves.

use std::collections::HashSet;

use crate::id::PackId;
use crate::operation::mark::{Unmarked, mark};
use crate::operation::prune::rebase::{deleted_until, unnamed};
use crate::operation::repair::{RepairError, Repaired, Repairing, renew};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation};
use crate::storage::name::ObjectName;

/// What is wrong with the index, and what it would be made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexPlan {
    /// Objects of the index and of the generations that cannot be read, and why.
    pub damaged: Vec<String>,
    /// Packs that no readable part of the index names, and that say themselves what they hold.
    pub recovered: Vec<PackId>,
    /// Bytes of those.
    pub recovered_bytes: u64,
    /// Whether snapshots need something that the index does not name.
    pub is_needed: bool,
}

impl IndexPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.damaged.is_empty() && (!self.is_needed || self.recovered.is_empty())
    }
}

/// Looks at the index. Nothing is written.
pub fn plan(repository: &Repository, progress: &dyn Progress) -> Result<IndexPlan, RepairError> {
    let generation = repository.generation(Access::Read)?;
    let mut plan = IndexPlan { damaged: damaged_documents(repository, &generation)?, ..IndexPlan::default() };
    // The objects themselves: a cache may still know what they said.
    let mut named = named(repository, &generation, &mut plan.damaged)?;
    if plan.damaged.is_empty() {
        let (index, _) = repository.index_at(&generation)?;
        let snapshots = repository.snapshots_of(&generation)?;
        plan.is_needed = match mark(repository, &index, &snapshots.valid, progress) {
            Ok(_) => false,
            Err(Unmarked::Fault(_)) => true,
            Err(Unmarked::Interrupted) => return Err(RepairError::Interrupted),
        };
    } else {
        plan.is_needed = true;
    }
    if plan.is_needed {
        named.extend(deleted_until(repository, generation.number)?);
        for record in unnamed(repository, &named, &repository.stored_packs()?)? {
            plan.recovered.push(record.id);
            plan.recovered_bytes += u64::from(record.size);
        }
    }
    Ok(plan)
}

/// Makes the index anew.
pub fn apply(
    repository: &Repository,
    repairing: &Repairing<'_>,
    progress: &dyn Progress,
) -> Result<Repaired, RepairError> {
    renew(repository, &[], repairing, progress)
}

/// What says which generation it is and cannot be read, though a copy can or nothing hangs on it.
fn damaged_documents(repository: &Repository, generation: &Generation) -> Result<Vec<String>, RepositoryError> {
    let number = generation.number;
    let mut names = Vec::new();
    if number > 0 {
        names.extend([ObjectName::prune_manifest(number), ObjectName::prune_manifest_copy(number)]);
    }
    if generation.open.is_some() {
        names.push(ObjectName::prune_intent(number + 1));
    }
    let mut damaged = Vec::new();
    for name in names {
        match repository.read_document(&name) {
            Err(error) if error.is_damage() => damaged.push(error.to_string()),
            read => drop(read?),
        }
    }
    Ok(damaged)
}

/// The packs that readable parts of the index name; the others are told.
fn named(
    repository: &Repository,
    generation: &Generation,
    damaged: &mut Vec<String>,
) -> Result<HashSet<PackId>, RepositoryError> {
    let mut named = HashSet::new();
    for segment in &generation.manifest.segments {
        let records = is_readable(repository.base_segment(&segment.id), damaged)?.into_iter().flatten();
        let gone: HashSet<&PackId> = segment.gone.iter().collect();
        named.extend(records.map(|record| record.id).filter(|pack| !gone.contains(pack)));
    }
    for epoch in generation.number..=generation.epoch() {
        for delta in repository.deltas_of(epoch)? {
            named.extend(is_readable(delta, damaged)?.into_iter().flatten().map(|record| record.id));
        }
    }
    Ok(named)
}

fn is_readable<T>(read: Result<T, RepositoryError>, damaged: &mut Vec<String>) -> Result<Option<T>, RepositoryError> {
    match read {
        Err(error) if error.is_damage() => {
            damaged.push(error.to_string());
            Ok(None)
        }
        read => read.map(Some),
    }
}
