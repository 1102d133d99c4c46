//! Building a tree in one pass: entries in path order go in, pages go out as they end, the root comes last.
//!
//! Memory is one open page a level, whatever the number of entries. Whole trees can be appended too: of those only the
//! pages at the seam are read and written again, because pages end where their own paths say and nowhere else.

use crate::entry::{Entry, EntryPath};
use crate::id::PageId;
use crate::resource::Totals;
use crate::tree::boundary::TreeParameters;
use crate::tree::error::TreeError;
use crate::tree::page::{OpenPage, PageLink, totals_of};
use crate::tree::position::{Head, Position};
use crate::tree::store::{PageSink, PageSource};

/// A finished tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its topmost page.
    pub id: PageId,
    /// What all its entries add up to.
    pub totals: Totals,
}

/// Builds one tree. After an error it is of no further use.
pub struct TreeBuilder<S> {
    parameters: TreeParameters,
    sink: S,
    levels: Vec<Level>,
    /// The last path that came in.
    last: Option<EntryPath>,
    totals: Totals,
}

/// One level of the tree: the page being filled, and what is before it.
struct Level {
    page: OpenPage,
    /// Pages of this level that have ended; beyond 1 only that there are more.
    ended: u64,
    /// The last of them.
    latest: Option<PageId>,
}

impl<S: PageSink> TreeBuilder<S> {
    /// A builder of a tree that has no entries so far.
    pub fn new(parameters: TreeParameters, sink: S) -> Self {
        Self { parameters, sink, levels: Vec::new(), last: None, totals: Totals::default() }
    }

    /// Takes the next entry; its path must be after every one before.
    pub fn push(&mut self, entry: &Entry) -> Result<(), TreeError> {
        self.check_order(&entry.path)?;
        self.level(0).page.push_entry(entry)?;
        self.note(&entry.path, &totals_of(entry));
        self.end_pages(0)
    }

    /// Takes all entries of a finished tree, as if each had been pushed; its paths must be after every one before.
    /// Reads and writes only the pages at its edges. The tree must have been built with the same parameters.
    pub fn append(&mut self, source: impl PageSource, root: &Root) -> Result<(), TreeError> {
        let mut position = Position::new(source, root.id);
        loop {
            match position.head() {
                Head::End => return Ok(()),
                Head::Entry(entry) => {
                    self.push(entry)?;
                    position.skip();
                }
                Head::Page { level, link, end: Some(_) } if self.takes_whole(level) => {
                    self.push_page(level, link)?;
                    position.skip();
                }
                Head::Page { .. } | Head::Root => position.expand()?,
            }
        }
    }

    /// Ends every open page and returns the root.
    pub fn finish(mut self) -> Result<Root, TreeError> {
        let mut level = 0;
        loop {
            let open = self.level(level);
            if let Level { ended: 1, latest: Some(id), .. } = *open
                && open.page.is_empty()
            {
                return Ok(Root { id, totals: self.totals });
            }
            if !open.page.is_empty() || open.ended == 0 {
                let link = self.close(level)?;
                if self.levels[level].ended == 1 {
                    return Ok(Root { id: link.id, totals: self.totals });
                }
                self.level(level + 1).page.push_link(&link)?;
            }
            level += 1;
        }
    }

    /// Pages open at this moment, at most one a level, and the bytes they hold.
    pub fn open_pages(&self) -> (usize, usize) {
        let bytes = self.levels.iter().map(|level| level.page.capacity()).sum();
        (self.levels.len(), bytes)
    }

    /// Ends the page at `level` if it is full, and those above it that this fills.
    fn end_pages(&mut self, mut level: usize) -> Result<(), TreeError> {
        while self.is_full(level) {
            let link = self.close(level)?;
            level += 1;
            self.level(level).page.push_link(&link)?;
        }
        Ok(())
    }

    fn is_full(&self, level: usize) -> bool {
        self.levels[level].page.ends(&self.parameters)
    }

    fn close(&mut self, level: usize) -> Result<PageLink, TreeError> {
        let open = &mut self.levels[level];
        let link = open.page.close(&mut self.sink)?;
        open.ended += 1;
        open.latest = Some(link.id);
        Ok(link)
    }

    /// Whether a page of `level` that has ended elsewhere would begin and end here just so: nothing is open at or below it.
    fn takes_whole(&self, level: u8) -> bool {
        self.levels.iter().take(usize::from(level) + 1).all(|open| open.page.is_empty())
    }

    /// Takes a page that has ended, and is followed by more of its level.
    fn push_page(&mut self, level: u8, link: &PageLink) -> Result<(), TreeError> {
        self.check_order(&link.first)?;
        let level = usize::from(level);
        self.level(level + 1).page.push_link(link)?;
        for below in &mut self.levels[..=level] {
            below.ended += 2;
        }
        self.note(&link.first, &link.totals);
        self.end_pages(level + 1)
    }

    fn level(&mut self, level: usize) -> &mut Level {
        while self.levels.len() <= level {
            let number = u8::try_from(self.levels.len()).expect("because each level has at most half the pages below");
            self.levels.push(Level { page: OpenPage::new(number), ended: 0, latest: None });
        }
        &mut self.levels[level]
    }

    fn check_order(&self, path: &EntryPath) -> Result<(), TreeError> {
        match &self.last {
            Some(previous) if previous >= path => {
                Err(TreeError::OutOfOrder { path: path.clone(), previous: previous.clone() })
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, path: &EntryPath, totals: &Totals) {
        self.last.get_or_insert_default().0.clone_from(&path.0);
        self.totals.add(totals);
    }
}
