//! What a tree is at one moment, read with nothing of the program's own: the model that restores are held against.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One thing of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    mode: u32,
    modified: (i64, i64),
    content: Content,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path of its group of hard links.
    first: Vec<u8>,
}

/// What it holds.
#[derive(Clone, PartialEq, Eq)]
enum Content {
    Folder,
    File(Vec<u8>),
    Link(Vec<u8>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder => f.write_str("folder"),
            Self::File(bytes) => write!(f, "{} bytes, {}", bytes.len(), &blake3::hash(bytes).to_hex()[..8]),
            Self::Link(target) => write!(f, "link to {}", String::from_utf8_lossy(target)),
        }
    }
}

/// Every thing of a tree by its path, the root among them.
pub(crate) type Picture = BTreeMap<Vec<u8>, Thing>;

/// The tree as it is now.
pub(crate) fn picture(root: &Path) -> Picture {
    let mut paths = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        if fs::symlink_metadata(&path).expect("status").is_dir() {
            waiting.extend(fs::read_dir(&path).expect("listing").map(|entry| entry.expect("entry").path()));
        }
        paths.push(path);
    }
    paths.sort();
    let mut groups = HashMap::new();
    let mut picture = Picture::new();
    for path in paths {
        let status = fs::symlink_metadata(&path).expect("status");
        let inside = path.strip_prefix(root).expect("it is inside").as_os_str().as_bytes().to_vec();
        let content = if status.is_dir() {
            Content::Folder
        } else if status.is_symlink() {
            Content::Link(fs::read_link(&path).expect("link").as_os_str().as_bytes().to_vec())
        } else {
            Content::File(fs::read(&path).expect("content"))
        };
        let names = xattr::list(&path).into_iter().flatten();
        let own = names.filter(|name| name.as_bytes().starts_with(b"user."));
        let attributes = own
            .map(|name| (name.as_bytes().to_vec(), xattr::get(&path, &name).expect("attribute").unwrap_or_default()))
            .collect();
        let first = groups.entry(status.ino()).or_insert_with(|| inside.clone()).clone();
        let modified = (status.mtime(), status.mtime_nsec());
        picture.insert(inside, Thing { mode: status.mode(), modified, content, attributes, first });
    }
    picture
}

/// The first thing in which two pictures differ.
pub(crate) fn difference(expected: &Picture, actual: &Picture) -> Option<String> {
    let paths = expected.keys().chain(actual.keys());
    let path = paths.filter(|path| expected.get(*path) != actual.get(*path)).min()?;
    let name = String::from_utf8_lossy(path);
    Some(format!("{name:?} is {:?}, not {:?}", actual.get(path), expected.get(path)))
}
