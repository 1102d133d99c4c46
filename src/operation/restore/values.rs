//! The values of extended attributes: mostly in the entry, the long ones in chunks.

use std::borrow::Cow;

use crate::entry::{Content, Entry, EntryKind, Metadata, ObjectMetadata, Piece, Xattr};
use crate::operation::backup::error_chain;
use crate::operation::restore::Context;
use crate::resource::escape_path;
use crate::tree::list::PieceIter;

/// Longest value that systems take; a longer one is not even read.
const VALUE_SIZE_MAX: u64 = 1 << 20;

/// What the names of attributes begin with that hold what an object store said of an object.
const OBJECT: &str = "user.s3.";

/// Name and value of an attribute.
pub(super) type Value<'e> = (Cow<'e, [u8]>, Cow<'e, [u8]>);

/// The extended attributes of an entry; one that is lost is reported for `path` and left out.
pub(super) fn values<'e>(context: &Context<'_>, entry: &'e Entry, path: impl Fn() -> Vec<u8>) -> Vec<Value<'e>> {
    let posix = match &entry.metadata {
        Metadata::Posix(posix) => posix,
        Metadata::Object(object) if entry.kind == EntryKind::Object => return values_of_object(object),
        Metadata::Object(_) | Metadata::None => return Vec::new(),
    };
    let mut values = Vec::new();
    for xattr in &posix.xattrs {
        match value(context, xattr) {
            Ok(value) => values.push((Cow::Borrowed(xattr.name.as_slice()), value)),
            Err(why) => context.lost(path(), format!("the attribute {} is lost: {why}", escape_path(&xattr.name))),
        }
    }
    values
}

/// What is known of an object beside its bytes: fields by their names, tags below `tag.`.
fn values_of_object(object: &ObjectMetadata) -> Vec<Value<'_>> {
    let fields = object.fields.iter().map(|(name, value)| (name.clone(), value));
    let tags = object.tags.iter().map(|(key, value)| (format!("tag.{key}"), value));
    let etag = object.etag.iter().map(|etag| ("etag".to_owned(), etag));
    let version = object.version_id.iter().map(|version| ("version-id".to_owned(), version));
    let all = fields.chain(tags).chain(etag).chain(version);
    all.map(|(name, value)| (format!("{OBJECT}{name}").into_bytes().into(), value.as_bytes().into())).collect()
}

fn value<'e>(context: &Context<'_>, xattr: &'e Xattr) -> Result<Cow<'e, [u8]>, String> {
    match &xattr.value {
        Content::Empty => return Ok(Cow::Borrowed(b"")),
        Content::Inline(bytes) => return Ok(Cow::Borrowed(bytes)),
        Content::Pieces { .. } | Content::List { .. } => {}
    }
    if xattr.value.size() > VALUE_SIZE_MAX {
        return Err("it is longer than any system takes".to_owned());
    }
    let mut bytes = Vec::new();
    for piece in PieceIter::new(context.reader, &xattr.value) {
        match piece.map_err(|error| error_chain(&error))? {
            Piece::Zeros { length } => {
                let length = usize::try_from(length).map_err(|error| error.to_string())?;
                bytes.resize(bytes.len() + length, 0);
            }
            Piece::Chunk { id, .. } => {
                let chunk = context.reader.chunk(&id).map_err(|error| error_chain(&error))?;
                bytes.extend_from_slice(&chunk);
            }
        }
    }
    Ok(Cow::Owned(bytes))
}
