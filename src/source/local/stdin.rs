//! Content that comes as a stream (`pg_dump | snap backup --stdin`): one file whose name the user gives.
//!
//! Its size is not known before its end, and nothing tells whether it changed: it is read every time.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::entry::Content;
use crate::entry::{Entry, EntryKind, EntryPath, Metadata, PosixMetadata, Timestamp};
use crate::resource::Resource;

/// A stream and the name it is kept under.
pub struct Stream<R> {
    name: Vec<u8>,
    input: R,
}

/// A name that no file can have in a snapshot: empty, `.`, `..`, too long, or with `/` or a zero byte in it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name:?} cannot be the name of a file")]
pub struct StreamNameError {
    /// The name as it was given.
    pub name: String,
}

impl<R: Read> Stream<R> {
    /// `name` is one name, without a folder.
    pub fn new(name: &str, input: R) -> Result<Self, StreamNameError> {
        let is_bad = matches!(name, "" | "." | "..")
            || name.len() > EntryPath::LENGTH_MAX
            || name.bytes().any(|byte| byte == b'/' || byte == 0);
        if is_bad {
            return Err(StreamNameError { name: name.to_owned() });
        }
        Ok(Self { name: name.as_bytes().to_vec(), input })
    }

    /// The resource it makes: `local/stdin`, with the one file in it.
    pub fn resource(&self) -> Resource {
        Resource { source: "local", path: b"local/stdin".to_vec(), attributes: BTreeMap::new() }
    }

    /// Its entry, still without content; readable by its owner only, for nothing says that others may.
    pub fn entry(&self, now: Timestamp) -> Entry {
        Entry {
            path: EntryPath(self.name.clone()),
            kind: EntryKind::File,
            metadata: Metadata::Posix(Box::new(PosixMetadata {
                mode: 0o600,
                modified: now,
                ..PosixMetadata::default()
            })),
            token: None,
            content: Content::Empty,
        }
    }

    /// Appends at most `length_max` bytes to `buffer`; as many, unless the stream ends. 0 is the end.
    pub fn read_into(&mut self, buffer: &mut Vec<u8>, length_max: usize) -> io::Result<usize> {
        (&mut self.input).take(length_max as u64).read_to_end(buffer)
    }
}
