//! Owner, attributes, mode and times of restored things, in that order: each of them can undo the one before.
//!
//! A change of owner clears set-id bits and capabilities, an ACL changes the mode, and anything but the times changes the
//! times. What the system refuses is a warning. A file made with the right owner and mode needs none but the times.

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chownat, fchmod, fchown, flistxattr,
    flistxattr_query, fremovexattr, fsetxattr, fstat, futimens, utimensat,
};
use rustix::io::Errno;

use super::directory::Directory;
use super::error::{Part, TargetError, TargetWarning};
use super::file::UNFINISHED;
use super::owner::Ownership;
use super::{Owner, Target};
use crate::entry::{Metadata, PosixMetadata, Timestamp};
use crate::resource::escape_path;

const ACL: &[u8] = b"system.posix_acl_access";
/// Most bytes of attribute names that systems list.
const NAMES_LENGTH_MAX: usize = 64 * 1024;

/// An extended attribute with its value at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its full name (`user.comment`).
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Whether a file was made with the owner and mode it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Already,
    AtTheEnd,
}

/// Whether a thing belongs to whom it did, which is what keeps its set-id bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    AsBefore,
    Otherwise,
}

/// Where a thing stands.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) directory: &'a Directory,
    pub(super) name: &'a [u8],
}

impl Spot<'_> {
    pub(super) fn warning(&self, part: Part, errno: Errno) -> TargetWarning {
        TargetWarning { path: escape_path(&self.directory.path_of(self.name)), part, source: errno.into() }
    }
}

impl Target {
    /// Gives the folder at `path` its owner, attributes, mode and times; for the end of a restore, deepest first.
    ///
    /// Attributes that it has and the snapshot has not are removed. Only [`Metadata::Posix`] tells anything of a folder.
    pub fn set_directory_metadata(
        &self,
        path: &[u8],
        metadata: &Metadata,
        attributes: &[Attribute<'_>],
    ) -> Result<Vec<TargetWarning>, TargetError> {
        let Metadata::Posix(posix) = metadata else { return Ok(Vec::new()) };
        let directory = self.existing_directory(path)?;
        let status = fstat(&directory).map_err(|errno| TargetError::system("examine", path, errno))?;
        let spot = Spot { directory: &directory, name: b"" };
        let mut warnings = Vec::new();
        remove_other_attributes(&directory, attributes);
        let born = Some(Ownership { user: status.st_uid, group: status.st_gid });
        let belongs = self.give(&spot, born, posix, &mut warnings, |user, group| fchown(&directory, user, group));
        self.attach(&spot, &directory, attributes, &mut warnings);
        set_mode(&spot, &directory, posix, belongs, &mut warnings);
        set_times(&spot, posix.modified, &mut warnings, |times| futimens(&directory, times));
        Ok(warnings)
    }

    /// The mode to make a file with, and whether it then needs no change of owner, mode or attributes.
    pub(super) fn creation(&self, directory: &Directory, metadata: &Metadata) -> (Mode, Settled) {
        let Metadata::Posix(posix) = metadata else {
            let mode = if metadata.is_executable() { 0o777 } else { 0o666 };
            return (Mode::from_raw_mode(mode), Settled::Already);
        };
        let inherits = directory.inherits();
        let stays = self.options.owner == Owner::Ignore
            || inherits.owner.is_some() && self.owners.wanted(posix, self.options.identity) == inherits.owner;
        let mode = posix.mode & 0o7777;
        let plain = mode & 0o7000 == 0 && mode & !self.birth.mode_kept == 0;
        if stays && plain && posix.xattrs.is_empty() && !inherits.acl {
            (Mode::from_raw_mode(mode), Settled::Already)
        } else {
            (UNFINISHED, Settled::AtTheEnd)
        }
    }

    /// All that a file gets beside its bytes.
    pub(super) fn apply_to_file(
        &self,
        spot: &Spot<'_>,
        file: &impl AsFd,
        settled: Settled,
        metadata: &Metadata,
        attributes: &[Attribute<'_>],
    ) -> Vec<TargetWarning> {
        let mut warnings = Vec::new();
        let modified = match metadata {
            Metadata::None => return warnings,
            Metadata::Object(object) => {
                // They are written down in a file beside it too, so where a system does not take them nothing is lost.
                self.attach(spot, file, attributes, &mut Vec::new());
                object.modified
            }
            Metadata::Posix(posix) => {
                if settled == Settled::AtTheEnd {
                    let inherits = spot.directory.inherits();
                    if inherits.acl && attributes.iter().all(|attribute| attribute.name != ACL) {
                        let _ = fremovexattr(file, ACL);
                    }
                    let chown = |user, group| fchown(file, user, group);
                    let belongs = self.give(spot, inherits.owner, posix, &mut warnings, chown);
                    self.attach(spot, file, attributes, &mut warnings);
                    set_mode(spot, file, posix, belongs, &mut warnings);
                } else {
                    self.attach(spot, file, attributes, &mut warnings);
                }
                posix.modified
            }
        };
        set_times(spot, modified, &mut warnings, |times| futimens(file, times));
        warnings
    }

    /// Owner and times of what cannot be opened: links, devices, pipes, sockets. Links are not followed.
    pub(super) fn apply_by_name(
        &self,
        spot: &Spot<'_>,
        metadata: &Metadata,
        warnings: &mut Vec<TargetWarning>,
    ) -> Belongs {
        let modified = match metadata {
            Metadata::None => return Belongs::Otherwise,
            Metadata::Object(object) => object.modified,
            Metadata::Posix(posix) => posix.modified,
        };
        let mut belongs = Belongs::Otherwise;
        if let Metadata::Posix(posix) = metadata {
            belongs = self.give(spot, spot.directory.inherits().owner, posix, warnings, |user, group| {
                chownat(spot.directory, spot.name, user, group, AtFlags::SYMLINK_NOFOLLOW)
            });
            for attribute in &posix.xattrs {
                let part = Part::Attribute(escape_path(&attribute.name));
                warnings.push(spot.warning(part, Errno::OPNOTSUPP));
            }
        }
        set_times(spot, modified, warnings, |times| {
            utimensat(spot.directory, spot.name, times, AtFlags::SYMLINK_NOFOLLOW)
        });
        belongs
    }

    /// Gives a thing to its owner and group, or to its group alone where only that is allowed.
    fn give(
        &self,
        spot: &Spot<'_>,
        born: Option<Ownership>,
        metadata: &PosixMetadata,
        warnings: &mut Vec<TargetWarning>,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> Belongs {
        let wanted = self.owners.wanted(metadata, self.options.identity);
        if wanted.is_some() && wanted == born {
            return Belongs::AsBefore;
        }
        if self.options.owner == Owner::Ignore {
            return Belongs::Otherwise;
        }
        let Some(Ownership { user, group }) = wanted else {
            warnings.push(spot.warning(Part::Owner, Errno::INVAL));
            return Belongs::Otherwise;
        };
        let group = Some(Gid::from_raw(group));
        match chown(Some(Uid::from_raw(user)), group) {
            Ok(()) => Belongs::AsBefore,
            Err(errno) => {
                let _ = chown(None, group);
                warnings.push(spot.warning(Part::Owner, errno));
                Belongs::Otherwise
            }
        }
    }

    fn attach(
        &self,
        spot: &Spot<'_>,
        thing: &impl AsFd,
        attributes: &[Attribute<'_>],
        warnings: &mut Vec<TargetWarning>,
    ) {
        for Attribute { name, value } in attributes {
            // These grant powers or belong to the system, as set-id bits do.
            let powerful = name.starts_with(b"security.") || name.starts_with(b"trusted.");
            let answer = if name.is_empty() || name.contains(&0) {
                Err(Errno::INVAL)
            } else if powerful && self.options.owner == Owner::Ignore {
                Err(Errno::PERM)
            } else {
                fsetxattr(thing, *name, value, XattrFlags::empty())
            };
            if let Err(errno) = answer {
                warnings.push(spot.warning(Part::Attribute(escape_path(name)), errno));
            }
        }
    }
}

/// The mode that a thing may have, with a warning for set-id bits that it may not.
pub(super) fn allowed_mode(
    spot: &Spot<'_>,
    metadata: &PosixMetadata,
    belongs: Belongs,
    warnings: &mut Vec<TargetWarning>,
) -> Mode {
    let mut mode = metadata.mode & 0o7777;
    if mode & 0o6000 != 0 && belongs == Belongs::Otherwise {
        mode &= 0o1777;
        warnings.push(spot.warning(Part::SetId, Errno::PERM));
    }
    Mode::from_raw_mode(mode)
}

fn set_mode(
    spot: &Spot<'_>,
    thing: &impl AsFd,
    metadata: &PosixMetadata,
    belongs: Belongs,
    warnings: &mut Vec<TargetWarning>,
) {
    let mode = allowed_mode(spot, metadata, belongs, warnings);
    if let Err(errno) = fchmod(thing, mode) {
        warnings.push(spot.warning(Part::Mode, errno));
    }
}

fn set_times(
    spot: &Spot<'_>,
    modified: Timestamp,
    warnings: &mut Vec<TargetWarning>,
    set: impl FnOnce(&Timestamps) -> Result<(), Errno>,
) {
    // Greater numbers mean "now" and "leave it" to the system.
    let answer = if modified.nanoseconds < 1_000_000_000 {
        let last_modification = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
        set(&Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification })
    } else {
        Err(Errno::INVAL)
    };
    if let Err(errno) = answer {
        warnings.push(spot.warning(Part::Times, errno));
    }
}

/// Removes what users or a parent's default ACL attached; what the system attaches (labels) stays.
fn remove_other_attributes(directory: &Directory, attributes: &[Attribute<'_>]) {
    let Ok(length @ 1..) = flistxattr_query(directory) else { return };
    let mut names = vec![0; length.min(NAMES_LENGTH_MAX)];
    let Ok(length) = flistxattr(directory, &mut names[..]) else { return };
    for name in names[..length].split(|&byte| byte == 0) {
        let removable = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
        if removable && attributes.iter().all(|attribute| attribute.name != name) {
            let _ = fremovexattr(directory, name);
        }
    }
}
