//! Opening things beneath a folder so that no path leads out of it, whatever it says and whoever swaps links meanwhile.
//!
//! Linux does it in one call (`openat2` with `RESOLVE_BENEATH`); elsewhere, and where a sandbox forbids that call, each
//! level is opened by itself without following links. A path is checked before any system call: it has no empty, `.` or
//! `..` name, no zero byte and no leading `/`. Policy (what to create, what to replace) is the caller's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use thiserror::Error;

use super::Ways;

/// Paths longer than this are opened level by level: systems take at most 4,096 bytes in one call.
const PATH_LENGTH_MAX: usize = 4000;

/// Why a name or path may not be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A name without a byte in it (`a//b`, or no path where one is needed).
    #[error("it has an empty name")]
    Empty,
    /// `.` or `..`.
    #[error("it has a name of only dots, which means another folder")]
    Dots,
    /// A `/` where one name is expected, or in front of a path.
    #[error("it is absolute, or has a slash within a name")]
    Slash,
    /// A zero byte, which would end the name early.
    #[error("it has a zero byte")]
    Nul,
}

/// What opening beneath a folder can end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BeneathError {
    /// The path was refused before the system was asked.
    #[error("the path is refused")]
    Refused(#[from] Refusal),
    /// What the system said; a link on the way is `ELOOP` or `ENOTDIR`.
    #[error("the system refused")]
    System(#[from] Errno),
}

/// Accepts a single name that stays in its folder.
pub fn check_name(name: &[u8]) -> Result<(), Refusal> {
    match name {
        b"" => Err(Refusal::Empty),
        b"." | b".." => Err(Refusal::Dots),
        _ if name.contains(&b'/') => Err(Refusal::Slash),
        _ if name.contains(&0) => Err(Refusal::Nul),
        _ => Ok(()),
    }
}

/// Accepts a relative path of good names, and gives it back without the one `/` it may end with.
///
/// The empty path, which is the folder itself, is accepted.
pub fn check_path(path: &[u8]) -> Result<&[u8], Refusal> {
    if path.is_empty() {
        return Ok(path);
    }
    if path[0] == b'/' {
        return Err(Refusal::Slash);
    }
    let path = path.strip_suffix(b"/").unwrap_or(path);
    for name in path.split(|&byte| byte == b'/') {
        check_name(name)?;
    }
    Ok(path)
}

/// Opens `path` beneath `directory` without following any link, the last one included.
///
/// `flags` are those of `open`; close-on-exec and no-follow are added. A path that ends in a link gives `ELOOP`, a link
/// or a file on the way `ELOOP` or `ENOTDIR`. The empty path opens the folder anew.
pub fn open_beneath(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    ways: Ways,
) -> Result<OwnedFd, BeneathError> {
    let path = check_path(path)?;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if path.is_empty() {
        return Ok(openat(directory, c".", flags, mode)?);
    }
    if !path.contains(&b'/') {
        return Ok(openat(directory, path, flags, mode)?);
    }
    #[cfg(target_os = "linux")]
    if ways == Ways::Native && path.len() <= PATH_LENGTH_MAX {
        match native::open(directory, path, flags, mode) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::AGAIN) => {}
            answer => return Ok(answer?),
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (ways, PATH_LENGTH_MAX);
    level_by_level(directory, path, flags, mode)
}

/// The portable way: every level but the last is opened as a folder that is not a link.
fn level_by_level(directory: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, BeneathError> {
    let through = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut reached: Option<OwnedFd> = None;
    let mut rest = path;
    while let Some(end) = rest.iter().position(|&byte| byte == b'/') {
        let from = reached.as_ref().map_or(directory, OwnedFd::as_fd);
        reached = Some(openat(from, &rest[..end], through, Mode::empty())?);
        rest = &rest[end + 1..];
    }
    let from = reached.as_ref().map_or(directory, OwnedFd::as_fd);
    Ok(openat(from, rest, flags, mode)?)
}

#[cfg(target_os = "linux")]
mod native {
    //! The call that only Linux has.

    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    /// Set once the kernel has said that it does not know the call, so that it is not asked for every path.
    static UNKNOWN: AtomicBool = AtomicBool::new(false);

    pub(super) fn open(directory: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        if UNKNOWN.load(Ordering::Relaxed) {
            return Err(Errno::NOSYS);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let answer = openat2(directory, path, flags, mode, resolve);
        if matches!(answer, Err(Errno::NOSYS)) {
            UNKNOWN.store(true, Ordering::Relaxed);
        }
        answer
    }
}
