//! The changed lines of a text file, as a unified diff.

use std::time::Duration;

use similar::TextDiff;

use crate::entry::Entry;
use crate::operation::cat::{CatError, read_content};
use crate::repository::reader::Reader;

/// Longest content that is compared line by line.
pub const SIZE_MAX: u64 = 4 << 20;
/// After this long the shortest diff is no longer sought, only a right one.
const EFFORT_MAX: Duration = Duration::from_secs(2);
/// Lines shown around a change.
const CONTEXT_LINES: usize = 3;

/// What a patch says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// Lines, each ended by `\n`.
    Text(Vec<u8>),
    /// It is not text.
    Binary,
    /// It is too long to compare.
    TooLong,
}

/// The lines in which two files at `path` of the layout differ; an absent one is empty.
pub fn patch(reader: &Reader<'_>, path: &[u8], old: Option<&Entry>, new: Option<&Entry>) -> Result<Patch, CatError> {
    if [old, new].into_iter().flatten().any(|entry| entry.content.size() > SIZE_MAX) {
        return Ok(Patch::TooLong);
    }
    let (old_bytes, new_bytes) = (content(reader, path, old)?, content(reader, path, new)?);
    if !is_text(&old_bytes) || !is_text(&new_bytes) {
        return Ok(Patch::Binary);
    }
    let shown = crate::resource::escape_path(path);
    let header = |side: &str, entry: Option<&Entry>| match entry {
        Some(_) => format!("{side}/{shown}"),
        None => "/dev/null".to_owned(),
    };
    let diff = TextDiff::configure().timeout(EFFORT_MAX).diff_lines(old_bytes.as_slice(), new_bytes.as_slice());
    let mut text = Vec::new();
    let mut unified = diff.unified_diff();
    unified.context_radius(CONTEXT_LINES).header(&header("a", old), &header("b", new));
    unified.to_writer(&mut text).expect("because memory takes it");
    Ok(Patch::Text(text))
}

fn content(reader: &Reader<'_>, path: &[u8], entry: Option<&Entry>) -> Result<Vec<u8>, CatError> {
    let mut bytes = Vec::new();
    if let Some(entry) = entry {
        read_content::<CatError>(reader, &entry.content, path, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
    }
    Ok(bytes)
}

/// Text is UTF-8 without a zero byte.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}
