//! Making files last: flushing to the medium, and giving a finished file its name unless that is taken.
//!
//! Linux and macOS can rename without replacing, which costs one call; POSIX has hard links, which cost two. macOS needs
//! `F_FULLFSYNC`, for its `fsync` stops at the drive's own cache. The order of the calls is the caller's.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, linkat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::platform::Ways;

/// A finished file and the name it shall get, both in one folder.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The folder.
    pub folder: BorrowedFd<'a>,
    /// Name of the finished file now.
    pub temporary: &'a str,
    /// Name it shall have.
    pub name: &'a str,
}

/// How a publication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The file has its name and no other.
    Created,
    /// The name was taken; the temporary file is still there.
    Exists,
}

/// Flushes a file's bytes to the medium.
///
/// After an error the pages may be dropped and marked clean, so a second call on the same file can succeed without
/// anything having been written: the caller must write the bytes anew to another file.
pub fn sync_file(file: BorrowedFd<'_>, ways: Ways) -> io::Result<()> {
    Ok(flush(file, ways)?)
}

/// Flushes a folder, so that the names in it survive a power cut.
///
/// File systems that cannot flush folders at all say `EINVAL` or `EBADF`; there is nothing to wait for then.
pub fn sync_folder(folder: BorrowedFd<'_>, ways: Ways) -> io::Result<()> {
    match flush(folder, ways) {
        Err(Errno::INVAL | Errno::BADF) => Ok(()),
        flushed => Ok(flushed?),
    }
}

/// Gives a finished file its name, unless that is taken. The folder is not flushed.
///
/// Where the file system has neither primitive the error's kind is `Unsupported`.
pub fn publish(publication: &Publication<'_>, ways: Ways) -> io::Result<Published> {
    match rename_without_replacing(publication, ways) {
        Err(error) if error == Errno::INVAL || is_unknown(error) => {}
        Err(Errno::EXIST) => return Ok(Published::Exists),
        renamed => return Ok(renamed.map(|()| Published::Created)?),
    }
    let Publication { folder, temporary, name } = *publication;
    match retry_on_intr(|| linkat(folder, temporary, folder, name, AtFlags::empty())) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(Published::Exists),
        // Linux says EPERM where the file system has no hard links.
        Err(error) if error == Errno::PERM || error == Errno::MLINK || is_unknown(error) => {
            let lacking = "the file system can neither rename without replacing nor make hard links";
            return Err(io::Error::new(io::ErrorKind::Unsupported, lacking));
        }
        Err(error) => return Err(error.into()),
    }
    // The second name does no harm, and whoever clears away old temporary files removes it.
    let _ = retry_on_intr(|| unlinkat(folder, temporary, AtFlags::empty()));
    Ok(Published::Created)
}

/// Whether a system or a file system says that it does not know a call; two of the three are one number on Linux.
fn is_unknown(error: Errno) -> bool {
    [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&error)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_without_replacing(publication: &Publication<'_>, ways: Ways) -> Result<(), Errno> {
    use rustix::fs::{RenameFlags, renameat_with};
    let Publication { folder, temporary, name } = *publication;
    match ways {
        Ways::Native => retry_on_intr(|| renameat_with(folder, temporary, folder, name, RenameFlags::NOREPLACE)),
        Ways::Portable => Err(Errno::NOSYS),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_without_replacing(_publication: &Publication<'_>, _ways: Ways) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(target_vendor = "apple")]
fn flush(file: BorrowedFd<'_>, ways: Ways) -> Result<(), Errno> {
    if ways == Ways::Native {
        match retry_on_intr(|| rustix::fs::fcntl_fullfsync(file)) {
            // Network and some foreign file systems do not know it.
            Err(error) if error == Errno::INVAL || error == Errno::NOTTY || is_unknown(error) => {}
            flushed => return flushed,
        }
    }
    retry_on_intr(|| rustix::fs::fsync(file))
}

#[cfg(not(target_vendor = "apple"))]
fn flush(file: BorrowedFd<'_>, _ways: Ways) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(file))
}
