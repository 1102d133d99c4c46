//! A repository: FORMAT.md in code. Frames, packs, index, sessions, snapshots over any storage.
//!
//! [`Repository`] is the open thing: storage, config, keys, cache. Reading goes through `reader`, writing through
//! `session`; what a snapshot's pages say is the floor above's business (`tree`).

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::key::{Keys, RootSecret};
use crate::codec::seal::{Cipher, Sealed};
use crate::id::{RepositoryId, SlotId};
use crate::repository::config::{Config, SIZE_MAX as CONFIG_SIZE_MAX, UnverifiedConfig};
use crate::repository::error::RepositoryError;
use crate::repository::index::cache::IndexCache;
use crate::repository::keyring::{Opener, slot_ids, unlock};
use crate::repository::object::{DOCUMENT_SIZE_MAX, OBJECT_OVERHEAD, open_object, seal_object};
use crate::repository::object_cache::{CACHE_SIZE_DEFAULT, ObjectCache};
use crate::repository::random::{Randomness, SystemRandomness, random_bytes};
use crate::repository::view::Glimpse;
use crate::storage::name::ObjectName;
use crate::storage::together::{Nearby, both, each};
use crate::storage::{ByteRange, Distance, Put, Storage, StorageError, StorageErrorKind, StoredObject, Writers};

pub mod config;
pub mod error;
pub mod forgotten;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod generation;
pub mod index;
mod inspect;
mod kept;
pub mod keyring;
pub mod liveness;
mod mend;
mod object;
mod object_cache;
pub mod overlay;
pub mod pack;
mod pack_writer;
pub mod random;
pub mod reader;
pub mod session;
pub mod snapshot;
mod upkeep;
mod upload;
pub mod view;

/// Threads that put packs: several in flight double what a disk takes one by one, and each costs the memory of a pack.
const UPLOAD_THREADS: NonZeroUsize = NonZeroUsize::new(4).expect("because 4 is not 0");
/// The same where each put costs a round trip: twice as many packs on their way keep the line full.
const UPLOAD_THREADS_FAR: NonZeroUsize = NonZeroUsize::new(8).expect("because 8 is not 0");
/// Bytes of `reserve`, which a prune on a full disk frees first.
const RESERVE_SIZE: usize = 1 << 20;

/// An open repository: unlocked, its config proven.
pub struct Repository {
    storage: Arc<dyn Storage>,
    config: Config,
    keys: Keys,
    roots: Vec<RootSecret>,
    opened_with: Option<SlotId>,
    cipher: Cipher,
    cache: IndexCache,
    objects: ObjectCache,
    randomness: Arc<dyn Randomness>,
    upload_threads: NonZeroUsize,
    notices: Vec<RepositoryError>,
}

impl Repository {
    /// Makes a repository that opens with what `openers` hold, one key slot each, under the label beside it.
    pub fn init(
        storage: Arc<dyn Storage>,
        openers: &[(Opener, &str)],
        created: jiff::Timestamp,
        cache_root: Option<PathBuf>,
    ) -> Result<Self, RepositoryError> {
        if Self::exists(storage.as_ref())? {
            return Err(RepositoryError::AlreadyExists { location: storage.to_string() });
        }
        let config = Config::new(RepositoryId(random_bytes(&SystemRandomness)?), created);
        let roots = vec![RootSecret::random()];
        let keys = Keys::derive(&roots[0]);
        let (cache, objects) = caches_of(cache_root, config.id, storage.as_ref());
        let repository = Self {
            cache,
            objects,
            upload_threads: upload_threads_for(storage.as_ref()),
            storage,
            config,
            keys,
            roots,
            opened_with: None,
            cipher: Cipher::fastest_here(),
            randomness: Arc::new(SystemRandomness),
            notices: Vec::new(),
        };
        let (added, reserved) = both(
            repository.storage.as_ref(),
            || openers.iter().try_for_each(|(opener, label)| repository.add_key(opener, label, created).map(drop)),
            || repository.put_reserve(),
        );
        added.and(reserved)?;
        // The config comes last: without it there is no repository, and `init` can be run again.
        let document = repository.config.to_document(&repository.keys.config).bytes();
        let put = |name| repository.storage.put_if_absent(&name, document.clone());
        if put(ObjectName::config())? == Put::Exists {
            return Err(RepositoryError::AlreadyExists { location: repository.storage.to_string() });
        }
        let _created_or_there = put(ObjectName::config_copy())?;
        Ok(repository)
    }

    /// Opens a repository with what `opener` holds.
    pub fn open(
        storage: Arc<dyn Storage>,
        opener: &Opener,
        cache_root: Option<PathBuf>,
    ) -> Result<Self, RepositoryError> {
        let (unverified, ids) = both(storage.as_ref(), || read_config(storage.as_ref()), || slot_ids(storage.as_ref()));
        let (unverified, mut notices) = unverified?;
        let (slot, roots) = unlock(storage.as_ref(), ids?, unverified.config.id, opener, &mut notices)?;
        let keys = Keys::derive(&roots[0]);
        let config = unverified.verify(&keys.config)?;
        let (cache, objects) = caches_of(cache_root, config.id, storage.as_ref());
        let cipher = Cipher::fastest_here();
        Ok(Self {
            upload_threads: upload_threads_for(storage.as_ref()),
            storage,
            config,
            keys,
            roots,
            opened_with: Some(slot),
            cipher,
            cache,
            objects,
            randomness: Arc::new(SystemRandomness),
            notices,
        })
    }

    /// Opens a repository, and begins to look at it meanwhile ([`Repository::look`]).
    pub fn open_and_glimpse(
        storage: &Arc<dyn Storage>,
        opener: &Opener,
        cache_root: Option<PathBuf>,
    ) -> Result<(Self, Glimpse), RepositoryError> {
        let open = || Self::open(Arc::clone(storage), opener, cache_root);
        let (opened, glimpse) = both(storage.as_ref(), open, || Glimpse::list(storage.as_ref()));
        let opened = opened?;
        Ok((opened, glimpse?))
    }

    /// How many may write here at once, tried on `config`.
    pub fn writers(&self) -> Result<Writers, RepositoryError> {
        let name = ObjectName::config();
        let content = match self.storage.distance() {
            Distance::Near => Bytes::new(),
            Distance::Far => self.storage.get(&name, ByteRange::All)?,
        };
        Ok(self.storage.probe(&name, content)?)
    }

    /// Whether there is a repository, by its `config` or the copy of it.
    pub fn exists(storage: &dyn Storage) -> Result<bool, RepositoryError> {
        let names = [ObjectName::config(), ObjectName::config_copy()];
        let looked =
            each(storage, Nearby::InTurn, &names, |name| storage.get(name, ByteRange::From { offset: 0, length: 0 }));
        for found in looked {
            match found {
                Ok(_) => return Ok(true),
                Err(error) if error.kind == StorageErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Seals with this cipher from now on instead of the one that is fastest here; readers take either.
    #[must_use]
    pub fn with_cipher(mut self, cipher: Cipher) -> Self {
        self.cipher = cipher;
        self
    }

    /// Takes salts and ids from here instead of from the system: for simulations, which a seed must repeat.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Arc<dyn Randomness>) -> Self {
        self.randomness = randomness;
        self
    }

    /// Puts packs from so many threads instead of a few.
    #[must_use]
    pub fn with_upload_threads(mut self, threads: NonZeroUsize) -> Self {
        self.upload_threads = threads;
        self
    }

    /// Keeps at most so many bytes of a repository far away in the local cache; with 0, nothing but its index.
    #[must_use]
    pub fn with_cache_size(mut self, bytes: u64) -> Self {
        self.objects = self.objects.with_size_max(bytes);
        self
    }

    /// Where salts and ids come from.
    pub(crate) fn randomness(&self) -> &dyn Randomness {
        self.randomness.as_ref()
    }

    /// Threads that put packs.
    pub(crate) fn upload_threads(&self) -> NonZeroUsize {
        self.upload_threads
    }

    /// What new packs and objects are sealed with.
    pub(crate) fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Where it is kept.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// What it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The keys that other floors need, by purpose: cutting content and ending pages.
    pub fn cutting_keys(&self) -> CuttingKeys<'_> {
        CuttingKeys { chunker: &self.keys.chunker, page_boundary: &self.keys.page_boundary }
    }

    /// The local cache of its index.
    pub fn cache(&self) -> &IndexCache {
        &self.cache
    }

    /// What was found damaged while opening, though a copy served.
    pub fn notices(&self) -> &[RepositoryError] {
        &self.notices
    }

    /// Reads and opens a sealed document.
    pub fn read_document(&self, name: &ObjectName) -> Result<Vec<u8>, RepositoryError> {
        self.read_sealed(name).map(|(_, document)| document)
    }

    /// Reads and opens a sealed document; as it is stored, and what it says.
    fn read_sealed(&self, name: &ObjectName) -> Result<(Bytes, Vec<u8>), RepositoryError> {
        let stored = get_at_most(self.storage.as_ref(), name, DOCUMENT_SIZE_MAX + OBJECT_OVERHEAD)?;
        let document = open_object(&self.keys, self.config.id, name, &stored, DOCUMENT_SIZE_MAX)?;
        Ok((stored, document))
    }

    /// The same of one that was listed just now: the cache may have it.
    fn read_listed(&self, listed: &StoredObject) -> Result<(Bytes, Vec<u8>), RepositoryError> {
        if let Some(kept) = self.objects.object(listed) {
            match open_object(&self.keys, self.config.id, &listed.name, &kept, DOCUMENT_SIZE_MAX) {
                Ok(document) => return Ok((kept, document)),
                Err(_) => self.objects.forget_object(listed),
            }
        }
        let (stored, document) = self.read_sealed(&listed.name)?;
        self.objects.keep_object(listed, &stored);
        Ok((stored, document))
    }

    fn put_object(&self, name: &ObjectName, plaintext: &[u8]) -> Result<Put, RepositoryError> {
        Ok(self.storage.put_if_absent(name, self.seal(name, plaintext)?.bytes())?)
    }

    fn seal(&self, name: &ObjectName, plaintext: &[u8]) -> Result<Sealed, RepositoryError> {
        seal_object(&self.keys, self.config.id, name, plaintext, self.cipher, random_bytes(self.randomness.as_ref())?)
    }

    /// Puts an object whose name only this session uses; returns the bytes it takes.
    fn put_object_counted(&self, name: &ObjectName, plaintext: &[u8]) -> Result<u64, RepositoryError> {
        let sealed = self.seal(name, plaintext)?.bytes();
        let size = sealed.len() as u64;
        let (Put::Created | Put::Exists) = self.storage.put_if_absent(name, sealed)?;
        Ok(size)
    }

    /// Gives the room of the reserve to what frees more.
    pub fn free_reserve(&self) -> Result<(), RepositoryError> {
        Ok(self.storage.delete(&ObjectName::reserve())?)
    }

    /// Puts the reserve back, if there is room.
    pub fn restore_reserve(&self) {
        // It is there for comfort: a prune on a full disk works by its own deletions too, as soon as one succeeded.
        drop(self.put_reserve());
    }

    fn put_reserve(&self) -> Result<(), RepositoryError> {
        let mut bytes = vec![0; RESERVE_SIZE];
        crate::codec::hash::fill_keystream(&random_bytes(self.randomness())?, b"reserve", &mut bytes);
        let reserve = Sealed::of_clear_document(bytes);
        let _created_or_there = self.storage.put_if_absent(&ObjectName::reserve(), reserve.bytes())?;
        Ok(())
    }
}

/// Keys that decide where content is cut and where pages end.
#[derive(Clone, Copy)]
pub struct CuttingKeys<'k> {
    /// For the chunker.
    pub chunker: &'k [u8; 32],
    /// For page boundaries.
    pub page_boundary: &'k [u8; 32],
}

fn upload_threads_for(storage: &dyn Storage) -> NonZeroUsize {
    match storage.distance() {
        Distance::Near => UPLOAD_THREADS,
        Distance::Far => UPLOAD_THREADS_FAR,
    }
}

/// The caches of a repository: of its index, and of what else is far away.
fn caches_of(root: Option<PathBuf>, id: RepositoryId, storage: &dyn Storage) -> (IndexCache, ObjectCache) {
    let Some(root) = root else { return (IndexCache::none(), ObjectCache::none()) };
    let objects = match storage.distance() {
        Distance::Near => ObjectCache::none(),
        Distance::Far => ObjectCache::below(&root, id, CACHE_SIZE_DEFAULT),
    };
    (IndexCache::below(&root, id), objects)
}

/// Reads `config`, or its copy where it is missing or damaged; what was wrong with the first is a notice.
fn read_config(storage: &dyn Storage) -> Result<(UnverifiedConfig, Vec<RepositoryError>), RepositoryError> {
    let read = |name| -> Result<UnverifiedConfig, RepositoryError> {
        UnverifiedConfig::parse(&get_at_most(storage, &name, CONFIG_SIZE_MAX as u64)?)
    };
    let first = match read(ObjectName::config()) {
        Ok(config) => return Ok((config, Vec::new())),
        Err(error @ RepositoryError::NewerFormat { .. }) => return Err(error),
        Err(error) => error,
    };
    match read(ObjectName::config_copy()) {
        Ok(config) => Ok((config, vec![first])),
        Err(error @ RepositoryError::NewerFormat { .. }) => Err(error),
        Err(second) => Err(match (first, second) {
            (RepositoryError::Storage(one), RepositoryError::Storage(other)) if both_missing(&one, &other) => {
                RepositoryError::NoRepository { location: storage.to_string() }
            }
            // One gone and the other damaged: the damage says more.
            (RepositoryError::Storage(one), second) if one.kind == StorageErrorKind::NotFound => second,
            (first, _) => first,
        }),
    }
}

/// A whole object; of one that is longer than `size_max` only that many bytes from its end and one more, so that no
/// store can fill memory and every reader sees that it is too long.
fn get_at_most(storage: &dyn Storage, name: &ObjectName, size_max: u64) -> Result<Bytes, StorageError> {
    storage.get(name, ByteRange::Suffix(size_max + 1))
}

fn both_missing(one: &StorageError, other: &StorageError) -> bool {
    one.kind == StorageErrorKind::NotFound && other.kind == StorageErrorKind::NotFound
}
