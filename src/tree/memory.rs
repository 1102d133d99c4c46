//! Pages in memory, counted: for tests, benchmarks and trees that are not to be kept.
//!
//! Both a source and, by shared reference, a sink, so one store can be read while it is written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::codec::hash::{self, HashKey};
use crate::id::PageId;
use crate::tree::store::{PageError, PageSink, PageSource};

/// A store of pages that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryPages {
    key: HashKey,
    pages: Mutex<HashMap<PageId, Bytes>>,
    reads: AtomicU64,
}

impl MemoryPages {
    /// An empty store that names pages under `key`.
    pub fn new(key: HashKey) -> Self {
        Self { key, ..Self::default() }
    }

    /// How many pages it holds.
    pub fn count(&self) -> usize {
        self.pages().len()
    }

    /// How many times a page was asked for since the last call.
    pub fn take_reads(&self) -> u64 {
        self.reads.swap(0, Ordering::Relaxed)
    }

    /// Every id it holds, in no order.
    pub fn ids(&self) -> Vec<PageId> {
        self.pages().keys().copied().collect()
    }

    /// Puts bytes under an id that need not be theirs, as damage would.
    pub fn replace(&self, id: PageId, plaintext: Vec<u8>) {
        self.pages().insert(id, Bytes::from(plaintext));
    }

    /// Loses a page.
    pub fn remove(&self, id: &PageId) {
        self.pages().remove(id);
    }

    fn pages(&self) -> MutexGuard<'_, HashMap<PageId, Bytes>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageSource for MemoryPages {
    fn page(&self, id: &PageId) -> Result<Bytes, PageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.pages().get(id).cloned().ok_or(PageError::NotFound { id: *id })
    }
}

impl PageSink for &MemoryPages {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        let id = hash::page_id(&self.key, plaintext);
        self.pages().entry(id).or_insert_with(|| Bytes::copy_from_slice(plaintext));
        Ok(id)
    }
}
