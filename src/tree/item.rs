//! An entry among the items of a leaf page (FORMAT.md §10): how it is written after the one before it, and read back.
//!
//! Reading is by hand, field by field, and makes three allocations an entry: listing, comparing and checking snapshots is
//! little else. What a page's entries must be is checked here and in `page`.

use std::sync::Arc;

use serde::Serialize;

use crate::codec::encode::EncodeError;
use crate::codec::fields::{Fields, malformed};
use crate::entry::{
    ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata, Piece, PosixMetadata, Profile,
    Timestamp, Xattr,
};
use crate::id::{ChunkId, PageId};
use crate::tree::boundary::PATH_BYTES_MAX;
use crate::tree::page::check_entry;

/// Paths of a page can reach this; it bounds what a page of many long shared prefixes decodes to.
const PATH_BYTES_TOTAL_MAX: usize = PATH_BYTES_MAX + EntryPath::LENGTH_MAX;

/// An entry on its way out: borrowed, so that encoding clones nothing.
#[derive(Serialize)]
pub(super) struct LeafItem<'a> {
    pub(super) shared: u64,
    #[serde(with = "serde_bytes")]
    pub(super) suffix: &'a [u8],
    pub(super) kind: &'a EntryKind,
    pub(super) metadata: &'a Metadata,
    pub(super) token: &'a Option<ChangeToken>,
    pub(super) content: &'a Content,
}

/// The entries of a leaf page behind the number that says it is one, in order and as the format allows.
pub(super) fn entries(fields: &mut Fields<'_>) -> Result<Vec<Entry>, EncodeError> {
    let mut names = Names::default();
    let mut path: Option<Vec<u8>> = None;
    let mut path_bytes = 0;
    fields.list(|fields| {
        let path = next_path(fields, &mut path)?;
        path_bytes += path.len();
        if path_bytes > PATH_BYTES_TOTAL_MAX {
            return Err(malformed("its paths are longer than those of a page may be"));
        }
        let entry = Entry {
            path: EntryPath(path.to_vec()),
            kind: kind(fields)?,
            metadata: metadata(fields, &mut names)?,
            token: fields.option(token)?,
            content: content(fields)?,
        };
        check_entry(&entry).map_err(|fault| malformed(&fault.to_string()))?;
        Ok(entry)
    })
}

/// Makes the path of the item before this one into that of this one, which must come after it.
fn next_path<'p>(fields: &mut Fields<'_>, path: &'p mut Option<Vec<u8>>) -> Result<&'p [u8], EncodeError> {
    let shared = fields.u64()?;
    let suffix = fields.bytes()?;
    let is_first = path.is_none();
    let path = path.get_or_insert_default();
    let shared = usize::try_from(shared).ok().filter(|shared| *shared <= path.len());
    let shared = shared.ok_or_else(|| malformed("a path shares more bytes than the one before it has"))?;
    if !is_first && *suffix <= path[shared..] {
        return Err(malformed("its paths are not in order"));
    }
    path.truncate(shared);
    path.extend_from_slice(suffix);
    Ok(path)
}

fn kind(fields: &mut Fields<'_>) -> Result<EntryKind, EncodeError> {
    Ok(match fields.u32()? {
        0 => EntryKind::File,
        1 => EntryKind::Directory,
        2 => EntryKind::Symlink(fields.bytes()?.to_vec()),
        3 => EntryKind::BlockDevice { major: fields.u32()?, minor: fields.u32()? },
        4 => EntryKind::CharacterDevice { major: fields.u32()?, minor: fields.u32()? },
        5 => EntryKind::Fifo,
        6 => EntryKind::Socket,
        7 => EntryKind::Object,
        8 => EntryKind::Document,
        other => return Err(malformed(&format!("{other} is no kind of entry"))),
    })
}

/// The names that the entry before had: most entries of a page have one owner, whose name is kept once.
#[derive(Default)]
struct Names {
    user: Option<Arc<str>>,
    group: Option<Arc<str>>,
}

fn name(fields: &mut Fields<'_>, last: &mut Option<Arc<str>>) -> Result<Option<Arc<str>>, EncodeError> {
    let Some(name) = fields.option(Fields::text)? else { return Ok(None) };
    if last.as_deref() != Some(name) {
        *last = Some(Arc::from(name));
    }
    Ok(last.clone())
}

fn metadata(fields: &mut Fields<'_>, names: &mut Names) -> Result<Metadata, EncodeError> {
    Ok(match fields.u32()? {
        0 => Metadata::None,
        1 => Metadata::Posix(Box::new(PosixMetadata {
            mode: fields.u32()?,
            uid: fields.u32()?,
            gid: fields.u32()?,
            user: name(fields, &mut names.user)?,
            group: name(fields, &mut names.group)?,
            modified: time(fields)?,
            xattrs: fields.list(xattr)?,
            link_to: fields.option(|fields| Ok(EntryPath(fields.bytes()?.to_vec())))?,
            flags: fields.u32()?,
        })),
        2 => Metadata::Object(Box::new(ObjectMetadata {
            modified: time(fields)?,
            etag: fields.option(string)?,
            version_id: fields.option(string)?,
            fields: fields.list(pair)?,
            tags: fields.list(pair)?,
            delete_marker: fields.flag()?,
        })),
        other => return Err(malformed(&format!("{other} is no kind of metadata"))),
    })
}

fn xattr(fields: &mut Fields<'_>) -> Result<Xattr, EncodeError> {
    Ok(Xattr { name: fields.bytes()?.to_vec(), value: content(fields)? })
}

fn string(fields: &mut Fields<'_>) -> Result<String, EncodeError> {
    fields.text().map(str::to_owned)
}

fn pair(fields: &mut Fields<'_>) -> Result<(String, String), EncodeError> {
    Ok((string(fields)?, string(fields)?))
}

fn time(fields: &mut Fields<'_>) -> Result<Timestamp, EncodeError> {
    Ok(Timestamp { seconds: fields.i64()?, nanoseconds: fields.u32()? })
}

fn token(fields: &mut Fields<'_>) -> Result<ChangeToken, EncodeError> {
    Ok(match fields.u32()? {
        0 => ChangeToken::Posix { changed: time(fields)?, inode: fields.u64()? },
        1 => ChangeToken::Opaque(fields.bytes()?.to_vec()),
        other => return Err(malformed(&format!("{other} is no kind of change token"))),
    })
}

fn content(fields: &mut Fields<'_>) -> Result<Content, EncodeError> {
    Ok(match fields.u32()? {
        0 => Content::Empty,
        1 => Content::Inline(fields.bytes()?.to_vec()),
        2 => Content::Pieces { profile: profile(fields)?, pieces: fields.list(piece)? },
        3 => Content::List { profile: profile(fields)?, size: fields.u64()?, root: PageId(fields.array()?) },
        other => return Err(malformed(&format!("{other} is no kind of content"))),
    })
}

fn profile(fields: &mut Fields<'_>) -> Result<Profile, EncodeError> {
    Ok(match fields.u32()? {
        0 => Profile::Bulk,
        1 => Profile::Record,
        2 => Profile::Zip,
        other => return Err(malformed(&format!("{other} is no way of cutting"))),
    })
}

fn piece(fields: &mut Fields<'_>) -> Result<Piece, EncodeError> {
    Ok(match fields.u32()? {
        0 => Piece::Chunk { id: ChunkId(fields.array()?), length: fields.u32()? },
        1 => Piece::Zeros { length: fields.u64()? },
        other => return Err(malformed(&format!("{other} is no kind of piece"))),
    })
}
