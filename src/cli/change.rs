//! A difference between two snapshots as a line for people, as a letter and a path, and in JSON.
//!
//! What is shown when, and in which order, is `command::diff`'s.

use serde_json::{Map, Value, json};

use crate::cli::color::Palette;
use crate::cli::lines::entry_json;
use crate::cli::text;
use crate::entry::{Entry, EntryKind, Metadata, PosixMetadata};
use crate::operation::cat::kind_word;
use crate::operation::diff::patch::Patch;
use crate::operation::diff::{Change, Field, Side};
use crate::operation::part::{IsFolder, append_layout_path};

/// How many differences of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    added: u64,
    changed: u64,
    removed: u64,
    not_captured: u64,
}

impl ChangeCounts {
    /// Counts one more.
    pub fn count(&mut self, change: &Change) {
        *match change {
            Change::Added(_) => &mut self.added,
            Change::Changed { .. } => &mut self.changed,
            Change::Removed(_) => &mut self.removed,
            Change::NotCaptured { .. } => &mut self.not_captured,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.added + self.changed + self.removed + self.not_captured
    }

    /// `2 changed, 1 added`.
    pub fn words(&self) -> String {
        let counts = [
            (self.changed, "changed"),
            (self.added, "added"),
            (self.removed, "removed"),
            (self.not_captured, "not captured"),
        ];
        let words = counts.iter().filter(|(count, _)| *count > 0);
        words.map(|(count, word)| format!("{} {word}", text::count(*count))).collect::<Vec<_>>().join(", ")
    }

    /// The resource's line in JSON.
    pub fn json(&self, folder: &[u8]) -> Value {
        let mut object = Map::new();
        text::insert_path(&mut object, "path", folder);
        let counts = [
            ("added", self.added),
            ("changed", self.changed),
            ("removed", self.removed),
            ("not_captured", self.not_captured),
        ];
        object.extend(counts.map(|(name, count)| (name.to_owned(), count.into())));
        Value::Object(object)
    }
}

/// The whole path in the layout of what changed; folders end in a slash.
pub fn path_of(folder: &[u8], change: &Change) -> Vec<u8> {
    let mut whole = Vec::new();
    match change {
        Change::Added(entry) | Change::Removed(entry) | Change::Changed { new: entry, .. } => {
            append_layout_path(folder, entry.path.as_bytes(), IsFolder::of(entry), &mut whole);
        }
        Change::NotCaptured { path, .. } => append_layout_path(folder, path, IsFolder::No, &mut whole),
    }
    whole
}

/// The line that says what changed.
pub fn line(folder: &[u8], change: &Change, palette: Palette) -> String {
    let path = text::printable(&path_of(folder, change));
    match change {
        Change::Added(_) => palette.good(format!("+ {path}")),
        Change::Removed(_) => palette.bad(format!("- {path}")),
        Change::Changed { old, new, fields } => {
            let said: Vec<String> = fields.iter().map(|field| field_text(*field, old, new)).collect();
            format!("{}  {}", palette.attention(format!("~ {path}")), said.join(", "))
        }
        Change::NotCaptured { lacks, reason, .. } => {
            let side = side_word(*lacks);
            palette.faint(format!("? {path}  not captured in the {side} snapshot: {}", text::harmless(reason)))
        }
    }
}

/// A letter, a tab and the path, as other programs have it.
pub fn name_status(folder: &[u8], change: &Change) -> String {
    let letter = match change {
        Change::Added(_) => 'A',
        Change::Removed(_) => 'D',
        Change::Changed { fields, .. } if fields.contains(&Field::Kind) => 'T',
        Change::Changed { .. } => 'M',
        Change::NotCaptured { .. } => '?',
    };
    format!("{letter}\t{}", text::printable(&path_of(folder, change)))
}

/// The difference in JSON, after a comma.
pub fn json_bytes(folder: &[u8], change: &Change, patch: Option<&Patch>) -> Vec<u8> {
    let mut object = Map::new();
    let word = match change {
        Change::Added(_) => "added",
        Change::Removed(_) => "removed",
        Change::Changed { .. } => "changed",
        Change::NotCaptured { .. } => "not_captured",
    };
    object.insert("change".to_owned(), word.into());
    let path = path_of(folder, change);
    text::insert_path(&mut object, "path", &path);
    let (old, new) = match change {
        Change::Added(entry) => (None, Some(entry)),
        Change::Removed(entry) => (Some(entry), None),
        Change::Changed { old, new, fields } => {
            let words: Vec<&str> = fields.iter().map(|field| field.word()).collect();
            object.insert("fields".to_owned(), json!(words));
            (Some(old), Some(new))
        }
        Change::NotCaptured { lacks, reason, .. } => {
            object.insert("lacks".to_owned(), side_word(*lacks).into());
            object.insert("reason".to_owned(), reason.clone().into());
            (None, None)
        }
    };
    match patch {
        Some(Patch::Text(text)) => drop(object.insert("patch".to_owned(), String::from_utf8_lossy(text).into())),
        Some(Patch::Binary) => drop(object.insert("binary".to_owned(), true.into())),
        Some(Patch::TooLong) => drop(object.insert("too_long".to_owned(), true.into())),
        None => {}
    }
    let mut bytes = format!(",{}", Value::Object(object)).into_bytes();
    bytes.pop();
    for (name, entry) in [("old", old), ("new", new)] {
        if let Some(entry) = entry {
            bytes.extend_from_slice(format!(",\"{name}\":").as_bytes());
            entry_json(&path, entry, &mut bytes);
        }
    }
    bytes.push(b'}');
    bytes
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Old => "earlier",
        Side::New => "later",
    }
}

fn field_text(field: Field, old: &Entry, new: &Entry) -> String {
    let word = field.word();
    let both = |old: String, new: String| if old == new { word.to_owned() } else { format!("{word} {old} → {new}") };
    match field {
        Field::Kind => both(kind_word(&old.kind).to_owned(), kind_word(&new.kind).to_owned()),
        Field::Content => both(text::bytes(old.content.size()), text::bytes(new.content.size())),
        Field::Target => both(target(&old.kind), target(&new.kind)),
        Field::Mode => both(of_posix(old, mode), of_posix(new, mode)),
        Field::Owner => both(of_posix(old, owner), of_posix(new, owner)),
        Field::Device | Field::Xattrs | Field::Link | Field::Flags | Field::Object | Field::Modified => word.to_owned(),
    }
}

fn target(kind: &EntryKind) -> String {
    match kind {
        EntryKind::Symlink(target) => text::printable(target),
        _ => String::new(),
    }
}

fn of_posix(entry: &Entry, say: fn(&PosixMetadata) -> String) -> String {
    match &entry.metadata {
        Metadata::Posix(posix) => say(posix),
        Metadata::None | Metadata::Object(_) => "none".to_owned(),
    }
}

fn mode(posix: &PosixMetadata) -> String {
    format!("{:04o}", posix.mode)
}

fn owner(posix: &PosixMetadata) -> String {
    let name = |name: Option<&str>, number: u32| match name {
        Some(name) => text::printable(name.as_bytes()),
        None => number.to_string(),
    };
    format!("{}:{}", name(posix.user.as_deref(), posix.uid), name(posix.group.as_deref(), posix.gid))
}
