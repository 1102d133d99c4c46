//! Which part of which resources a path of the layout means.
//!
//! `local/home` is every resource below it, `local/home/me/site/css` a part of one resource. Paths are raw bytes with no
//! slash at either end; nothing is read here.

use crate::resource::{ResourceRecord, SnapshotRecord, unescape_path};

/// A resource of a snapshot, or what stands at one path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'s> {
    /// The resource.
    pub record: &'s ResourceRecord,
    /// Its folder in the layout, raw bytes.
    pub folder: Vec<u8>,
    /// The path inside it that is meant, without slashes at its ends; `None` for all of it.
    pub inside: Option<Vec<u8>>,
}

/// The parts of a snapshot at or under `path`; empty means all of it.
pub fn parts<'s>(record: &'s SnapshotRecord, path: &[u8]) -> Vec<Part<'s>> {
    let path = trim(path);
    record.resources.iter().filter_map(|resource| part(resource, path)).collect()
}

fn part<'s>(record: &'s ResourceRecord, path: &[u8]) -> Option<Part<'s>> {
    let folder = folder_of(record);
    let inside = if lies_in(&folder, path) {
        None
    } else if lies_in(path, &folder) {
        Some(path[folder.len() + 1..].to_vec())
    } else {
        return None;
    };
    Some(Part { record, folder, inside })
}

/// The folder of a resource in the layout, as raw bytes.
pub fn folder_of(record: &ResourceRecord) -> Vec<u8> {
    unescape_path(&record.path).unwrap_or_else(|| record.path.clone().into_bytes())
}

/// Whether `path` is `folder` or lies below it; everything lies in the empty path.
pub fn lies_in(path: &[u8], folder: &[u8]) -> bool {
    match path.strip_prefix(folder) {
        Some(rest) => folder.is_empty() || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

/// A path without slashes at its ends.
pub fn trim(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(start, |at| at + 1);
    &path[start..end]
}

/// Appends the whole path in the layout of the entry at `path` in the resource at `folder`; folders end in a slash.
pub fn append_layout_path(folder: &[u8], path: &[u8], is_folder: IsFolder, target: &mut Vec<u8>) {
    target.extend_from_slice(folder);
    if !path.is_empty() || is_folder == IsFolder::Yes {
        target.push(b'/');
    }
    target.extend_from_slice(path);
}

/// Whether an entry is a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsFolder {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl IsFolder {
    /// Of an entry.
    pub fn of(entry: &crate::entry::Entry) -> Self {
        if matches!(entry.kind, crate::entry::EntryKind::Directory) { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::{lies_in, trim};

    #[test]
    fn a_path_lies_in_folders_by_whole_names() {
        for (path, folder) in [("a/b", "a"), ("a", "a"), ("a", ""), ("", "")] {
            assert!(lies_in(path.as_bytes(), folder.as_bytes()), "{path} in {folder}");
        }
        for (path, folder) in [("ab", "a"), ("a", "a/b"), ("", "a")] {
            assert!(!lies_in(path.as_bytes(), folder.as_bytes()), "{path} in {folder}");
        }
    }

    #[test]
    fn slashes_at_the_ends_do_not_matter() {
        assert_eq!([trim(b"/a/b//"), trim(b"//"), trim(b"")], [&b"a/b"[..], b"", b""]);
    }
}
