//! Files of the target: made under a name that nothing has, written in pieces from any thread, then finished.
//!
//! What stands at the name is never written through, for it may be a link to elsewhere: the new file is made aside and
//! renamed over it when it is whole, so that a restore that fails leaves the old one. Unfinished files are removed.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, ftruncate, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, pwrite};

use super::directory::Directory;
use super::error::{TargetError, TargetWarning};
use super::metadata::{Attribute, Settled, Spot};
use super::{Holes, Overwrite, Target, describe};
use crate::entry::{Metadata, PosixMetadata};
use crate::platform::beneath::check_name;
use crate::resource::escape_path;

/// Zeros are left out in pieces of this many bytes, at multiples of it: what file systems allocate in.
const HOLE_UNIT: usize = 4096;
static ZEROS: [u8; HOLE_UNIT] = [0; HOLE_UNIT];
/// Space is set aside from this size on.
const RESERVE_MIN: u64 = 1 << 20;

/// A file being restored; dropped unfinished it is removed. Pieces may come from several threads and in any order.
#[derive(Debug)]
pub struct TargetFile<'t> {
    target: &'t Target,
    directory: Arc<Directory>,
    name: Box<[u8]>,
    /// Its name until it is finished, where something stood at its own.
    aside: Option<Box<[u8]>>,
    descriptor: OwnedFd,
    settled: Settled,
    holes: HolesHere,
    /// End of all that it is to hold.
    length: AtomicU64,
    /// End of what was truly written.
    written: AtomicU64,
    finished: bool,
}

/// Whether this file gets holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolesHere {
    Made,
    Filled,
}

impl Target {
    /// Makes the file `name`; `metadata` is that which it will be finished with.
    ///
    /// What stands there is replaced when the file is finished, but for folders with things in them and under
    /// [`Overwrite::Never`], which give [`TargetError::InTheWay`].
    pub fn create_file<'t>(
        &'t self,
        directory: &Arc<Directory>,
        name: &[u8],
        metadata: &Metadata,
    ) -> Result<TargetFile<'t>, TargetError> {
        check_name(name).map_err(|refusal| TargetError::refused(&directory.path_of(name), refusal))?;
        let (mode, settled) = self.creation(directory, metadata);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (descriptor, aside) = match openat(directory, name, flags, mode) {
            Ok(descriptor) => (descriptor, None),
            Err(Errno::EXIST) => {
                self.make_replaceable(directory, name)?;
                let aside = self.temporary_name();
                let descriptor = openat(directory, &aside[..], flags, mode)
                    .map_err(|errno| TargetError::system("create", &directory.path_of(name), errno))?;
                (descriptor, Some(aside.into()))
            }
            Err(errno) => return Err(TargetError::system("create", &directory.path_of(name), errno)),
        };
        let captured_with_holes =
            matches!(metadata, Metadata::Posix(posix) if posix.flags & PosixMetadata::SPARSE != 0);
        let holes = captured_with_holes || self.options.holes == Holes::Always;
        Ok(TargetFile {
            target: self,
            directory: directory.clone(),
            name: name.into(),
            aside,
            descriptor,
            settled,
            holes: if holes { HolesHere::Made } else { HolesHere::Filled },
            length: AtomicU64::new(0),
            written: AtomicU64::new(0),
            finished: false,
        })
    }

    /// Sees to it that a rename can replace what stands at `name`, or says why not.
    pub(super) fn make_replaceable(&self, directory: &Directory, name: &[u8]) -> Result<(), TargetError> {
        let status = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(TargetError::system("examine", &directory.path_of(name), errno)),
        };
        self.refuse_collision(directory, name, &status)?;
        let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        let in_the_way =
            || TargetError::InTheWay { path: escape_path(&directory.path_of(name)), found: describe(&status) };
        match self.options.overwrite {
            Overwrite::Never => Err(in_the_way()),
            _ if !is_folder => Ok(()),
            _ => match unlinkat(directory, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {
                    self.directories.forget(&directory.path_of(name));
                    Ok(())
                }
                Err(_) => Err(in_the_way()),
            },
        }
    }
}

impl TargetFile<'_> {
    /// Writes `bytes` at `offset`; in a file with holes, blocks of zeros are left out.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), TargetError> {
        let end = offset.saturating_add(bytes.len() as u64);
        self.length.fetch_max(end, Ordering::Relaxed);
        if self.holes == HolesHere::Filled {
            return self.write_out(bytes, offset);
        }
        let mut rest = bytes;
        let mut position = offset;
        while !rest.is_empty() {
            let zeros = leading_zero_blocks(rest, position);
            rest = &rest[zeros..];
            position += zeros as u64;
            let data = until_zero_block(rest, position);
            self.write_out(&rest[..data], position)?;
            rest = &rest[data..];
            position += data as u64;
        }
        Ok(())
    }

    /// Makes the file hold zeros up to `end` where nothing else is written, without writing any.
    pub fn extend_to(&self, end: u64) {
        self.length.fetch_max(end, Ordering::Relaxed);
    }

    /// Sets space aside for a file of `size` bytes, so that a disk that is too small is found out before it is full.
    ///
    /// Does nothing for small files, files with holes, and where the file system knows no such thing.
    pub fn reserve(&self, size: u64) -> Result<(), TargetError> {
        if size < RESERVE_MIN || self.holes == HolesHere::Made {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            let answer = fallocate(&self.descriptor, FallocateFlags::KEEP_SIZE, 0, size);
            if let Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = answer {
                return Err(self.failed("reserve space for", errno));
            }
        }
        Ok(())
    }

    /// Gives the file its length, owner, attributes, mode and times, and its name where something else had it.
    ///
    /// What could not be given is a warning each. An error leaves what stood there before.
    pub fn finish(
        mut self,
        metadata: &Metadata,
        attributes: &[Attribute<'_>],
    ) -> Result<Vec<TargetWarning>, TargetError> {
        let length = *self.length.get_mut();
        if *self.written.get_mut() < length {
            ftruncate(&self.descriptor, length).map_err(|errno| self.failed("extend", errno))?;
        }
        let spot = Spot { directory: &self.directory, name: &self.name };
        let warnings = self.target.apply_to_file(&spot, &self.descriptor, self.settled, metadata, attributes);
        if let Some(aside) = &self.aside {
            renameat(&self.directory, &aside[..], &self.directory, &self.name[..])
                .map_err(|errno| self.failed("replace", errno))?;
        }
        self.finished = true;
        Ok(warnings)
    }

    fn write_out(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), TargetError> {
        if bytes.is_empty() {
            return Ok(());
        }
        while !bytes.is_empty() {
            match pwrite(&self.descriptor, bytes, offset) {
                Ok(0) => return Err(self.failed("write", Errno::IO)),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.failed("write", errno)),
            }
        }
        self.written.fetch_max(offset, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&self, action: &'static str, errno: Errno) -> TargetError {
        TargetError::system(action, &self.directory.path_of(&self.name), errno)
    }
}

impl Drop for TargetFile<'_> {
    /// Removes what was not finished, unless something else has its name by now.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let name = self.aside.as_deref().unwrap_or(&self.name);
        let (Ok(own), Ok(there)) =
            (fstat(self.descriptor.as_fd()), statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW))
        else {
            return;
        };
        if own.st_ino == there.st_ino && own.st_dev == there.st_dev {
            let _ = unlinkat(&self.directory, name, AtFlags::empty());
        }
    }
}

/// Bytes of whole blocks of zeros at the front, the front being at `position`.
fn leading_zero_blocks(bytes: &[u8], position: u64) -> usize {
    let mut zeros = 0;
    loop {
        let block = &bytes[zeros..(zeros + to_boundary(position + zeros as u64)).min(bytes.len())];
        if block.is_empty() || *block != ZEROS[..block.len()] {
            return zeros;
        }
        zeros += block.len();
    }
}

/// Bytes up to the next whole block of zeros.
fn until_zero_block(bytes: &[u8], position: u64) -> usize {
    let mut data = 0;
    while data < bytes.len() {
        let end = (data + to_boundary(position + data as u64)).min(bytes.len());
        if bytes[data..end] == ZEROS[..end - data] {
            return data;
        }
        data = end;
    }
    data
}

/// Bytes from `position` to the next boundary of blocks.
fn to_boundary(position: u64) -> usize {
    let into = usize::try_from(position % HOLE_UNIT as u64).expect("because a remainder is smaller than its divisor");
    HOLE_UNIT - into
}

/// The mode that a file is made with until its own is set.
pub(super) const UNFINISHED: Mode = Mode::RUSR.union(Mode::WUSR);
