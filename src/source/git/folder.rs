//! Folders of a repository by descriptor: what stands in them, in path order, followed nowhere.

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::entry::EntryPath;
use crate::platform::Ways;
use crate::source::local::LocalError;
use crate::source::local::directory::{DescriptorCache, Directory};
use crate::source::local::listed::{Listed, error_at};
use crate::source::local::listing::{Names, stat_at};
use crate::source::local::read::{OpenFile, Span};
use crate::source::local::stat::{FileStat, FileType};

/// Folders kept open for one root.
const OPEN_MAX: usize = 16;
/// Bytes read at once.
const READ_SIZE: usize = 1 << 20;
/// How often something that was replaced since it was listed is looked at again.
const REFRESHES_MAX: usize = 3;

/// A folder, and where what stands in it stands in the resource.
#[derive(Clone)]
pub(super) struct Folder {
    pub(super) directory: Arc<Directory>,
    /// Its path in the resource, ended by `/` unless it is the root.
    pub(super) path: Vec<u8>,
}

impl Folder {
    /// A folder of this machine, followed if it is a link, as if it stood at `path` of the resource.
    pub(super) fn open(place: &Path, path: &[u8]) -> io::Result<(Self, FileStat)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(place, flags, Mode::empty())?;
        let stat = FileStat::from(rustix::fs::fstat(&descriptor)?);
        let cache = DescriptorCache::new(OPEN_MAX);
        let directory = Directory::root(descriptor, CString::from(c"."), &stat, cache);
        Ok((Self { directory, path: path.to_vec() }, stat))
    }

    /// What it is called by now, in path order.
    pub(super) fn names(&self) -> Result<Names, LocalError> {
        let failed = |error| error_at(EntryPath(self.path.clone()), "list", error);
        let mut names = Names::default();
        let descriptor = self.directory.descriptor().map_err(failed)?;
        // A descriptor that was read from already is at its end.
        rustix::fs::seek(&descriptor, SeekFrom::Start(0)).map_err(|error| failed(error.into()))?;
        names.read(&descriptor, &mut Vec::new(), Ways::Native).map_err(failed)?;
        Ok(names)
    }

    /// The path of a name in it.
    pub(super) fn path_of(&self, name: &CStr, kind: FileType) -> EntryPath {
        let mut path = self.path.clone();
        path.extend_from_slice(name.to_bytes());
        if kind == FileType::Directory {
            path.push(b'/');
        }
        EntryPath(path)
    }

    /// What stands at a name; nothing where it is gone.
    pub(super) fn look(&self, name: &CStr) -> Result<Option<Listed>, LocalError> {
        let path = self.path_of(name, FileType::Unknown);
        if path.as_bytes().len() >= EntryPath::LENGTH_MAX {
            return Err(error_at(path, "list", Errno::NAMETOOLONG.into()));
        }
        let failed = |error| error_at(path.clone(), "stat", error);
        let descriptor = self.directory.descriptor().map_err(failed)?;
        match stat_at(&descriptor, name) {
            Ok(stat) => {
                let path = self.path_of(name, stat.file_type());
                Ok(Some(Listed::new(path, stat, Arc::clone(&self.directory))))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// All that stands in it, but for what is gone by now; what cannot be had goes to `refused`.
    pub(super) fn list(&self, refused: &mut dyn FnMut(&LocalError)) -> Vec<(CString, Listed)> {
        let names = match self.names() {
            Ok(names) => names,
            Err(LocalError::Vanished { .. }) => return Vec::new(),
            Err(error) => {
                refused(&error);
                return Vec::new();
            }
        };
        let mut found = Vec::with_capacity(names.len());
        for name in (0..names.len()).map(|index| names.text(names.at(index))) {
            match self.look(name) {
                Ok(Some(listed)) => found.push((name.to_owned(), listed)),
                Ok(None) | Err(LocalError::Vanished { .. }) => {}
                Err(error) => refused(&error),
            }
        }
        found
    }

    /// What a regular file in it says, if it is no longer than `size_max`.
    pub(super) fn read(&self, name: &CStr, size_max: u64) -> Option<Vec<u8>> {
        let mut listed = self.look(name).ok()??;
        let mut file = open(&mut listed).ok()?;
        (file.stat().size <= size_max).then(|| read_whole(&mut file).ok()).flatten()
    }

    /// A folder in it.
    pub(super) fn enter(&self, name: &CStr, listed: &Listed) -> Self {
        Self { directory: self.directory.child(name, &listed.stat), path: listed.path.as_bytes().to_vec() }
    }
}

/// Opens a regular file as it stands there now, whatever replaced it since it was listed.
pub(super) fn open(listed: &mut Listed) -> Result<OpenFile, LocalError> {
    for _ in 1..REFRESHES_MAX {
        match listed.open() {
            Err(LocalError::Replaced { .. }) => listed.refresh()?,
            outcome => return outcome,
        }
    }
    listed.open()
}

/// Reads a file from where it stands to its end, holes as zeros.
pub(super) fn read_whole(file: &mut OpenFile) -> Result<Vec<u8>, LocalError> {
    let mut bytes = Vec::new();
    loop {
        match file.read_into(&mut bytes, READ_SIZE)? {
            Span::Data(_) => {}
            Span::Hole(length) => bytes.resize(bytes.len() + usize::try_from(length).unwrap_or(0), 0),
            Span::End => return Ok(bytes),
        }
    }
}
