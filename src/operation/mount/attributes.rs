//! What `stat` says of an entry: all that was captured, and what goes for entries of which nothing is known.

use crate::entry::{ChangeToken, Content, Entry, EntryKind, Metadata, Piece, PosixMetadata, Timestamp};
use crate::repository::reader::Reader;
use crate::tree::list::PieceIter;

/// Pieces of a sparse file that are looked at to say how many bytes it has beside its holes; the rest counts as dense.
const PIECES_COUNTED_MAX: usize = 8192;

/// What `stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Number of the inode.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Permission, set-id and sticky bits.
    pub mode: u32,
    /// Names it has.
    pub links: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Bytes of its content, or of a symbolic link's target.
    pub size: u64,
    /// Bytes of it that are not holes.
    pub bytes_stored: u64,
    /// Modification time.
    pub modified: Timestamp,
    /// Status change time as it was when it was captured.
    pub changed: Timestamp,
    /// Number of the device that it is.
    pub device: Option<(u32, u32)>,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, an object or a document.
    File,
    /// A folder.
    Folder,
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
}

impl Kind {
    /// Of an entry.
    pub fn of(kind: &EntryKind) -> Self {
        match kind {
            EntryKind::File | EntryKind::Object | EntryKind::Document => Self::File,
            EntryKind::Directory => Self::Folder,
            EntryKind::Symlink(_) => Self::Symlink,
            EntryKind::BlockDevice { .. } => Self::BlockDevice,
            EntryKind::CharacterDevice { .. } => Self::CharacterDevice,
            EntryKind::Fifo => Self::Fifo,
            EntryKind::Socket => Self::Socket,
        }
    }
}

/// What goes for entries that have no owner, mode or time of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
}

/// Of a folder that no snapshot has an entry for.
pub(super) fn of_folder(inode: u64, owner: Owner, time: Timestamp) -> Attributes {
    Attributes {
        inode,
        kind: Kind::Folder,
        mode: 0o555,
        links: 1,
        uid: owner.uid,
        gid: owner.gid,
        size: 0,
        bytes_stored: 0,
        modified: time,
        changed: time,
        device: None,
    }
}

/// Of a symbolic link of this length that stands in no snapshot.
pub(super) fn of_link(inode: u64, owner: Owner, time: Timestamp, length: usize) -> Attributes {
    Attributes { kind: Kind::Symlink, mode: 0o777, size: length as u64, ..of_folder(inode, owner, time) }
}

/// Of an entry; `time` is when its snapshot was made.
pub(super) fn of_entry(
    reader: &Reader<'_>,
    entry: &Entry,
    (inode, links): (u64, u32),
    owner: Owner,
    time: Timestamp,
) -> Attributes {
    let kind = Kind::of(&entry.kind);
    let size = match &entry.kind {
        EntryKind::Symlink(target) => target.len() as u64,
        EntryKind::File | EntryKind::Object | EntryKind::Document => entry.content.size(),
        _ => 0,
    };
    let plain = Attributes {
        kind,
        mode: if kind == Kind::Folder || entry.metadata.is_executable() { 0o555 } else { 0o444 },
        links,
        size,
        bytes_stored: size,
        device: match entry.kind {
            EntryKind::BlockDevice { major, minor } | EntryKind::CharacterDevice { major, minor } => {
                Some((major, minor))
            }
            _ => None,
        },
        ..of_folder(inode, owner, time)
    };
    match &entry.metadata {
        Metadata::None => plain,
        Metadata::Object(object) => Attributes { modified: object.modified, changed: object.modified, ..plain },
        Metadata::Posix(posix) => Attributes {
            mode: posix.mode & 0o7777,
            uid: posix.uid,
            gid: posix.gid,
            modified: posix.modified,
            changed: match &entry.token {
                Some(ChangeToken::Posix { changed, .. }) => *changed,
                Some(ChangeToken::Opaque(_)) | None => posix.modified,
            },
            bytes_stored: if posix.flags & PosixMetadata::SPARSE == 0 { size } else { stored(reader, &entry.content) },
            ..plain
        },
    }
}

/// Bytes of content that are not holes.
fn stored(reader: &Reader<'_>, content: &Content) -> u64 {
    let mut holes = 0;
    for piece in PieceIter::new(reader, content).take(PIECES_COUNTED_MAX) {
        match piece {
            Ok(Piece::Zeros { length }) => holes += length,
            Ok(Piece::Chunk { .. }) => {}
            // What is lost is told to whoever reads it.
            Err(_) => break,
        }
    }
    content.size().saturating_sub(holes)
}
