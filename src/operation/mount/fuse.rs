//! The kernel's questions (FUSE), passed on to threads that ask the [`FileSystem`].
//!
//! One thread takes questions in, several answer them, so that who waits for the store holds nobody up. Nothing is known here of
//! snapshots.

use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request, Session, SessionACL,
};
use rustix::fs::Access;
use rustix::mount::UnmountFlags;
use thiserror::Error;

use crate::entry::Timestamp;
use crate::operation::mount::attributes::{Attributes, Kind};
use crate::operation::mount::file::Sought;
use crate::operation::mount::folder::{Detail, Item};
use crate::operation::mount::{Fault, FileSystem, Holds};

/// What the kernel is spoken to through.
const DEVICE: &str = "/dev/fuse";
/// Questions that wait for a thread; more wait in the kernel.
const QUESTIONS_MAX: usize = 64;
/// How often it is looked whether the user wants to stop.
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// How long the end of a file system is waited for that was unmounted while somebody is in it.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How long the kernel may keep what never changes.
const FOR_GOOD: Duration = Duration::from_secs(24 * 60 * 60);
/// And what does, when snapshots come and go.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Why a file system cannot be mounted, or unmounted.
#[derive(Debug, Error)]
pub enum MountError {
    /// The kernel has no FUSE, or the device was not passed on to this container.
    #[error("there is no {DEVICE}")]
    NoDevice,
    /// The device is not for this user.
    #[error("{DEVICE} cannot be opened")]
    DeviceRefused(#[source] io::Error),
    /// Only root mounts without the helper.
    #[error("there is no fusermount3, which mounts for users other than root")]
    NoHelper,
    /// The system or the helper refused.
    #[error("cannot mount at {}", target.display())]
    Refused {
        /// Where.
        target: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// It stays mounted.
    #[error("cannot unmount {}", target.display())]
    Stays {
        /// Where.
        target: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// The conversation with the kernel broke off.
    #[error("the kernel's questions cannot be read any more")]
    Broken(#[source] io::Error),
}

/// Who may look into a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitors {
    /// The user who mounts it, who may read all.
    Owner,
    /// Everybody, as far as modes and owners let them.
    All,
}

/// Mounts `system` at `target`, calls `mounted`, and serves until somebody unmounts it or `is_over`; then it is unmounted.
pub fn serve(
    system: &FileSystem<'_, '_>,
    target: &Path,
    visitors: Visitors,
    threads: NonZeroUsize,
    mounted: impl FnOnce(),
    is_over: impl Fn() -> bool,
) -> Result<(), MountError> {
    find_device()?;
    let (questions, asked) = crossbeam_channel::bounded::<Question>(QUESTIONS_MAX);
    let session = Session::new(Kernel { questions }, target, &configuration(visitors));
    let mut session = session.map_err(|error| refused(target, error))?;
    let mut unmounter = session.unmount_callable();
    let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
    std::thread::scope(|scope| {
        // Dropped when this ends, however it ends: then the threads that answer end too.
        let stop = stop;
        for _ in 0..threads.get() {
            let (asked, stopped) = (asked.clone(), stopped.clone());
            scope.spawn(move || answer(system, &asked, &stopped));
        }
        let (end, ended) = crossbeam_channel::bounded(1);
        // Not waited for where somebody stays in a file system that is unmounted already.
        let listener = std::thread::Builder::new().name("fuse".to_owned()).spawn(move || end.send(session.run()));
        listener.map_err(MountError::Broken)?;
        mounted();
        let over = loop {
            match ended.recv_timeout(LOOK_PERIOD) {
                Ok(result) => break result.map_err(MountError::Broken),
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
                Err(RecvTimeoutError::Timeout) if is_over() => {
                    break unmount(target, || unmounter.unmount()).map(|()| drop(ended.recv_timeout(END_PATIENCE)));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        drop(stop);
        over
    })
}

/// Unmounts, at once from the tree of folders and fully when the last visitor leaves.
fn unmount(target: &Path, plainly: impl FnOnce() -> io::Result<()>) -> Result<(), MountError> {
    if plainly().is_ok() {
        return Ok(());
    }
    rustix::mount::unmount(target, UnmountFlags::DETACH)
        .map_err(|error| MountError::Stays { target: target.to_owned(), source: error.into() })
}

fn find_device() -> Result<(), MountError> {
    match rustix::fs::access(DEVICE, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::NOENT) => Err(MountError::NoDevice),
        Err(error) => Err(MountError::DeviceRefused(error.into())),
    }
}

/// The device is there, so what is not found is the helper.
fn refused(target: &Path, error: io::Error) -> MountError {
    match error.kind() {
        io::ErrorKind::NotFound if target.exists() => MountError::NoHelper,
        _ => MountError::Refused { target: target.to_owned(), source: error },
    }
}

fn configuration(visitors: Visitors) -> Config {
    let mut configuration = Config::default();
    configuration.mount_options = vec![MountOption::RO, MountOption::NoAtime, MountOption::FSName("snap".to_owned())];
    if visitors == Visitors::All {
        configuration.acl = SessionACL::All;
        configuration.mount_options.push(MountOption::DefaultPermissions);
    }
    configuration
}

/// A question and what its answer goes to.
type Question = Box<dyn FnOnce(&FileSystem<'_, '_>) + Send>;

fn answer(system: &FileSystem<'_, '_>, asked: &Receiver<Question>, stopped: &Receiver<()>) {
    loop {
        crossbeam_channel::select! {
            recv(asked) -> question => match question {
                Ok(question) => question(system),
                Err(_) => return,
            },
            recv(stopped) -> _ => return,
        }
    }
}

/// The kernel's side: it puts each question into the queue.
struct Kernel {
    questions: Sender<Question>,
}

impl Kernel {
    fn ask(&self, question: impl FnOnce(&FileSystem<'_, '_>) + Send + 'static) {
        // Where nobody answers any more, the question is dropped, and with it goes EIO to who asked.
        drop(self.questions.send(Box::new(question)));
    }
}

impl Filesystem for Kernel {
    fn init(&mut self, _request: &Request, configuration: &mut KernelConfig) -> io::Result<()> {
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ] {
            // An older kernel asks more often, and is answered all the same.
            let _ = configuration.add_capabilities(wanted);
        }
        let _ = configuration.set_max_background(u16::try_from(QUESTIONS_MAX).unwrap_or(u16::MAX));
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.as_bytes().to_vec();
        self.ask(move |system| match system.look_up(parent.0, &name) {
            Ok((attributes, holds)) => reply.entry(&time_to_live(holds), &file_attributes(&attributes), Generation(0)),
            Err(fault) => reply.error(number(fault)),
        });
    }

    fn forget(&self, _request: &Request, inode: INodeNo, times: u64) {
        self.ask(move |system| system.forget(inode.0, times));
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        self.ask(move |system| match system.attributes(inode.0) {
            Ok((attributes, holds)) => reply.attr(&time_to_live(holds), &file_attributes(&attributes)),
            Err(fault) => reply.error(number(fault)),
        });
    }

    fn readlink(&self, _request: &Request, inode: INodeNo, reply: ReplyData) {
        self.ask(move |system| data(reply, system.link_target(inode.0)));
    }

    fn open(&self, _request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // What was read once may be kept: it never changes.
        self.ask(move |system| opened(reply, system.open(inode.0), FopenFlags::FOPEN_KEEP_CACHE));
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.ask(move |system| data(reply, system.read(handle.0, offset, size)));
    }

    fn lseek(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        // As <unistd.h> numbers them: SEEK_DATA and SEEK_HOLE; the kernel answers the others itself.
        let sought = if whence == 3 { Sought::Data } else { Sought::Hole };
        self.ask(move |system| {
            let found = u64::try_from(offset).map_err(|_| Fault::NoneSuch);
            match found.and_then(|offset| system.seek(handle.0, offset, sought)) {
                Ok(offset) => reply.offset(i64::try_from(offset).unwrap_or(i64::MAX)),
                Err(Fault::NoneSuch) => reply.error(Errno::ENXIO),
                Err(fault) => reply.error(number(fault)),
            }
        });
    }

    fn release(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.ask(move |system| {
            system.close(handle.0);
            reply.ok();
        });
    }

    fn opendir(&self, _request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.ask(move |system| opened(reply, system.open_folder(inode.0), FopenFlags::empty()));
    }

    fn readdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        position: u64,
        mut reply: ReplyDirectory,
    ) {
        self.ask(move |system| {
            let mut take = |item: &Item<'_>| {
                let is_full =
                    reply.add(INodeNo(item.inode), item.next, file_type(item.kind), OsStr::from_bytes(item.name));
                if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            match system.read_folder(handle.0, position, Detail::Names, &mut take) {
                Ok(()) => reply.ok(),
                Err(fault) => reply.error(number(fault)),
            }
        });
    }

    fn readdirplus(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        position: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.ask(move |system| {
            let mut take = |item: &Item<'_>| {
                // Without a time to live it is no look-up: so for the dots.
                let (attributes, holds) = match &item.attributes {
                    Some(attributes) => (file_attributes(attributes), time_to_live(item.holds)),
                    None => (file_attributes(&bare(item)), Duration::ZERO),
                };
                let name = OsStr::from_bytes(item.name);
                let is_full = reply.add(INodeNo(item.inode), item.next, name, &holds, &attributes, Generation(0));
                if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            match system.read_folder(handle.0, position, Detail::Attributes, &mut take) {
                Ok(()) => reply.ok(),
                Err(fault) => reply.error(number(fault)),
            }
        });
    }

    fn releasedir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.ask(move |system| {
            system.close_folder(handle.0);
            reply.ok();
        });
    }

    fn statfs(&self, _request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn getxattr(&self, _request: &Request, inode: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name: OsString = name.to_owned();
        self.ask(move |system| xattr(reply, size, system.xattr(inode.0, &name.into_vec())));
    }

    fn listxattr(&self, _request: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        self.ask(move |system| xattr(reply, size, system.xattr_names(inode.0)));
    }
}

fn data(reply: ReplyData, found: Result<Vec<u8>, Fault>) {
    match found {
        Ok(bytes) => reply.data(&bytes),
        Err(fault) => reply.error(number(fault)),
    }
}

fn opened(reply: ReplyOpen, handle: Result<u64, Fault>, flags: FopenFlags) {
    match handle {
        Ok(handle) => reply.opened(FileHandle(handle), flags),
        Err(fault) => reply.error(number(fault)),
    }
}

/// A value, or its length where that is what a size of 0 asks for.
fn xattr(reply: ReplyXattr, size: u32, found: Result<Vec<u8>, Fault>) {
    match found {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(fault) => reply.error(number(fault)),
    }
}

fn number(fault: Fault) -> Errno {
    match fault {
        Fault::NotFound => Errno::ENOENT,
        Fault::Unknown => Errno::ESTALE,
        Fault::NotAFolder => Errno::ENOTDIR,
        Fault::NotAFile | Fault::NotALink => Errno::EINVAL,
        Fault::NoneSuch => Errno::ENODATA,
        Fault::Lost => Errno::EIO,
    }
}

fn time_to_live(holds: Holds) -> Duration {
    match holds {
        Holds::Always => FOR_GOOD,
        Holds::AMoment => A_MOMENT,
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Folder => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::BlockDevice => FileType::BlockDevice,
        Kind::CharacterDevice => FileType::CharDevice,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
    }
}

/// Of `.` and `..`, of which only number and type are looked at.
fn bare(item: &Item<'_>) -> Attributes {
    let time = Timestamp::default();
    Attributes {
        inode: item.inode,
        kind: item.kind,
        mode: 0,
        links: 1,
        uid: 0,
        gid: 0,
        size: 0,
        bytes_stored: 0,
        modified: time,
        changed: time,
        device: None,
    }
}

fn file_attributes(attributes: &Attributes) -> FileAttr {
    let modified = system_time(attributes.modified);
    // As the kernel's protocol packs a device's number into 32 bits.
    let device = attributes.device.map_or(0, |(major, minor)| (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12));
    FileAttr {
        ino: INodeNo(attributes.inode),
        size: attributes.size,
        blocks: attributes.bytes_stored.div_ceil(512),
        atime: modified,
        mtime: modified,
        ctime: system_time(attributes.changed),
        crtime: modified,
        kind: file_type(attributes.kind),
        perm: u16::try_from(attributes.mode & 0o7777).unwrap_or(0),
        nlink: attributes.links,
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: device,
        blksize: 128 * 1024,
        flags: 0,
    }
}

/// The epoch, where a time is further from it than the system counts.
fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let exact = whole.and_then(|whole| whole.checked_add(Duration::from_nanos(u64::from(time.nanoseconds))));
    exact.unwrap_or(SystemTime::UNIX_EPOCH)
}
