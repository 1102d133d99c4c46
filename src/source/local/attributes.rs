//! Extended attributes, ACLs among them, by descriptor.
//!
//! What cannot be opened for reading (a link, a fifo, a socket, a device) is asked through `/proc/self/fd` and a
//! descriptor that only names it; where there is no such thing, it has none. What a file system or a privilege
//! withholds is named, not an error: the bytes of a file are worth having without its labels.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::entry::Xattr;
use crate::source::local::directory::OPEN_FLAGS;
use crate::source::local::stat::{FileStat, FileType};

/// The extended attributes of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// What could be read, sorted by name.
    pub values: Vec<Attribute>,
    /// Names of those that the system shows but does not give, or that are more than an entry may have.
    pub withheld: Vec<Vec<u8>>,
}

/// One extended attribute, its value whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its full name (`user.comment`, `system.posix_acl_access`).
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Attributes of an open file or directory.
pub(crate) fn of_descriptor(file: impl AsFd) -> io::Result<Attributes> {
    let file = file.as_fd();
    read(|buffer| rustix::fs::flistxattr(file, buffer), |name, buffer| rustix::fs::fgetxattr(file, name, buffer))
}

/// Attributes of a name that is not opened for its content; `None` where something else stands there now.
pub(crate) fn of_name(directory: &OwnedFd, name: &[u8], listed: &FileStat) -> io::Result<Option<Attributes>> {
    let is_listed = |file: &OwnedFd| {
        let stat = FileStat::from(rustix::fs::fstat(file)?);
        Ok::<_, Errno>(stat.identity == listed.identity && stat.file_type() == listed.file_type())
    };
    if matches!(listed.file_type(), FileType::Directory | FileType::File) {
        match rustix::fs::openat(directory, name, OPEN_FLAGS, Mode::empty()) {
            Ok(file) => return if is_listed(&file)? { of_descriptor(&file).map(Some) } else { Ok(None) },
            // One may not read it and still see its labels.
            Err(Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let Some(file) = open_name_only(directory, name)? else { return Ok(Some(Attributes::default())) };
    if !is_listed(&file)? {
        return Ok(None);
    }
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let found =
        read(|buffer| rustix::fs::listxattr(&path, buffer), |name, buffer| rustix::fs::getxattr(&path, name, buffer));
    match found {
        // Without `/proc` there is no way to ask.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Attributes::default())),
        other => other.map(Some),
    }
}

#[cfg(target_os = "linux")]
fn open_name_only(directory: &OwnedFd, name: &[u8]) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Some(rustix::fs::openat(directory, name, flags, Mode::empty())?))
}

#[cfg(not(target_os = "linux"))]
fn open_name_only(_directory: &OwnedFd, _name: &[u8]) -> io::Result<Option<OwnedFd>> {
    Ok(None)
}

type Filled = Result<usize, Errno>;

fn read(
    mut list: impl FnMut(&mut [u8]) -> Filled,
    mut value: impl FnMut(&CStr, &mut [u8]) -> Filled,
) -> io::Result<Attributes> {
    let names = match grow(&mut list) {
        Ok(names) => names,
        // No file system has to know of attributes.
        Err(Errno::NOTSUP) => return Ok(Attributes::default()),
        // Those of the kind that are refused to this user.
        Err(Errno::PERM | Errno::ACCESS) => return Ok(Attributes::default()),
        Err(error) => return Err(error.into()),
    };
    let mut attributes = Attributes::default();
    for name in names.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        match grow(&mut |buffer: &mut [u8]| value(name, buffer)) {
            Ok(value) => attributes.values.push(Attribute { name: name.to_bytes().to_vec(), value }),
            // Removed since it was listed.
            Err(error) if error == NO_ATTRIBUTE => {}
            Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::TOOBIG) => {
                attributes.withheld.push(name.to_bytes().to_vec());
            }
            Err(error) => return Err(error.into()),
        }
    }
    attributes.values.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    let many = attributes.values.len().min(Xattr::COUNT_MAX);
    attributes.withheld.extend(attributes.values.drain(many..).map(|attribute| attribute.name));
    Ok(attributes)
}

#[cfg(target_os = "linux")]
const NO_ATTRIBUTE: Errno = Errno::NODATA;
#[cfg(not(target_os = "linux"))]
const NO_ATTRIBUTE: Errno = Errno::NOATTR;

/// What a call gives, whatever its length; most have nothing or little, which costs one call.
fn grow(call: &mut impl FnMut(&mut [u8]) -> Filled) -> Result<Vec<u8>, Errno> {
    let mut few = [0; 512];
    match call(&mut few) {
        Ok(length) => return Ok(few[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut many = vec![0; 4096];
    loop {
        match call(&mut many) {
            Ok(length) => {
                many.truncate(length);
                return Ok(many);
            }
            Err(Errno::RANGE) if many.len() < 16 * 1024 * 1024 => many.resize(many.len() * 4, 0),
            Err(error) => return Err(error),
        }
    }
}
