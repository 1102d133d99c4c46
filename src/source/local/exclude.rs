//! What to leave out: patterns, ignore files, cache directories, large files.
//!
//! Patterns are those of gitignore, relative to the root (or to the directory of the ignore file). What is left
//! out is not even looked at, so it costs nothing and can make no gap. Without rules nothing is asked at all.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::Mode;
use thiserror::Error;

use crate::source::local::directory::OPEN_FLAGS;
use crate::source::local::listing::Names;
use crate::source::local::stat::{FileStat, FileType};

/// First line of every valid cache directory tag (bford.info/cachedir).
const CACHE_TAG_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
const CACHE_TAG_NAME: &CStr = c"CACHEDIR.TAG";
/// Longest ignore file that is read; more is surely none.
const IGNORE_FILE_SIZE_MAX: u64 = 1024 * 1024;

/// A pattern that cannot be understood.
#[derive(Debug, Error)]
#[error("cannot understand the pattern {pattern:?}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// Where and why.
    pub source: ignore::Error,
}

/// What to leave out of a root.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    patterns: Option<Arc<Rules>>,
    ignore_files: Vec<CString>,
    caches: Caches,
    larger_than: Option<u64>,
}

/// Whether the content of directories with a valid `CACHEDIR.TAG` is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caches {
    /// Like any other.
    #[default]
    Kept,
    /// Only the directory and its tag.
    LeftOut,
}

impl Excludes {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Leaves out what gitignore patterns name; the last that matches decides, `!` brings back.
    pub fn with_patterns(mut self, patterns: &[String]) -> Result<Self, PatternError> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in patterns {
            let error = |source| PatternError { pattern: pattern.clone(), source };
            builder.add_line(None, pattern).map_err(error)?;
        }
        let matcher = builder.build().map_err(|source| PatternError { pattern: patterns.join(", "), source })?;
        self.patterns = (!patterns.is_empty()).then(|| Arc::new(Rules { outer: None, base_length: 0, matcher }));
        Ok(self)
    }

    /// Obeys ignore files of these names (`.snapignore`, `.gitignore`), the first before the next.
    pub fn with_ignore_files(mut self, names: &[&str]) -> Self {
        self.ignore_files = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
        self
    }

    /// Says what becomes of cache directories.
    pub fn with_caches(mut self, caches: Caches) -> Self {
        self.caches = caches;
        self
    }

    /// Leaves out files of more bytes than this.
    pub fn with_larger_than(mut self, size_max: u64) -> Self {
        self.larger_than = Some(size_max);
        self
    }

    /// The rules that hold from the root on.
    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        self.patterns.clone()
    }

    /// Whether a file is left out for its size.
    pub(crate) fn is_too_large(&self, stat: &FileStat) -> bool {
        self.larger_than.is_some_and(|size_max| stat.size > size_max) && stat.file_type() == FileType::File
    }

    /// Removes what is left out of the names of a directory and adds its own ignore files to `rules`.
    ///
    /// `path` is the directory's own, with its `/`.
    pub(crate) fn filter(&self, names: &mut Names, directory: &OwnedFd, path: &[u8], rules: &mut Option<Arc<Rules>>) {
        if self.caches == Caches::LeftOut && is_cache(names, directory) {
            names.retain(|name, found| name == CACHE_TAG_NAME && !found.is_directory);
            return;
        }
        for ignore_file in self.ignore_files.iter().rev() {
            if names.find_file(ignore_file).is_some()
                && let Some(matcher) = read_ignore_file(directory, ignore_file)
            {
                *rules = Some(Arc::new(Rules { outer: rules.take(), base_length: path.len(), matcher }));
            }
        }
        let Some(rules) = rules else { return };
        let mut candidate = path.to_vec();
        names.retain(|name, found| {
            candidate.truncate(path.len());
            candidate.extend_from_slice(name.to_bytes());
            let kind = if found.is_directory { FileType::Directory } else { FileType::File };
            !rules.leave_out(&candidate, kind)
        });
    }
}

/// Patterns of one place, and those of the places around it.
#[derive(Debug)]
pub(crate) struct Rules {
    outer: Option<Arc<Rules>>,
    /// Length of the path of the directory they are relative to.
    base_length: usize,
    matcher: Gitignore,
}

impl Rules {
    /// The patterns of an ignore file in a directory whose path is so long; where they say nothing, those around it.
    ///
    /// What cannot be understood of it rules nothing.
    pub(crate) fn within(outer: Option<Arc<Rules>>, base_length: usize, text: &[u8]) -> Option<Arc<Rules>> {
        match matcher_of(text) {
            Some(matcher) => Some(Arc::new(Rules { outer, base_length, matcher })),
            None => outer,
        }
    }

    /// The innermost place that says anything decides.
    pub(crate) fn leave_out(&self, path: &[u8], kind: FileType) -> bool {
        let mut rules = Some(self);
        while let Some(here) = rules {
            let relative = Path::new(OsStr::from_bytes(&path[here.base_length..]));
            match here.matcher.matched(relative, kind == FileType::Directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => rules = here.outer.as_deref(),
            }
        }
        false
    }
}

fn is_cache(names: &Names, directory: &OwnedFd) -> bool {
    names.find_file(CACHE_TAG_NAME).is_some()
        && read_small(directory, CACHE_TAG_NAME, CACHE_TAG_SIGNATURE.len() as u64)
            .is_some_and(|start| start == CACHE_TAG_SIGNATURE)
}

/// An ignore file that cannot be read or understood in part rules in the rest: what is in doubt is kept.
fn read_ignore_file(directory: &OwnedFd, name: &CStr) -> Option<Gitignore> {
    matcher_of(&read_small(directory, name, IGNORE_FILE_SIZE_MAX)?)
}

fn matcher_of(text: &[u8]) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            let _unreadable_pattern = builder.add_line(None, line.trim_end_matches('\r'));
        }
    }
    builder.build().ok()
}

/// The first bytes of a regular file, never waiting for anything else.
fn read_small(directory: &OwnedFd, name: &CStr, size_max: u64) -> Option<Vec<u8>> {
    let file = rustix::fs::openat(directory, name, OPEN_FLAGS, Mode::empty()).ok()?;
    let stat = FileStat::from(rustix::fs::fstat(&file).ok()?);
    if stat.file_type() != FileType::File {
        return None;
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(std::fs::File::from(file), size_max), &mut bytes).ok()?;
    Some(bytes)
}
