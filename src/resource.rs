//! What a snapshot is made of: resources, how completely each was captured, and the record that names them all.
//!
//! Plain data, kept as JSON (FORMAT.md, "Snapshot record"); unknown fields of newer versions are ignored on reading.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{PageId, RepositoryId, SnapshotId};

/// One thing of the estate as it exists now: a local root, a bucket, a function, a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Name of the source that found it (`local`).
    pub source: &'static str,
    /// Its folder in the layout of a snapshot, without a trailing `/` (`local/home/me/site`).
    pub path: Vec<u8>,
    /// Account, region, ARN and whatever else identifies it.
    pub attributes: BTreeMap<String, String>,
}

/// One resource as a snapshot holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// Name of the source that captured it.
    pub source: String,
    /// Its folder in the layout; where that is not UTF-8, escaped as [`escape_path`] says.
    pub path: String,
    /// Root page of its map.
    pub root: PageId,
    /// What the map holds.
    pub totals: Totals,
    /// How completely it was captured.
    pub coverage: Coverage,
    /// Filters that were in force (excludes, one file system, …), so that absent is not taken for removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// Account, region, ARN, change token and whatever else identifies it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Counts over a map or part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of any kind.
    pub entries: u64,
    /// Entries that are files, objects or documents.
    pub files: u64,
    /// Bytes of content before deduplication and compression.
    pub bytes: u64,
}

impl Totals {
    /// Adds another part's counts to these.
    pub fn add(&mut self, other: &Totals) {
        self.entries = self.entries.saturating_add(other.entries);
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// How completely a resource was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Coverage {
    /// All that is in scope.
    Complete,
    /// All but the gaps.
    Partial {
        /// What is missing and why; at most [`Coverage::GAPS_MAX`], the rest only counted.
        gaps: Vec<Gap>,
        /// Gaps in all.
        count: u64,
    },
    /// Nothing.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Coverage {
    /// Most gaps listed one by one.
    pub const GAPS_MAX: usize = 1000;
}

/// Something that could not be captured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Path inside the resource, escaped as [`escape_path`] says.
    pub path: String,
    /// What was attempted (`open`, `read`, an API action).
    pub action: String,
    /// Why it failed.
    pub reason: String,
    /// The service's own word for it (`AccessDenied`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The way out, where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// What a commit cell says of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// When the capture began.
    pub time: Timestamp,
    /// Which machine captured it.
    pub host: String,
    /// Which user ran it.
    pub user: String,
    /// The line of snapshots it belongs to.
    pub series: String,
    /// Labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The snapshot it was captured against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// The snapshot it replaces (`tag`, `undo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<SnapshotId>,
    /// The snapshot that this is a copy of, in another repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Program and version that made it.
    pub tool: String,
    /// What it holds, sorted by path.
    pub resources: Vec<ResourceRecord>,
    /// Which sources of an estate were asked, and where: what they do not name is not captured, which is not absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    /// What the run found and stored.
    pub summary: Summary,
}

/// A source of an estate that was asked what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name.
    pub source: String,
    /// The account; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The regions that were looked at, the home region first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// What was left out: globs as in `.gitignore`, on paths of the layout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
}

/// A snapshot in another repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Original {
    /// The repository.
    pub repository: RepositoryId,
    /// The snapshot there.
    pub snapshot: SnapshotId,
}

/// What a backup found and stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What the snapshot holds.
    pub totals: Totals,
    /// Entries that the parent did not have.
    pub new: u64,
    /// Entries whose content or metadata differ from the parent's.
    pub changed: u64,
    /// Entries equal to the parent's.
    pub unchanged: u64,
    /// Entries that the parent had.
    pub removed: u64,
    /// Bytes read from the source.
    pub bytes_read: u64,
    /// Bytes of chunks and pages that were not in the repository.
    pub bytes_new: u64,
    /// Bytes written to the repository.
    pub bytes_stored: u64,
    /// How long it took.
    pub milliseconds: u64,
}

/// A path as text: valid UTF-8 as it is, but `%` as `%25` and every byte outside UTF-8 or below 0x20 as `%XX`; reversible.
pub fn escape_path(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '%' => text.push_str("%25"),
                c if c < ' ' || c == '\u{7f}' => text.push_str(&format!("%{:02X}", u32::from(c))),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The bytes that [`escape_path`] made this text of; `None` if it made no such text.
pub fn unescape_path(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    Some(bytes)
}
