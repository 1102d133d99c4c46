//! The key slots of a repository: unlocking with one, listing, adding and removing them (FORMAT.md §3).
//!
//! Each slot is stored twice; the copy serves where the first is damaged. What a slot is stands in `codec::key::slot`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::codec::key::RootSecret;
use crate::codec::key::secret::{FileKey, Passphrase};
use crate::codec::key::slot::{DOCUMENT_SIZE_MAX, KdfCost, KeyError, KeySlot, SlotKind, SlotSecretSource};
use crate::codec::seal::Sealed;
use crate::id::{RepositoryId, SlotId};
use crate::repository::error::RepositoryError;
use crate::repository::random::random_bytes;
use crate::repository::{Repository, get_at_most};
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::{Nearby, each};
use crate::storage::{Distance, Put, Storage};

/// A secret that opens a repository.
#[derive(Clone, Debug)]
pub enum Opener {
    /// A password; slow to try.
    Password(Arc<Passphrase>),
    /// A key file or its recovery words.
    Key(Arc<FileKey>),
}

impl Opener {
    fn source(&self) -> SlotSecretSource<'_> {
        match self {
            Self::Password(passphrase) => SlotSecretSource::Password(passphrase),
            Self::Key(key) => SlotSecretSource::KeyFile(key),
        }
    }
}

/// A key slot as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSummary {
    /// Its name.
    pub id: SlotId,
    /// What opens it; `None` where neither copy can be read.
    pub slot: Option<(SlotKind, String, jiff::Timestamp)>,
    /// Whether it is the one this repository was opened with.
    pub in_use: bool,
}

impl Repository {
    /// Adds a slot that `opener` opens.
    pub fn add_key(&self, opener: &Opener, label: &str, created: jiff::Timestamp) -> Result<SlotId, RepositoryError> {
        self.config.writable()?;
        let id = SlotId(random_bytes(self.randomness())?);
        let source = opener.source();
        let slot = KeySlot::create(id, self.config.id, source, label, created, KdfCost::default(), &self.roots)?;
        let document = Sealed::of_clear_document(slot.to_document()).bytes();
        let names = slot_names(&id);
        let put = |name: &ObjectName| self.storage.put_if_absent(name, document.clone());
        for put in each(self.storage.as_ref(), Nearby::InTurn, &names, put) {
            // The id was drawn just now: a taken name is an earlier try of these bytes.
            let (Put::Created | Put::Exists) = put?;
        }
        Ok(id)
    }

    /// Every slot, by name.
    pub fn key_slots(&self) -> Result<Vec<SlotSummary>, RepositoryError> {
        let ids = slot_ids(self.storage.as_ref())?;
        let summarise = |id: SlotId| {
            let slot = read_slot(self.storage.as_ref(), &id, &mut Vec::new()).ok();
            let slot = slot.map(|slot| (slot.kind(), slot.label().to_owned(), slot.created()));
            SlotSummary { id, slot, in_use: self.opened_with == Some(id) }
        };
        let ids: Vec<SlotId> = ids.into_iter().collect();
        Ok(each(self.storage.as_ref(), Nearby::InTurn, &ids, |id| summarise(*id)))
    }

    /// Removes a slot; the last one that can be read stays, or nothing would ever open the repository again.
    pub fn remove_key(&self, id: &SlotId) -> Result<(), RepositoryError> {
        self.config.writable()?;
        let slots = self.key_slots()?;
        if !slots.iter().any(|slot| slot.id != *id && slot.slot.is_some()) {
            return Err(RepositoryError::LastKey);
        }
        // The copy goes first: while the first is there, the slot is whole.
        let [first, copy] = slot_names(id);
        self.storage.delete(&copy)?;
        self.storage.delete(&first)?;
        // A writer that mends pairs may have put it back meanwhile.
        Ok(self.storage.delete(&copy)?)
    }
}

/// The root secrets, by whichever slot `opener` opens; slots that are damaged become notices.
pub(super) fn unlock(
    storage: &dyn Storage,
    ids: BTreeSet<SlotId>,
    repository: RepositoryId,
    opener: &Opener,
    notices: &mut Vec<RepositoryError>,
) -> Result<(SlotId, Vec<RootSecret>), RepositoryError> {
    let slots = ids.len();
    let mut trial = Trial { repository, opener, refused: 0, unreadable: None };
    let mut not_opened = Vec::new();
    for (id, (slot, damaged)) in read_slots(storage, ids) {
        notices.extend(damaged);
        match slot {
            Ok(slot) => match trial.open(&id, &slot)? {
                Some(roots) => return Ok((id, roots)),
                None => not_opened.push((id, slot)),
            },
            // Another slot may still open.
            Err(error) if error.is_damage() || matches!(error, RepositoryError::Key(_)) => {
                trial.unreadable = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    // A slot may be whole and yet not the one that belongs under this name: then its copy differs.
    for (id, slot) in not_opened {
        let [_, copy] = slot_names(&id);
        match parse_slot(storage, &copy) {
            Ok(copy) if copy != slot => {
                if let Some(roots) = trial.open(&id, &copy)? {
                    notices.push(KeyError::Damaged { reason: "it is not the same as its copy" }.into());
                    return Ok((id, roots));
                }
            }
            _ => {}
        }
    }
    match trial.unreadable {
        Some(error) if trial.refused == 0 => Err(RepositoryError::KeysDamaged { slots, reason: error.to_string() }),
        _ => Err(RepositoryError::WrongSecret { slots, location: storage.to_string() }),
    }
}

/// A slot, and what was damaged of it though its copy served.
type ReadSlot = (Result<KeySlot, RepositoryError>, Vec<RepositoryError>);

/// The slots in turn: read when it is theirs, or all at once where each costs a round trip.
fn read_slots(storage: &dyn Storage, ids: BTreeSet<SlotId>) -> Box<dyn Iterator<Item = (SlotId, ReadSlot)> + '_> {
    let read = |id: &SlotId| {
        let mut damaged = Vec::new();
        (read_slot(storage, id, &mut damaged), damaged)
    };
    match storage.distance() {
        Distance::Near => Box::new(ids.into_iter().map(move |id| (id, read(&id)))),
        Distance::Far => {
            let ids: Vec<SlotId> = ids.into_iter().collect();
            let read = each(storage, Nearby::InTurn, &ids, read);
            Box::new(ids.into_iter().zip(read))
        }
    }
}

/// A secret tried on slot after slot.
struct Trial<'t> {
    repository: RepositoryId,
    opener: &'t Opener,
    /// Whole slots that it does not open.
    refused: usize,
    unreadable: Option<RepositoryError>,
}

impl Trial<'_> {
    fn open(&mut self, id: &SlotId, slot: &KeySlot) -> Result<Option<Vec<RootSecret>>, RepositoryError> {
        match slot.unlock(id, &self.repository, self.opener.source()) {
            Ok(roots) => return Ok(Some(roots)),
            Err(KeyError::WrongSecret { .. } | KeyError::OtherKind { .. }) => self.refused += 1,
            Err(error @ KeyError::Memory { .. }) => return Err(error.into()),
            Err(error) => self.unreadable = Some(error.into()),
        }
        Ok(None)
    }
}

/// The slots that exist, in whole or in half.
pub(super) fn slot_ids(storage: &dyn Storage) -> Result<BTreeSet<SlotId>, RepositoryError> {
    let objects = storage.list(&Prefix::Keys)?;
    let digits = objects.iter().filter_map(|o| o.name.key_slot_digits().or_else(|| o.name.key_slot_copy_digits()));
    Ok(digits.filter_map(|digits| digits.parse().ok()).collect())
}

fn read_slot(
    storage: &dyn Storage,
    id: &SlotId,
    notices: &mut Vec<RepositoryError>,
) -> Result<KeySlot, RepositoryError> {
    let [first, copy] = slot_names(id);
    match parse_slot(storage, &first) {
        Ok(slot) => Ok(slot),
        Err(error) => match parse_slot(storage, &copy) {
            Ok(slot) => {
                notices.push(error);
                Ok(slot)
            }
            Err(_) => Err(error),
        },
    }
}

fn parse_slot(storage: &dyn Storage, name: &ObjectName) -> Result<KeySlot, RepositoryError> {
    Ok(KeySlot::parse_document(&get_at_most(storage, name, DOCUMENT_SIZE_MAX as u64)?)?)
}

pub(super) fn slot_names(id: &SlotId) -> [ObjectName; 2] {
    let digits = id.to_string();
    let because = "because an id is 32 hex digits";
    [ObjectName::key_slot(&digits).expect(because), ObjectName::key_slot_copy(&digits).expect(because)]
}
