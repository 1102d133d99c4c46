//! What differs between two trees, at the cost of the differences.
//!
//! Two positions move in step. A page with the same id on both sides is skipped unread; since a page is only opened when
//! it cannot be equal to any page ahead on the other side, this holds for pages of any height at any place. Leaf pages that
//! stand for the same stretch of paths on both sides, which most that differ do, are compared in pairs, many at once.

use std::cmp::Ordering;
use std::vec;

use rayon::prelude::*;

use crate::entry::Entry;
use crate::id::PageId;
use crate::tree::error::TreeError;
use crate::tree::leaves::LeafPage;
use crate::tree::page::PageLink;
use crate::tree::position::{Head, Position};
use crate::tree::store::PageSource;

/// One path at which two trees differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only the old tree has it.
    Removed(Entry),
    /// Only the new tree has it.
    Added(Entry),
    /// Both have it, and they are not the same.
    Changed {
        /// In the old tree.
        old: Entry,
        /// In the new tree.
        new: Entry,
    },
}

/// Pairs of leaf pages under way at once.
const PAIRS_MAX: usize = 32;

/// The differences in path order; ends after an error.
pub struct Diff<S, P> {
    source: S,
    old: Position<S>,
    new: Position<S>,
    is_same: P,
    /// What pairs of leaf pages came to, not given out yet.
    compared: vec::IntoIter<Compared>,
    /// The rest of the first of them.
    differences: vec::IntoIter<Difference>,
    ended: bool,
}

/// What differs between two leaf pages.
type Compared = Result<Vec<Difference>, TreeError>;

/// What to do with what is ahead on both sides.
enum Step {
    End,
    Expand(Sides),
    SkipBoth,
    /// Two leaf pages for the same stretch of paths.
    ComparePages,
    Remove,
    Add,
    Compare,
}

/// Which of the two trees.
#[derive(Clone, Copy)]
enum Sides {
    Old,
    New,
    Both,
}

impl<S, P> Diff<S, P>
where
    S: PageSource + Clone,
    P: Fn(&Entry, &Entry) -> bool + Sync,
{
    /// The differences from the tree at `old` to that at `new`. `is_same` (old, new) decides whether two entries of one path
    /// count as equal, so that a caller can leave out what does not matter to it; entries of equal pages are not asked about.
    pub fn new(source: S, old: PageId, new: PageId, is_same: P) -> Self {
        let position = |root| Position::new(source.clone(), root);
        Self {
            old: position(old),
            new: position(new),
            source,
            is_same,
            compared: Vec::new().into_iter(),
            differences: Vec::new().into_iter(),
            ended: old == new,
        }
    }

    fn step(&mut self) -> Result<Option<Difference>, TreeError> {
        loop {
            if let Some(difference) = self.differences.next() {
                return Ok(Some(difference));
            }
            if let Some(compared) = self.compared.next() {
                self.differences = compared?.into_iter();
                continue;
            }
            match next_step(&self.old.head(), &self.new.head()) {
                Step::End => return Ok(None),
                Step::Expand(Sides::Old) => self.old.expand()?,
                Step::Expand(Sides::New) => self.new.expand()?,
                Step::Expand(Sides::Both) => {
                    let (old, new) = rayon::join(|| self.old.expand(), || self.new.expand());
                    old.and(new)?;
                }
                Step::SkipBoth => {
                    self.old.skip();
                    self.new.skip();
                }
                Step::ComparePages => self.compare_pages(),
                Step::Remove => return Ok(self.old.take_entry().map(Difference::Removed)),
                Step::Add => return Ok(self.new.take_entry().map(Difference::Added)),
                Step::Compare => {
                    if let (Some(old), Some(new)) = (self.old.take_entry(), self.new.take_entry())
                        && !(self.is_same)(&old, &new)
                    {
                        return Ok(Some(Difference::Changed { old, new }));
                    }
                }
            }
        }
    }

    /// Compares the leaf pages ahead, as long as they stand for the same stretches on both sides: on all processors, since
    /// reading and decoding them is nearly all the work of a diff.
    fn compare_pages(&mut self) {
        let mut pairs = Vec::with_capacity(PAIRS_MAX);
        while pairs.len() < PAIRS_MAX {
            match (self.old.head(), self.new.head()) {
                (
                    Head::Page { level: 0, link: old, end: old_end },
                    Head::Page { level: 0, link: new, end: new_end },
                ) if old.first == new.first && old_end == new_end => {
                    if old.id != new.id {
                        let page = |link: &PageLink| LeafPage::Unread { link: link.clone(), end: old_end.cloned() };
                        pairs.push((page(old), page(new)));
                    }
                }
                _ => break,
            }
            self.old.skip();
            self.new.skip();
        }
        self.source.announce(&mut pairs.iter().flat_map(|(old, new)| [old, new]).filter_map(LeafPage::unread));
        let compare = |(old, new): (LeafPage, LeafPage)| {
            let (old, new) = (old.read(&self.source)?, new.read(&self.source)?);
            Ok(differences(old, new, &self.is_same))
        };
        self.compared = pairs.into_par_iter().map(compare).collect::<Vec<_>>().into_iter();
    }
}

/// What differs between two lists in path order.
fn differences(old: Vec<Entry>, new: Vec<Entry>, is_same: impl Fn(&Entry, &Entry) -> bool) -> Vec<Difference> {
    let mut differences = Vec::new();
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => old.path.cmp(&new.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return differences,
        };
        match order {
            Ordering::Less => differences.extend(old.next().map(Difference::Removed)),
            Ordering::Greater => differences.extend(new.next().map(Difference::Added)),
            Ordering::Equal => {
                let both = old.next().zip(new.next()).filter(|(old, new)| !is_same(old, new));
                differences.extend(both.map(|(old, new)| Difference::Changed { old, new }));
            }
        }
    }
}

fn next_step(old: &Head<'_>, new: &Head<'_>) -> Step {
    match (old, new) {
        (Head::End, Head::End) => Step::End,
        (Head::Root, Head::Root) => Step::Expand(Sides::Both),
        (Head::Root, _) => Step::Expand(Sides::Old),
        (_, Head::Root) => Step::Expand(Sides::New),
        (Head::Entry(_), Head::End) => Step::Remove,
        (Head::End, Head::Entry(_)) => Step::Add,
        (Head::Page { .. }, Head::End) => Step::Expand(Sides::Old),
        (Head::End, Head::Page { .. }) => Step::Expand(Sides::New),
        (Head::Entry(old), Head::Entry(new)) => match old.path.cmp(&new.path) {
            Ordering::Less => Step::Remove,
            Ordering::Equal => Step::Compare,
            Ordering::Greater => Step::Add,
        },
        (Head::Entry(old), Head::Page { link, .. }) if old.path < link.first => Step::Remove,
        (Head::Entry(_), Head::Page { .. }) => Step::Expand(Sides::New),
        (Head::Page { link, .. }, Head::Entry(new)) if new.path < link.first => Step::Add,
        (Head::Page { .. }, Head::Entry(_)) => Step::Expand(Sides::Old),
        (
            Head::Page { level: old_level, link: old, end: old_end },
            Head::Page { level: new_level, link: new, end: new_end },
        ) => {
            // The page that begins first holds a path that nothing ahead on the other side has.
            match old.first.cmp(&new.first).then(new_level.cmp(old_level)) {
                Ordering::Less => Step::Expand(Sides::Old),
                Ordering::Greater => Step::Expand(Sides::New),
                Ordering::Equal if old.id == new.id => Step::SkipBoth,
                Ordering::Equal if *old_level == 0 && old_end == new_end => Step::ComparePages,
                Ordering::Equal => Step::Expand(Sides::Both),
            }
        }
    }
}

impl<S, P> Iterator for Diff<S, P>
where
    S: PageSource + Clone,
    P: Fn(&Entry, &Entry) -> bool + Sync,
{
    type Item = Result<Difference, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step().transpose();
        self.ended = !matches!(step, Some(Ok(_)));
        step
    }
}
