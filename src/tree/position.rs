//! A place in a tree: before a page that is not yet read, or before an entry.
//!
//! All that reads trees moves one of these: it may skip the page ahead unread, or expand it. At most one decoded page
//! a level is held. Every page is checked against its parent: one level lower (so hostile pages cannot make a loop),
//! beginning where the parent says and ending before the page after it. A page that fails is stepped over, so that a
//! caller may go on behind the damage.

use std::vec;

use crate::entry::{Entry, EntryPath};
use crate::id::PageId;
use crate::tree::error::TreeError;
use crate::tree::page::{Page, PageLink};
use crate::tree::store::PageSource;

/// What comes next.
#[derive(Debug)]
pub(super) enum Head<'a> {
    /// Nothing.
    End,
    /// The root page, not yet read.
    Root,
    /// A page, not yet read.
    Page {
        /// Its level.
        level: u8,
        /// What its parent says of it.
        link: &'a PageLink,
        /// First path of what comes after it; `None` if it is the last page of its level.
        end: Option<&'a EntryPath>,
    },
    /// An entry.
    Entry(&'a Entry),
}

pub(super) struct Position<S> {
    source: S,
    root: PageId,
    root_read: bool,
    /// Inner pages from the root down.
    frames: Vec<Frame>,
    /// What is left of the current leaf.
    leaf: vec::IntoIter<Entry>,
}

/// An inner page on the way down.
struct Frame {
    level: u8,
    links: Vec<PageLink>,
    /// The first link not yet expanded or skipped.
    next: usize,
    /// First path of what comes after this page.
    end: Option<EntryPath>,
}

impl Frame {
    fn covers(&self, path: &[u8]) -> bool {
        self.links[0].first.as_bytes() <= path && self.is_before_end(path)
    }

    fn is_before_end(&self, path: &[u8]) -> bool {
        self.end.as_ref().is_none_or(|end| path < end.as_bytes())
    }

    /// The link that `path` would be under; the first if it is before all of them.
    fn index_of(&self, path: &[u8]) -> usize {
        self.links.partition_point(|link| link.first.as_bytes() <= path).saturating_sub(1)
    }
}

impl<S: PageSource> Position<S> {
    /// Before the root; nothing is read.
    pub(super) fn new(source: S, root: PageId) -> Self {
        Self { source, root, root_read: false, frames: Vec::new(), leaf: Vec::new().into_iter() }
    }

    /// What comes next.
    pub(super) fn head(&mut self) -> Head<'_> {
        if !self.leaf.as_slice().is_empty() {
            return Head::Entry(&self.leaf.as_slice()[0]);
        }
        while self.frames.len() > 1 && self.frames.last().is_some_and(|frame| frame.next == frame.links.len()) {
            self.frames.pop();
        }
        let Some(frame) = self.frames.last() else {
            return if self.root_read { Head::End } else { Head::Root };
        };
        match frame.links.get(frame.next) {
            Some(link) => {
                let end = frame.links.get(frame.next + 1).map(|next| &next.first).or(frame.end.as_ref());
                Head::Page { level: frame.level - 1, link, end }
            }
            None => Head::End,
        }
    }

    /// Goes past what comes next, without reading it.
    pub(super) fn skip(&mut self) {
        match self.head() {
            Head::End => {}
            Head::Root => self.root_read = true,
            Head::Entry(_) => drop(self.leaf.next()),
            Head::Page { .. } => {
                self.frames.last_mut().expect("because the page ahead stands in a frame").next += 1;
            }
        }
    }

    /// The entry ahead, if it is one.
    pub(super) fn take_entry(&mut self) -> Option<Entry> {
        self.leaf.next()
    }

    /// Reads the page ahead, if it is one, and stands before its first item. If that fails, stands behind the page.
    pub(super) fn expand(&mut self) -> Result<(), TreeError> {
        match self.head() {
            Head::End | Head::Entry(_) => Ok(()),
            Head::Root => {
                self.root_read = true;
                let page = read(&self.source, &self.root)?;
                self.enter(page, None);
                Ok(())
            }
            Head::Page { level, link, end } => {
                let (link, end) = (link.clone(), end.cloned());
                self.skip();
                let page = read(&self.source, &link.id)?;
                page.check_place(level, &link, end.as_ref())
                    .map_err(|fault| TreeError::Malformed { id: link.id, fault })?;
                self.enter(page, end);
                Ok(())
            }
        }
    }

    fn enter(&mut self, page: Page, end: Option<EntryPath>) {
        match page {
            Page::Leaf(entries) => self.leaf = entries.into_iter(),
            Page::Inner { level, links } => self.frames.push(Frame { level, links, next: 0, end }),
        }
    }

    /// Stands before the first entry at or after `path`, wherever it stood; reads the pages on the way down.
    pub(super) fn seek(&mut self, path: &[u8]) -> Result<(), TreeError> {
        self.leaf = Vec::new().into_iter();
        while self.frames.len() > 1 && self.frames.last().is_some_and(|frame| !frame.covers(path)) {
            self.frames.pop();
        }
        match self.frames.last_mut() {
            Some(frame) => frame.next = frame.index_of(path),
            None => self.root_read = false,
        }
        self.descend(path)
    }

    /// Goes on to the first entry at or after `path`, never back. In the current or the next leaf this reads no page
    /// but that leaf.
    pub(super) fn advance_to(&mut self, path: &[u8]) -> Result<(), TreeError> {
        if self.drop_entries_before(path) {
            return Ok(());
        }
        while self.frames.len() > 1 && self.frames.last().is_some_and(|frame| !frame.is_before_end(path)) {
            self.frames.pop();
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.next = frame.next.max(frame.index_of(path));
        }
        self.descend(path)
    }

    /// Reads pages until what comes next is at or after `path`.
    fn descend(&mut self, path: &[u8]) -> Result<(), TreeError> {
        loop {
            match self.head() {
                Head::End | Head::Entry(_) => return Ok(()),
                Head::Page { link, .. } if link.first.as_bytes() >= path => return Ok(()),
                Head::Page { .. } | Head::Root => {}
            }
            let depth = self.frames.len();
            self.expand()?;
            if self.frames.len() == depth {
                self.drop_entries_before(path);
            } else if let Some(frame) = self.frames.last_mut() {
                frame.next = frame.index_of(path);
            }
        }
    }

    /// Whether an entry of the current leaf is left.
    fn drop_entries_before(&mut self, path: &[u8]) -> bool {
        let is_before = |entry: &Entry| entry.path.as_bytes() < path;
        let entries = self.leaf.as_slice();
        let count = match entries {
            [first, ..] if !is_before(first) => 0,
            [_, second, ..] if !is_before(second) => 1,
            entries => entries.partition_point(is_before),
        };
        if count > 0 {
            drop(self.leaf.nth(count - 1));
        }
        !self.leaf.as_slice().is_empty()
    }
}

/// Reads and decodes a page, wherever it stands.
pub(super) fn read(source: &impl PageSource, id: &PageId) -> Result<Page, TreeError> {
    let plaintext = source.page(id)?;
    Page::decode(&plaintext).map_err(|fault| TreeError::Malformed { id: *id, fault })
}
