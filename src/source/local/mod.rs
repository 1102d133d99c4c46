//! Local files: a directory of this machine as one resource.
//!
//! [`walk::walk`] lists a root in path order; [`listed::Listed`] is what it yields and opens; [`read::OpenFile`]
//! reads content with its holes; `metadata` and `attributes` know what else a file system keeps. Every call goes
//! by directory descriptor and one name, never by a whole path, so depth and length have no limit but the format's.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::entry::EntryPath;
use crate::platform::Ways;
use crate::resource::{Gap, Resource, escape_path};
use crate::source::local::exclude::Excludes;

pub mod attributes;
pub mod directory;
pub mod exclude;
pub mod listed;
pub(crate) mod listing;
pub mod metadata;
pub mod read;
mod schedule;
pub mod stat;
pub mod stdin;
pub mod walk;

/// A directory (or a single file) to capture, and what of it.
#[derive(Clone, Debug)]
pub struct LocalRoot {
    /// Where it is; followed if it is itself a symbolic link to a directory.
    pub path: PathBuf,
    /// What to leave out.
    pub excludes: Excludes,
    /// Whether mounted file systems are entered.
    pub file_systems: FileSystems,
    /// Which system calls may be used.
    pub ways: Ways,
}

impl LocalRoot {
    /// All of a root, mounted file systems included.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), excludes: Excludes::none(), file_systems: FileSystems::All, ways: Ways::Native }
    }
}

/// Whether mounted file systems are entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileSystems {
    /// All that is mounted below the root.
    #[default]
    All,
    /// Only that of the root; a mount point is kept as an empty directory.
    One,
}

/// Something of a local root that could not be had. Paths are inside the resource.
#[derive(Debug, Error)]
pub enum LocalError {
    /// The root itself cannot be opened.
    #[error("cannot open {path:?}")]
    Root {
        /// The root as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was listed and is not there any more.
    #[error("{path} vanished while reading")]
    Vanished {
        /// Where it was.
        path: EntryPath,
    },
    /// Something else stands in its place now. [`listed::Listed::refresh`] tells what.
    #[error("{path} was replaced after it was listed")]
    Replaced {
        /// Where it stands.
        path: EntryPath,
    },
    /// Only regular files have content to open.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// Where it stands.
        path: EntryPath,
    },
    /// The system refused.
    #[error("cannot {action} {path}")]
    System {
        /// What was attempted (`open`, `read`, `list`).
        action: &'static str,
        /// On what.
        path: EntryPath,
        /// Why it failed.
        source: io::Error,
    },
}

impl LocalError {
    /// The same as a snapshot record keeps it.
    pub fn gap(&self) -> Gap {
        let (path, action, reason) = match self {
            LocalError::Root { source, .. } => (&EntryPath::ROOT, "open", source.to_string()),
            LocalError::Vanished { path } => (path, "open", "vanished while reading".to_owned()),
            LocalError::Replaced { path } => (path, "open", "replaced after it was listed".to_owned()),
            LocalError::NotAFile { path } => (path, "open", "not a regular file".to_owned()),
            LocalError::System { action, path, source } => (path, *action, source.to_string()),
        };
        Gap { path: escape_path(path.as_bytes()), action: action.to_owned(), reason, ..Gap::default() }
    }
}

/// The resource of a local root: `local/` and its absolute path, symbolic links as they are.
///
/// Fails only where the current directory is needed and cannot be told.
pub fn resource_of(root: &Path) -> io::Result<Resource> {
    let mut path = b"local".to_vec();
    for name in absolute(root)?.components().filter_map(name_of) {
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
    }
    Ok(Resource { source: "local", path, attributes: BTreeMap::new() })
}

/// Splits roots into those to walk, sorted, and those that lie in (or equal) one of them, each with the one it lies in.
///
/// Where file systems are not crossed, the caller must not drop roots that are mount points.
pub fn drop_nested(roots: &[PathBuf]) -> io::Result<(Vec<PathBuf>, Vec<Nested>)> {
    let mut sorted = roots.iter().map(|root| Ok((absolute(root)?, root))).collect::<io::Result<Vec<_>>>()?;
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    let mut kept: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut nested = Vec::new();
    for (place, root) in sorted {
        match kept.iter().find(|(outer, _)| place.starts_with(outer)) {
            Some((_, outer)) => nested.push(Nested { root: root.clone(), lies_in: outer.clone() }),
            None => kept.push((place, root.clone())),
        }
    }
    Ok((kept.into_iter().map(|(_, root)| root).collect(), nested))
}

/// A root that another one holds already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// The root, as it was given.
    pub root: PathBuf,
    /// The root it lies in, as it was given.
    pub lies_in: PathBuf,
}

/// Absolute and without `.` and `..`, by its text alone.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let whole = if path.is_absolute() { path.to_owned() } else { std::env::current_dir()?.join(path) };
    let mut normal = PathBuf::from("/");
    for component in whole.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(normal)
}

fn name_of(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}
