//! Pages and chunks that nobody stored: a reader gives them out beside the repository's own, made of these when they are wanted.
//!
//! What they are is the business of whoever lays one over a reader. Their ids begin with bytes drawn for the occasion, so that none
//! is ever that of something stored.

use std::fmt::Debug;

use bytes::Bytes;

use crate::id::{ChunkId, PageId};
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;

/// What is made instead of read; `None` for what is not its own.
pub trait Overlay: Debug + Send + Sync {
    /// A page.
    fn page(&self, reader: &Reader<'_>, id: &PageId) -> Option<Result<Bytes, RepositoryError>>;

    /// A chunk.
    fn chunk(&self, reader: &Reader<'_>, id: &ChunkId) -> Option<Result<Bytes, RepositoryError>>;
}
