//! The leaf pages of a tree in path order, unread: for those who read several at once and keep the order.
//!
//! Only inner pages are read on the way, and none that lies beside the paths that are wanted. Whoever reads one entry
//! after another uses `cursor`.

use crate::entry::{Entry, EntryPath};
use crate::id::PageId;
use crate::tree::error::TreeError;
use crate::tree::page::{Page, PageLink};
use crate::tree::position::{Head, Position, read};
use crate::tree::store::PageSource;
use crate::tree::totals::successor;

/// A leaf page and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafPage {
    /// The root of its tree: it had to be read to know that.
    Read(Vec<Entry>),
    /// Below an inner page.
    Unread {
        /// What that says of it.
        link: PageLink,
        /// First path of what comes after it; `None` if it is the last.
        end: Option<EntryPath>,
    },
}

impl LeafPage {
    /// The page that is still to be read.
    pub fn unread(&self) -> Option<&PageId> {
        match self {
            Self::Read(_) => None,
            Self::Unread { link, .. } => Some(&link.id),
        }
    }

    /// Its entries, checked against what stands above it.
    pub fn read(self, source: &impl PageSource) -> Result<Vec<Entry>, TreeError> {
        let (link, end) = match self {
            Self::Read(entries) => return Ok(entries),
            Self::Unread { link, end } => (link, end),
        };
        let page = read(source, &link.id)?;
        page.check_place(0, &link, end.as_ref()).map_err(|fault| TreeError::Malformed { id: link.id, fault })?;
        match page {
            Page::Leaf(entries) => Ok(entries),
            Page::Inner { .. } => Ok(Vec::new()),
        }
    }
}

/// The leaf pages that may hold a path with a prefix, in path order. After an error it goes on behind the page that
/// failed.
pub struct Leaves<S> {
    position: Position<S>,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
}

impl<S: PageSource> Leaves<S> {
    /// The leaf pages of the tree at `root` that may hold paths beginning with `prefix`; reads nothing yet.
    pub fn new(source: S, root: PageId, prefix: &[u8]) -> Self {
        Self { position: Position::new(source, root), prefix: prefix.to_vec(), after: successor(prefix) }
    }

    fn step(&mut self) -> Result<Option<LeafPage>, TreeError> {
        loop {
            match self.position.head() {
                Head::End => return Ok(None),
                Head::Root => self.position.expand()?,
                Head::Entry(_) => {
                    let entries = std::iter::from_fn(|| self.position.take_entry()).collect();
                    return Ok(Some(LeafPage::Read(entries)));
                }
                Head::Page { link, .. }
                    if self.after.as_deref().is_some_and(|after| link.first.as_bytes() >= after) =>
                {
                    return Ok(None);
                }
                Head::Page { end: Some(end), .. } if end.as_bytes() <= self.prefix.as_slice() => self.position.skip(),
                Head::Page { level: 0, link, end } => {
                    let leaf = LeafPage::Unread { link: link.clone(), end: end.cloned() };
                    self.position.skip();
                    return Ok(Some(leaf));
                }
                Head::Page { .. } => self.position.expand()?,
            }
        }
    }
}

impl<S: PageSource> Iterator for Leaves<S> {
    type Item = Result<LeafPage, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
