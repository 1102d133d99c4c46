//! Putting back the missing half of what is stored twice: of `config` and of the key slots.
//!
//! A run that died between the two puts leaves one, which reading serves itself from and `check` reports. Whoever writes
//! next makes the pair whole. Bytes that are there and wrong are damage, and not replaced here.

use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::keyring::{slot_ids, slot_names};
use crate::storage::name::ObjectName;
use crate::storage::{ByteRange, StorageErrorKind};

impl Repository {
    /// Makes every pair whole whose other half is intact.
    ///
    /// # Errors
    /// The first half that can be neither read nor put.
    pub fn mend_pairs(&self) -> Result<(), RepositoryError> {
        let config = [ObjectName::config(), ObjectName::config_copy()];
        self.mend(&config, |name| self.inspect_config(name))?;
        for id in slot_ids(self.storage().as_ref())? {
            let pair = slot_names(&id);
            let mended = self.mend(&pair, |name| self.inspect_slot(name))?;
            // Whoever removes a slot deletes its first half last; what he removed meanwhile must not come back.
            if mended == Some(&pair[1]) && !self.is_there(&pair[0])? {
                self.storage().delete(&pair[1])?;
            }
        }
        Ok(())
    }

    /// The half that was put back.
    fn mend<'a>(
        &self,
        pair: &'a [ObjectName; 2],
        inspect: impl Fn(&ObjectName) -> Result<(), RepositoryError>,
    ) -> Result<Option<&'a ObjectName>, RepositoryError> {
        for (missing, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            if !self.is_there(missing)? && inspect(other).is_ok() {
                let bytes = self.storage().get(other, ByteRange::All)?;
                let _put_or_there = self.storage().put_if_absent(missing, bytes)?;
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
