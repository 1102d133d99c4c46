//! Things of the target that are not files or folders: symbolic links, hard links, devices, pipes, sockets.
//!
//! They are made in one call; where something stands at the name, aside and renamed over it. A link's own target is
//! content: it may say anything, and nothing here ever follows it.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, linkat, openat, renameat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::directory::Directory;
use super::error::{Part, TargetError, TargetWarning};
use super::metadata::{Belongs, Spot, allowed_mode};
use super::{Owner, Target, modified};
use crate::entry::{Content, Metadata, PosixMetadata, Timestamp};
use crate::platform::beneath::{Refusal, check_name, check_path};
use crate::resource::escape_path;

/// What can be made without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A socket that nobody listens on.
    Socket,
    /// A block device; only with [`Owner::Restore`].
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A character device; only with [`Owner::Restore`].
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// What all members of a group of hard links have in common, by which the first is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedFile<'a> {
    /// The first path of the group, beneath the target.
    pub first: &'a [u8],
    /// Bytes in all.
    pub size: u64,
    /// Modification time.
    pub modified: Timestamp,
}

impl<'a> LinkedFile<'a> {
    /// The group whose first path is `first`, from any member's content and metadata.
    pub fn new(first: &'a [u8], content: &Content, metadata: &PosixMetadata) -> Self {
        Self { first, size: content.size(), modified: metadata.modified }
    }
}

impl Target {
    /// Makes the symbolic link `name`, with owner and time of its own.
    pub fn create_symlink(
        &self,
        directory: &Directory,
        name: &[u8],
        link_target: &[u8],
        metadata: &Metadata,
    ) -> Result<Vec<TargetWarning>, TargetError> {
        if link_target.contains(&0) {
            return Err(TargetError::refused(&directory.path_of(name), Refusal::Nul));
        }
        self.place(directory, name, |name| symlinkat(link_target, directory, name))?;
        let mut warnings = Vec::new();
        self.apply_by_name(&Spot { directory, name }, metadata, &mut warnings);
        Ok(warnings)
    }

    /// Makes a device, pipe or socket, with owner, mode and time.
    pub fn create_node(
        &self,
        directory: &Directory,
        name: &[u8],
        node: Node,
        metadata: &Metadata,
    ) -> Result<Vec<TargetWarning>, TargetError> {
        let spot = Spot { directory, name };
        let is_device = matches!(node, Node::BlockDevice { .. } | Node::CharacterDevice { .. });
        if is_device && self.options.owner == Owner::Ignore {
            return Err(TargetError::system("make the device", &directory.path_of(name), Errno::PERM));
        }
        self.place(directory, name, |name| make_node(directory, name, node))?;
        let mut warnings = Vec::new();
        let belongs = self.apply_by_name(&spot, metadata, &mut warnings);
        if let Metadata::Posix(posix) = metadata {
            set_node_mode(&spot, node, posix, belongs, &mut warnings);
        }
        Ok(warnings)
    }

    /// Makes `name` another name of the file that was restored at the first path of its group.
    ///
    /// To be asked for when that file is finished. What is not a file of that size and time there gives
    /// [`TargetError::LinkedElsewhere`]; on any error the entry can be written with its own content instead.
    pub fn create_hard_link(
        &self,
        linked: LinkedFile<'_>,
        directory: &Directory,
        name: &[u8],
    ) -> Result<(), TargetError> {
        let elsewhere = || TargetError::LinkedElsewhere {
            path: escape_path(&directory.path_of(name)),
            first: escape_path(linked.first),
        };
        let first = check_path(linked.first).map_err(|refusal| TargetError::refused(linked.first, refusal))?;
        let cut = first.iter().rposition(|&byte| byte == b'/');
        let (folder, first_name) = cut.map_or((&b""[..], first), |cut| (&first[..cut], &first[cut + 1..]));
        check_name(first_name).map_err(|refusal| TargetError::refused(linked.first, refusal))?;
        let folder = self.existing_directory(folder).map_err(|_| elsewhere())?;
        let aside = self.temporary_name();
        let failed = |action| move |errno| TargetError::system(action, &directory.path_of(name), errno);

        check_name(name).map_err(|refusal| TargetError::refused(&directory.path_of(name), refusal))?;
        linkat(&*folder, first_name, directory, &aside[..], AtFlags::empty()).map_err(|errno| match errno {
            Errno::NOENT => elsewhere(),
            errno => failed("link")(errno),
        })?;
        let outcome = self
            .adopt(&linked, directory, name, &aside)
            .and_then(|is_it| if is_it { Ok(()) } else { Err(elsewhere()) });
        // A rename between two names of one file does nothing, so the name aside may still be there.
        let _ = unlinkat(directory, &aside[..], AtFlags::empty());
        outcome
    }

    /// Renames `aside` to `name` if it is the file it should be.
    fn adopt(
        &self,
        linked: &LinkedFile<'_>,
        directory: &Directory,
        name: &[u8],
        aside: &[u8],
    ) -> Result<bool, TargetError> {
        let failed = |action| move |errno| TargetError::system(action, &directory.path_of(name), errno);
        let status = statat(directory, aside, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("examine"))?;
        let is_it = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
            && u64::try_from(status.st_size) == Ok(linked.size)
            && modified(&status) == linked.modified;
        if is_it {
            self.make_replaceable(directory, name)?;
            renameat(directory, aside, directory, name).map_err(failed("link"))?;
        }
        Ok(is_it)
    }

    /// Makes a thing under `name`, or aside and renamed where something stands there.
    fn place(
        &self,
        directory: &Directory,
        name: &[u8],
        make: impl Fn(&[u8]) -> Result<(), Errno>,
    ) -> Result<(), TargetError> {
        let failed = |action| move |errno| TargetError::system(action, &directory.path_of(name), errno);
        check_name(name).map_err(|refusal| TargetError::refused(&directory.path_of(name), refusal))?;
        match make(name) {
            Err(Errno::EXIST) => {}
            answer => return answer.map_err(failed("create")),
        }
        self.make_replaceable(directory, name)?;
        let aside = self.temporary_name();
        make(&aside).map_err(failed("create"))?;
        renameat(directory, &aside[..], directory, name).map_err(|errno| {
            let _ = unlinkat(directory, &aside[..], AtFlags::empty());
            failed("replace")(errno)
        })
    }
}

#[cfg(target_os = "linux")]
fn make_node(directory: &Directory, name: &[u8], node: Node) -> Result<(), Errno> {
    use rustix::fs::{makedev, mknodat};

    let (kind, device) = match node {
        Node::Fifo => (FileType::Fifo, 0),
        Node::Socket => (FileType::Socket, 0),
        Node::BlockDevice { major, minor } => (FileType::BlockDevice, makedev(major, minor)),
        Node::CharacterDevice { major, minor } => (FileType::CharacterDevice, makedev(major, minor)),
    };
    mknodat(directory, name, kind, Mode::RUSR | Mode::WUSR, device)
}

/// Elsewhere such things have no call that stays beneath a folder.
#[cfg(not(target_os = "linux"))]
fn make_node(_: &Directory, _: &[u8], _: Node) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Sets the mode of a thing that must not be opened and whose name may meanwhile mean a link.
///
/// Linux can name what it has a handle of; POSIX has no way that does not follow a link.
fn set_node_mode(
    spot: &Spot<'_>,
    node: Node,
    metadata: &PosixMetadata,
    belongs: Belongs,
    warnings: &mut Vec<TargetWarning>,
) {
    let mode = allowed_mode(spot, metadata, belongs, warnings);
    if let Err(errno) = set_mode_by_handle(spot, node, mode) {
        warnings.push(spot.warning(Part::Mode, errno));
    }
}

#[cfg(target_os = "linux")]
fn set_mode_by_handle(spot: &Spot<'_>, node: Node, mode: Mode) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{chmodat, fstat};

    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(spot.directory, spot.name, flags, Mode::empty())?;
    let wanted = match node {
        Node::Fifo => FileType::Fifo,
        Node::Socket => FileType::Socket,
        Node::BlockDevice { .. } => FileType::BlockDevice,
        Node::CharacterDevice { .. } => FileType::CharacterDevice,
    };
    if FileType::from_raw_mode(fstat(&handle)?.st_mode) != wanted {
        return Err(Errno::LOOP);
    }
    chmodat(CWD, format!("/proc/self/fd/{}", handle.as_raw_fd()), mode, AtFlags::empty())
}

#[cfg(not(target_os = "linux"))]
fn set_mode_by_handle(_: &Spot<'_>, _: Node, _: Mode) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}
