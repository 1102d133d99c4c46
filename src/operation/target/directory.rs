//! Folders of the target, reached by descriptor and made where absent; a few stay open.
//!
//! No link is ever followed on the way. A folder that this run made is known to hold nothing older and to hand down what
//! its parent does, which saves asking. Owner, mode and times come at the very end (`metadata`).

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fchmod, fgetxattr_query, fstat, mkdirat, openat, statat, unlinkat,
};
use rustix::io::Errno;

use super::error::TargetError;
use super::owner::Ownership;
use super::{Birth, Folding, Overwrite, Target, changed, describe};
use crate::codec::hash::digest;
use crate::entry::Timestamp;
use crate::platform::beneath::{check_path, open_beneath};

/// Most folders kept open.
const OPEN_MAX: usize = 64;
/// How many parents are looked for among the open folders, and how many levels of one path are kept open.
const LEVELS_REMEMBERED: usize = 16;
/// How often one level is tried while others keep changing what stands there.
const ATTEMPTS_MAX: usize = 16;
/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder beneath the target.
#[derive(Debug)]
pub struct Directory {
    path: Vec<u8>,
    descriptor: OwnedFd,
    made: Made,
    inherits: Inherits,
}

/// When a folder was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    ThisRun,
    Before,
}

/// What a folder gives to the things made in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherits {
    /// Their owner; `None` where it cannot be foretold.
    pub(super) owner: Option<Ownership>,
    /// Whether they get an ACL.
    pub(super) acl: bool,
}

/// Whether an absent folder is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Made,
    Missed,
}

impl Directory {
    pub(super) fn root(descriptor: OwnedFd, status: &Stat, birth: &Birth) -> Self {
        let inherits = Inherits::observe(&descriptor, status, birth);
        Self { path: Vec::new(), descriptor, made: Made::Before, inherits }
    }

    /// Its path beneath the target, without a trailing `/`; empty for the target itself.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The path of something in it, for messages.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, name].join(&b'/') }
    }

    /// Whether this run made it, so that it holds nothing older.
    pub(super) fn is_fresh(&self) -> bool {
        self.made == Made::ThisRun
    }

    pub(super) fn inherits(&self) -> &Inherits {
        &self.inherits
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Inherits {
    fn observe(descriptor: &OwnedFd, status: &Stat, birth: &Birth) -> Self {
        let mut owner = birth.owner.filter(|_| status.st_dev == birth.device);
        if let Some(owner) = &mut owner
            && status.st_mode & 0o2000 != 0
        {
            owner.group = status.st_gid;
        }
        let acl = fgetxattr_query(descriptor, c"system.posix_acl_default").is_ok();
        Self { owner, acl }
    }
}

impl Target {
    /// The folder at `path` (with or without a trailing `/`; empty for the target itself), made with mode 0700 where
    /// absent, and so each level above it.
    ///
    /// What is no folder stands in the way: removed under [`Overwrite::Always`], else [`TargetError::InTheWay`].
    pub fn directory(&self, path: &[u8]) -> Result<Arc<Directory>, TargetError> {
        self.reach(path, Absent::Made)
    }

    /// The folder at `path` if it is there; nothing is made or removed.
    pub fn existing_directory(&self, path: &[u8]) -> Result<Arc<Directory>, TargetError> {
        self.reach(path, Absent::Missed)
    }

    fn reach(&self, path: &[u8], absent: Absent) -> Result<Arc<Directory>, TargetError> {
        let path = check_path(path).map_err(|refusal| TargetError::refused(path, refusal))?;
        if let Some(directory) = self.directories.find(path) {
            return Ok(directory);
        }
        let mut directory = self.nearest(path);
        let walked = if directory.path.is_empty() { 0 } else { directory.path.len() + 1 };
        let rest = &path[walked..];
        if rest.contains(&b'/')
            && !directory.is_fresh()
            && self.birth.folding == Folding::Exact
            && let Ok(descriptor) = open_beneath(directory.as_fd(), rest, FOLDER, Mode::empty(), self.options.ways)
        {
            let directory = Arc::new(self.examined(path, descriptor)?);
            self.directories.keep(&directory);
            return Ok(directory);
        }
        let mut levels_left = rest.split(|&byte| byte == b'/').count();
        for name in rest.split(|&byte| byte == b'/') {
            directory = Arc::new(self.step(&directory, name, absent)?);
            levels_left -= 1;
            if levels_left < LEVELS_REMEMBERED {
                self.directories.keep(&directory);
            }
        }
        Ok(directory)
    }

    /// The deepest open folder above `path`.
    fn nearest(&self, path: &[u8]) -> Arc<Directory> {
        let mut above = path;
        for _ in 0..LEVELS_REMEMBERED {
            let Some(end) = above.iter().rposition(|&byte| byte == b'/') else { break };
            above = &above[..end];
            if let Some(directory) = self.directories.find(above) {
                return directory;
            }
        }
        self.directories.root().clone()
    }

    /// One level down.
    fn step(&self, parent: &Directory, name: &[u8], absent: Absent) -> Result<Directory, TargetError> {
        let path = parent.path_of(name);
        let failed = |action| {
            let path = &path;
            move |errno| TargetError::system(action, path, errno)
        };
        let mut make_first = parent.is_fresh() && absent == Absent::Made;
        for _ in 0..ATTEMPTS_MAX {
            if make_first {
                match mkdirat(parent, name, Mode::RWXU) {
                    Ok(()) => match openat(parent, name, FOLDER, Mode::empty()) {
                        Ok(descriptor) => {
                            if parent.inherits.acl {
                                // A default ACL may take the owner's own permissions away.
                                fchmod(&descriptor, Mode::RWXU).map_err(failed("set the mode of"))?;
                            }
                            return Ok(Directory { path, descriptor, made: Made::ThisRun, inherits: parent.inherits });
                        }
                        Err(errno) if changed_meanwhile(errno) => continue,
                        Err(errno) => return Err(failed("open")(errno)),
                    },
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(failed("create")(errno)),
                }
            }
            match openat(parent, name, FOLDER, Mode::empty()) {
                Ok(descriptor) => {
                    self.refuse_folded(parent, name, &descriptor)?;
                    return self.examined(&path, descriptor);
                }
                Err(Errno::NOENT) if absent == Absent::Made => make_first = true,
                Err(errno) if changed_meanwhile(errno) && errno != Errno::NOENT => {
                    self.clear_way(parent, name, absent)?;
                    make_first = true;
                }
                Err(errno) => return Err(failed("open")(errno)),
            }
        }
        Err(failed("open")(Errno::LOOP))
    }

    /// Removes what is no folder, if the policy says so.
    fn clear_way(&self, parent: &Directory, name: &[u8], absent: Absent) -> Result<(), TargetError> {
        let path = parent.path_of(name);
        let status = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(TargetError::system("examine", &path, errno)),
        };
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
            return Ok(());
        }
        self.refuse_collision(parent, name, &status)?;
        if absent == Absent::Missed || self.options.overwrite != Overwrite::Always {
            let path = crate::resource::escape_path(&path);
            return Err(TargetError::InTheWay { path, found: describe(&status) });
        }
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(errno) => Err(TargetError::system("remove", &path, errno)),
        }
    }

    /// A folder that was there before, or that another thread made.
    fn examined(&self, path: &[u8], descriptor: OwnedFd) -> Result<Directory, TargetError> {
        let status = fstat(&descriptor).map_err(|errno| TargetError::system("examine", path, errno))?;
        // An earlier restore may have left it without write permission; its mode is set again at the end.
        let writes = self.birth.run != super::LOOKING;
        if writes && status.st_mode & 0o300 != 0o300 && !rustix::process::geteuid().is_root() {
            let mode = Mode::from_raw_mode(status.st_mode & 0o7777) | Mode::RWXU;
            let _ = fchmod(&descriptor, mode);
        }
        let inherits = Inherits::observe(&descriptor, &status, &self.birth);
        Ok(Directory { path: path.to_vec(), descriptor, made: Made::Before, inherits })
    }

    /// Refuses a folder that this run made under another name which the file system takes for the same.
    fn refuse_folded(&self, parent: &Directory, name: &[u8], descriptor: &OwnedFd) -> Result<(), TargetError> {
        if self.birth.folding == Folding::Exact {
            return Ok(());
        }
        let status = fstat(descriptor).map_err(|errno| TargetError::system("examine", &parent.path_of(name), errno))?;
        self.refuse_collision(parent, name, &status)
    }

    /// Fails if `status` is of something that this run made, kept or went into under another spelling of `name`.
    pub(super) fn refuse_collision(&self, parent: &Directory, name: &[u8], status: &Stat) -> Result<(), TargetError> {
        if self.birth.folding == Folding::Exact
            || self.claimed.is_for(status, name, self.birth.time, || is_spelled_so(parent, name))
        {
            return Ok(());
        }
        Err(TargetError::Collision { path: crate::resource::escape_path(&parent.path_of(name)) })
    }
}

/// Under which names of the snapshot older things were met, where the file system takes several names for one.
#[derive(Debug, Default)]
pub(super) struct Claimed(Mutex<HashMap<(u64, u64), u64>>);

impl Claimed {
    /// Whether a thing stands for this name. An older one does for the first that comes; one that this run made does for the
    /// name it was made under.
    fn is_for(&self, status: &Stat, name: &[u8], since: Timestamp, is_spelled_so: impl FnOnce() -> bool) -> bool {
        let hash = digest(name);
        let hash = u64::from_le_bytes(hash[..8].try_into().expect("because the slice has 8 bytes"));
        let place = (status.st_dev, status.st_ino);
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match claimed.get(&place) {
            Some(first) => *first == hash,
            None if changed(status) >= since => is_spelled_so(),
            None => {
                claimed.insert(place, hash);
                true
            }
        }
    }
}

/// Whether `directory` lists exactly this name.
fn is_spelled_so(directory: &Directory, name: &[u8]) -> bool {
    let Ok(listing) = rustix::fs::Dir::read_from(directory) else { return true };
    listing.flatten().any(|entry| entry.file_name().to_bytes() == name)
}

/// What opening a folder says when something else stands there, or stood there a moment ago.
fn changed_meanwhile(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
}

/// Folders that stay open, the least recently used of them closed for a new one.
#[derive(Debug)]
pub(super) struct DirectoryCache {
    root: Arc<Directory>,
    open: Mutex<HashMap<Box<[u8]>, Kept>>,
    clock: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    directory: Arc<Directory>,
    used: u64,
}

impl DirectoryCache {
    pub(super) fn new(root: Arc<Directory>) -> Self {
        Self { root, open: Mutex::default(), clock: AtomicU64::new(0) }
    }

    pub(super) fn root(&self) -> &Arc<Directory> {
        &self.root
    }

    fn find(&self, path: &[u8]) -> Option<Arc<Directory>> {
        if path.is_empty() {
            return Some(self.root.clone());
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = open.get_mut(path)?;
        kept.used = self.clock.fetch_add(1, Ordering::Relaxed);
        Some(kept.directory.clone())
    }

    fn keep(&self, directory: &Arc<Directory>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, kept)| kept.used).map(|(path, _)| path.clone());
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        let used = self.clock.fetch_add(1, Ordering::Relaxed);
        open.insert(directory.path.as_slice().into(), Kept { directory: directory.clone(), used });
    }

    /// Forgets a folder and all beneath it, since they are about to be deleted.
    pub(super) fn forget(&self, path: &[u8]) {
        let beneath = [path, b"/"].concat();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|kept, _| &kept[..] != path && !kept.starts_with(&beneath));
    }
}
