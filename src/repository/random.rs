//! Randomness from the system: salts and ids.

use crate::repository::error::RepositoryError;

/// Fresh random bytes of the system's generator.
pub(crate) fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], RepositoryError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|_| RepositoryError::NoRandomness)?;
    Ok(bytes)
}
