//! The folder a restore writes into: nothing is written outside it, whatever the snapshot says or others do in it.
//!
//! A [`Target`] is shared by all threads of a restore. Folders are reached by descriptor (`directory`), files are made
//! under their own name or aside and renamed (`file`), other things likewise (`node`), and get owner, attributes, mode
//! and times in that order (`metadata`). What should happen is the restore's to decide; which chunks make a file too.

pub mod delete;
pub mod directory;
pub mod error;
pub mod escape;
pub mod file;
pub mod metadata;
pub mod node;
pub mod owner;

use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat, unlinkat};
use rustix::io::Errno;

use crate::entry::{Entry, EntryKind, Metadata, Timestamp};
use crate::platform::Ways;
use crate::platform::beneath::check_name;

use directory::{Claimed, Directory, DirectoryCache};
use error::TargetError;
use owner::{Identity, Owners, Ownership};

/// What may happen to things that stand in the target already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// They are replaced. A folder with things in it is never replaced by something else.
    #[default]
    Always,
    /// As [`Overwrite::Always`], but a file of equal size and modification time is kept unread, and so is an equal link.
    IfChanged,
    /// They are kept.
    Never,
}

/// Whether restored things get the owner they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Yes; what the system refuses is a warning. With it come devices and set-id bits.
    Restore,
    /// No: all belongs to whoever restores, and set-id bits only stay where that is the same.
    Ignore,
}

impl Default for Owner {
    /// Restored by the superuser, who alone may give things away.
    fn default() -> Self {
        if rustix::process::geteuid().is_root() { Self::Restore } else { Self::Ignore }
    }
}

/// Which files get holes for their runs of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// Those that had holes when they were captured.
    #[default]
    AsCaptured,
    /// All.
    Always,
}

/// How a target is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetOptions {
    /// What happens to things that are there already.
    pub overwrite: Overwrite,
    /// Whether owners are restored.
    pub owner: Owner,
    /// Whether owners go by name or by number.
    pub identity: Identity,
    /// Which files get holes.
    pub holes: Holes,
    /// Which system calls may be used.
    pub ways: Ways,
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is to be written.
    Write,
    /// What stands there stays.
    Keep(KeepReason),
}

/// Why something that stands in the target stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepReason {
    /// The policy is [`Overwrite::Never`].
    Exists,
    /// It has the size and modification time (or the link target) that it should have.
    Unchanged,
}

/// The folder a restore writes into.
#[derive(Debug)]
pub struct Target {
    options: TargetOptions,
    birth: Birth,
    owners: Owners,
    directories: DirectoryCache,
    temporary_next: AtomicU64,
    claimed: Claimed,
}

/// How this file system makes things, learnt from one empty file made and removed when the target is opened.
#[derive(Clone, Copy, Debug)]
struct Birth {
    /// Names of temporary files begin with it.
    run: u64,
    /// Whose new things are in a folder that hands down no group; `None` where that cannot be foretold.
    owner: Option<Ownership>,
    /// Permission bits that the process's mask leaves.
    mode_kept: u32,
    /// The file system it was learnt on.
    device: u64,
    /// The file system's time when the run began.
    time: Timestamp,
    /// Whether names that differ only in case are one.
    folding: Folding,
}

/// How a file system compares names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folding {
    /// By their bytes.
    Exact,
    /// By more than that: `a` and `A` are one.
    Folds,
}

impl Target {
    /// Opens the folder at `path`, made with its parents where absent; `path` itself may lead through links.
    ///
    /// Fails with [`TargetError::ReadOnly`] or [`TargetError::Full`] where nothing can be written there.
    pub fn open(path: &Path, options: TargetOptions) -> Result<Self, TargetError> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let failed = |action| move |errno| TargetError::system(action, bytes, errno);
        DirBuilder::new()
            .recursive(true)
            .create(path)
            .map_err(|error| failed("create")(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open"))?;
        let status = fstat(&root).map_err(failed("examine"))?;
        let birth = Birth::observe(&root, &status).map_err(failed("write into"))?;
        let root = Directory::root(root, &status, &birth);
        Ok(Self {
            options,
            birth,
            owners: Owners::default(),
            directories: DirectoryCache::new(Arc::new(root)),
            temporary_next: AtomicU64::new(0),
            claimed: Claimed::default(),
        })
    }

    /// The folder at `path` for looking only, in which nothing is made, not even to learn how; `None` where it is absent.
    pub fn look(path: &Path, options: TargetOptions) -> Result<Option<Self>, TargetError> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(TargetError::system("open", bytes, errno)),
        };
        let status = fstat(&root).map_err(|errno| TargetError::system("examine", bytes, errno))?;
        let birth = Birth::unknown(&status);
        let root = Directory::root(root, &status, &birth);
        Ok(Some(Self {
            options,
            birth,
            owners: Owners::default(),
            directories: DirectoryCache::new(Arc::new(root)),
            temporary_next: AtomicU64::new(0),
            claimed: Claimed::default(),
        }))
    }

    /// How it is written.
    pub fn options(&self) -> &TargetOptions {
        &self.options
    }

    /// Whether `entry` is to be written as `name`, by the overwrite policy; reads no content.
    ///
    /// Folders are always to be written: `directory` joins what is there.
    pub fn decide(&self, directory: &Directory, name: &[u8], entry: &Entry) -> Result<Decision, TargetError> {
        check_name(name).map_err(|refusal| TargetError::refused(&directory.path_of(name), refusal))?;
        let asked = self.options.overwrite != Overwrite::Always && !directory.is_fresh();
        if !asked || entry.kind == EntryKind::Directory {
            return Ok(Decision::Write);
        }
        let status = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            // A name that is too long is found out when it is made.
            Err(Errno::NOENT | Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL) => return Ok(Decision::Write),
            Err(errno) => return Err(TargetError::system("examine", &directory.path_of(name), errno)),
        };
        // What stands there may be another of this run's, which it keeps or has written.
        if self.refuse_collision(directory, name, &status).is_err() {
            return Ok(Decision::Write);
        }
        Ok(match self.options.overwrite {
            Overwrite::Never => Decision::Keep(KeepReason::Exists),
            _ if is_same(directory, name, &status, entry) => Decision::Keep(KeepReason::Unchanged),
            _ => Decision::Write,
        })
    }

    /// Makes all that was restored durable, once, at the end.
    pub fn sync(&self) -> Result<(), TargetError> {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(self.directories.root()).map_err(|errno| TargetError::system("sync", b"", errno))?;
        #[cfg(not(target_os = "linux"))]
        rustix::fs::sync();
        Ok(())
    }

    /// A name that nothing in the target has: of this run and of this call.
    fn temporary_name(&self) -> Vec<u8> {
        temporary_name(self.birth.run, self.temporary_next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Birth {
    /// What is known without making anything.
    fn unknown(root_status: &Stat) -> Self {
        let time = Timestamp { seconds: i64::MAX, nanoseconds: 0 };
        let device = root_status.st_dev;
        Self { run: LOOKING, owner: None, mode_kept: 0, device, time, folding: Folding::Exact }
    }

    fn observe(root: &OwnedFd, root_status: &Stat) -> Result<Self, Errno> {
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|_| Errno::IO)?;
        let run = u64::from_le_bytes(run);
        let name = [&temporary_name(run, 0)[..], b"-probe"].concat();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let probe = openat(root, &name[..], flags, Mode::from_raw_mode(0o777))?;
        let status = fstat(&probe);
        let folded = statat(root, name.to_ascii_uppercase(), AtFlags::SYMLINK_NOFOLLOW);
        unlinkat(root, &name[..], AtFlags::empty())?;
        let status = status?;

        let own_group = rustix::process::getegid().as_raw();
        let hands_down_group = root_status.st_mode & 0o2000 != 0;
        let group = if hands_down_group { own_group } else { status.st_gid };
        // Some mounts give every new thing the group of its folder.
        let foretold = group == own_group;
        Ok(Self {
            run,
            owner: foretold.then_some(Ownership { user: status.st_uid, group }),
            mode_kept: status.st_mode & 0o777,
            device: status.st_dev,
            time: changed(&status),
            folding: if folded.is_ok() { Folding::Folds } else { Folding::Exact },
        })
    }
}

/// The run of a target that is only looked at.
const LOOKING: u64 = 0;

fn temporary_name(run: u64, number: u64) -> Vec<u8> {
    format!(".snap-{run:016x}-{number:x}").into_bytes()
}

/// Whether what stands there has what tells, without reading, that it is the entry.
fn is_same(directory: &Directory, name: &[u8], status: &Stat, entry: &Entry) -> bool {
    let wanted = match &entry.metadata {
        Metadata::Posix(posix) => posix.modified,
        Metadata::Object(object) => object.modified,
        Metadata::None => return false,
    };
    if modified(status) != wanted {
        return false;
    }
    match (&entry.kind, FileType::from_raw_mode(status.st_mode)) {
        (EntryKind::File | EntryKind::Object | EntryKind::Document, FileType::RegularFile) => {
            u64::try_from(status.st_size) == Ok(entry.content.size())
        }
        (EntryKind::Symlink(wanted), FileType::Symlink) => {
            readlinkat(directory, name, Vec::new()).is_ok_and(|found| found.as_bytes() == wanted.as_slice())
        }
        _ => false,
    }
}

fn modified(status: &Stat) -> Timestamp {
    Timestamp { seconds: status.st_mtime, nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0) }
}

fn changed(status: &Stat) -> Timestamp {
    Timestamp { seconds: status.st_ctime, nanoseconds: u32::try_from(status.st_ctime_nsec).unwrap_or(0) }
}

/// What a thing is, for messages.
fn describe(status: &Stat) -> &'static str {
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::RegularFile => "a file",
        _ => "a device, pipe or socket",
    }
}
