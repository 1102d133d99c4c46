//! Removing from a restored folder what the snapshot does not have.
//!
//! Links are removed, never followed; other file systems mounted in it are kept. What must stay for other reasons (gaps,
//! excludes, samples) is the caller's to name. However deep a folder is, few descriptors are open at a time.

use std::collections::{BTreeSet, HashSet};
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::Target;
use super::directory::Directory;
use super::error::{Part, TargetError, TargetWarning};
use super::metadata::Spot;

/// Levels that are open at once; deeper folders are moved up first.
const DEPTH_MAX: usize = 48;

/// What was removed.
#[derive(Debug, Default)]
pub struct Deletion {
    /// Things removed, all that stood in removed folders included.
    pub removed: u64,
    /// What could not be removed, and why.
    pub warnings: Vec<TargetWarning>,
}

/// A folder being emptied.
struct Level {
    name: Vec<u8>,
    listing: Dir,
    kept: u64,
    listings_left: u8,
}

/// What became of a thing that is to be removed.
enum Met {
    /// It is gone.
    Removed,
    /// It stands in the topmost folder now.
    Moved,
    /// It has to be emptied first.
    Folder(Level),
}

impl Target {
    /// Removes everything from the folder at `path` but what `keep` names (in any order, folders with or without `/`).
    ///
    /// The names listed in the folder are held in memory. A folder that is absent has nothing to remove.
    pub fn delete_extraneous<N: AsRef<[u8]>>(
        &self,
        path: &[u8],
        keep: impl IntoIterator<Item = N>,
    ) -> Result<Deletion, TargetError> {
        let directory = match self.existing_directory(path) {
            Ok(directory) => directory,
            Err(TargetError::System { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Deletion::default());
            }
            Err(error) => return Err(error),
        };
        let failed = |errno| TargetError::system("list", path, errno);
        let device = fstat(&directory).map_err(failed)?.st_dev;
        let mut extraneous = names_in(&directory).map_err(failed)?;
        let mut spelled_otherwise = HashSet::new();
        for name in keep {
            let name = name.as_ref();
            let name = name.strip_suffix(b"/").unwrap_or(name);
            if !extraneous.remove(name)
                && let Ok(status) = statat(&*directory, name, AtFlags::SYMLINK_NOFOLLOW)
            {
                // The file system lists another spelling of this name.
                spelled_otherwise.insert((status.st_dev, status.st_ino));
            }
        }

        let mut deletion = Deletion::default();
        for name in extraneous {
            let Ok(status) = statat(&*directory, &name[..], AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if !spelled_otherwise.contains(&(status.st_dev, status.st_ino)) {
                self.directories.forget(&directory.path_of(&name));
                self.remove_all(&directory, name, device, &mut deletion);
            }
        }
        Ok(deletion)
    }

    /// Removes `name` and all beneath it.
    fn remove_all(&self, directory: &Directory, name: Vec<u8>, device: u64, deletion: &mut Deletion) {
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            let mut levels = Vec::new();
            let mut next = Some(name);
            loop {
                if let Some(name) = next.take() {
                    let above = levels.last().map_or(directory.as_fd(), |level: &Level| descriptor(&level.listing));
                    let outcome = if levels.len() >= DEPTH_MAX && is_folder(above, &name) {
                        let moved = self.temporary_name();
                        renameat(above, &name[..], directory, &moved[..]).map(|()| {
                            waiting.push(moved);
                            Met::Moved
                        })
                    } else {
                        meet(above, &name, device)
                    };
                    match outcome {
                        Ok(Met::Folder(level)) => levels.push(level),
                        Ok(Met::Removed) => deletion.removed += 1,
                        // It is counted when its turn comes.
                        Ok(Met::Moved) => {}
                        Err(errno) => {
                            let spot = Spot { directory, name: &name };
                            deletion.warnings.push(spot.warning(Part::Deletion, errno));
                            if let Some(level) = levels.last_mut() {
                                level.kept += 1;
                            }
                        }
                    }
                }
                let Some(level) = levels.last_mut() else { break };
                next = level.next_name();
                if next.is_none() {
                    let level = levels.pop().expect("because there is a last level");
                    let above = levels.last().map_or(directory.as_fd(), |level: &Level| descriptor(&level.listing));
                    match unlinkat(above, &level.name[..], AtFlags::REMOVEDIR) {
                        Ok(()) => deletion.removed += 1,
                        Err(errno) => {
                            if level.kept == 0 {
                                let spot = Spot { directory, name: &level.name };
                                deletion.warnings.push(spot.warning(Part::Deletion, errno));
                            }
                            if let Some(above) = levels.last_mut() {
                                above.kept += 1;
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Level {
    /// The next thing in the folder. It is listed a second time, for removing while listing may hide some.
    fn next_name(&mut self) -> Option<Vec<u8>> {
        loop {
            for entry in self.listing.by_ref().flatten() {
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    return Some(name.to_vec());
                }
            }
            if self.listings_left == 0 || self.kept > 0 {
                return None;
            }
            self.listings_left -= 1;
            self.listing.rewind();
        }
    }
}

fn descriptor(listing: &Dir) -> rustix::fd::BorrowedFd<'_> {
    listing.fd().expect("because a listing has a descriptor on every Unix")
}

fn is_folder(above: impl AsFd, name: &[u8]) -> bool {
    statat(above, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Directory)
}

/// Removes what is no folder; opens a folder of the same file system.
fn meet(above: impl AsFd + Copy, name: &[u8], device: u64) -> Result<Met, Errno> {
    if !is_folder(above, name) {
        unlinkat(above, name, AtFlags::empty())?;
        return Ok(Met::Removed);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(above, name, flags, Mode::empty())?;
    let status = fstat(&folder)?;
    if status.st_dev != device {
        return Err(Errno::XDEV);
    }
    if status.st_mode & 0o300 != 0o300 {
        let _ = fchmod(&folder, Mode::RWXU);
    }
    Ok(Met::Folder(Level { name: name.to_vec(), listing: Dir::new(folder)?, kept: 0, listings_left: 1 }))
}

fn names_in(directory: &Directory) -> Result<BTreeSet<Vec<u8>>, Errno> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.insert(name.to_vec());
        }
    }
    Ok(names)
}
