//! Randomness for salts and ids: the system's, or in a simulation one that a seed repeats.

use std::fmt::Debug;

use crate::repository::error::RepositoryError;

/// Where salts and ids come from.
pub trait Randomness: Debug + Send + Sync {
    /// Fills `target` with bytes that nobody can foretell, and that never come again.
    fn fill(&self, target: &mut [u8]) -> Result<(), RepositoryError>;
}

/// The generator of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, target: &mut [u8]) -> Result<(), RepositoryError> {
        getrandom::fill(target).map_err(|_| RepositoryError::NoRandomness)
    }
}

/// Fresh bytes of `randomness`.
pub(crate) fn random_bytes<const LENGTH: usize>(randomness: &dyn Randomness) -> Result<[u8; LENGTH], RepositoryError> {
    let mut bytes = [0; LENGTH];
    randomness.fill(&mut bytes)?;
    Ok(bytes)
}
