//! The values of extended attributes: mostly in the entry, the long ones in chunks.

use std::borrow::Cow;

use crate::entry::{Content, Metadata, Piece, Xattr};
use crate::operation::backup::error_chain;
use crate::operation::restore::Context;
use crate::resource::escape_path;
use crate::tree::list::PieceIter;

/// Longest value that systems take; a longer one is not even read.
const VALUE_SIZE_MAX: u64 = 1 << 20;

/// Name and value of an attribute.
pub(super) type Value<'e> = (&'e [u8], Cow<'e, [u8]>);

/// The extended attributes of an entry; one that is lost is reported for `path` and left out.
pub(super) fn values<'e>(context: &Context<'_>, metadata: &'e Metadata, path: impl Fn() -> Vec<u8>) -> Vec<Value<'e>> {
    let Metadata::Posix(posix) = metadata else { return Vec::new() };
    let mut values = Vec::new();
    for xattr in &posix.xattrs {
        match value(context, xattr) {
            Ok(value) => values.push((xattr.name.as_slice(), value)),
            Err(why) => context.lost(path(), format!("the attribute {} is lost: {why}", escape_path(&xattr.name))),
        }
    }
    values
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
