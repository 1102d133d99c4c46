//! A store in memory, for tests and for making golden repositories.
//!
//! The same semantics as any other store; its clock stands still until it is moved, so nothing depends on the time of day.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{Attempt, ByteRange, Distance, Put, Storage, StorageError, StorageErrorKind, StoredObject};

/// Objects in a map. Shared between threads and, in an `Arc`, between the writers of a test.
#[derive(Debug)]
pub struct MemoryStorage {
    state: RwLock<State>,
    distance: Distance,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<ObjectName, (Bytes, SystemTime)>,
    now: SystemTime,
}

impl MemoryStorage {
    /// An empty store whose clock stands at the epoch.
    pub fn new() -> Self {
        let state = State { objects: BTreeMap::new(), now: SystemTime::UNIX_EPOCH };
        Self { state: RwLock::new(state), distance: Distance::Near }
    }

    /// One that callers treat as if a network lay between: they ask several things at once, and keep a cache.
    pub fn far() -> Self {
        Self { distance: Distance::Far, ..Self::new() }
    }

    /// Moves the store's clock forward; objects put from now on carry the new time.
    pub fn advance(&self, by: Duration) {
        self.write().now += by;
    }

    /// Puts `content` in place of whatever stands under `name`: the damage that tests do.
    pub fn tamper(&self, name: &ObjectName, content: Bytes) {
        let mut state = self.write();
        let now = state.now;
        state.objects.insert(name.clone(), (content, now));
    }

    // A thread that panicked cannot have left the map between two states.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn cannot_get(&self, name: &ObjectName, kind: StorageErrorKind) -> StorageError {
        let (location, name) = (self.to_string(), name.to_string());
        StorageError { location, name, attempt: Attempt::Get, kind, source: None }
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl Storage for MemoryStorage {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        let mut state = self.write();
        if state.objects.contains_key(name) {
            return Ok(Put::Exists);
        }
        let now = state.now;
        state.objects.insert(name.clone(), (content, now));
        Ok(Put::Created)
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        let state = self.read();
        let (content, _) = state.objects.get(name).ok_or_else(|| self.cannot_get(name, StorageErrorKind::NotFound))?;
        let range =
            range.within(content.len() as u64).ok_or_else(|| self.cannot_get(name, StorageErrorKind::OutOfRange))?;
        let index = |position| usize::try_from(position).expect("because it lies within a slice");
        Ok(content.slice(index(range.start)..index(range.end)))
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        let object = |(name, (content, modified)): (&ObjectName, &(Bytes, SystemTime))| StoredObject {
            name: name.clone(),
            size: content.len() as u64,
            modified: *modified,
        };
        Ok(self.read().objects.iter().filter(|(name, _)| prefix.covers(name)).map(object).collect())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.write().objects.remove(name);
        Ok(())
    }

    fn distance(&self) -> Distance {
        self.distance
    }
}
