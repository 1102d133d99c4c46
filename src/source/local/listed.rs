//! One listed entry: what stands at a path, and how to open it safely later.
//!
//! It is opened by its name in its directory, without following links or waiting for a fifo's writer, and is
//! compared with what was listed before a byte of it is used.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use crate::entry::{ChangeToken, EntryKind, EntryPath, PosixMetadata, Timestamp};
use crate::source::local::LocalError;
use crate::source::local::attributes::{self, Attributes};
use crate::source::local::directory::Directory;
use crate::source::local::listing::stat_at;
use crate::source::local::metadata::OwnerNames;
use crate::source::local::read::OpenFile;
use crate::source::local::stat::{FileStat, FileType};

/// Something that stood at a path when it was listed.
#[derive(Clone)]
pub struct Listed {
    /// Its path in the resource; a directory's ends with `/`, the root's is empty.
    pub path: EntryPath,
    /// What the system told of it.
    pub stat: FileStat,
    directory: Arc<Directory>,
}

impl Listed {
    /// `path` must be that of a name in `directory`, or empty for the root of the walk.
    pub(crate) fn new(path: EntryPath, stat: FileStat, directory: Arc<Directory>) -> Self {
        Self { path, stat, directory }
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        self.stat.file_type()
    }

    /// What it is in the words of the format. Reads a symbolic link's target; a file of no known kind is an error.
    pub fn kind(&self) -> Result<EntryKind, LocalError> {
        let major = rustix::fs::major(self.stat.device_number as rustix::fs::Dev);
        let minor = rustix::fs::minor(self.stat.device_number as rustix::fs::Dev);
        match self.file_type() {
            FileType::File => Ok(EntryKind::File),
            FileType::Directory => Ok(EntryKind::Directory),
            FileType::Symlink => self.target().map(EntryKind::Symlink),
            FileType::BlockDevice => Ok(EntryKind::BlockDevice { major, minor }),
            FileType::CharacterDevice => Ok(EntryKind::CharacterDevice { major, minor }),
            FileType::Fifo => Ok(EntryKind::Fifo),
            FileType::Socket => Ok(EntryKind::Socket),
            FileType::Unknown => Err(self.error("list", io::Error::from(Errno::NOTSUP))),
        }
    }

    /// Opens a regular file for reading, if it is still the one that was listed.
    ///
    /// Errors are [`LocalError::NotAFile`], [`LocalError::Vanished`], [`LocalError::Replaced`] and what the system refuses.
    pub fn open(&self) -> Result<OpenFile, LocalError> {
        if self.file_type() != FileType::File {
            return Err(LocalError::NotAFile { path: self.path.clone() });
        }
        let file = self.directory.open(self.name(), &self.stat).map_err(|error| self.error("open", error))?;
        let stat = FileStat::from(rustix::fs::fstat(&file).map_err(|error| self.error("open", error.into()))?);
        if stat.identity != self.stat.identity || stat.file_type() != FileType::File {
            return Err(LocalError::Replaced { path: self.path.clone() });
        }
        Ok(OpenFile::new(self.path.clone(), file, stat))
    }

    /// Asks again what stands at the path, after [`LocalError::Replaced`].
    ///
    /// Remains replaced where a directory became something else or something else a directory: its place in path
    /// order would be another.
    pub fn refresh(&mut self) -> Result<(), LocalError> {
        let descriptor = self.directory.descriptor().map_err(|error| self.error("open", error))?;
        let stat = stat_at(&descriptor, self.name()).map_err(|error| self.error("stat", error.into()))?;
        if (stat.file_type() == FileType::Directory) != (self.file_type() == FileType::Directory) {
            return Err(LocalError::Replaced { path: self.path.clone() });
        }
        self.stat = stat;
        Ok(())
    }

    /// Its metadata as it was listed, without extended attributes and link group.
    pub fn posix_metadata(&self, names: &OwnerNames) -> PosixMetadata {
        self.stat.posix_metadata(names)
    }

    /// Extended attributes of something that is not opened for its content; [`OpenFile::attributes`] costs less for what is.
    pub fn attributes(&self) -> Result<Attributes, LocalError> {
        let descriptor = self.directory.descriptor().map_err(|error| self.error("open", error))?;
        match attributes::of_name(&descriptor, self.name(), &self.stat) {
            Ok(Some(attributes)) => Ok(attributes),
            Ok(None) => Err(LocalError::Replaced { path: self.path.clone() }),
            Err(error) => Err(self.error("read attributes", error)),
        }
    }

    /// See [`FileStat::change_token`].
    pub fn change_token(&self, read_started: Timestamp) -> Option<ChangeToken> {
        self.stat.change_token(read_started)
    }

    fn name(&self) -> &[u8] {
        let path = self.path.as_bytes();
        let path = path.strip_suffix(b"/").unwrap_or(path);
        match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => &path[slash + 1..],
            None if path.is_empty() => self.directory.name().to_bytes(),
            None => path,
        }
    }

    fn target(&self) -> Result<Vec<u8>, LocalError> {
        let descriptor = self.directory.descriptor().map_err(|error| self.error("open", error))?;
        match rustix::fs::readlinkat(&descriptor, self.name(), Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            Err(error) => Err(self.error("read link", error.into())),
        }
    }

    fn error(&self, action: &'static str, source: io::Error) -> LocalError {
        error_at(self.path.clone(), action, source)
    }
}

/// What an error of the system means for something that was there when it was listed.
pub(crate) fn error_at(path: EntryPath, action: &'static str, source: io::Error) -> LocalError {
    match Errno::from_io_error(&source) {
        Some(Errno::NOENT) => LocalError::Vanished { path },
        // A link, a socket, a file where a directory was, another directory, or no link where one was.
        Some(Errno::LOOP | Errno::NXIO | Errno::NOTDIR | Errno::STALE) => LocalError::Replaced { path },
        Some(Errno::INVAL) if action == "read link" => LocalError::Replaced { path },
        _ => LocalError::System { action, path, source },
    }
}

const _: () = assert!(size_of::<Listed>() <= 136, "a million of them should fit where a walk is held in memory");
