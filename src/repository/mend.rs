//! Putting back the missing half of what is stored twice: of `config` and of the key slots.
//!
//! A run that died between the two puts leaves one, which reading serves itself from and `check` reports. Whoever writes
//! next makes the pair whole; far away, whose `upkeep` is due. Bytes that are there and wrong are damage, and not replaced here.

use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::keyring::{slot_ids, slot_names};
use crate::storage::name::ObjectName;
use crate::storage::together::{Nearby, both, each};
use crate::storage::{ByteRange, StorageErrorKind};

impl Repository {
    /// Makes every pair whole whose other half is intact.
    ///
    /// # Errors
    /// The first half that can be neither read nor put.
    pub fn mend_pairs(&self) -> Result<(), RepositoryError> {
        let storage = self.storage().as_ref();
        let config = [ObjectName::config(), ObjectName::config_copy()];
        let (mended, ids) =
            both(storage, || self.mend(&config, |name| self.inspect_config(name)), || slot_ids(storage));
        mended?;
        let pairs: Vec<[ObjectName; 2]> = ids?.iter().map(slot_names).collect();
        each(storage, Nearby::InTurn, &pairs, |pair| self.mend_slot(pair)).into_iter().collect()
    }

    fn mend_slot(&self, pair: &[ObjectName; 2]) -> Result<(), RepositoryError> {
        let mended = self.mend(pair, |name| self.inspect_slot(name))?;
        // Whoever removes a slot deletes its first half last; what he removed meanwhile must not come back.
        if mended == Some(&pair[1]) && !self.is_there(&pair[0])? {
            self.storage().delete(&pair[1])?;
        }
        Ok(())
    }

    /// The half that was put back.
    fn mend<'a>(
        &self,
        pair: &'a [ObjectName; 2],
        inspect: impl Fn(&ObjectName) -> Result<(), RepositoryError>,
    ) -> Result<Option<&'a ObjectName>, RepositoryError> {
        let storage = self.storage().as_ref();
        let (first, second) = both(storage, || self.is_there(&pair[0]), || self.is_there(&pair[1]));
        for (is_there, missing, other) in [(first?, &pair[0], &pair[1]), (second?, &pair[1], &pair[0])] {
            if !is_there && inspect(other).is_ok() {
                let bytes = storage.get(other, ByteRange::All)?;
                let _put_or_there = storage.put_if_absent(missing, bytes)?;
                return Ok(Some(missing));
            }
        }
        Ok(None)
    }

    fn is_there(&self, name: &ObjectName) -> Result<bool, RepositoryError> {
        match self.storage().get(name, ByteRange::From { offset: 0, length: 0 }) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == StorageErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
