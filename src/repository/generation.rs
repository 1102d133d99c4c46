//! Generations: what prunes decided, and what of a repository counts because of it (FORMAT.md §9).
//!
//! A prune of generation n puts its intent `g/<n>`, which condemns packs, and decides with its manifest `g/<n>.commit`. M is the
//! highest generation that is decided; at most the one after it is open. Rules are numbered as in `tests/model`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::hash::digest;
use crate::id::{PackId, SegmentId, SessionId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::delta::{PackRecord, encode_delta};
use crate::repository::object::{DOCUMENT_SIZE_MAX, base_name};
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{ByteRange, Put, Storage, StorageError, StorageErrorKind, StoredObject};

/// How often generations are listed again where one seems to be skipped.
const LISTINGS_MAX: u32 = 4;
/// In the cache: the last generation that was seen, and the hash of its manifest.
const SEEN_FILE: &str = "generation";

/// What a prune means to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Packs that no writer counts on from now on.
    pub condemned: Vec<PackId>,
    /// Those of them that were found damaged: the manifest distrusts them, and deletes none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distrusted: Vec<PackId>,
}

/// What a prune decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Packs that may be deleted, by anyone, at any time.
    pub deleted: Vec<PackId>,
    /// The base of the index: what was in it and in the deltas of the generation before, less what is deleted.
    pub segments: Vec<BaseSegment>,
    /// Snapshots that count, whatever their epoch.
    pub live: Vec<SessionId>,
    /// Packs that a check found damaged: they are read last, and nothing is deduplicated against them.
    pub distrusted: Vec<PackId>,
    /// Hash of the manifest before, as it is stored; empty if this is the first, or only the copy of that could be read.
    pub previous: String,
}

/// A segment of the base index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseSegment {
    /// Its object.
    pub id: SegmentId,
    /// How many packs it names.
    pub packs: u64,
    /// Those of them that do not count any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<PackId>,
}

/// The generation a repository is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// M: the highest generation that is decided; 0 before the first prune.
    pub number: u64,
    /// What it decided; nothing before the first prune.
    pub manifest: Manifest,
    /// Hash of that manifest as it is stored, in hex; empty before the first prune.
    pub hash: String,
    /// The generation after it, if a prune began and did not decide yet.
    pub open: Option<Intent>,
}

impl Generation {
    /// The epoch of a session that begins now: the highest generation that was begun.
    pub fn epoch(&self) -> u64 {
        self.number + u64::from(self.open.is_some())
    }

    /// Packs that no writer may count on: condemned by an open intent, deleted, distrusted.
    pub(crate) fn forbidden(&self) -> impl Iterator<Item = &PackId> {
        let condemned = self.open.iter().flat_map(|intent| &intent.condemned);
        condemned.chain(&self.manifest.deleted).chain(&self.manifest.distrusted)
    }

    /// Whether a snapshot of this epoch counts, unless it is forgotten.
    pub(crate) fn counts(&self, snapshot: &SessionId, epoch: u64) -> bool {
        epoch >= self.number || self.manifest.live.contains(snapshot)
    }
}

/// The highest generations that a listing shows as decided and begun; 0 where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun {
    decided: u64,
    begun: u64,
    /// The manifest of the decided one as it is listed; none where only its copy is.
    manifest: Option<StoredObject>,
}

impl Begun {
    pub(super) fn list(storage: &dyn Storage) -> Result<Self, StorageError> {
        let objects = storage.list(&Prefix::Generations)?;
        // A copy is only ever put after its manifest, so it decides as much.
        let decided = objects.iter().filter_map(|object| {
            object.name.prune_manifest_number().or_else(|| object.name.prune_manifest_copy_number())
        });
        let decided = decided.max().unwrap_or(0);
        let begun = objects.iter().filter_map(|object| object.name.prune_intent_number()).max().unwrap_or(0);
        let manifest = objects.into_iter().find(|object| object.name.prune_manifest_number() == Some(decided));
        Ok(Self { decided, begun, manifest })
    }

    /// Whether both listings show the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.decided, self.begun) == (other.decided, other.begun)
    }
}

/// What the generation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading: an open intent that is damaged changes nothing.
    Read,
    /// Writing: what an open intent condemns must be known.
    Write,
}

impl Repository {
    /// Which generation the repository is in.
    ///
    /// # Errors
    /// Storage that does not answer, a manifest of which neither copy can be read, and for writers an intent.
    pub fn generation(&self, access: Access) -> Result<Generation, RepositoryError> {
        self.generation_of(Begun::list(self.storage.as_ref())?, access)
    }

    /// The generation that a listing shows, which is listed again where it seems to skip one.
    pub(super) fn generation_of(&self, mut listed: Begun, access: Access) -> Result<Generation, RepositoryError> {
        for _ in 0..LISTINGS_MAX {
            // W2b: a listing may miss a manifest that was put meanwhile and show the intent after it.
            if listed.begun <= listed.decided + 1 {
                break;
            }
            listed = Begun::list(self.storage.as_ref())?;
        }
        let Begun { decided: number, begun, manifest } = listed;
        let (manifest, hash) =
            if number == 0 { Default::default() } else { self.read_manifest(number, manifest.as_ref())? };
        self.refuse_rollback(number, &hash)?;
        let open = match begun.checked_sub(number) {
            None | Some(0) => None,
            Some(1) => match self.intent(begun) {
                Err(error) if access == Access::Read && error.is_damage() => Some(Intent::default()),
                intent => Some(intent?),
            },
            Some(_) => {
                let reason = format!("generation {} was never decided", number + 1);
                return Err(RepositoryError::ObjectDamaged { name: ObjectName::prune_intent(begun), reason });
            }
        };
        Ok(Generation { number, manifest, hash, open })
    }

    /// Refuses a store that is older than what this machine saw of it, and remembers what it sees now.
    fn refuse_rollback(&self, number: u64, hash: &str) -> Result<(), RepositoryError> {
        let Some(place) = self.cache.folder().map(|folder| folder.join(SEEN_FILE)) else { return Ok(()) };
        let seen = std::fs::read_to_string(&place).unwrap_or_default();
        let (seen_number, seen_hash) = seen.trim_end().split_once(' ').unwrap_or(("0", ""));
        // What is no number was not written here: then nothing was seen.
        let seen_number: u64 = seen_number.parse().unwrap_or(0);
        let is_other = seen_number == number && !hash.is_empty() && !seen_hash.is_empty() && seen_hash != hash;
        if seen_number > number || is_other {
            return Err(RepositoryError::WentBack { seen: seen_number, found: number, place });
        }
        if number > seen_number {
            // Best effort: what cannot be remembered is not refused later.
            drop(std::fs::write(&place, format!("{number} {hash}\n")));
        }
        Ok(())
    }

    /// What the prune of generation `number` means to delete.
    pub fn intent(&self, number: u64) -> Result<Intent, RepositoryError> {
        let name = ObjectName::prune_intent(number);
        parse(&name, &self.read_document(&name)?)
    }

    /// The manifest of a generation and the hash by which the next one names it, or the copy of it where the first is missing
    /// or damaged, with no hash.
    pub fn manifest(&self, number: u64) -> Result<(Manifest, String), RepositoryError> {
        self.read_manifest(number, None)
    }

    /// As [`Repository::manifest`], from the cache if it is the one `listed`.
    fn read_manifest(&self, number: u64, listed: Option<&StoredObject>) -> Result<(Manifest, String), RepositoryError> {
        let name = ObjectName::prune_manifest(number);
        let first = || {
            let (stored, document) = match listed {
                Some(listed) => self.read_listed(listed)?,
                None => self.read_sealed(&name)?,
            };
            Ok((parse(&name, &document)?, hex::encode(digest(&stored))))
        };
        match first() {
            Err(error) if RepositoryError::is_damage(&error) => {
                let copy = ObjectName::prune_manifest_copy(number);
                let served = self.read_document(&copy).and_then(|document| parse(&copy, &document));
                served.map(|manifest| (manifest, String::new())).map_err(|_| error)
            }
            result => result,
        }
    }

    /// Begins a generation (P2). Where one exists, another pruner began it and his intent holds: read it back.
    pub fn put_intent(&self, number: u64, intent: &Intent) -> Result<Put, RepositoryError> {
        self.put_document(&ObjectName::prune_intent(number), &document(intent))
    }

    /// Decides a generation (P6). Whose manifest was first is the one that holds: read it back.
    pub fn put_manifest(&self, number: u64, manifest: &Manifest) -> Result<Put, RepositoryError> {
        self.put_document(&ObjectName::prune_manifest(number), &document(manifest))
    }

    /// Puts the copy of the manifest that holds, if it is not there yet.
    pub fn put_manifest_copy(&self, number: u64, manifest: &Manifest) -> Result<(), RepositoryError> {
        let _created_or_there = self.put_document(&ObjectName::prune_manifest_copy(number), &document(manifest))?;
        Ok(())
    }

    /// Puts the copy of a manifest whose prune died between the two.
    pub fn mend_manifest_copy(&self, number: u64, manifest: &Manifest) -> Result<(), RepositoryError> {
        let first_byte = ByteRange::From { offset: 0, length: 1 };
        match self.storage.get(&ObjectName::prune_manifest_copy(number), first_byte) {
            Err(error) if error.kind == StorageErrorKind::NotFound => self.put_manifest_copy(number, manifest),
            there => Ok(there.map(drop)?),
        }
    }

    /// Puts a document that grows with the repository, unless nobody could read it.
    fn put_document(&self, name: &ObjectName, document: &[u8]) -> Result<Put, RepositoryError> {
        let size = document.len() as u64;
        if size > DOCUMENT_SIZE_MAX {
            return Err(RepositoryError::DocumentTooLarge { name: name.clone(), size });
        }
        self.put_object(name, document)
    }

    /// Puts a segment of the base index; returns its name.
    pub fn put_base_segment(&self, packs: &[PackRecord]) -> Result<SegmentId, RepositoryError> {
        let sealed = self.seal(&base_name(), &encode_delta(packs))?.bytes();
        let id = SegmentId(digest(&sealed));
        let _created_or_there = self.storage.put_if_absent(&ObjectName::base_segment(&id), sealed)?;
        Ok(id)
    }

    /// The segments of the base that are stored, those that no manifest names among them.
    pub fn base_segments(&self) -> Result<Vec<SegmentId>, RepositoryError> {
        let objects = self.storage.list(&Prefix::Base)?;
        Ok(objects.iter().filter_map(|object| object.name.base_segment_id()).collect())
    }
}

fn document<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("because it is plain data")
}

fn parse<T: DeserializeOwned>(name: &ObjectName, document: &[u8]) -> Result<T, RepositoryError> {
    serde_json::from_slice(document)
        .map_err(|error| RepositoryError::ObjectDamaged { name: name.clone(), reason: error.to_string() })
}
