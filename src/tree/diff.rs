//! What differs between two trees, at the cost of the differences.
//!
//! Two positions move in step. A page with the same id on both sides is skipped unread; since a page is only opened when
//! it cannot be equal to any page ahead on the other side, this holds for pages of any height at any place.

use std::cmp::Ordering;

use crate::entry::Entry;
use crate::id::PageId;
use crate::tree::error::TreeError;
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

/// The differences in path order; ends after an error.
pub struct Diff<S, P> {
    old: Position<S>,
    new: Position<S>,
    is_same: P,
    ended: bool,
}

/// What to do with what is ahead on both sides.
enum Step {
    End,
    Expand(Sides),
    SkipBoth,
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
    P: FnMut(&Entry, &Entry) -> bool,
{
    /// The differences from the tree at `old` to that at `new`. `is_same` (old, new) decides whether two entries of one path
    /// count as equal, so that a caller can leave out what does not matter to it; entries of equal pages are not asked about.
    pub fn new(source: S, old: PageId, new: PageId, is_same: P) -> Self {
        let ended = old == new;
        Self { old: Position::new(source.clone(), old), new: Position::new(source, new), is_same, ended }
    }

    fn step(&mut self) -> Result<Option<Difference>, TreeError> {
        loop {
            match next_step(&self.old.head(), &self.new.head()) {
                Step::End => return Ok(None),
                Step::Expand(Sides::Old) => self.old.expand()?,
                Step::Expand(Sides::New) => self.new.expand()?,
                Step::Expand(Sides::Both) => {
                    // Reading and decoding pages is nearly all the work of a diff: both sides at once.
                    let (old, new) = rayon::join(|| self.old.expand(), || self.new.expand());
                    old.and(new)?;
                }
                Step::SkipBoth => {
                    self.old.skip();
                    self.new.skip();
                }
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
        (Head::Page { level: old_level, link: old, .. }, Head::Page { level: new_level, link: new, .. }) => {
            // The page that begins first holds a path that nothing ahead on the other side has.
            match old.first.cmp(&new.first).then(new_level.cmp(old_level)) {
                Ordering::Less => Step::Expand(Sides::Old),
                Ordering::Greater => Step::Expand(Sides::New),
                Ordering::Equal if old.id == new.id => Step::SkipBoth,
                Ordering::Equal => Step::Expand(Sides::Both),
            }
        }
    }
}

impl<S, P> Iterator for Diff<S, P>
where
    S: PageSource + Clone,
    P: FnMut(&Entry, &Entry) -> bool,
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
