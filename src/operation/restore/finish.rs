//! The end of a restore: what the snapshot does not have is removed, then folders get their metadata, children first.
//!
//! A second walk over the selection, which holds only the folders above where it stands. Not captured is not absent:
//! nothing is removed under a gap, where filters of the backup were in force, or where this restore was told to look away.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, Dir, FileType, statat};

use crate::entry::{Entry, EntryKind};
use crate::operation::backup::error_chain;
use crate::operation::restore::select::{Part, Selection};
use crate::operation::restore::walk::{Walk, Walked};
use crate::operation::restore::{Context, Deletion, RestoreError, RestoreMode, values};
use crate::operation::target::Target;
use crate::operation::target::error::TargetError;
use crate::operation::target::escape::Last;
use crate::operation::target::metadata::Attribute;
use crate::progress::{Event, Progress};
use crate::repository::reader::Reader;
use crate::resource::{Coverage, ResourceRecord, unescape_path};

/// What a restore would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extraneous {
    /// Paths beneath the target; folders stand for all that is in them. At most [`Extraneous::LISTED_MAX`].
    pub listed: Vec<Vec<u8>>,
    /// How many there are.
    pub count: u64,
}

impl Extraneous {
    /// Most paths listed; the rest is only counted.
    pub const LISTED_MAX: usize = 1000;
}

/// A folder on the way to where the walk stands.
struct Level {
    entry: Entry,
    /// Whether it, or something in it, is restored.
    restored: bool,
    /// Whether it is itself selected.
    selected: bool,
    /// What the snapshot has in it; only where something may be removed.
    names: HashSet<Vec<u8>>,
}

/// What is done with a folder that the walk has left.
trait Leave {
    fn leave(&mut self, part: &Part<'_>, level: Level) -> Result<(), RestoreError>;
    /// Whether names are wanted.
    fn wants_names(&self) -> bool;
    fn is_stopped(&self) -> bool;
}

/// Removes and gives metadata.
pub(super) fn finish(context: &Context<'_>, target: &Target, deletion: Deletion) -> Result<(), RestoreError> {
    let any_lost = context.tally.lost_stretches.load(Ordering::Relaxed) > 0;
    for part in &context.selection.parts {
        let mut guard = None;
        if deletion == Deletion::Remove {
            match Guard::new(part.resource) {
                Ok(_) if any_lost => warn_kept(context.progress, part, "pages of the snapshot are lost"),
                Ok(made) => guard = Some(made),
                Err(reason) => warn_kept(context.progress, part, reason),
            }
        }
        if context.mode == RestoreMode::DryRun && guard.is_none() {
            continue;
        }
        walk(context.reader, context.selection, part, &mut Finisher { context, target, guard })?;
    }
    Ok(())
}

/// What would be removed.
pub(super) fn extraneous(
    reader: &Reader<'_>,
    selection: &Selection<'_>,
    target: &Target,
    progress: &dyn Progress,
) -> Result<Extraneous, RestoreError> {
    let mut found = Extraneous::default();
    for part in &selection.parts {
        if let Ok(guard) = Guard::new(part.resource) {
            let mut lister = Lister { selection, target, guard, progress, found };
            walk(reader, selection, part, &mut lister)?;
            found = lister.found;
        }
    }
    Ok(found)
}

fn warn_kept(progress: &dyn Progress, part: &Part<'_>, reason: &str) {
    let path = &part.resource.path;
    progress.report(Event::Warning { message: format!("nothing is removed beneath {path}: {reason}") });
}

/// Walks a part and leaves each of its folders after all that is in it.
fn walk(
    reader: &Reader<'_>,
    selection: &Selection<'_>,
    part: &Part<'_>,
    folders: &mut impl Leave,
) -> Result<(), RestoreError> {
    let mut levels: Vec<Level> = Vec::new();
    for walked in Walk::new(reader, part) {
        // What is lost was told by the first walk.
        let Walked::Entry(entry) = walked else { continue };
        let path = entry.path.as_bytes();
        while levels.last().is_some_and(|level| !path.starts_with(level.entry.path.as_bytes())) {
            leave(part, &mut levels, folders)?;
        }
        let selected = selection.selects(part, path);
        if let Some(above) = levels.last_mut() {
            above.restored |= selected;
            if folders.wants_names() {
                let name = &path[above.entry.path.as_bytes().len()..];
                let end = name.iter().position(|&byte| byte == b'/').unwrap_or(name.len());
                above.names.insert(name[..end].to_vec());
            }
        }
        if entry.kind == EntryKind::Directory {
            levels.push(Level { entry, restored: selected, selected, names: HashSet::new() });
        }
        if folders.is_stopped() {
            return Err(RestoreError::Interrupted);
        }
    }
    while !levels.is_empty() {
        leave(part, &mut levels, folders)?;
    }
    Ok(())
}

fn leave(part: &Part<'_>, levels: &mut Vec<Level>, folders: &mut impl Leave) -> Result<(), RestoreError> {
    let Some(level) = levels.pop() else { return Ok(()) };
    if level.restored {
        if let Some(above) = levels.last_mut() {
            above.restored = true;
        }
        folders.leave(part, level)?;
    }
    Ok(())
}

struct Finisher<'f, 'c> {
    context: &'f Context<'c>,
    target: &'f Target,
    guard: Option<Guard>,
}

impl Leave for Finisher<'_, '_> {
    fn leave(&mut self, part: &Part<'_>, level: Level) -> Result<(), RestoreError> {
        let place = part.place(&level.entry, Last::AsItIs);
        if let Some(guard) = &self.guard
            && level.selected
        {
            self.delete(guard, part, &place, &level);
        }
        if self.context.mode == RestoreMode::DryRun {
            return Ok(());
        }
        let layout = || part.layout_path(level.entry.path.as_bytes());
        let values = values::values(self.context, &level.entry, layout);
        let attributes: Vec<Attribute<'_>> =
            values.iter().map(|(name, value)| Attribute { name: name.as_ref(), value: value.as_ref() }).collect();
        match self.target.set_directory_metadata(&place, &level.entry.metadata, &attributes) {
            Ok(warnings) => self.context.warn(&warnings),
            Err(error) if error.ends_the_run() => return Err(error.into()),
            // It was told when the folder could not be made.
            Err(error) => {
                self.context.progress.report(Event::Warning { message: error_chain(&error) });
                self.context.tally.unset.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn wants_names(&self) -> bool {
        self.guard.is_some()
    }

    fn is_stopped(&self) -> bool {
        self.context.is_stopped()
    }
}

impl Finisher<'_, '_> {
    fn delete(&self, guard: &Guard, part: &Part<'_>, place: &[u8], level: &Level) {
        let context = self.context;
        let found = match guard.extraneous(self.target, context.selection, part, place, level) {
            Ok(found) => found,
            Err(error) => return context.progress.report(Event::Warning { message: error_chain(&error) }),
        };
        if found.removed.is_empty() {
            return;
        }
        let folder = level.entry.path.as_bytes();
        for name in &found.removed {
            context.item("deleted", || part.layout_path(&[folder, name].concat()), 0);
        }
        if context.mode == RestoreMode::DryRun {
            context.tally.deleted.fetch_add(found.removed.len() as u64, Ordering::Relaxed);
            return;
        }
        match self.target.delete_extraneous(place, level.names.iter().chain(&found.kept)) {
            Ok(deletion) => {
                context.tally.deleted.fetch_add(deletion.removed, Ordering::Relaxed);
                context.warn(&deletion.warnings);
            }
            Err(error) => context.refused(part.layout_path(folder), error),
        }
    }
}

struct Lister<'f, 's> {
    selection: &'f Selection<'s>,
    target: &'f Target,
    guard: Guard,
    progress: &'f dyn Progress,
    found: Extraneous,
}

impl Leave for Lister<'_, '_> {
    fn leave(&mut self, part: &Part<'_>, level: Level) -> Result<(), RestoreError> {
        if !level.selected {
            return Ok(());
        }
        let place = part.place(&level.entry, Last::AsItIs);
        if let Ok(here) = self.guard.extraneous(self.target, self.selection, part, &place, &level) {
            self.found.count += here.removed.len() as u64;
            let room = Extraneous::LISTED_MAX - self.found.listed.len();
            let path = |name: &Vec<u8>| if place.is_empty() { name.clone() } else { [&place, &name[..]].join(&b'/') };
            self.found.listed.extend(here.removed.iter().take(room).map(path));
        }
        Ok(())
    }

    fn wants_names(&self) -> bool {
        true
    }

    fn is_stopped(&self) -> bool {
        self.progress.interrupted()
    }
}

/// Keeps what the snapshot cannot know to be absent.
struct Guard {
    /// Paths inside the resource that could not be captured, without a trailing `/`.
    gaps: BTreeSet<Vec<u8>>,
}

/// What of a folder of the target is removed and what stays, though the snapshot has neither.
#[derive(Default)]
struct Found {
    removed: BTreeSet<Vec<u8>>,
    kept: BTreeSet<Vec<u8>>,
}

impl Guard {
    /// Fails with the reason why nothing may be removed beneath this resource at all.
    fn new(resource: &ResourceRecord) -> Result<Self, &'static str> {
        if !resource.scope.is_empty() {
            return Err("the backup left things out by its filters");
        }
        let mut guard = Self { gaps: BTreeSet::new() };
        match &resource.coverage {
            Coverage::Complete => {}
            Coverage::Failed { .. } => return Err("it could not be captured"),
            Coverage::Partial { gaps, count } if gaps.len() as u64 == *count => {
                for gap in gaps {
                    let path = unescape_path(&gap.path).unwrap_or_default();
                    guard.gaps.insert(path.strip_suffix(b"/").unwrap_or(&path).to_vec());
                }
            }
            Coverage::Partial { .. } => return Err("more of it could not be captured than the snapshot lists"),
        }
        Ok(guard)
    }

    fn extraneous(
        &self,
        target: &Target,
        selection: &Selection<'_>,
        part: &Part<'_>,
        place: &[u8],
        level: &Level,
    ) -> Result<Found, TargetError> {
        let folder = level.entry.path.as_bytes();
        let mut found = Found::default();
        if self.is_in_gap(folder.strip_suffix(b"/").unwrap_or(folder)) {
            return Ok(found);
        }
        let directory = match target.existing_directory(place) {
            Ok(directory) => directory,
            Err(TargetError::System { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        let Ok(listing) = Dir::read_from(&directory) else { return Ok(found) };
        for there in listing.flatten() {
            let name = there.file_name().to_bytes();
            if matches!(name, b"." | b"..") || level.names.contains(name) {
                continue;
            }
            let is_folder = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Directory);
            let path = [folder, name].concat();
            let as_entry = if is_folder { [&path[..], b"/"].concat() } else { path.clone() };
            let looked_away = !selection.selects(part, &as_entry) || is_folder && selection.has_excludes();
            let stays = looked_away || self.is_in_gap(&path) || self.has_gap_beneath(&path);
            if stays { &mut found.kept } else { &mut found.removed }.insert(name.to_vec());
        }
        Ok(found)
    }

    /// Whether the path, or a folder above it, could not be captured.
    fn is_in_gap(&self, path: &[u8]) -> bool {
        let above = |gap: &Vec<u8>| {
            gap.is_empty() || path.strip_prefix(&gap[..]).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        !self.gaps.is_empty() && self.gaps.iter().any(above)
    }

    fn has_gap_beneath(&self, path: &[u8]) -> bool {
        let folder = [path, b"/"].concat();
        self.gaps.range(folder.clone()..).next().is_some_and(|gap| gap.starts_with(&folder))
    }
}
