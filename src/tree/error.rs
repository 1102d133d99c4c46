//! What can go wrong with a tree: pages that cannot be had, pages that are not what they should be, entries that may not stand.
//!
//! Pages are data from outside: whatever they hold, reading them ends in one of these, never in a panic or a loop.

use thiserror::Error;

use crate::codec::encode::EncodeError;
use crate::entry::EntryPath;
use crate::id::PageId;
use crate::tree::store::PageError;

/// Why a tree cannot be read or built.
#[derive(Debug, Error)]
pub enum TreeError {
    /// A page cannot be had or kept.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A page was had, but does not belong where it stands.
    #[error("page {id} is malformed")]
    Malformed {
        /// Which page.
        id: PageId,
        /// What is wrong with it.
        #[source]
        fault: PageFault,
    },
    /// Entries must come in strictly increasing path order.
    #[error("the entry {path} comes after {previous}, which is not before it in path order")]
    OutOfOrder {
        /// The entry that came too late.
        path: EntryPath,
        /// The one before it.
        previous: EntryPath,
    },
    /// An entry that the format does not allow.
    #[error("the entry {path} cannot be stored")]
    Entry {
        /// Where it would stand.
        path: EntryPath,
        /// What is wrong with it.
        #[source]
        fault: EntryFault,
    },
    /// A list of pieces that the format does not allow.
    #[error("the content cannot be stored")]
    Content {
        /// What is wrong with it.
        #[source]
        fault: EntryFault,
    },
    /// A page or list grew past what the format allows.
    #[error("a page cannot be encoded")]
    Encode(#[from] EncodeError),
}

/// What is wrong with a page.
#[derive(Debug, Error)]
pub enum PageFault {
    /// Its bytes are not those of a page; entries and order inside it are part of that.
    #[error(transparent)]
    Encoding(#[from] EncodeError),
    /// It is not one level below the page that names it, or deeper than any tree is.
    #[error("it is at level {actual}, not {expected}")]
    Level {
        /// One less than the level of the page that names it.
        expected: u8,
        /// What it says.
        actual: u8,
    },
    /// It holds nothing, though it is not the root.
    #[error("it is empty, and not the root")]
    Empty,
    /// It does not begin with the path its parent says.
    #[error("it does not begin at {expected}, as its parent says")]
    First {
        /// What its parent says.
        expected: EntryPath,
    },
    /// It reaches into the range of the page after it.
    #[error("it reaches to {last}, into the page after it")]
    Range {
        /// Its last path.
        last: EntryPath,
    },
    /// The lengths in a chunk list do not add up to what stands above it.
    #[error("its pieces have {actual} bytes, not {expected}")]
    Size {
        /// What its parent or entry says.
        expected: u64,
        /// What its items add up to.
        actual: u64,
    },
    /// Its items are empty, or stand for more bytes than fit in 64 bits.
    #[error("its pieces are empty, or longer than any file")]
    SizeOverflow,
    /// The number of pieces below a chunk-list page is not what stands above it.
    #[error("it holds {actual} pieces, not {expected}")]
    Pieces {
        /// What its parent says.
        expected: u64,
        /// What its items add up to.
        actual: u64,
    },
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EntryFault {
    /// The path has more than [`EntryPath::LENGTH_MAX`] bytes.
    #[error("its path has {length} bytes, more than {}", EntryPath::LENGTH_MAX)]
    PathTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// More bytes inline than an entry may have.
    #[error("{length} bytes are inline, too many")]
    InlineTooLong {
        /// How many.
        length: usize,
    },
    /// More pieces in the entry itself than it may have.
    #[error("it has {count} pieces in itself, too many")]
    TooManyPieces {
        /// How many.
        count: usize,
    },
    /// A piece that stands for no bytes.
    #[error("it has a piece of no bytes")]
    EmptyPiece,
    /// The lengths of its pieces do not fit in 64 bits.
    #[error("its pieces are longer than any file")]
    SizeOverflow,
    /// More extended attributes than an entry may have.
    #[error("it has {count} extended attributes, too many")]
    TooManyXattrs {
        /// How many.
        count: usize,
    },
    /// A time whose nanoseconds are a second or more.
    #[error("a time has {nanoseconds} nanoseconds")]
    Nanoseconds {
        /// How many.
        nanoseconds: u32,
    },
    /// Metadata, token or target so long that the entry takes more than a page may spare.
    #[error("it takes {length} bytes encoded, too many")]
    TooLarge {
        /// How many.
        length: usize,
    },
}
