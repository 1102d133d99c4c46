//! What an entry says that stands for a member of an archive: no source makes such entries, and none is ever stored.
//!
//! A member is a file, folder or link with the metadata of an object, in whose fields stands what its archive says of it.

use crate::entry::{Content, Entry, EntryKind, Metadata, ObjectMetadata, Timestamp};

/// The checksum of a member, eight hex digits.
const CHECKSUM: &str = "crc32";
/// Why it is only listed.
const WITHHELD: &str = "withheld";

/// What an archive says of a member beside its name, kind and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) checksum: u32,
    pub(super) mode: u32,
    pub(super) modified: Timestamp,
    pub(super) withheld: Option<&'static str>,
}

impl Told {
    /// As the metadata of an entry.
    pub(super) fn metadata(self) -> Metadata {
        let checksum = (CHECKSUM.to_owned(), format!("{:08x}", self.checksum));
        let mode = (Metadata::FIELD_OF_MODE.to_owned(), format!("{:04o}", self.mode & 0o777));
        let withheld = self.withheld.map(|why| (WITHHELD.to_owned(), why.to_owned()));
        let fields = [checksum, mode].into_iter().chain(withheld).collect();
        Metadata::Object(Box::new(ObjectMetadata { modified: self.modified, fields, ..ObjectMetadata::default() }))
    }
}

fn metadata(entry: &Entry) -> Option<&ObjectMetadata> {
    match (&entry.kind, &entry.metadata) {
        (EntryKind::File | EntryKind::Directory | EntryKind::Symlink(_), Metadata::Object(object)) => Some(object),
        _ => None,
    }
}

fn field<'e>(entry: &'e Entry, name: &str) -> Option<&'e str> {
    metadata(entry)?.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// Whether the entry stands for a member of an archive.
pub fn is_member(entry: &Entry) -> bool {
    metadata(entry).is_some()
}

/// Why a member is listed and nothing more; `None` for what can be read.
pub fn withheld(entry: &Entry) -> Option<&str> {
    field(entry, WITHHELD)
}

/// Whether two members of one name have the same bytes, as far as their archives say: size and checksum.
pub fn is_same_content(one: &Entry, other: &Entry) -> bool {
    let stands_empty = |entry: &Entry| matches!(entry.content, Content::Empty);
    one.content.size() == other.content.size()
        && (stands_empty(one) && stands_empty(other) || field(one, CHECKSUM) == field(other, CHECKSUM))
}
