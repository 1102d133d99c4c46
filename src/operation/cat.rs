//! `cat`: the bytes of one file of a snapshot, in order, each verified before it is given out.

use thiserror::Error;

use crate::entry::{Content, Entry, EntryKind, Piece};
use crate::operation::part::{Part, parts};
use crate::operation::read_ahead::{ReadAhead, Stretch, Upcoming};
use crate::operation::view::member::withheld;
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;
use crate::resource::{SnapshotRecord, escape_path};
use crate::tree::cursor::{self, Cursor};
use crate::tree::error::TreeError;

/// Content up to this many bytes is read as it is asked for.
const AHEAD_FROM: u64 = 1 << 20;
/// Threads that open frames ahead.
const THREADS: usize = 8;
/// Bytes of frames that are open ahead; well below what the reader keeps.
const WINDOW: u64 = 8 << 20;
/// Zeros are given out in runs of at most this.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Why the bytes of a file cannot be had.
#[derive(Debug, Error)]
pub enum CatError {
    /// Nothing stands there.
    #[error("the snapshot has nothing at {path}")]
    NotFound {
        /// Path in the layout, escaped.
        path: String,
    },
    /// There is something, but it has no bytes of its own.
    #[error("{path} is a {kind}")]
    NotAFile {
        /// Path in the layout, escaped.
        path: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// It is a member of an archive that is only listed.
    #[error("{path} is only in its archive: {reason}")]
    Withheld {
        /// Path in the layout, escaped.
        path: String,
        /// Why.
        reason: String,
    },
    /// A page of the map is lost.
    #[error("cannot find {path} in the snapshot")]
    Tree {
        /// Path in the layout, escaped.
        path: String,
        /// Why.
        source: TreeError,
    },
    /// The list of the file's pieces is lost from some place on.
    #[error("the list of pieces of {path} cannot be read from byte {offset} on")]
    Pieces {
        /// Path in the layout, escaped.
        path: String,
        /// First byte that cannot be had.
        offset: u64,
        /// Why.
        source: TreeError,
    },
    /// A chunk is lost.
    #[error("bytes {start} to {end} of {path} are lost")]
    Lost {
        /// Path in the layout, escaped.
        path: String,
        /// First byte that cannot be had.
        start: u64,
        /// The byte after the last.
        end: u64,
        /// Why.
        source: RepositoryError,
    },
}

/// The file at `path` of the layout.
pub fn find_file(reader: &Reader<'_>, record: &SnapshotRecord, path: &[u8]) -> Result<Entry, CatError> {
    let shown = || escape_path(path);
    let mut below = None;
    for part in parts(record, path) {
        let failed = |source| CatError::Tree { path: shown(), source };
        // An object's key may end in slashes, which mean nothing elsewhere.
        let exact = path.get(part.folder.len() + 1..).filter(|exact| exact.ends_with(b"/"));
        if let Some(exact) = exact
            && let Some(object) = cursor::find(reader, part.record.root, exact).map_err(failed)?
            && object.kind == EntryKind::Object
        {
            return Ok(object);
        }
        let inside = part.inside.as_deref().unwrap_or_default();
        match cursor::find(reader, part.record.root, inside).map_err(failed)? {
            Some(entry) if withheld(&entry).is_some() => {
                let reason = withheld(&entry).unwrap_or_default().to_owned();
                return Err(CatError::Withheld { path: shown(), reason });
            }
            Some(entry) if has_bytes(&entry.kind) => return Ok(entry),
            Some(entry) => return Err(CatError::NotAFile { path: shown(), kind: kind_word(&entry.kind) }),
            None if is_folder(reader, &part).map_err(failed)? => below = Some("folder"),
            None => {}
        }
    }
    Err(match below {
        Some(kind) => CatError::NotAFile { path: shown(), kind },
        None => CatError::NotFound { path: shown() },
    })
}

fn is_folder(reader: &Reader<'_>, part: &Part<'_>) -> Result<bool, TreeError> {
    let Some(inside) = &part.inside else { return Ok(true) };
    let prefix = [inside.as_slice(), b"/"].concat();
    let mut cursor = Cursor::new(reader, part.record.root);
    cursor.seek(&prefix)?;
    Ok(cursor.peek()?.is_some_and(|entry| entry.path.as_bytes().starts_with(&prefix)))
}

fn has_bytes(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::File | EntryKind::Object | EntryKind::Document)
}

/// What an entry is, in one word.
pub fn kind_word(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "folder",
        EntryKind::Symlink(_) => "symlink",
        EntryKind::BlockDevice { .. } => "block_device",
        EntryKind::CharacterDevice { .. } => "character_device",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::Object => "object",
        EntryKind::Document => "document",
    }
}

/// Gives all bytes of `content` to `take`, in order; `path` is what errors name. Of long content, what comes next is
/// opened meanwhile.
pub fn read_content<E: From<CatError>>(
    reader: &Reader<'_>,
    content: &Content,
    path: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if let Content::Inline(bytes) = content {
        return take(bytes);
    }
    let (threads, window) = if content.size() > AHEAD_FROM { (THREADS, WINDOW) } else { (0, 0) };
    ReadAhead::during(reader, threads, |read_ahead| {
        let mut pieces = Upcoming::new(reader, content);
        while let Some(stretch) = pieces.take(window, read_ahead) {
            give(reader, stretch, path, &mut take)?;
        }
        Ok(())
    })
}

fn give<E: From<CatError>>(
    reader: &Reader<'_>,
    stretch: Stretch,
    path: &[u8],
    take: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let Stretch { start, end, piece } = stretch;
    let piece = piece.map_err(|source| CatError::Pieces { path: escape_path(path), offset: start, source })?;
    match piece {
        Piece::Chunk { id, length } => {
            let lost = |source| match source {
                RepositoryError::NoView { reason } => CatError::Withheld { path: escape_path(path), reason },
                source => CatError::Lost { path: escape_path(path), start, end, source },
            };
            let chunk = reader.chunk(&id).map_err(lost)?;
            if chunk.len() as u64 != u64::from(length) {
                let reason = format!("it has {} bytes, not {length}", chunk.len());
                let source = RepositoryError::Missing { kind: "chunk", id: id.to_string(), reason };
                return Err(lost(source).into());
            }
            take(&chunk)
        }
        Piece::Zeros { mut length } => {
            while length > 0 {
                let now = length.min(ZEROS.len() as u64);
                take(&ZEROS[..usize::try_from(now).unwrap_or(ZEROS.len())])?;
                length -= now;
            }
            Ok(())
        }
    }
}
