//! What one `fstatat` tells of a file, in the units of the format, whatever the system calls its fields.
//!
//! Pure values: the rules that need nothing but these numbers (sparse, racy times, same inode) are here.

use rustix::fs::Stat;

use crate::entry::{ChangeToken, Timestamp};

/// What kind of file a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// None of those.
    Unknown,
}

impl From<rustix::fs::FileType> for FileType {
    fn from(file_type: rustix::fs::FileType) -> Self {
        match file_type {
            rustix::fs::FileType::RegularFile => FileType::File,
            rustix::fs::FileType::Directory => FileType::Directory,
            rustix::fs::FileType::Symlink => FileType::Symlink,
            rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
            rustix::fs::FileType::CharacterDevice => FileType::CharacterDevice,
            rustix::fs::FileType::Fifo => FileType::Fifo,
            rustix::fs::FileType::Socket => FileType::Socket,
            _ => FileType::Unknown,
        }
    }
}

/// What tells one file of this machine from every other while both exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Device of its file system.
    pub device: u64,
    /// Inode number there.
    pub inode: u64,
}

/// What one `fstatat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// File type and permission bits, as the system has them.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names it has.
    pub link_count: u32,
    /// Which file it is.
    pub identity: FileIdentity,
    /// Length in bytes; of a symbolic link, that of its target.
    pub size: u64,
    /// Room on disk, in units of 512 bytes.
    pub blocks: u64,
    /// Device number, where it is a device.
    pub device_number: u64,
    /// Modification time.
    pub modified: Timestamp,
    /// Status change time.
    pub changed: Timestamp,
}

impl FileStat {
    /// How long a time stamp must be past before a read starts, for any later write to change it.
    const RACY_SECONDS: i64 = 2;

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        FileType::from(rustix::fs::FileType::from_raw_mode(self.mode as rustix::fs::RawMode))
    }

    /// Whether it takes less room than it has bytes: holes, or a file system that compresses.
    pub fn is_sparse(&self) -> bool {
        self.blocks.saturating_mul(512) < self.size && self.file_type() == FileType::File
    }

    /// Whether a content read with `self` before and `after` afterwards is one state of the file.
    pub fn is_same_state(&self, after: &FileStat) -> bool {
        self.identity == after.identity
            && self.size == after.size
            && self.modified == after.modified
            && self.changed == after.changed
    }

    /// What will tell a later backup that the file did not change since a read that began at `read_started`.
    ///
    /// `None` while a time stamp is less than two seconds older than that, or ahead of it: a write in the same
    /// tick of the file system's clock would not show.
    pub fn change_token(&self, read_started: Timestamp) -> Option<ChangeToken> {
        let settled = |time: Timestamp| {
            let bound = Timestamp { seconds: time.seconds.saturating_add(Self::RACY_SECONDS), ..time };
            bound <= read_started
        };
        (settled(self.changed) && settled(self.modified))
            .then_some(ChangeToken::Posix { changed: self.changed, inode: self.identity.inode })
    }
}

impl From<Stat> for FileStat {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "the fields have other widths on other systems; sizes and nanoseconds are never negative"
    )]
    fn from(stat: Stat) -> Self {
        Self {
            mode: stat.st_mode as u32,
            uid: stat.st_uid,
            gid: stat.st_gid,
            link_count: stat.st_nlink as u32,
            identity: FileIdentity { device: stat.st_dev as u64, inode: stat.st_ino as u64 },
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            device_number: stat.st_rdev as u64,
            modified: Timestamp { seconds: stat.st_mtime as i64, nanoseconds: stat.st_mtime_nsec as u32 },
            changed: Timestamp { seconds: stat.st_ctime as i64, nanoseconds: stat.st_ctime_nsec as u32 },
        }
    }
}
