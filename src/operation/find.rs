//! `find`: globs over the paths of many snapshots, each distinct tree searched once.
//!
//! A pattern without a slash is matched with names, one with a slash with whole paths of the layout. Listing is `list`'s.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use thiserror::Error;

use crate::entry::Entry;
use crate::id::PageId;
use crate::operation::list::Render;
use crate::operation::part::{IsFolder, Part, append_layout_path, folder_of};
use crate::repository::snapshot::Snapshot;
use crate::resource::ResourceRecord;

/// A pattern that cannot be understood.
#[derive(Debug, Error)]
#[error("cannot understand the pattern {pattern:?}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// Where and why.
    pub source: ignore::Error,
}

/// What is looked for: any of several patterns. One without capitals ignores case.
#[derive(Clone, Debug)]
pub struct Names {
    patterns: Vec<Gitignore>,
}

impl Names {
    /// Reads patterns.
    pub fn parse(patterns: &[String]) -> Result<Self, PatternError> {
        patterns.iter().map(|pattern| parse(pattern)).collect::<Result<_, _>>().map(|patterns| Self { patterns })
    }

    /// Whether a path of the layout, without a trailing slash, matches.
    pub fn matches(&self, path: &[u8], is_folder: IsFolder) -> bool {
        let path = Path::new(OsStr::from_bytes(path));
        self.patterns.iter().any(|pattern| pattern.matched(path, is_folder == IsFolder::Yes).is_ignore())
    }

    /// Renders only what matches.
    pub fn only<'n, R: Render>(&'n self, render: &'n R) -> Matching<'n, R> {
        Matching { names: self, render }
    }
}

/// The rules of ignore files are those wanted here, but for their marks of comments, exceptions and blanks.
fn parse(pattern: &str) -> Result<Gitignore, PatternError> {
    let failed = |source| PatternError { pattern: pattern.to_owned(), source };
    let mut line = String::with_capacity(pattern.len() + 2);
    if pattern.starts_with(['!', '#']) {
        line.push('\\');
    }
    line.push_str(pattern);
    if pattern.ends_with(' ') {
        line.insert(line.len() - 1, '\\');
    }
    let mut builder = GitignoreBuilder::new("");
    let ignores_case = !pattern.chars().any(char::is_uppercase);
    builder.case_insensitive(ignores_case).map_err(failed)?;
    builder.add_line(None, &line).map_err(failed)?;
    builder.build().map_err(failed)
}

/// Renders only entries whose paths match.
#[derive(Debug)]
pub struct Matching<'n, R> {
    names: &'n Names,
    render: &'n R,
}

impl<R: Render> Render for Matching<'_, R> {
    fn render(&self, folder: &[u8], entry: &Entry, target: &mut Vec<u8>) {
        // The path is put where the result would go, so that what does not match costs no allocation.
        let start = target.len();
        let is_folder = IsFolder::of(entry);
        append_layout_path(folder, entry.path.as_bytes(), is_folder, target);
        let path = target[start..].strip_suffix(b"/").unwrap_or(&target[start..]);
        let is_match = self.names.matches(path, is_folder);
        target.truncate(start);
        if is_match {
            self.render.render(folder, entry, target);
        }
    }
}

/// One tree to search, and the snapshots that have it.
#[derive(Debug)]
pub struct Search<'s> {
    record: &'s ResourceRecord,
    /// The snapshots that hold this tree at this place, newest first.
    pub snapshots: Vec<&'s Snapshot>,
}

impl Search<'_> {
    /// All of the tree.
    pub fn part(&self) -> Part<'_> {
        Part { record: self.record, folder: folder_of(self.record), inside: None }
    }
}

/// The distinct trees of snapshots (oldest first), those of the newest snapshot first.
pub fn searches<'s>(snapshots: &[&'s Snapshot]) -> Vec<Search<'s>> {
    let mut searches: Vec<Search<'s>> = Vec::new();
    let mut known: HashMap<(&'s str, PageId), usize> = HashMap::new();
    for snapshot in snapshots.iter().rev() {
        for record in &snapshot.record.resources {
            let at = *known.entry((&record.path, record.root)).or_insert(searches.len());
            match searches.get_mut(at) {
                Some(search) => search.snapshots.push(snapshot),
                None => searches.push(Search { record, snapshots: vec![snapshot] }),
            }
        }
    }
    searches
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::operation::part::IsFolder;

    fn matches(pattern: &str, path: &str) -> bool {
        Names::parse(&[pattern.to_owned()]).expect("a pattern").matches(path.as_bytes(), IsFolder::No)
    }

    #[test]
    fn a_pattern_without_a_slash_is_matched_with_names_and_one_with_a_slash_with_paths() {
        for (pattern, path) in [
            ("*.sql", "local/a/dump.sql"),
            ("DUMP*", "local/DUMP.sql"),
            ("dump*", "local/DUMP.sql"),
            ("local/*/b", "local/a/b"),
            ("local/**/b", "local/x/y/b"),
            ("#x", "local/#x"),
            ("!x", "local/!x"),
            ("x ", "local/x "),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.sql", "local/x.sql/a"),
            ("DUMP*", "local/dump.sql"),
            ("a/b", "local/a/b"),
            ("local/*/b", "local/x/y/b"),
            ("x ", "local/x"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}
