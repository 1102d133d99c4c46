//! Pages of trees in a repository: the reader and the writer that `tree` asks for.

use bytes::Bytes;

use crate::id::PageId;
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;
use crate::repository::session::{ChunkWriter, Origin};
use crate::tree::store::{PageError, PageSink, PageSource};

impl PageSource for Reader<'_> {
    fn page(&self, id: &PageId) -> Result<Bytes, PageError> {
        Reader::page(self, id).map_err(|source| PageError::Unreadable { id: *id, source: Box::new(source) })
    }

    fn announce(&self, ids: &mut dyn Iterator<Item = &PageId>) {
        self.fetch_pages(ids);
    }
}

/// Stores pages through a session.
pub(crate) struct PageWriter<'s>(ChunkWriter<'s>);

impl<'s> PageWriter<'s> {
    /// Over a writer of the session for page packs.
    pub(crate) fn new(writer: ChunkWriter<'s>) -> Self {
        Self(writer)
    }

    /// Closes the pack being filled.
    pub(crate) fn flush(self) -> Result<(), RepositoryError> {
        self.0.flush()
    }
}

impl PageSink for PageWriter<'_> {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        let stored = self.0.store(plaintext, Origin::Small);
        stored.map(PageId).map_err(|e| PageError::NotStored { length: plaintext.len(), source: Box::new(e) })
    }
}
