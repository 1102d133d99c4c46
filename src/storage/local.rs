//! A store in a folder of a file system.
//!
//! A put writes a temporary file beside its target, flushes it, gives it its name unless that is taken, and flushes the
//! folder and every folder above that this process has not flushed yet. All paths are walked from the root's
//! descriptor, one part at a time, and never through a symbolic link. The calls themselves are in `platform::durable`.

use std::collections::HashSet;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::{Errno, pread, retry_on_intr, write};

use crate::platform::Ways;
use crate::platform::durable::{Publication, Published, publish, sync_file, sync_folder};
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{Attempt, ByteRange, Put, Storage, StorageError, StorageErrorKind, StoredObject};

const TEMPORARY: &str = ".tmp-";
/// A temporary file this old is taken for a dead writer's. Should he live, he finds it gone and writes another.
const TEMPORARY_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
// NONBLOCK, or a fifo planted under the name of an object would stop the reader for ever.
const OBJECT: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Objects as files below one folder. Files have mode 0600, folders 0700.
#[derive(Debug)]
pub struct LocalStorage {
    path: PathBuf,
    root: OwnedFd,
    ways: Ways,
    /// Folders (`packs/3f`) whose own entry was flushed by this process.
    settled: Mutex<HashSet<String>>,
    /// Folders this process has put something in, and cleared of dead writers' temporary files before.
    swept: Mutex<HashSet<String>>,
    /// Drawn once, so that temporary files of two processes never meet; the counter keeps those of one apart.
    writer: u64,
    temporaries: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Fail,
}

/// Why an attempt to write an object failed, and whether another file may fare better.
enum WriteFailure {
    /// The temporary file cannot be relied on; the bytes have to be written to another one.
    Spoilt(io::Error),
    /// Another file would fail alike.
    Final(io::Error),
}

/// Takes a folder, its path and what it holds.
type Visit<'a> = dyn FnMut(BorrowedFd<'_>, &str, &[FolderEntry]) -> io::Result<()> + 'a;

impl LocalStorage {
    /// Opens the store in an existing folder.
    pub fn open(path: &Path, ways: Ways) -> Result<Self, StorageError> {
        let attempt = || {
            // The folder itself may be reached through a link: that is the user's own word.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))?;
            let writer = getrandom::u64().map_err(io::Error::other)?;
            Ok::<_, io::Error>((root, writer))
        };
        let (root, writer) = attempt().map_err(|error| cannot_open(path, error))?;
        let (settled, swept, temporaries) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Ok(Self { path: path.to_owned(), root, ways, settled, swept, writer, temporaries })
    }

    /// Opens the store in a folder that is created, with those above it, where it does not exist.
    pub fn create(path: &Path, ways: Ways) -> Result<Self, StorageError> {
        create_folders(path, ways).map_err(|error| cannot_open(path, error))?;
        Self::open(path, ways)
    }

    /// Walks from the root to a folder. What it creates on the way is not flushed.
    fn folder(&self, path: &str, missing: Missing) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return open_in(self.root.as_fd(), ".", FOLDER);
        }
        let mut folder = None;
        for part in path.split('/') {
            let parent = folder.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            folder = Some(match open_in(parent, part, FOLDER) {
                Err(Errno::NOENT) if missing == Missing::Create => {
                    match retry_on_intr(|| mkdirat(parent, part, Mode::RWXU)) {
                        Ok(()) | Err(Errno::EXIST) => open_in(parent, part, FOLDER)?,
                        Err(error) => return Err(error),
                    }
                }
                opened => opened?,
            });
        }
        Ok(folder.expect("because a path that is not empty has a part"))
    }

    fn put(&self, name: &ObjectName, content: &[u8]) -> io::Result<Put> {
        let (folder_path, file) = name.folder_and_file();
        let folder = self.folder(folder_path, Missing::Create)?;
        if lock(&self.swept).insert(folder_path.to_owned()) {
            remove_stale_temporaries(folder.as_fd());
        }
        let put = match self.write_and_publish(folder.as_fd(), file, content) {
            Err(WriteFailure::Spoilt(_)) => self.write_and_publish(folder.as_fd(), file, content),
            written => written,
        };
        let put = match put {
            Ok(Published::Created) => Put::Created,
            Ok(Published::Exists) => Put::Exists,
            Err(WriteFailure::Spoilt(error) | WriteFailure::Final(error)) => {
                // On a full disk nothing new can be written, but what is there is there.
                let full = StorageErrorKind::from(&error) == StorageErrorKind::NoSpace;
                let taken = full && statat(&folder, file, AtFlags::SYMLINK_NOFOLLOW).is_ok();
                if taken { Put::Exists } else { return Err(error) }
            }
        };
        if put == Put::Exists {
            // Whoever gave it its name may have died before he flushed it.
            sync_file(open_in(folder.as_fd(), file, OBJECT)?.as_fd(), self.ways)?;
        }
        sync_folder(folder.as_fd(), self.ways)?;
        self.settle_path(folder_path)?;
        Ok(put)
    }

    fn write_and_publish(&self, folder: BorrowedFd<'_>, name: &str, content: &[u8]) -> Result<Published, WriteFailure> {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}{:016x}-{number}", self.writer);
        let mode = Mode::RUSR | Mode::WUSR;
        let file = retry_on_intr(|| openat(folder, &temporary, NEW_FILE, mode))
            .map_err(|error| WriteFailure::Final(error.into()))?;
        let published = write_all(file.as_fd(), content)
            .map_err(WriteFailure::Final)
            .and_then(|()| sync_file(file.as_fd(), self.ways).map_err(WriteFailure::Spoilt))
            .and_then(|()| {
                publish(&Publication { folder, temporary: &temporary, name }, self.ways).map_err(|error| {
                    match error.kind() {
                        // Cleared away as a dead writer's, while this one slept for more than a day.
                        io::ErrorKind::NotFound => WriteFailure::Spoilt(error),
                        _ => WriteFailure::Final(error),
                    }
                })
            });
        if !matches!(published, Ok(Published::Created)) {
            // Best effort: what stays is never listed, and cleared away after a day.
            let _ = retry_on_intr(|| unlinkat(folder, &temporary, AtFlags::empty()));
        }
        published
    }

    fn is_settled(&self, folder_path: &str) -> bool {
        lock(&self.settled).contains(folder_path)
    }

    /// Flushes the entries of a folder and of those above it, unless this process did so before.
    ///
    /// It comes last in a put: by then the journal has written the new folder with the file, and little is left to flush.
    fn settle_path(&self, folder_path: &str) -> io::Result<()> {
        if folder_path.is_empty() || self.is_settled(folder_path) {
            return Ok(());
        }
        let parent_path = folder_path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.settle_path(parent_path)?;
        let parent = self.folder(parent_path, Missing::Fail)?;
        // One flush settles all that is there by now, so they are noted before it.
        let folders = entries(parent.as_fd())?.into_iter().filter(|entry| entry.file_type == FileType::Directory);
        let separator = if parent_path.is_empty() { "" } else { "/" };
        let paths: Vec<_> = folders.map(|entry| format!("{parent_path}{separator}{}", entry.name)).collect();
        sync_folder(parent.as_fd(), self.ways)?;
        let mut settled = lock(&self.settled);
        settled.extend(paths);
        settled.insert(folder_path.to_owned());
        Ok(())
    }

    fn read(&self, name: &ObjectName, range: ByteRange) -> io::Result<Bytes> {
        let (folder_path, file) = name.folder_and_file();
        let folder = self.folder(folder_path, Missing::Fail)?;
        let file = open_in(folder.as_fd(), file, OBJECT)?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file"));
        }
        let too_short = |size: u64| io::Error::new(io::ErrorKind::UnexpectedEof, format!("it has {size} bytes"));
        let size = size_of(&stat);
        let range = range.within(size).ok_or_else(|| too_short(size))?;
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut content = Vec::new();
        content.try_reserve_exact(length)?;
        while content.len() < length {
            let position = range.start + content.len() as u64;
            // The capacity may be more than was asked for; bytes beyond the range are cut off below.
            if retry_on_intr(|| pread(&file, spare_capacity(&mut content), position))? == 0 {
                return Err(too_short(position));
            }
        }
        content.truncate(length);
        Ok(Bytes::from(content))
    }

    /// Visits a folder and those below it, deepest last, as far down as objects lie.
    fn walk(&self, folder_path: &str, visit: &mut Visit<'_>) -> io::Result<()> {
        let folder = match self.folder(folder_path, Missing::Fail) {
            Err(Errno::NOENT) => return Ok(()),
            folder => folder?,
        };
        let entries = entries(folder.as_fd())?;
        visit(folder.as_fd(), folder_path, &entries)?;
        let below = if folder_path.is_empty() { String::new() } else { format!("{folder_path}/") };
        if below.matches('/').count() + 1 >= ObjectName::PARTS_MAX {
            return Ok(());
        }
        for entry in entries.iter().filter(|entry| entry.file_type == FileType::Directory) {
            self.walk(&format!("{below}{}", entry.name), visit)?;
        }
        Ok(())
    }

    fn collect(&self, prefix: &Prefix) -> io::Result<Vec<StoredObject>> {
        let mut objects = Vec::new();
        self.walk(prefix.as_str().trim_end_matches('/'), &mut |folder, folder_path, entries| {
            let below = if folder_path.is_empty() { String::new() } else { format!("{folder_path}/") };
            for entry in entries.iter().filter(|entry| entry.file_type == FileType::RegularFile) {
                let Ok(name) = format!("{below}{}", entry.name).parse() else { continue };
                match statat(folder, &entry.name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => objects.push(StoredObject { name, size: size_of(&stat), modified: modified_of(&stat) }),
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })?;
        objects.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn remove(&self, name: &ObjectName) -> Result<(), Errno> {
        let (folder_path, file) = name.folder_and_file();
        let removed = self
            .folder(folder_path, Missing::Fail)
            .and_then(|folder| retry_on_intr(|| unlinkat(&folder, file, AtFlags::empty())));
        match removed {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }

    fn error(&self, attempt: Attempt, name: &str, source: io::Error) -> StorageError {
        let kind = StorageErrorKind::from(&source);
        StorageError { location: self.to_string(), name: name.to_owned(), attempt, kind, source: Some(source) }
    }
}

impl fmt::Display for LocalStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Storage for LocalStorage {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        self.put(name, &content).map_err(|error| self.error(Attempt::Put, name.as_str(), error))
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        self.read(name, range).map_err(|error| self.error(Attempt::Get, name.as_str(), error))
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.collect(prefix).map_err(|error| self.error(Attempt::List, prefix.as_str(), error))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.remove(name).map_err(|error| self.error(Attempt::Delete, name.as_str(), error.into()))
    }

    fn settle(&self, prefix: &Prefix) -> Result<(), StorageError> {
        let path = prefix.as_str().trim_end_matches('/');
        let flush = &mut |folder: BorrowedFd<'_>, _: &str, _: &[FolderEntry]| sync_folder(folder, self.ways);
        // The folder's own entry counts too, but where there is no folder there is nothing to settle.
        self.walk(path, flush)
            .and_then(|()| match self.folder(path, Missing::Fail) {
                Err(Errno::NOENT) => Ok(()),
                _ => self.settle_path(path),
            })
            .map_err(|error| self.error(Attempt::Settle, path, error))
    }
}

/// What a folder holds under a name that an object or a folder of objects may have.
struct FolderEntry {
    name: String,
    file_type: FileType,
}

/// Files and folders whose names may be those of objects; hidden and odd ones are left out.
fn entries(folder: BorrowedFd<'_>) -> io::Result<Vec<FolderEntry>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().ok().filter(|name| name.parse::<ObjectName>().is_ok()) else {
            continue;
        };
        let file_type = match entry.file_type() {
            FileType::Unknown => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            },
            known => known,
        };
        entries.push(FolderEntry { name: name.to_owned(), file_type });
    }
    Ok(entries)
}

/// Best effort: whatever fails here is left to the next writer.
fn remove_stale_temporaries(folder: BorrowedFd<'_>) {
    let Ok(entries) = Dir::read_from(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_bytes().starts_with(TEMPORARY.as_bytes()) {
            continue;
        }
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if modified_of(&stat).elapsed().is_ok_and(|age| age > TEMPORARY_AGE_MAX) {
            let _ = unlinkat(folder, name, AtFlags::empty());
        }
    }
}

/// Creates a folder and those above it; flushes the entry of each new one, and of the last in any case.
fn create_folders(path: &Path, ways: Ways) -> io::Result<()> {
    let mut missing: Vec<_> = path.ancestors().take_while(|folder| !is_here(folder) && !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if missing.is_empty() {
        missing.push(path);
    }
    for folder in missing {
        let parent = match folder.parent() {
            Some(parent) if is_here(parent) => Path::new("."),
            Some(parent) => parent,
            None => continue,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match retry_on_intr(|| openat(CWD, parent, flags, Mode::empty())) {
            Ok(parent) => sync_folder(parent.as_fd(), ways)?,
            // A folder that may be passed through but not read cannot be flushed; whoever made what is in it did so.
            Err(Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a path is the empty one, by which `Path` means the current folder.
fn is_here(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn cannot_open(path: &Path, source: io::Error) -> StorageError {
    let kind = StorageErrorKind::from(&source);
    let location = path.display().to_string();
    StorageError { location, name: String::new(), attempt: Attempt::Open, kind, source: Some(source) }
}

/// A thread that panicked cannot have left a set between two states.
fn lock(paths: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_in(folder: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(folder, name, flags, Mode::empty()))
}

fn write_all(file: BorrowedFd<'_>, mut content: &[u8]) -> io::Result<()> {
    while !content.is_empty() {
        match retry_on_intr(|| write(file, content))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => content = &content[written..],
        }
    }
    Ok(())
}

fn size_of(stat: &Stat) -> u64 {
    unsigned(stat.st_size)
}

fn modified_of(stat: &Stat) -> SystemTime {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = if stat.st_mtime < 0 { SystemTime::UNIX_EPOCH - seconds } else { SystemTime::UNIX_EPOCH + seconds };
    whole + Duration::from_nanos(unsigned(stat.st_mtime_nsec))
}

/// Systems differ in the types of these numbers, none of which is ever negative.
fn unsigned(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}
