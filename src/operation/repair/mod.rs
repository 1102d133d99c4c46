//! `repair`: what can be made good of a damaged repository, and what cannot is said.
//!
//! `index` makes the index anew from the packs, `packs` saves what is intact in damaged packs and has the others distrusted,
//! `snapshots` makes snapshots without what is lost. Each shows a plan first. All goes through the protocol: sessions, and a
//! generation that deletes nothing; so it may run beside anyone, be cut short anywhere, and be repeated.

use std::collections::HashSet;

use thiserror::Error;

use crate::id::PackId;
use crate::operation::prune::decide::{await_writers, mend};
use crate::operation::prune::{Patience, PruneError};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation, Intent};
use crate::repository::session::SessionMark;
use crate::storage::{StorageError, Writers};
use crate::tree::error::TreeError;

pub mod index;
pub mod packs;
pub mod snapshots;

/// How often a generation is begun again because another prune decided one meanwhile.
const ROUNDS_MAX: usize = 8;

/// Who repairs, and how long writers are waited for.
pub struct Repairing<'r> {
    /// This process.
    pub mark: SessionMark,
    /// Whether the user vouches that nobody else writes meanwhile, as a store needs that cannot create if absent.
    pub exclusive: bool,
    /// How long writers are waited for.
    pub patience: &'r dyn Patience,
}

/// What became of a repair that needs a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// It is done, by this generation.
    At(u64),
    /// Writers that began before are under way: run it again when they have ended.
    WaitsFor(Vec<String>),
}

/// Why a repair ended early. Nothing is lost by it; it can be run again.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A generation could not be ended.
    #[error(transparent)]
    Generation(#[from] PruneError),
    /// A tree could not be built.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The user asked to stop.
    #[error("interrupted; run it again to go on")]
    Interrupted,
}

impl From<StorageError> for RepairError {
    fn from(error: StorageError) -> Self {
        Self::Repository(error.into())
    }
}

/// Ends a generation that deletes nothing and distrusts these packs, with an index made of what can be read.
fn renew(
    repository: &Repository,
    distrusted: &[PackId],
    repairing: &Repairing<'_>,
    progress: &dyn Progress,
) -> Result<Repaired, RepairError> {
    if !repairing.exclusive && repository.writers()? == Writers::One {
        return Err(PruneError::SingleWriter.into());
    }
    for _ in 0..ROUNDS_MAX {
        // As a reader: an intent that cannot be read condemns nothing here.
        let before = repository.generation(Access::Read)?;
        let number = before.number + 1;
        let intent = match &before.open {
            Some(other) => other.clone(),
            None => begin(repository, number, distrusted)?,
        };
        let waits_for = await_writers(repository, &repairing.mark, repairing.patience, number, progress)?;
        if !waits_for.is_empty() {
            return Ok(Repaired::WaitsFor(waits_for.iter().map(|session| session.writer()).collect()));
        }
        let before = Generation { open: Some(intent.clone()), ..before };
        let decided = mend(repository, number, &intent, &before)?;
        let known: HashSet<&PackId> = decided.manifest.distrusted.iter().collect();
        // Another prune may have decided first, or the intent was another's.
        if decided.is_ours && distrusted.iter().all(|pack| known.contains(pack)) {
            return Ok(Repaired::At(number));
        }
    }
    Err(PruneError::Outrun.into())
}

/// Begins a generation; the intent that holds, whoever put it.
fn begin(repository: &Repository, number: u64, distrusted: &[PackId]) -> Result<Intent, RepairError> {
    let intent = Intent { condemned: distrusted.to_vec(), distrusted: distrusted.to_vec() };
    let _created_or_there = repository.put_intent(number, &intent)?;
    match repository.intent(number) {
        Err(error) if error.is_damage() => Ok(Intent::default()),
        intent => Ok(intent?),
    }
}
