//! One line of a snapshot's map: a path, what stands there, and where its bytes are.
//!
//! Plain data, encoded as FORMAT.md says ("Entries"); no I/O. Paths are byte strings relative to the
//! resource; a directory ends with `/`, and the empty path is the resource's own root.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{ChunkId, PageId};

/// A path inside one resource: bytes in plain byte order, `/` between names, directories with a trailing `/`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct EntryPath(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl EntryPath {
    /// The root of the resource itself.
    pub const ROOT: EntryPath = EntryPath(Vec::new());
    /// Longest path that is stored; a longer one is reported and skipped.
    pub const LENGTH_MAX: usize = 64 * 1024;

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the path names a directory (or is the root).
    pub fn is_directory(&self) -> bool {
        self.0.is_empty() || self.0.ends_with(b"/")
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl From<&str> for EntryPath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// A path, what stands there, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands in the resource.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// What is known of it beside its bytes.
    pub metadata: Metadata,
    /// What tells, without reading, that it did not change; absent where nothing can tell.
    pub token: Option<ChangeToken>,
    /// Its bytes.
    pub content: Content,
}

/// What an entry is. New kinds are added at the end, behind an incompatible feature flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory; its children follow it in path order.
    Directory,
    /// A symbolic link and its target, as bytes.
    Symlink(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A block device with its number.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A character device with its number.
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe; never opened.
    Fifo,
    /// A socket; never opened.
    Socket,
    /// An object of an object store.
    Object,
    /// A document about a resource: settings, records, a schema.
    Document,
}

/// What is known of an entry beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Metadata {
    /// Nothing.
    None,
    /// As a POSIX file system has it.
    Posix(Box<PosixMetadata>),
    /// As an object store has it.
    Object(Box<ObjectMetadata>),
}

impl Metadata {
    /// The field of an object that says permissions, in octal; only members of archives have one.
    pub const FIELD_OF_MODE: &str = "mode";

    /// The permission bits, where any are known.
    pub fn mode(&self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Posix(posix) => Some(posix.mode),
            Self::Object(object) => {
                let field = object.fields.iter().find(|(name, _)| name == Self::FIELD_OF_MODE)?;
                u32::from_str_radix(&field.1, 8).ok()
            }
        }
    }

    /// Whether its owner may run it.
    pub fn is_executable(&self) -> bool {
        self.mode().is_some_and(|mode| mode & 0o100 != 0)
    }
}

/// POSIX metadata. Permission bits only; the file type is the entry's kind.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PosixMetadata {
    /// Permission, set-id and sticky bits (`0o7777`).
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name, where the system knows one.
    pub user: Option<Arc<str>>,
    /// Group by name, where the system knows one.
    pub group: Option<Arc<str>>,
    /// Modification time.
    pub modified: Timestamp,
    /// Extended attributes, ACLs among them, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// The first path of the group of hard links this one belongs to, where it is not itself the first.
    pub link_to: Option<EntryPath>,
    /// What else is known: bits of [`PosixMetadata::SPARSE`] and [`PosixMetadata::CHANGED_WHILE_READ`].
    pub flags: u32,
}

impl PosixMetadata {
    /// The file has holes; a restore makes holes of its long runs of zeros.
    pub const SPARSE: u32 = 1;
    /// The file changed while it was read, on every try.
    pub const CHANGED_WHILE_READ: u32 = 2;
}

/// A point in time: seconds since 1970 and nanoseconds into that second (0 to 999,999,999).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds since the epoch; negative before it.
    pub seconds: i64,
    /// Nanoseconds into the second.
    pub nanoseconds: u32,
}

/// One extended attribute. Values over [`Xattr::INLINE_MAX`] bytes are kept as chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xattr {
    /// Its full name (`user.comment`).
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// Its value.
    pub value: Content,
}

impl Xattr {
    /// Longest value kept in the entry itself.
    pub const INLINE_MAX: usize = 256;
    /// Most attributes one entry may have.
    pub const COUNT_MAX: usize = 128;
}

/// What an object store tells of an object.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectMetadata {
    /// When it was last written.
    pub modified: Timestamp,
    /// The store's entity tag, as it came.
    pub etag: Option<String>,
    /// The store's version id.
    pub version_id: Option<String>,
    /// Content type, cache control and every other header or user field, sorted by name.
    pub fields: Vec<(String, String)>,
    /// Tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// Whether this is a delete marker.
    pub delete_marker: bool,
}

/// Says without reading that content is the same; equal tokens mean equal content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeToken {
    /// A local file. Modification time and size are compared too; they stand in metadata and content.
    Posix {
        /// Status change time, which no program can set.
        changed: Timestamp,
        /// Inode number.
        inode: u64,
    },
    /// An opaque token of a service (ETag and version, a code digest, …).
    Opaque(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// Where an entry's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// No bytes: an empty file, or a thing without content.
    Empty,
    /// At most [`Content::INLINE_MAX`] bytes, in the entry itself.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Up to [`Content::PIECES_MAX`] pieces in order.
    Pieces {
        /// How the content was cut.
        profile: Profile,
        /// The pieces; their lengths add up to the size.
        pieces: Vec<Piece>,
    },
    /// A tree of chunk-list pages.
    List {
        /// How the content was cut.
        profile: Profile,
        /// Bytes in all.
        size: u64,
        /// The root page of the list.
        root: PageId,
    },
}

impl Content {
    /// Longest content kept in the entry itself.
    pub const INLINE_MAX: usize = 512;
    /// Most pieces kept in the entry itself; more make a chunk list.
    pub const PIECES_MAX: usize = 16;

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        match self {
            Content::Empty => 0,
            Content::Inline(bytes) => bytes.len() as u64,
            Content::Pieces { pieces, .. } => pieces.iter().fold(0, |sum, p| sum.saturating_add(p.length())),
            Content::List { size, .. } => *size,
        }
    }
}

/// A stretch of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// A stored chunk.
    Chunk {
        /// Its id.
        id: ChunkId,
        /// Its length in bytes.
        length: u32,
    },
    /// A run of zero bytes, which is not stored.
    Zeros {
        /// Its length in bytes.
        length: u64,
    },
}

impl Piece {
    /// Bytes it stands for.
    pub fn length(&self) -> u64 {
        match self {
            Piece::Chunk { length, .. } => u64::from(*length),
            Piece::Zeros { length } => *length,
        }
    }
}

/// How content is cut; part of the format, so that a later backup cuts alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// Anything.
    Bulk,
    /// Lines of records (`items.jsonl`, SQL dumps): cut at line ends.
    Record,
    /// Zip archives: cut at member boundaries.
    Zip,
}
