//! Reading a tree in path order, from any path on.
//!
//! Holds one decoded page a level. Listing folders is `listing`'s, comparing two trees `diff`'s.

use crate::entry::Entry;
use crate::id::PageId;
use crate::tree::error::TreeError;
use crate::tree::position::{Head, Position};
use crate::tree::store::PageSource;

/// The entries of a tree in path order. After an error it goes on behind the page that failed.
pub struct Cursor<S> {
    position: Position<S>,
}

impl<S: PageSource> Cursor<S> {
    /// Before the first entry of the tree with this root; reads nothing yet.
    pub fn new(source: S, root: PageId) -> Self {
        Self { position: Position::new(source, root) }
    }

    /// The next entry, which stays the next.
    pub fn peek(&mut self) -> Result<Option<&Entry>, TreeError> {
        self.load()?;
        match self.position.head() {
            Head::Entry(entry) => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    /// Goes to the first entry whose path is `path` or after it, forward or back. Reads at most one page a level.
    pub fn seek(&mut self, path: &[u8]) -> Result<(), TreeError> {
        self.position.seek(path)
    }

    /// Goes on to the first entry whose path is `path` or after it; stays if it is there or past it already. Made for
    /// merging in step: within the current leaf it reads nothing, and into the next leaf only that.
    pub fn advance_to(&mut self, path: &[u8]) -> Result<(), TreeError> {
        self.position.advance_to(path)
    }

    /// Takes the entries that are decoded already: what is left of the current leaf.
    pub fn rest_of_leaf(&mut self) -> impl Iterator<Item = Entry> {
        std::iter::from_fn(|| self.position.take_entry())
    }

    /// Reads on until an entry is ahead, or the end.
    fn load(&mut self) -> Result<(), TreeError> {
        while let Head::Root | Head::Page { .. } = self.position.head() {
            self.position.expand()?;
        }
        Ok(())
    }
}

impl<S: PageSource> Iterator for Cursor<S> {
    type Item = Result<Entry, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.position.take_entry() {
                return Some(Ok(entry));
            }
            match self.position.head() {
                Head::End => return None,
                _ => {
                    if let Err(error) = self.position.expand() {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

/// The entry at `path`, if there is one; reads one page a level.
pub fn find(source: impl PageSource, root: PageId, path: &[u8]) -> Result<Option<Entry>, TreeError> {
    let mut cursor = Cursor::new(source, root);
    cursor.seek(path)?;
    Ok(cursor.next().transpose()?.filter(|entry| entry.path.as_bytes() == path))
}
