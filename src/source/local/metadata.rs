//! What a file system keeps of a file beside its bytes: owners by name, link groups, and whether any of it changed.
//!
//! Extended attributes are in `attributes`, since reading them costs system calls that an unchanged file is spared.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::{Arc, PoisonError, RwLock};

use crate::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, PosixMetadata};
use crate::source::local::listed::Listed;
use crate::source::local::stat::{FileIdentity, FileStat, FileType};

/// Names of users and groups, each asked of the system once.
#[derive(Default)]
pub struct OwnerNames {
    users: NameCache,
    groups: NameCache,
}

#[derive(Default)]
struct NameCache(RwLock<HashMap<u32, Option<Arc<str>>>>);

impl OwnerNames {
    /// None known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name of a user; `None` where the system knows none, or one that is not UTF-8.
    pub fn user(&self, uid: u32) -> Option<Arc<str>> {
        self.users.name(uid, |uid| uzers::get_user_by_uid(uid).and_then(|user| user.name().to_str().map(Arc::from)))
    }

    /// Name of a group; `None` as for a user.
    pub fn group(&self, gid: u32) -> Option<Arc<str>> {
        let ask = |gid| uzers::get_group_by_gid(gid).and_then(|group| group.name().to_str().map(Arc::from));
        self.groups.name(gid, ask)
    }
}

impl NameCache {
    fn name(&self, number: u32, ask: impl FnOnce(u32) -> Option<Arc<str>>) -> Option<Arc<str>> {
        if let Some(name) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return name.clone();
        }
        let name = ask(number);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(number, name.clone());
        name
    }
}

impl FileStat {
    /// Permission bits and their like, without the file type.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// As the format keeps it; extended attributes and the link group are for the caller to add.
    pub fn posix_metadata(&self, names: &OwnerNames) -> PosixMetadata {
        PosixMetadata {
            mode: self.permissions(),
            uid: self.uid,
            gid: self.gid,
            user: names.user(self.uid),
            group: names.group(self.gid),
            modified: self.modified,
            xattrs: Vec::new(),
            link_to: None,
            flags: if self.is_sparse() { PosixMetadata::SPARSE } else { 0 },
        }
    }
}

impl Listed {
    /// Whether an earlier entry of the same path still holds: neither content nor metadata can have changed since.
    ///
    /// The link group must be compared apart: a link may come and go elsewhere. Costs no system call and no memory.
    pub fn is_unchanged(&self, earlier: &Entry) -> bool {
        let Some(ChangeToken::Posix { changed, inode }) = &earlier.token else { return false };
        let Metadata::Posix(metadata) = &earlier.metadata else { return false };
        let stat = &self.stat;
        *changed == stat.changed
            && *inode == stat.identity.inode
            && metadata.modified == stat.modified
            && metadata.mode == stat.permissions()
            && metadata.uid == stat.uid
            && metadata.gid == stat.gid
            && metadata.flags & PosixMetadata::CHANGED_WHILE_READ == 0
            && self.is_same_kind(earlier)
    }

    fn is_same_kind(&self, earlier: &Entry) -> bool {
        match (&earlier.kind, self.file_type()) {
            (EntryKind::File, FileType::File) => earlier.content.size() == self.stat.size,
            (EntryKind::Symlink(target), FileType::Symlink) => target.len() as u64 == self.stat.size,
            (EntryKind::Directory, FileType::Directory)
            | (EntryKind::Fifo, FileType::Fifo)
            | (EntryKind::Socket, FileType::Socket) => earlier.content == Content::Empty,
            (EntryKind::BlockDevice { .. }, FileType::BlockDevice)
            | (EntryKind::CharacterDevice { .. }, FileType::CharacterDevice) => {
                self.kind().is_ok_and(|kind| kind == earlier.kind)
            }
            _ => false,
        }
    }
}

/// The groups of hard links met so far in one root. Its size is that of the groups some of whose names are still to come.
#[derive(Debug, Default)]
pub struct HardLinks {
    groups: HashMap<FileIdentity, Group>,
}

#[derive(Debug)]
struct Group {
    first: EntryPath,
    /// Names that the system counts and that were not met yet; those outside the root never are.
    missing: u32,
}

impl HardLinks {
    /// None met.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first path of the group that an entry belongs to, if it is not itself the first. Call it in path order.
    pub fn meet(&mut self, listed: &Listed) -> Option<EntryPath> {
        if listed.stat.link_count < 2 || listed.file_type() == FileType::Directory {
            return None;
        }
        match self.groups.entry(listed.stat.identity) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Group { first: listed.path.clone(), missing: listed.stat.link_count - 1 });
                None
            }
            hash_map::Entry::Occupied(mut group) => {
                group.get_mut().missing = group.get().missing.saturating_sub(1);
                if group.get().missing == 0 {
                    return Some(group.remove().first);
                }
                Some(group.get().first.clone())
            }
        }
    }

    /// Groups that have names still to come.
    pub fn open_groups(&self) -> usize {
        self.groups.len()
    }
}
