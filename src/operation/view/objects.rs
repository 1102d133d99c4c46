//! `<bucket>@objects.jsonl`: a line for each object of a bucket, in the order of keys: from its key to the path that a restore gives it,
//! and back.
//!
//! A line is a JSON object: `key`, `path` (beneath the bucket's folder), `size`, `modified`, and where known `etag`, `version`,
//! `metadata` (headers and user fields by name) and `tags`. What is not UTF-8 stands in `key_hex` and `path_hex` exactly. Nothing of
//! it is held but where each part begins: the lines are made anew of the bucket's tree for whoever reads them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::Serialize;

use crate::entry::{Entry, EntryKind, Metadata, ObjectMetadata, Timestamp};
use crate::id::PageId;
use crate::operation::target::escape::{Last, spell};
use crate::operation::view::inflate::PART_SIZE;
use crate::repository::reader::Reader;
use crate::tree::cursor::Cursor;
use crate::tree::error::TreeError;

/// The folder of buckets.
const BUCKETS: &[u8] = b"s3-buckets/";
/// What the path of a list ends in, behind that of its bucket.
const LIST: &[u8] = b"@objects.jsonl";
/// What stands beside a bucket in the same folder.
const SETTINGS: &[u8] = b"@settings.json";

/// The path in the layout of the list of objects; `None` for what is no bucket.
pub fn path_of_list(folder: &[u8]) -> Option<Vec<u8>> {
    let bucket = folder.strip_prefix(BUCKETS)?;
    let is_bucket = !bucket.contains(&b'/') && !bucket.ends_with(SETTINGS);
    is_bucket.then(|| [folder, LIST].concat())
}

#[derive(Serialize)]
struct Line<'l> {
    key: Cow<'l, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    path: Cow<'l, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'l str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'l str, &'l str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<&'l str, &'l str>,
}

/// Where the parts of a bucket's list begin.
#[derive(Debug)]
pub(super) struct Listing {
    /// The key of the first line of each part, and the bytes of all its lines.
    parts: Vec<(Vec<u8>, u32)>,
    newest: Timestamp,
}

impl Listing {
    /// Makes all lines once, to know how long they are.
    pub(super) fn of(reader: &Reader<'_>, root: PageId) -> Result<Self, TreeError> {
        let mut listing = Self { parts: Vec::new(), newest: Timestamp::default() };
        lines(reader, root, b"", &|_| None, |entry, line| {
            let length = u32::try_from(line.len()).expect("because an entry has at most a megabyte");
            match listing.parts.last_mut().filter(|(_, part)| part.saturating_add(length) <= PART_SIZE) {
                Some((_, part)) => *part += length,
                None => listing.parts.push((entry.path.as_bytes().to_vec(), length)),
            }
            if let Metadata::Object(object) = &entry.metadata {
                listing.newest = listing.newest.max(object.modified);
            }
            ControlFlow::Continue(())
        })?;
        Ok(listing)
    }

    /// The lengths of the parts.
    pub(super) fn lengths(&self) -> Vec<u32> {
        self.parts.iter().map(|(_, length)| *length).collect()
    }

    /// When the last of the objects was written.
    pub(super) fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        self.parts.iter().map(|(key, _)| key.len() + 32).sum()
    }

    /// The lines of a part.
    pub(super) fn part(&self, reader: &Reader<'_>, root: PageId, part: u32) -> Result<Bytes, TreeError> {
        let Some((start, length)) = self.parts.get(part as usize) else { return Ok(Bytes::new()) };
        let length = *length as usize;
        let mut bytes = Vec::with_capacity(length);
        lines(reader, root, start, &|_| None, |_, line| {
            bytes.extend_from_slice(line);
            if bytes.len() < length { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(bytes.into())
    }
}

/// Where an object was restored, if that is not where all others would be: the path beneath the bucket's folder, by key.
pub type Respelled<'r> = dyn Fn(&[u8]) -> Option<Vec<u8>> + 'r;

/// Gives the lines of all objects of a bucket from a key on to `take`.
pub fn lines(
    reader: &Reader<'_>,
    root: PageId,
    from: &[u8],
    respelled: &Respelled<'_>,
    mut take: impl FnMut(&Entry, &[u8]) -> ControlFlow<()>,
) -> Result<(), TreeError> {
    let mut cursor = Cursor::new(reader, root);
    let mut beside = Cursor::new(reader, root);
    cursor.seek(from)?;
    let mut line = Vec::new();
    while let Some(entry) = cursor.next().transpose()? {
        if entry.kind != EntryKind::Object {
            continue;
        }
        let key = entry.path.as_bytes();
        let next = cursor.peek()?.map(|next| next.path.as_bytes()).filter(|next| next.starts_with(key));
        // Most keys begin no other, and then no folder has their name.
        let yields = match next {
            Some(next) if next.get(key.len()) == Some(&b'/') => true,
            Some(_) => {
                let folder = [key, b"/"].concat();
                beside.seek(&folder)?;
                beside.peek()?.is_some_and(|found| found.path.as_bytes().starts_with(&folder))
            }
            None => false,
        };
        let path = respelled(key).unwrap_or_else(|| spell(key, if yields { Last::Yields } else { Last::AsItIs }));
        line.clear();
        append_line(&entry, &path, &mut line);
        if take(&entry, &line).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn append_line(entry: &Entry, path: &[u8], target: &mut Vec<u8>) {
    let key = entry.path.as_bytes();
    let none = ObjectMetadata::default();
    let (object, is_known) = match &entry.metadata {
        Metadata::Object(object) => (&**object, true),
        Metadata::None | Metadata::Posix(_) => (&none, false),
    };
    let exact = |bytes: &[u8]| std::str::from_utf8(bytes).is_err().then(|| hex::encode(bytes));
    let modified = i32::try_from(object.modified.nanoseconds).ok().filter(|_| is_known);
    let modified = modified.and_then(|nanoseconds| jiff::Timestamp::new(object.modified.seconds, nanoseconds).ok());
    let line = Line {
        key: String::from_utf8_lossy(key),
        key_hex: exact(key),
        path: String::from_utf8_lossy(path),
        path_hex: exact(path),
        size: entry.content.size(),
        modified: modified.map(|time| time.to_string()),
        etag: object.etag.as_deref(),
        version: object.version_id.as_deref(),
        metadata: pairs(&object.fields),
        tags: pairs(&object.tags),
    };
    serde_json::to_writer(&mut *target, &line).expect("because it is plain data and memory takes it");
    target.push(b'\n');
}

/// A part of bytes that are at hand.
pub(super) fn part_of(bytes: &Bytes, part: u32) -> Bytes {
    let size = PART_SIZE as usize;
    let start = bytes.len().min((part as usize).saturating_mul(size));
    bytes.slice(start..bytes.len().min(start + size))
}

fn pairs(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
