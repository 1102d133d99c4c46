//! Directories by descriptor: what names are opened relative to, however deep and however many.
//!
//! A directory remembers its parent and its name, so its descriptor may be closed at any time and is opened again,
//! name by name from the nearest ancestor that still has one. [`DescriptorCache`] bounds how many are open.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::source::local::stat::{FileIdentity, FileStat};

/// How a directory or file is opened for reading without following, waiting or becoming a terminal's owner.
pub(crate) const OPEN_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// A directory of a walk. Shared by everything listed in it.
pub struct Directory {
    parent: Option<Arc<Directory>>,
    name: CString,
    /// Which directory it was when first opened; another one in its place is never entered.
    identity: OnceLock<FileIdentity>,
    descriptor: Mutex<Option<Arc<OwnedFd>>>,
    cache: Arc<DescriptorCache>,
    access_time: AccessTime,
}

impl Directory {
    /// The root of a walk; its descriptor stays open.
    ///
    /// `name` is what the root's own entry is opened by: `.`, or a file's name where the root is a file in it.
    pub(crate) fn root(descriptor: OwnedFd, name: CString, stat: &FileStat, cache: Arc<DescriptorCache>) -> Arc<Self> {
        Arc::new(Self {
            parent: None,
            name,
            identity: OnceLock::from(stat.identity),
            descriptor: Mutex::new(Some(Arc::new(descriptor))),
            access_time: AccessTime::of(stat, cache.user),
            cache,
        })
    }

    /// A directory listed in this one; not opened yet.
    pub(crate) fn child(self: &Arc<Self>, name: &CStr, stat: &FileStat) -> Arc<Self> {
        Arc::new(Self {
            parent: Some(Arc::clone(self)),
            name: name.to_owned(),
            identity: OnceLock::new(),
            descriptor: Mutex::new(None),
            access_time: AccessTime::of(stat, self.cache.user),
            cache: Arc::clone(&self.cache),
        })
    }

    /// Its open descriptor, opened (again) where it is closed. `ESTALE` where another directory stands in its place.
    pub(crate) fn descriptor(self: &Arc<Self>) -> io::Result<Arc<OwnedFd>> {
        if let Some(descriptor) = self.open_descriptor() {
            return Ok(descriptor);
        }
        let mut closed = vec![self];
        let mut ancestor = self.parent.as_ref();
        let mut descriptor = loop {
            let directory = ancestor.expect("because a root is never closed");
            match directory.open_descriptor() {
                Some(descriptor) => break descriptor,
                None => closed.push(directory),
            }
            ancestor = directory.parent.as_ref();
        };
        while let Some(directory) = closed.pop() {
            descriptor = Arc::new(directory.open_in(&descriptor)?);
            *lock(&directory.descriptor) = Some(Arc::clone(&descriptor));
            self.cache.opened(directory);
        }
        Ok(descriptor)
    }

    /// Its name in its parent; see [`Directory::root`] for a root's.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// Which directory it is; known once it was opened.
    pub(crate) fn identity(&self) -> Option<FileIdentity> {
        self.identity.get().copied()
    }

    /// Opens a name in it for reading, leaving the access time alone where the system lets us.
    pub(crate) fn open(self: &Arc<Self>, name: &[u8], stat: &FileStat) -> io::Result<OwnedFd> {
        let descriptor = self.descriptor()?;
        self.cache.open_at(&descriptor, name, OPEN_FLAGS, AccessTime::of(stat, self.cache.user))
    }

    fn open_descriptor(&self) -> Option<Arc<OwnedFd>> {
        lock(&self.descriptor).clone()
    }

    fn open_in(&self, parent: &OwnedFd) -> io::Result<OwnedFd> {
        let flags = OPEN_FLAGS | OFlags::DIRECTORY;
        let descriptor = self.cache.open_at(parent, self.name.as_c_str(), flags, self.access_time)?;
        let actual = FileStat::from(rustix::fs::fstat(&descriptor)?).identity;
        // The first opening settles it: an automount shows another directory once it is entered.
        if *self.identity.get_or_init(|| actual) == actual { Ok(descriptor) } else { Err(Errno::STALE.into()) }
    }
}

impl Drop for Directory {
    /// Lets go of ancestors one after another: a chain of thousands would overflow the stack otherwise.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut directory) = next.and_then(Arc::into_inner) {
            next = directory.parent.take();
        }
    }
}

/// Whether reading may mark a file as accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccessTime {
    /// The system refuses to leave it alone: the file is someone else's.
    Marked,
    /// It stays as it is.
    Kept,
}

impl AccessTime {
    fn of(stat: &FileStat, user: u32) -> Self {
        if user == 0 || user == stat.uid { AccessTime::Kept } else { AccessTime::Marked }
    }
}

/// The open directories of a walk, oldest first; at most so many.
pub(crate) struct DescriptorCache {
    open: Mutex<VecDeque<Weak<Directory>>>,
    open_max: usize,
    user: u32,
}

impl DescriptorCache {
    /// Descriptors kept open unless told otherwise; half of what the smallest usual limit (256) allows.
    pub(crate) const OPEN_MAX: usize = 128;

    /// None open.
    pub(crate) fn new(open_max: usize) -> Arc<Self> {
        let user = rustix::process::geteuid().as_raw();
        Arc::new(Self { open: Mutex::new(VecDeque::new()), open_max, user })
    }

    fn opened(&self, directory: &Arc<Directory>) {
        let mut open = lock(&self.open);
        open.push_back(Arc::downgrade(directory));
        let oldest = if open.len() > self.open_max { open.pop_front() } else { None };
        drop(open);
        if let Some(oldest) = oldest.and_then(|oldest| oldest.upgrade()) {
            lock(&oldest.descriptor).take();
        }
    }

    /// Closes all that nobody is using.
    fn close_all(&self) {
        let open = std::mem::take(&mut *lock(&self.open));
        for directory in open.into_iter().filter_map(|directory| directory.upgrade()) {
            lock(&directory.descriptor).take();
        }
    }

    fn open_at(
        &self,
        parent: &OwnedFd,
        name: impl Arg + Copy,
        flags: OFlags,
        access_time: AccessTime,
    ) -> io::Result<OwnedFd> {
        let mut flags = if access_time == AccessTime::Kept { flags | keep_access_time() } else { flags };
        let mut emptied = false;
        loop {
            match rustix::fs::openat(parent, name, flags, Mode::empty()) {
                Ok(descriptor) => return Ok(descriptor),
                Err(Errno::INTR) => {}
                Err(Errno::PERM) if flags.contains(keep_access_time()) && !keep_access_time().is_empty() => {
                    flags -= keep_access_time();
                }
                Err(Errno::MFILE | Errno::NFILE) if !emptied => {
                    emptied = true;
                    self.close_all();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

const fn keep_access_time() -> OFlags {
    #[cfg(target_os = "linux")]
    return OFlags::NOATIME;
    #[cfg(not(target_os = "linux"))]
    return OFlags::empty();
}

/// No code panics while it holds one of these locks, and none leaves the data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
