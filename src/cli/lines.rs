//! Entries as lines of text or of JSON, written straight into bytes: listings have hundreds of thousands.
//!
//! `ls` and `find` share them. Text goes through the same escapes as `text::printable`, but only where a path needs it.

use std::io::Write;

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::{Form, Output, SCHEMA_VERSION};
use crate::cli::text;
use crate::entry::{Entry, EntryKind, Metadata, PosixMetadata, Timestamp};
use crate::operation::cat::kind_word;
use crate::operation::list::{Listed, Render};
use crate::operation::part::{IsFolder, append_layout_path};
use crate::operation::view::member::withheld;

/// How much is said of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Its path.
    Paths,
    /// Mode, owner, size and time too.
    Long,
}

/// Writes entries as lines.
#[derive(Debug)]
pub struct EntryLines {
    form: Form,
    shape: Shape,
    zone: TimeZone,
}

impl EntryLines {
    /// For stdout as it is, in this shape; JSON always says all.
    pub fn new(context: &Context, shape: Shape) -> Self {
        Self { form: context.output.form(), shape, zone: TimeZone::system() }
    }

    fn long(&self, entry: &Entry, target: &mut Vec<u8>) {
        let (mode, owner, modified) = match &entry.metadata {
            Metadata::Posix(posix) => (posix.mode, owner_of(posix), Some(posix.modified)),
            Metadata::Object(object) => (entry.metadata.mode().unwrap_or(0), String::new(), Some(object.modified)),
            Metadata::None => (0, String::new(), None),
        };
        let mode = mode_text(&entry.kind, mode);
        let modified = modified.and_then(instant).map_or_else(String::new, |time| {
            time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        });
        let size = entry.content.size();
        // Writing into memory cannot fail.
        let _ = write!(target, "{mode} {owner:<17} {size:>12} {modified:<19} ");
    }
}

impl Render for EntryLines {
    fn render(&self, folder: &[u8], entry: &Entry, target: &mut Vec<u8>) {
        let path = entry.path.as_bytes();
        if self.form == Form::Json {
            let mut whole = Vec::with_capacity(folder.len() + path.len() + 1);
            append_layout_path(folder, path, IsFolder::of(entry), &mut whole);
            target.push(b',');
            return entry_json(&whole, entry, target);
        }
        if self.shape == Shape::Long {
            self.long(entry, target);
        }
        let start = target.len();
        append_layout_path(folder, path, IsFolder::of(entry), target);
        escape_from(start, target);
        if let (Shape::Long, EntryKind::Symlink(link)) = (self.shape, &entry.kind) {
            target.extend_from_slice(b" -> ");
            target.extend_from_slice(text::printable(link).as_bytes());
        }
        if let Some(why) = withheld(entry) {
            target.extend_from_slice(format!("  (only in its archive: {why})").as_bytes());
        }
        target.push(b'\n');
    }
}

/// Escapes what was appended since `start`, if it needs it.
fn escape_from(start: usize, target: &mut Vec<u8>) {
    let is_plain = target[start..].iter().all(|&byte| (0x20..0x7f).contains(&byte) && byte != b'\\');
    if !is_plain {
        let escaped = text::printable(&target[start..]);
        target.truncate(start);
        target.extend_from_slice(escaped.as_bytes());
    }
}

/// An entry as a JSON object; `path` is its whole path in the layout.
pub fn entry_json(path: &[u8], entry: &Entry, target: &mut Vec<u8>) {
    let posix = match &entry.metadata {
        Metadata::Posix(posix) => Some(posix),
        _ => None,
    };
    let modified = match &entry.metadata {
        Metadata::Posix(posix) => Some(posix.modified),
        Metadata::Object(object) => Some(object.modified),
        Metadata::None => None,
    };
    let link = match &entry.kind {
        EntryKind::Symlink(target) => Some(target.as_slice()),
        _ => None,
    };
    let line = JsonEntry {
        path: &String::from_utf8_lossy(path),
        path_b64: exact(path),
        kind: kind_word(&entry.kind),
        size: entry.content.size(),
        mode: entry.metadata.mode().map(|mode| format!("{mode:04o}")),
        uid: posix.map(|posix| posix.uid),
        gid: posix.map(|posix| posix.gid),
        user: posix.and_then(|posix| posix.user.as_deref()),
        group: posix.and_then(|posix| posix.group.as_deref()),
        modified: modified.and_then(instant).map(|time| time.to_string()),
        target: link.map(|link| String::from_utf8_lossy(link).into_owned()),
        target_b64: link.and_then(exact),
        withheld: withheld(entry),
    };
    let start = target.len();
    serde_json::to_writer(&mut *target, &line).expect("because it is plain data and memory takes it");
    text::tame_json(start, target);
}

#[derive(Serialize)]
struct JsonEntry<'e> {
    path: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    kind: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
    /// Why a member of an archive can only be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'e str>,
}

fn exact(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).is_err().then(|| text::base64(bytes))
}

fn owner_of(posix: &PosixMetadata) -> String {
    let name = |name: Option<&str>, number: u32| match name {
        Some(name) => text::printable(name.as_bytes()),
        None => number.to_string(),
    };
    format!("{} {}", name(posix.user.as_deref(), posix.uid), name(posix.group.as_deref(), posix.gid))
}

/// A point in time, if the calendar reaches it.
pub fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(time.seconds, i32::try_from(time.nanoseconds).ok()?).ok()
}

/// Kind and permissions as `ls -l` writes them.
pub fn mode_text(kind: &EntryKind, mode: u32) -> String {
    let first = match kind {
        EntryKind::Directory => 'd',
        EntryKind::Symlink(_) => 'l',
        EntryKind::BlockDevice { .. } => 'b',
        EntryKind::CharacterDevice { .. } => 'c',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::File | EntryKind::Object | EntryKind::Document => '-',
    };
    let mut text = String::with_capacity(10);
    text.push(first);
    for (at, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> at) != 0 { letter } else { '-' });
    }
    for (bit, at, with, without) in [(0o4000, 3, 's', 'S'), (0o2000, 6, 's', 'S'), (0o1000, 9, 't', 'T')] {
        if mode & bit != 0 {
            let is_executable = text.as_bytes()[at] == b'x';
            text.replace_range(at..=at, if is_executable { with } else { without }.encode_utf8(&mut [0; 4]));
        }
    }
    text
}

/// A listing on its way to stdout: lines, or one JSON document that is never held whole.
pub struct Listing<'c> {
    context: &'c Context,
    is_first: bool,
    has_group: bool,
    errors: Vec<String>,
}

impl<'c> Listing<'c> {
    /// Begins the document whose array is called `name`.
    pub fn begin(context: &'c Context, name: &str) -> Result<Self, Failure> {
        if context.output.form() == Form::Json {
            context.output.raw(format!("{{\"schema\":\"{SCHEMA_VERSION}\",\"{name}\":[").as_bytes())?;
        }
        Ok(Self { context, is_first: true, has_group: false, errors: Vec::new() })
    }

    /// Takes what is listed next; each entry of JSON begins with a comma.
    pub fn take(&mut self, listed: &Listed<'_>) -> Result<(), Failure> {
        match listed {
            Listed::Bytes(bytes) if self.output().form() == Form::Json && self.is_first => {
                self.is_first = false;
                self.output().raw(&bytes[1..])
            }
            Listed::Bytes(bytes) => self.output().raw(bytes),
            Listed::Hole(error) => {
                self.hole(error);
                Ok(())
            }
        }
    }

    /// Begins a group of entries: a heading for people, an object of these members around an array in JSON.
    pub fn group(&mut self, heading: &str) -> Result<(), Failure> {
        if self.output().form() == Form::Human {
            return self.output().line(heading);
        }
        let comma = if std::mem::replace(&mut self.has_group, true) { "," } else { "" };
        self.is_first = true;
        let members = heading.strip_suffix('}').unwrap_or(heading);
        let mut head = format!("{comma}{members},\"entries\":[").into_bytes();
        text::tame_json(0, &mut head);
        self.output().raw(&head)
    }

    /// Ends the group.
    pub fn end_group(&mut self) -> Result<(), Failure> {
        match self.output().form() {
            Form::Human => Ok(()),
            Form::Json => self.output().raw(b"]}"),
        }
    }

    /// Tells that something is missing here.
    pub fn hole(&mut self, error: &dyn std::error::Error) {
        let message = format!("part of the snapshot is lost: {}", crate::operation::backup::error_chain(error));
        crate::cli::watch::say(&format!("snap: {}", text::harmless(&message)));
        self.errors.push(message);
    }

    /// Ends the document; the status says whether all of it could be read.
    pub fn end(self) -> Result<ExitStatus, Failure> {
        self.end_with("")
    }

    /// Ends the document with further members, each begun by a comma.
    pub fn end_with(self, members: &str) -> Result<ExitStatus, Failure> {
        if self.output().form() == Form::Json {
            let mut end = format!("],\"errors\":{}{members}}}\n", json!(self.errors)).into_bytes();
            text::tame_json(0, &mut end);
            self.output().raw(&end)?;
        }
        Ok(if self.errors.is_empty() { ExitStatus::Done } else { ExitStatus::Failed })
    }

    fn output(&self) -> &Output {
        &self.context.output
    }
}

#[cfg(test)]
mod tests {
    use super::{escape_from, mode_text};
    use crate::entry::EntryKind;

    #[test]
    fn permissions_read_as_people_know_them() {
        assert_eq!(mode_text(&EntryKind::File, 0o644), "-rw-r--r--");
        assert_eq!(mode_text(&EntryKind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(mode_text(&EntryKind::Fifo, 0o6710), "prws--s---");
        assert_eq!(mode_text(&EntryKind::File, 0o4644), "-rwSr--r--");
    }

    #[test]
    fn only_a_path_that_needs_it_is_escaped() {
        for (path, shown) in [("a b", "a b"), ("a\x1b", "a\\x1b"), ("a\\", "a\\\\"), ("ä", "ä")] {
            let mut line = b"before ".to_vec();
            line.extend_from_slice(path.as_bytes());
            escape_from(7, &mut line);
            assert_eq!(String::from_utf8_lossy(&line), format!("before {shown}"));
        }
    }
}
