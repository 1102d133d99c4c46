//! Looking at every object beside the packs, both copies of each: what a check must not leave to luck.
//!
//! Reading serves itself from whichever copy or cache is whole; here all of them are read. Packs are `reader`'s.

use std::collections::BTreeSet;

use bytes::Bytes;
use rayon::prelude::*;

use crate::codec::key::slot::{DOCUMENT_SIZE_MAX, KeyError, KeySlot};
use crate::repository::config::{SIZE_MAX as CONFIG_SIZE_MAX, UnverifiedConfig};
use crate::repository::error::RepositoryError;
use crate::repository::generation::{Access, Generation};
use crate::repository::index::DeltaSource;
use crate::repository::keyring::{slot_ids, slot_names};
use crate::repository::{Repository, get_at_most};
use crate::storage::StorageErrorKind;
use crate::storage::name::{ObjectName, Prefix};

impl Repository {
    /// What of config, key slots, index, generations, session and forget marks is damaged or missing. Nothing is lost by it: it
    /// can be made again from what is left, or only its name counts.
    pub fn inspect(&self) -> Result<Vec<RepositoryError>, RepositoryError> {
        let mut damaged = Vec::new();
        for name in [ObjectName::config(), ObjectName::config_copy()] {
            keep(&mut damaged, self.inspect_config(&name))?;
        }
        for id in slot_ids(self.storage().as_ref())? {
            let names = slot_names(&id);
            for name in &names {
                keep(&mut damaged, self.inspect_slot(name))?;
            }
            keep(&mut damaged, self.compare_slots(&names))?;
        }
        // What is older than the generation, or not in its manifest, waits for a prune to take it.
        let Generation { number, manifest, .. } = self.generation(Access::Read)?;
        let counts = |name: &ObjectName| name.index_delta_parts().is_some_and(|(epoch, _, _)| epoch >= number);
        let deltas = self.names(&Prefix::Index, counts)?;
        let segments: Vec<ObjectName> =
            manifest.segments.iter().map(|segment| ObjectName::base_segment(&segment.id)).collect();
        let read_delta =
            |name: &ObjectName| self.unless_gone(Prefix::Index, name, self.packs_of(name.as_str()).map(drop));
        let read_segment = |name: &ObjectName| self.packs_of(name.as_str()).map(drop);
        let read: Vec<_> = deltas.par_iter().map(read_delta).chain(segments.par_iter().map(read_segment)).collect();
        for result in read {
            keep(&mut damaged, result)?;
        }
        for name in self.generation_names(number)? {
            keep(&mut damaged, self.read_document(&name).map(drop))?;
        }
        for mark in self.storage().list(&Prefix::Sessions)? {
            let read = self.read_document(&mark.name).map(drop);
            keep(&mut damaged, self.unless_gone(Prefix::Sessions, &mark.name, read))?;
        }
        for mark in self.storage().list(&Prefix::Forgets)? {
            let read = self.read_document(&mark.name).map(drop);
            keep(&mut damaged, self.unless_gone(Prefix::Forgets, &mark.name, read))?;
            if let Some(forgotten) = mark.name.forget_mark_id() {
                // A prune that was cut short took the cell and not yet the mark.
                let read = self.cell(forgotten).map(drop);
                keep(&mut damaged, self.unless_gone(Prefix::Cells, &ObjectName::commit_cell(&forgotten), read))?;
            }
        }
        Ok(damaged)
    }

    /// The result of reading an object that was listed; nothing is wrong where a prune took it away since.
    fn unless_gone(
        &self,
        prefix: Prefix,
        name: &ObjectName,
        read: Result<(), RepositoryError>,
    ) -> Result<(), RepositoryError> {
        match read {
            Err(error) if error.is_not_found() => {
                let listed = self.storage().list(&prefix)?;
                if listed.iter().any(|object| object.name == *name) { Err(error) } else { Ok(()) }
            }
            read => read,
        }
    }

    /// What says of the generation that it is decided, and of the one after it that it was begun; nothing of it is ever deleted,
    /// so what is not listed is looked for by its name. Generations before, and the intent of what is decided, say nothing any
    /// more.
    fn generation_names(&self, number: u64) -> Result<BTreeSet<ObjectName>, RepositoryError> {
        let counts = |name: &ObjectName| {
            let decided = name.prune_manifest_number().or_else(|| name.prune_manifest_copy_number());
            decided.is_some_and(|of| of >= number) || name.prune_intent_number().is_some_and(|of| of > number)
        };
        let mut names = BTreeSet::from_iter(self.names(&Prefix::Generations, counts)?);
        if number > 0 {
            // The copy comes after it, or with the next prune where this one died between the two.
            names.insert(ObjectName::prune_manifest(number));
        }
        Ok(names)
    }

    fn names(
        &self,
        prefix: &Prefix,
        is_wanted: impl Fn(&ObjectName) -> bool,
    ) -> Result<Vec<ObjectName>, RepositoryError> {
        let objects = self.storage().list(prefix)?;
        Ok(objects.into_iter().map(|object| object.name).filter(is_wanted).collect())
    }

    pub(super) fn inspect_config(&self, name: &ObjectName) -> Result<(), RepositoryError> {
        let damaged = |reason: String| RepositoryError::ObjectDamaged { name: name.clone(), reason };
        let bytes = get_at_most(self.storage().as_ref(), name, CONFIG_SIZE_MAX as u64)?;
        let config = UnverifiedConfig::parse(&bytes).and_then(|config| config.verify(&self.keys().config));
        match config {
            Ok(config) if config == *self.config() => Ok(()),
            Ok(_) => Err(damaged("it is not the same as the other copy".to_owned())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// Both may be whole, and one of them be another slot's.
    fn compare_slots(&self, [first, copy]: &[ObjectName; 2]) -> Result<(), RepositoryError> {
        let read = |name: &ObjectName| get_at_most(self.storage().as_ref(), name, DOCUMENT_SIZE_MAX as u64).ok();
        let is_whole = |slot: &Bytes| KeySlot::parse_document(slot).is_ok();
        let [one, other] = [first, copy].map(|name| read(name).filter(is_whole));
        match (one, other) {
            (Some(one), Some(other)) if one != other => {
                let reason = "it is not the same as its copy".to_owned();
                Err(RepositoryError::ObjectDamaged { name: first.clone(), reason })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn inspect_slot(&self, name: &ObjectName) -> Result<(), RepositoryError> {
        match KeySlot::parse_document(&get_at_most(self.storage().as_ref(), name, DOCUMENT_SIZE_MAX as u64)?) {
            // A kind or version of a newer program is not damage.
            Ok(_) | Err(KeyError::NewerVersion { .. } | KeyError::UnknownKind { .. }) => Ok(()),
            Err(error) => Err(RepositoryError::ObjectDamaged { name: name.clone(), reason: error.to_string() }),
        }
    }
}

/// Keeps what is damage; a store that does not answer is none.
fn keep(damaged: &mut Vec<RepositoryError>, result: Result<(), RepositoryError>) -> Result<(), RepositoryError> {
    match result {
        Ok(()) => Ok(()),
        Err(RepositoryError::Storage(error)) if error.kind == StorageErrorKind::Unreachable => Err(error.into()),
        Err(error) => {
            damaged.push(error);
            Ok(())
        }
    }
}
