//! What a part of a tree adds up to, without walking it: inner pages carry the totals of what is below them.
//!
//! Only the pages at the edges of the part are read, at most two a level.

use crate::id::PageId;
use crate::resource::Totals;
use crate::tree::error::TreeError;
use crate::tree::position::{Head, Position};
use crate::tree::store::PageSource;

/// Adds up all entries whose path begins with `prefix` (`docs/` for a folder and all in it, nothing for the whole tree).
pub fn totals_under(source: impl PageSource, root: PageId, prefix: &[u8]) -> Result<Totals, TreeError> {
    let after = successor(prefix);
    let is_beyond = |path: &[u8]| after.as_deref().is_some_and(|after| path >= after);
    let mut totals = Totals::default();
    let mut position = Position::new(source, root);
    loop {
        match position.head() {
            Head::End => return Ok(totals),
            Head::Root => position.expand()?,
            Head::Entry(entry) => {
                let path = entry.path.as_bytes();
                if is_beyond(path) {
                    return Ok(totals);
                }
                if path >= prefix {
                    totals.add(&super::page::totals_of(entry));
                }
                position.skip();
            }
            Head::Page { link, .. } if is_beyond(link.first.as_bytes()) => return Ok(totals),
            Head::Page { end: Some(end), .. } if end.as_bytes() <= prefix => position.skip(),
            Head::Page { link, end, .. } => {
                let ends_inside = match (end, after.as_deref()) {
                    (_, None) => true,
                    (None, Some(_)) => false,
                    (Some(end), Some(after)) => end.as_bytes() <= after,
                };
                if ends_inside && link.first.as_bytes() >= prefix {
                    totals.add(&link.totals);
                    position.skip();
                } else {
                    position.expand()?;
                }
            }
        }
    }
}

/// The first path after all that begin with `prefix`; `None` if there is none.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let length = prefix.iter().rposition(|byte| *byte < u8::MAX)? + 1;
    let mut after = prefix[..length].to_vec();
    after[length - 1] += 1;
    Some(after)
}
