//! Parts of a tree as people ask for them: all under a prefix, or what stands directly in a folder.
//!
//! Listing a folder does not read what is below its folders: it seeks from `name/` to what would come after `name/…`.

use crate::entry::{Entry, EntryPath};
use crate::id::PageId;
use crate::tree::cursor::Cursor;
use crate::tree::error::TreeError;
use crate::tree::store::PageSource;

/// Something that stands directly in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    /// An entry; a folder with an entry of its own among them.
    Entry(Entry),
    /// A folder (`name/`) that has entries in it but none of its own, as object stores have them.
    Folder(EntryPath),
}

impl Child {
    /// Its path in the resource.
    pub fn path(&self) -> &EntryPath {
        match self {
            Self::Entry(entry) => &entry.path,
            Self::Folder(path) => path,
        }
    }
}

/// All entries whose path begins with a prefix, in path order.
pub struct Under<S> {
    cursor: Cursor<S>,
    prefix: Vec<u8>,
}

/// All entries of the tree at `root` whose path begins with `prefix`; reads one page a level to get there.
pub fn under<S: PageSource>(source: S, root: PageId, prefix: &[u8]) -> Result<Under<S>, TreeError> {
    let mut cursor = Cursor::new(source, root);
    cursor.seek(prefix)?;
    Ok(Under { cursor, prefix: prefix.to_vec() })
}

impl<S: PageSource> Iterator for Under<S> {
    type Item = Result<Entry, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.peek() {
            Ok(Some(entry)) if entry.path.as_bytes().starts_with(&self.prefix) => self.cursor.next(),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// What stands directly in a folder, in path order.
pub struct Children<S> {
    cursor: Cursor<S>,
    folder: Vec<u8>,
    /// Where to go on: after all that is below the folder given last.
    next: Option<Vec<u8>>,
}

/// What stands directly in `folder`, given with its trailing `/` (empty for the root); its own entry is not among it.
pub fn children<S: PageSource>(source: S, root: PageId, folder: &[u8]) -> Children<S> {
    Children { cursor: Cursor::new(source, root), folder: folder.to_vec(), next: Some(folder.to_vec()) }
}

impl<S: PageSource> Children<S> {
    fn step(&mut self) -> Result<Option<Child>, TreeError> {
        loop {
            if let Some(next) = self.next.take() {
                self.cursor.advance_to(&next)?;
            }
            let Some(entry) = self.cursor.peek()? else {
                return Ok(None);
            };
            let path = entry.path.as_bytes();
            let Some(rest) = path.strip_prefix(self.folder.as_slice()) else {
                return Ok(None);
            };
            if rest.is_empty() {
                self.cursor.next();
                continue;
            }
            let Some(slash) = rest.iter().position(|byte| *byte == b'/') else {
                return Ok(self.cursor.next().transpose()?.map(Child::Entry));
            };
            let below = path[..=self.folder.len() + slash].to_vec();
            let mut after = below.clone();
            after[self.folder.len() + slash] = b'/' + 1;
            self.next = Some(after);
            if below.len() < path.len() {
                return Ok(Some(Child::Folder(EntryPath(below))));
            }
            return Ok(self.cursor.next().transpose()?.map(Child::Entry));
        }
    }
}

impl<S: PageSource> Iterator for Children<S> {
    type Item = Result<Child, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
