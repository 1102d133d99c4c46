//! The entries of one part in path order; where pages are damaged, which stretch of paths is lost.

use crate::entry::Entry;
use crate::operation::backup::error_chain;
use crate::operation::restore::select::Part;
use crate::repository::reader::Reader;
use crate::resource::escape_path;
use crate::tree::cursor::Cursor;
use crate::tree::error::TreeError;

/// What a walk meets.
pub(super) enum Walked {
    /// An entry of the part.
    Entry(Entry),
    /// A stretch of entries that cannot be had, and why.
    Lost(String),
}

/// Walks one part.
pub(super) struct Walk<'w, 'r> {
    cursor: Cursor<&'w Reader<'r>>,
    part: &'w Part<'w>,
    /// The last entry that was had.
    last: Option<Vec<u8>>,
    failure: Option<TreeError>,
}

impl<'w, 'r> Walk<'w, 'r> {
    pub(super) fn new(reader: &'w Reader<'r>, part: &'w Part<'w>) -> Self {
        let mut cursor = Cursor::new(reader, part.resource.root);
        let failure = cursor.seek(part.start()).err();
        Self { cursor, part, last: None, failure }
    }

    fn lost(&self, failure: &TreeError, before: Option<&[u8]>) -> String {
        let after = self.last.as_deref().map_or(String::new(), |path| format!(" after {}", escape_path(path)));
        let before = before.map_or(String::new(), |path| format!(" before {}", escape_path(path)));
        format!("everything{after}{before} is lost: {}", error_chain(failure))
    }
}

impl Iterator for Walk<'_, '_> {
    type Item = Walked;

    fn next(&mut self) -> Option<Walked> {
        loop {
            match self.cursor.peek() {
                Ok(next) => {
                    let path = next.map(|entry| entry.path.as_bytes().to_vec());
                    if let Some(failure) = self.failure.take() {
                        return Some(Walked::Lost(self.lost(&failure, path.as_deref())));
                    }
                    let path = path.filter(|path| self.part.holds(path))?;
                    self.last = Some(path);
                    return self.cursor.next().and_then(Result::ok).map(Walked::Entry);
                }
                Err(error) => {
                    self.failure.get_or_insert(error);
                }
            }
        }
    }
}
