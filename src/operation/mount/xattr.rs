//! Extended attributes: mostly in the entry, long values in chunks.

use crate::entry::{Content, Metadata, Piece, Xattr};
use crate::operation::backup::error_chain;
use crate::operation::mount::node::Node;
use crate::operation::mount::{Fault, FileSystem};
use crate::tree::list::PieceIter;

/// Longest value that systems take.
const VALUE_SIZE_MAX: u64 = 64 << 10;

impl FileSystem<'_, '_> {
    /// Names of the extended attributes, each with a zero byte behind it.
    pub fn xattr_names(&self, inode: u64) -> Result<Vec<u8>, Fault> {
        let mut names = Vec::new();
        self.with_xattrs(inode, |_, xattrs| {
            for xattr in xattrs {
                names.extend_from_slice(&xattr.name);
                names.push(0);
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// The value of an extended attribute.
    pub fn xattr(&self, inode: u64, name: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut value = Err(Fault::NoneSuch);
        self.with_xattrs(inode, |layout, xattrs| {
            if let Some(xattr) = xattrs.iter().find(|xattr| xattr.name == name) {
                value = self.xattr_value(layout, xattr);
            }
            Ok(())
        })?;
        value
    }

    fn with_xattrs(
        &self,
        inode: u64,
        work: impl FnOnce(&dyn Fn() -> Vec<u8>, &[Xattr]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Node::Entry(place, path) = self.node(inode)? else { return Ok(()) };
        let entry = self.entry(&place, &path)?;
        let Metadata::Posix(posix) = &entry.metadata else { return Ok(()) };
        work(&|| place.layout(&path), &posix.xattrs)
    }

    fn xattr_value(&self, layout: &dyn Fn() -> Vec<u8>, xattr: &Xattr) -> Result<Vec<u8>, Fault> {
        let size = xattr.value.size();
        if let Content::Inline(bytes) = &xattr.value {
            return Ok(bytes.clone());
        }
        let lost = |why: &str| {
            let name = String::from_utf8_lossy(&xattr.name).into_owned();
            self.lose(layout(), format!("the attribute {name} is lost: {why}"))
        };
        if size > VALUE_SIZE_MAX {
            return Err(lost("it is longer than any system takes"));
        }
        let mut value = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        for piece in PieceIter::new(self.reader, &xattr.value) {
            match piece.map_err(|error| lost(&error_chain(&error)))? {
                Piece::Zeros { length } => {
                    value.resize(value.len() + usize::try_from(length).unwrap_or(0), 0);
                }
                Piece::Chunk { id, .. } => {
                    value.extend_from_slice(&self.reader.chunk(&id).map_err(|error| lost(&error_chain(&error)))?);
                }
            }
        }
        Ok(value)
    }
}
