//! Where pages come from and go to: two traits that a repository implements, and memory for tests.
//!
//! Plaintext on both sides. Sealing, deduplicating, caching and verifying that a page has the id it was asked by are the
//! implementer's; whether the plaintext is a page at all is this floor's.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::id::PageId;

/// A page that cannot be had, or cannot be kept.
#[derive(Debug, Error)]
pub enum PageError {
    /// Nothing has this id.
    #[error("page {id} is not in the repository")]
    NotFound {
        /// The id asked for.
        id: PageId,
    },
    /// The page is known, but its bytes cannot be had.
    #[error("page {id} cannot be read")]
    Unreadable {
        /// The id asked for.
        id: PageId,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A new page cannot be kept.
    #[error("a page of {length} bytes cannot be stored")]
    NotStored {
        /// Its length in bytes.
        length: usize,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Gives pages by id.
pub trait PageSource: Send + Sync {
    /// The plaintext of a page, verified to have this id.
    fn page(&self, id: &PageId) -> Result<Bytes, PageError>;

    /// Says that these pages will be asked for next, so that a source far away can have them brought at once.
    fn announce(&self, ids: &mut dyn Iterator<Item = &PageId>) {
        let _ = ids;
    }
}

/// Takes pages.
pub trait PageSink: Send {
    /// Keeps the page, unless it is there already, and returns its id: BLAKE3 under the page id key.
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError>;
}

impl<S: PageSource + ?Sized> PageSource for &S {
    fn page(&self, id: &PageId) -> Result<Bytes, PageError> {
        (**self).page(id)
    }

    fn announce(&self, ids: &mut dyn Iterator<Item = &PageId>) {
        (**self).announce(ids);
    }
}

impl<S: PageSource + ?Sized> PageSource for Arc<S> {
    fn page(&self, id: &PageId) -> Result<Bytes, PageError> {
        (**self).page(id)
    }

    fn announce(&self, ids: &mut dyn Iterator<Item = &PageId>) {
        (**self).announce(ids);
    }
}

impl<S: PageSink + ?Sized> PageSink for &mut S {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        (**self).put(plaintext)
    }
}
