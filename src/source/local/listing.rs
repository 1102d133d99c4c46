//! The names in one directory, sorted as paths are: a directory's name counts as if it ended with `/`.
//!
//! Names stand one after another in one buffer, each ended by a zero byte as system calls want it; what is
//! sorted is a small record that mostly decides by its first eight bytes. Nothing is allocated per name.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::platform::Ways;
use crate::source::local::stat::{FileStat, FileType};

/// Bytes asked of the system at once.
#[cfg(target_os = "linux")]
const READ_SIZE_BYTES: usize = 64 * 1024;

/// The names in a directory.
#[derive(Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    names: Vec<Name>,
}

/// Where one name stands, and what decides its place.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    /// First eight bytes of the name as it counts, so that most comparisons need no more.
    prefix: u64,
    start: u32,
    length: u16,
    /// What the directory says it is; a later `fstatat` may say otherwise.
    pub(crate) is_directory: bool,
}

impl Names {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name at a place in path order.
    pub(crate) fn at(&self, index: usize) -> Name {
        self.names[index]
    }

    /// Its bytes and the zero byte after them.
    pub(crate) fn text(&self, name: Name) -> &CStr {
        let start = name.start as usize;
        CStr::from_bytes_with_nul(&self.bytes[start..=start + usize::from(name.length)])
            .expect("because every name was pushed as a C string")
    }

    /// Memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.capacity() + self.names.capacity() * size_of::<Name>()
    }

    /// Replaces these names by those in `directory`, sorted, without `.` and `..`, each once.
    pub(crate) fn read(&mut self, directory: &OwnedFd, buffer: &mut Vec<u8>, ways: Ways) -> io::Result<()> {
        self.bytes.clear();
        self.names.clear();
        match ways {
            #[cfg(target_os = "linux")]
            Ways::Native => self.read_raw(directory, buffer)?,
            _ => self.read_portable(directory, buffer)?,
        }
        let bytes = &self.bytes;
        self.names.sort_unstable_by(|left, right| compare(bytes, *left, *right));
        // A directory that changes while it is read may show a name twice.
        self.names.dedup_by(|left, right| compare(bytes, *left, *right) == Ordering::Equal);
        Ok(())
    }

    /// Keeps the names that `keep` says; their order stays.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&CStr, Name) -> bool) {
        let mut names = std::mem::take(&mut self.names);
        names.retain(|name| keep(self.text(*name), *name));
        self.names = names;
    }

    /// The name that is exactly this and not a directory.
    pub(crate) fn find_file(&self, wanted: &CStr) -> Option<Name> {
        self.find(wanted, false)
    }

    /// The name that is exactly this and a directory.
    pub(crate) fn find_directory(&self, wanted: &CStr) -> Option<Name> {
        self.find(wanted, true)
    }

    fn find(&self, wanted: &CStr, is_directory: bool) -> Option<Name> {
        let wanted = wanted.to_bytes();
        let order = |name: &Name| compare_keys(self.key(*name), (wanted, is_directory));
        self.names.binary_search_by(order).ok().map(|index| self.names[index])
    }

    #[cfg(target_os = "linux")]
    fn read_raw(&mut self, directory: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        buffer.reserve(READ_SIZE_BYTES);
        let mut entries = rustix::fs::RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => self.push(directory, entry.file_name(), entry.file_type())?,
                Err(Errno::INTR) => {}
                // The directory was removed after it was opened: nothing is in it.
                Err(Errno::NOENT) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_portable(&mut self, directory: &OwnedFd, _buffer: &mut Vec<u8>) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            match entry {
                Ok(entry) => self.push(directory, entry.file_name(), entry.file_type())?,
                Err(Errno::NOENT) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn push(&mut self, directory: &OwnedFd, name: &CStr, file_type: rustix::fs::FileType) -> io::Result<()> {
        let text = name.to_bytes();
        if matches!(text, b"." | b"..") {
            return Ok(());
        }
        let is_directory = match FileType::from(file_type) {
            FileType::Unknown => match stat_at(directory, name) {
                Ok(stat) => stat.file_type() == FileType::Directory,
                Err(_) => false,
            },
            known => known == FileType::Directory,
        };
        let too_long = |_| io::Error::from(Errno::OVERFLOW);
        let start = u32::try_from(self.bytes.len()).map_err(too_long)?;
        let length = u16::try_from(text.len()).map_err(too_long)?;
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
        self.names.push(Name { prefix: prefix(text, is_directory), start, length, is_directory });
        Ok(())
    }

    fn key(&self, name: Name) -> (&[u8], bool) {
        key(&self.bytes, name)
    }
}

/// One `fstatat` that follows nothing.
pub(crate) fn stat_at(directory: impl AsFd, name: impl Arg + Copy) -> Result<FileStat, Errno> {
    loop {
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => return Ok(stat.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn prefix(text: &[u8], is_directory: bool) -> u64 {
    let mut first = [0; 8];
    let length = text.len().min(8);
    first[..length].copy_from_slice(&text[..length]);
    if is_directory && length < 8 {
        first[length] = b'/';
    }
    u64::from_be_bytes(first)
}

fn key(bytes: &[u8], name: Name) -> (&[u8], bool) {
    let start = name.start as usize;
    (&bytes[start..start + usize::from(name.length)], name.is_directory)
}

fn compare(bytes: &[u8], left: Name, right: Name) -> Ordering {
    left.prefix.cmp(&right.prefix).then_with(|| compare_keys(key(bytes, left), key(bytes, right)))
}

/// Compares names that count as ended with `/` where they are directories.
fn compare_keys((left, left_slash): (&[u8], bool), (right, right_slash): (&[u8], bool)) -> Ordering {
    let common = left.len().min(right.len());
    left[..common].cmp(&right[..common]).then_with(|| {
        let rest = |text: &[u8], slash: bool| text.get(common).copied().or(slash.then_some(b'/'));
        // A name holds no `/`, so where one goes on after the other's `/` they already differ.
        rest(left, left_slash).cmp(&rest(right, right_slash))
    })
}
