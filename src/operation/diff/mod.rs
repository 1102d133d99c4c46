//! `diff`: what differs between two snapshots, resource by resource, at the cost of the differences.
//!
//! Not captured is not absent: what one side could not or was not asked to capture is told as that (`absence`), never as
//! removed or added. Lines of text are `patch`'s; how it is shown is `cli`'s.

use std::collections::BTreeMap;

use crate::entry::{Entry, EntryKind, Metadata, PosixMetadata};
use crate::operation::diff::absence::Absence;
use crate::operation::diff::scope::{left_out, why_absent};
use crate::operation::part::{IsFolder, append_layout_path, folder_of, lies_in};
use crate::operation::view::member::{is_member, is_same_content};
use crate::repository::reader::Reader;
use crate::resource::{Coverage, ResourceRecord, SnapshotRecord};
use crate::tree::cursor::Cursor;
use crate::tree::diff::{Diff, Difference};
use crate::tree::error::TreeError;

mod absence;
pub mod patch;
mod scope;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct DiffRequest<'d> {
    /// The earlier snapshot.
    pub old: &'d SnapshotRecord,
    /// The later snapshot.
    pub new: &'d SnapshotRecord,
    /// Only what is at or under these paths of the layout, without slashes at their ends; everything if there are none.
    pub paths: &'d [Vec<u8>],
    /// What is left out.
    pub silence: Silence,
}

/// What a diff leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Times of folders, which change whenever anything in them does, and of files whose content changed too.
    Usual,
    /// Nothing.
    None,
}

/// Which of the two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The earlier one.
    Old,
    /// The later one.
    New,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the later one has it.
    Added(Entry),
    /// Only the earlier one has it.
    Removed(Entry),
    /// Both have it.
    Changed {
        /// In the earlier.
        old: Entry,
        /// In the later.
        new: Entry,
        /// In what they differ; at least one.
        fields: Vec<Field>,
    },
    /// One side did not capture it, so nobody knows whether it changed. Stands for all below the path.
    NotCaptured {
        /// Path in the resource; empty for all of it.
        path: Vec<u8>,
        /// The side that lacks it.
        lacks: Side,
        /// Why.
        reason: String,
    },
}

/// In what two entries of one path differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// What it is: a file became a link.
    Kind,
    /// Its bytes.
    Content,
    /// Where a symbolic link leads.
    Target,
    /// The number of a device.
    Device,
    /// Permissions.
    Mode,
    /// User or group.
    Owner,
    /// Extended attributes, ACLs among them.
    Xattrs,
    /// To which hard links it belongs.
    Link,
    /// Whether it has holes, or changed while it was read.
    Flags,
    /// What an object store says of it.
    Object,
    /// Modification time.
    Modified,
}

impl Field {
    /// The word for it in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kind => "type",
            Self::Content => "content",
            Self::Target => "target",
            Self::Device => "device",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Xattrs => "xattrs",
            Self::Link => "link",
            Self::Flags => "flags",
            Self::Object => "object",
            Self::Modified => "mtime",
        }
    }
}

/// What a diff tells, resource by resource, in path order.
#[derive(Debug)]
pub enum Told<'t> {
    /// The next resource that may differ; its folder in the layout.
    Resource(&'t [u8]),
    /// A difference in it.
    Change(&'t Change),
    /// Part of a side cannot be read, and what differs behind it is unknown.
    Hole(TreeError),
    /// The resource has no more.
    End,
}

/// Compares two snapshots and gives all that differs to `take`, which may end it with an error of its own.
pub fn diff<E>(
    reader: &Reader<'_>,
    request: &DiffRequest<'_>,
    mut take: impl FnMut(Told<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut pairs: BTreeMap<Vec<u8>, [Option<&ResourceRecord>; 2]> = BTreeMap::new();
    for (side, record) in [request.old, request.new].into_iter().enumerate() {
        for resource in &record.resources {
            pairs.entry(folder_of(resource)).or_default()[side] = Some(resource);
        }
    }
    for (folder, pair) in pairs {
        if !request.concerns(&folder) {
            continue;
        }
        match (pair, request.whole_absence(pair)) {
            (_, Some((lacks, reason))) => {
                take(Told::Resource(&folder))?;
                take(Told::Change(&Change::NotCaptured { path: Vec::new(), lacks, reason }))?;
                take(Told::End)?;
            }
            ([Some(old), Some(new)], None) if old.root != new.root => {
                take(Told::Resource(&folder))?;
                diff_resource(reader, request, &folder, (old, new), &mut take)?;
                take(Told::End)?;
            }
            ([Some(only), None] | [None, Some(only)], None) if !matches!(only.coverage, Coverage::Failed { .. }) => {
                let lacks = if pair[0].is_none() { Side::Old } else { Side::New };
                take(Told::Resource(&folder))?;
                tell_whole(reader, request, &folder, (only, lacks), &mut take)?;
                take(Told::End)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Tells every entry of a resource that one side alone has.
fn tell_whole<E>(
    reader: &Reader<'_>,
    request: &DiffRequest<'_>,
    folder: &[u8],
    (resource, lacks): (&ResourceRecord, Side),
    take: &mut impl FnMut(Told<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for entry in Cursor::new(reader, resource.root) {
        match (entry, lacks) {
            (Ok(entry), _) if !request.covers_entry(folder, &entry) => {}
            (Ok(entry), Side::Old) => take(Told::Change(&Change::Added(entry)))?,
            (Ok(entry), Side::New) => take(Told::Change(&Change::Removed(entry)))?,
            (Err(error), _) => take(Told::Hole(error))?,
        }
    }
    Ok(())
}

fn diff_resource<E>(
    reader: &Reader<'_>,
    request: &DiffRequest<'_>,
    folder: &[u8],
    (old, new): (&ResourceRecord, &ResourceRecord),
    take: &mut impl FnMut(Told<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut absent_from_old = Absence::of(old, new, left_out(request.old, old));
    let mut absent_from_new = Absence::of(new, old, left_out(request.new, new));
    let is_same =
        |old: &Entry, new: &Entry| old.kind == new.kind && old.content == new.content && old.metadata == new.metadata;
    for difference in Diff::new(reader, old.root, new.root, is_same) {
        let difference = match difference {
            Ok(difference) => difference,
            Err(error) => {
                take(Told::Hole(error))?;
                continue;
            }
        };
        let (Difference::Added(entry) | Difference::Removed(entry) | Difference::Changed { new: entry, .. }) =
            &difference;
        if !request.covers_entry(folder, entry) {
            continue;
        }
        let change = match difference {
            Difference::Added(entry) => absent_from_old.explain(entry, Side::Old),
            Difference::Removed(entry) => absent_from_new.explain(entry, Side::New),
            Difference::Changed { old, new } => {
                let fields = fields(&old, &new, request.silence);
                (!fields.is_empty()).then_some(Change::Changed { old, new, fields })
            }
        };
        if let Some(change) = change {
            take(Told::Change(&change))?;
        }
    }
    Ok(())
}

impl DiffRequest<'_> {
    /// Whether a resource may hold something that is asked for.
    fn concerns(&self, folder: &[u8]) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|path| lies_in(path, folder) || lies_in(folder, path))
    }

    fn covers_entry(&self, folder: &[u8], entry: &Entry) -> bool {
        let mut whole = Vec::new();
        if !self.paths.is_empty() {
            append_layout_path(folder, entry.path.as_bytes(), IsFolder::No, &mut whole);
        }
        let path = whole.strip_suffix(b"/").unwrap_or(&whole);
        self.paths.is_empty() || self.paths.iter().any(|asked| lies_in(path, asked))
    }

    /// The side that has nothing of a resource, and why; `None` where both have some, or one looked and there was none.
    fn whole_absence(&self, pair: [Option<&ResourceRecord>; 2]) -> Option<(Side, String)> {
        let why = |of: usize, snapshot: &SnapshotRecord| match (pair[of], pair[1 - of]) {
            (None, Some(other)) => why_absent(snapshot, other),
            (Some(ResourceRecord { coverage: Coverage::Failed { reason }, .. }), _) => Some(reason.clone()),
            _ => None,
        };
        match (why(0, self.old), why(1, self.new)) {
            (None, Some(reason)) => Some((Side::New, reason)),
            (Some(reason), None) => Some((Side::Old, reason)),
            _ => None,
        }
    }
}

/// In what two entries of one path differ.
fn fields(old: &Entry, new: &Entry, silence: Silence) -> Vec<Field> {
    let mut fields = Vec::new();
    if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
        fields.push(Field::Kind);
    } else if old.kind != new.kind {
        fields.push(if matches!(old.kind, EntryKind::Symlink(_)) { Field::Target } else { Field::Device });
    }
    let are_members = is_member(old) && is_member(new);
    let is_same_content = if are_members { is_same_content(old, new) } else { old.content == new.content };
    if !is_same_content {
        fields.push(Field::Content);
    }
    match (&old.metadata, &new.metadata) {
        (Metadata::Posix(old), Metadata::Posix(new)) => posix_fields(old, new, &mut fields),
        (Metadata::Object(old), Metadata::Object(new)) => {
            if old.modified != new.modified {
                fields.push(Field::Modified);
            }
            let mut with_time = old.clone();
            with_time.modified = new.modified;
            if with_time != *new && (is_same_content || !are_members) {
                fields.push(Field::Object);
            }
        }
        (old, new) if old != new => fields.push(Field::Object),
        _ => {}
    }
    fields.sort();
    // An archive that is built anew gives all its members new times.
    let silent = are_members || fields.contains(&Field::Content) || fields.contains(&Field::Kind);
    let is_folder = matches!(new.kind, EntryKind::Directory) && matches!(old.kind, EntryKind::Directory);
    if silence == Silence::Usual && (is_folder || silent) {
        fields.retain(|field| *field != Field::Modified);
    }
    fields
}

fn posix_fields(old: &PosixMetadata, new: &PosixMetadata, fields: &mut Vec<Field>) {
    let same_owner = (old.uid, old.gid, &old.user, &old.group) == (new.uid, new.gid, &new.user, &new.group);
    let differs = [
        (Field::Mode, old.mode != new.mode),
        (Field::Owner, !same_owner),
        (Field::Xattrs, old.xattrs != new.xattrs),
        (Field::Link, old.link_to != new.link_to),
        (Field::Flags, old.flags != new.flags),
        (Field::Modified, old.modified != new.modified),
    ];
    fields.extend(differs.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field));
}
