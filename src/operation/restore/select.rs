//! What of a snapshot is to be restored, and where each thing goes beneath the target.
//!
//! A [`Part`] is a resource or a stretch of one; patterns narrow it. Nothing is read here but what tells whether a path
//! means a folder or a file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::entry::{Entry, EntryKind, Metadata};
use crate::operation::restore::RestoreError;
use crate::operation::target::escape::{Last, must_escape, spell};
use crate::repository::reader::Reader;
use crate::resource::{ResourceRecord, SnapshotRecord, escape_path, unescape_path};
use crate::tree::cursor::Cursor;

/// A resource of the snapshot, or a stretch of one.
pub(super) struct Part<'r> {
    pub(super) resource: &'r ResourceRecord,
    /// The resource's folder in the layout.
    pub(super) layout: Vec<u8>,
    span: Span,
    /// Bytes of layout paths that the target does not have.
    strip: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Span {
    Whole,
    /// A folder with all in it; ends in `/`.
    Under(Vec<u8>),
    One(Vec<u8>),
}

/// What is to be restored.
pub(super) struct Selection<'r> {
    pub(super) parts: Vec<Part<'r>>,
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
}

impl<'r> Selection<'r> {
    /// All of a snapshot, or what stands at `inside`; then only what `include` names, without what `exclude` names.
    pub(super) fn new(
        record: &'r SnapshotRecord,
        inside: Option<&[u8]>,
        patterns: Patterns<'_>,
        reader: &Reader<'_>,
    ) -> Result<Self, RestoreError> {
        let inside = inside.unwrap_or_default();
        let mut parts = Vec::new();
        for resource in &record.resources {
            let layout = unescape_path(&resource.path).unwrap_or_else(|| resource.path.clone().into_bytes());
            parts.extend(parts_of(resource, layout, inside, reader)?);
        }
        if parts.is_empty() {
            return Err(RestoreError::NotThere { path: escape_path(inside) });
        }
        Ok(Self { parts, include: matcher(patterns.include)?, exclude: matcher(patterns.exclude)? })
    }

    /// Whether an entry is to be restored. `path` is inside the resource of `part`.
    pub(super) fn selects(&self, part: &Part<'_>, path: &[u8]) -> bool {
        if self.include.is_none() && self.exclude.is_none() {
            return true;
        }
        let layout = part.layout_path(path);
        let names = |matcher: &Option<Gitignore>| {
            matcher.as_ref().is_some_and(|matcher| matches(matcher, &layout) || matches(matcher, path))
        };
        (self.include.is_none() || names(&self.include)) && !names(&self.exclude)
    }

    /// Whether patterns leave things out by name.
    pub(super) fn has_excludes(&self) -> bool {
        self.exclude.is_some()
    }
}

/// Globs of what is to be restored, and of what is not.
#[derive(Clone, Copy)]
pub(super) struct Patterns<'p> {
    pub(super) include: &'p [String],
    pub(super) exclude: &'p [String],
}

fn matcher(patterns: &[String]) -> Result<Option<Gitignore>, RestoreError> {
    let mut builder = GitignoreBuilder::new("");
    let wrong = |pattern: &str| {
        let pattern = pattern.to_owned();
        move |source| RestoreError::Pattern { pattern, source }
    };
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(wrong(pattern))?;
    }
    if patterns.is_empty() {
        return Ok(None);
    }
    builder.build().map(Some).map_err(wrong(&patterns.join(", ")))
}

fn matches(matcher: &Gitignore, path: &[u8]) -> bool {
    let is_folder = path.is_empty() || path.ends_with(b"/");
    // The matcher takes relative paths only; an object's key may begin with `/`.
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    let path = Path::new(OsStr::from_bytes(path[start..].strip_suffix(b"/").unwrap_or(&path[start..])));
    matcher.matched_path_or_any_parents(path, is_folder).is_ignore()
}

fn parts_of<'r>(
    resource: &'r ResourceRecord,
    layout: Vec<u8>,
    inside: &[u8],
    reader: &Reader<'_>,
) -> Result<Vec<Part<'r>>, RestoreError> {
    let folder = inside.strip_suffix(b"/").unwrap_or(inside);
    let strip = if folder.is_empty() { 0 } else { folder.len() + 1 };
    if folder.is_empty() || layout == folder || is_beneath(&layout, folder) {
        return Ok(vec![Part { resource, layout, span: Span::Whole, strip }]);
    }
    if !is_beneath(folder, &layout) {
        return Ok(Vec::new());
    }
    let path = &folder[layout.len() + 1..];
    let under = [path, b"/"].concat();
    let mut parts = Vec::new();
    let mut cursor = Cursor::new(reader, resource.root);
    let mut stands = |wanted: &[u8], is_it: &dyn Fn(&[u8]) -> bool| {
        cursor.seek(wanted)?;
        Ok::<_, RestoreError>(cursor.peek()?.is_some_and(|entry| is_it(entry.path.as_bytes())))
    };
    if !inside.ends_with(b"/") && stands(path, &|found| found == path)? {
        let above = folder.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        parts.push(Part { resource, layout: layout.clone(), span: Span::One(path.to_vec()), strip: above });
    }
    if stands(&under, &|found| found.starts_with(&under))? {
        parts.push(Part { resource, layout, span: Span::Under(under), strip });
    }
    Ok(parts)
}

fn is_beneath(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

impl Part<'_> {
    /// Where in the resource it begins.
    pub(super) fn start(&self) -> &[u8] {
        match &self.span {
            Span::Whole => b"",
            Span::Under(path) | Span::One(path) => path,
        }
    }

    /// Whether it holds the path; from its start on it holds all up to its end.
    pub(super) fn holds(&self, path: &[u8]) -> bool {
        match &self.span {
            Span::Whole => true,
            Span::Under(folder) => path.starts_with(folder),
            Span::One(one) => path == one,
        }
    }

    /// A path of the resource, in the layout.
    pub(super) fn layout_path(&self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() { self.layout.clone() } else { [&self.layout, path].join(&b'/') }
    }

    /// Where the resource goes beneath the target; empty for the target itself.
    pub(super) fn place_of_resource(&self) -> &[u8] {
        self.layout.get(self.strip..).unwrap_or_default()
    }

    /// Where an entry goes beneath the target, without a trailing `/`; empty for the target itself.
    pub(super) fn place(&self, entry: &Entry, last: Last) -> Vec<u8> {
        let place = self.unspelled(entry);
        let is_local = matches!(entry.metadata, Metadata::Posix(_));
        match last {
            Last::AsItIs if is_local || !place.split(|&byte| byte == b'/').any(must_escape) => place,
            _ => spell(&place, last),
        }
    }

    /// The same with every name as the snapshot has it.
    pub(super) fn unspelled(&self, entry: &Entry) -> Vec<u8> {
        let layout = self.layout_path(entry.path.as_bytes());
        let is_folder = entry.kind == EntryKind::Directory;
        let path = if is_folder { layout.strip_suffix(b"/").unwrap_or(&layout) } else { &layout[..] };
        let mut place = path.get(self.strip..).unwrap_or_default();
        if place.is_empty() && !is_folder {
            place = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        }
        place.to_vec()
    }
}

/// Folder and name of a place.
pub(super) fn split(place: &[u8]) -> (&[u8], &[u8]) {
    match place.iter().rposition(|&byte| byte == b'/') {
        // An empty name in front stays where it is seen: a folder's path may end in one slash, not in two.
        Some(slash) if slash == 0 || place[slash - 1] == b'/' => (&place[..=slash], &place[slash + 1..]),
        Some(slash) => (&place[..slash], &place[slash + 1..]),
        None => (b"", place),
    }
}
