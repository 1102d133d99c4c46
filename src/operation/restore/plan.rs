//! Plans a restore: walks the selection, decides what is to be written, and fills windows with it.
//!
//! One thread, in path order; it makes nothing in the target. In a dry run the plan is all there is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;
use rustix::fs::{AtFlags, statat};

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata, Piece};
use crate::operation::backup::error_chain;
use crate::operation::restore::select::{Part, split};
use crate::operation::restore::walk::{Walk, Walked};
use crate::operation::restore::window::{GoesTo, Link, Missing, Planned, SharedFile, Thing, Window, ordinal};
use crate::operation::restore::{Context, RestoreMode};
use crate::operation::target::directory::Directory;
use crate::operation::target::error::TargetError;
use crate::operation::target::escape::Last;
use crate::operation::target::{Decision, KeepReason, Overwrite, Target};
use crate::operation::view::member::withheld;
use crate::tree::cursor::Cursor;
use crate::tree::list::PieceIter;

/// Most groups of hard links remembered whose first member is not restored.
const GROUPS_MAX: usize = 64 * 1024;

/// Walks and plans.
pub(super) struct Planner<'p, 'c, 't> {
    context: &'p Context<'c>,
    target: Option<&'t Target>,
    sender: Sender<Window<'t>>,
    window: Window<'t>,
    /// A folder of the target that is not there; nothing beneath it is looked for.
    absent: Option<Vec<u8>>,
    /// Where the first restored member of a group of hard links goes, where that is not the group's first.
    firsts: HashMap<(usize, EntryPath), Vec<u8>>,
}

/// The writers are gone or the user wants to stop.
struct Stopped;

impl<'p, 'c, 't> Planner<'p, 'c, 't> {
    pub(super) fn new(context: &'p Context<'c>, target: Option<&'t Target>, sender: Sender<Window<'t>>) -> Self {
        Self { context, target, sender, window: Window::default(), absent: None, firsts: HashMap::new() }
    }

    pub(super) fn run(mut self) {
        for number in 0..self.context.selection.parts.len() {
            if self.plan_part(number).is_err() {
                return;
            }
        }
        self.context.tally.listed.store(true, Ordering::Relaxed);
        let _ = self.send();
    }

    fn plan_part(&mut self, number: usize) -> Result<(), Stopped> {
        let context = self.context;
        let part = &context.selection.parts[number];
        for walked in Walk::new(context.reader, part) {
            match walked {
                Walked::Entry(entry) => {
                    if context.selection.selects(part, entry.path.as_bytes()) {
                        self.plan(number, part, entry)?;
                    }
                }
                Walked::Lost(message) => {
                    context.tally.lost_stretches.fetch_add(1, Ordering::Relaxed);
                    context.lost(part.layout.clone(), message);
                }
            }
        }
        Ok(())
    }

    fn plan(&mut self, number: usize, part: &Part<'_>, entry: Entry) -> Result<(), Stopped> {
        if let Some(why) = withheld(&entry) {
            self.context.withhold(|| part.layout_path(entry.path.as_bytes()), why);
            return Ok(());
        }
        let tally = &self.context.tally;
        tally.planned.fetch_add(1, Ordering::Relaxed);
        let size = entry.content.size();
        tally.planned_bytes.fetch_add(size, Ordering::Relaxed);
        let planned = Planned { spelling: self.spelling(part, &entry), entry, part: number };
        if self.is_kept(part, &planned) {
            tally.kept.fetch_add(1, Ordering::Relaxed);
            self.context.item("unchanged", || part.layout_path(planned.entry.path.as_bytes()), size);
            return Ok(());
        }
        if self.context.mode == RestoreMode::DryRun {
            tally.restored.fetch_add(1, Ordering::Relaxed);
            tally.bytes.fetch_add(size, Ordering::Relaxed);
            self.context.item("restored", || part.layout_path(planned.entry.path.as_bytes()), size);
            return if self.context.is_stopped() { Err(Stopped) } else { Ok(()) };
        }
        self.window.weigh(&planned.entry);
        let planned = match self.first_of_group(part, &planned) {
            Some(first) => {
                self.window.links.push(Link { planned, first });
                return self.send_if_full();
            }
            None => planned,
        };
        match &planned.entry.content {
            Content::Pieces { pieces, .. } if has_content(&planned.entry.kind) => match pieces.as_slice() {
                [Piece::Chunk { id, length }] => {
                    let goes_to = GoesTo::Whole(ordinal(self.window.whole.len()));
                    self.window.want(self.context.reader.index(), (*id, *length), goes_to, 0);
                    self.window.whole.push(planned);
                }
                _ => self.plan_pieces(planned)?,
            },
            Content::List { .. } if has_content(&planned.entry.kind) => self.plan_pieces(planned)?,
            _ => self.window.things.push(Thing::Small(planned)),
        }
        self.send_if_full()
    }

    /// A file of several pieces; it may fill several windows.
    fn plan_pieces(&mut self, planned: Planned) -> Result<(), Stopped> {
        let shared = SharedFile::new(planned);
        let mut pieces = PieceIter::new(self.context.reader, &shared.planned.entry.content);
        let mut goes_to = None;
        loop {
            let at = pieces.offset();
            match pieces.next() {
                None => break,
                Some(Ok(Piece::Zeros { .. })) => {}
                Some(Ok(Piece::Chunk { id, length })) => {
                    let window = &mut self.window;
                    let goes_to = *goes_to.get_or_insert_with(|| {
                        window.shared.push(Arc::clone(&shared));
                        GoesTo::Shared(ordinal(window.shared.len() - 1))
                    });
                    shared.expect_piece();
                    window.want(self.context.reader.index(), (id, length), goes_to, at);
                }
                Some(Err(error)) => {
                    let end = pieces.offset();
                    shared.lose(Missing::Stored, format!("bytes {at} to {end} are lost: {}", error_chain(&error)));
                }
            }
            if self.window.is_full() {
                self.send()?;
                goes_to = None;
            }
        }
        self.window.things.push(Thing::Planned(shared));
        Ok(())
    }

    /// Where the first of the entry's group of hard links goes, if that is another entry that is restored.
    fn first_of_group(&mut self, part: &Part<'_>, planned: &Planned) -> Option<Vec<u8>> {
        let first = group_of(&planned.entry)?;
        if let Some(place) = self.restored_first(part, planned) {
            return Some(place);
        }
        let group = (planned.part, first.clone());
        if let Some(first) = self.firsts.get(&group) {
            return Some(first.clone());
        }
        if self.firsts.len() < GROUPS_MAX {
            self.firsts.insert(group, part.place(&planned.entry, planned.spelling));
        }
        None
    }

    /// Where the first name of the entry's group goes, if the entry is another of its names and that one is restored.
    fn restored_first(&self, part: &Part<'_>, planned: &Planned) -> Option<Vec<u8>> {
        let first = group_of(&planned.entry)?;
        let restored = part.holds(first.as_bytes()) && self.context.selection.selects(part, first.as_bytes());
        let as_entry = || Entry { path: first.clone(), ..bare(&planned.entry) };
        restored.then(|| part.place(&as_entry(), Last::AsItIs))
    }

    /// Whether what stands under a further name of a file is still that file: a first name that is, or will be, written
    /// anew is another one.
    fn is_still_linked(&self, part: &Part<'_>, planned: &Planned, stands: (&Directory, &[u8])) -> bool {
        let (Some(target), Some(first)) = (self.target, self.restored_first(part, planned)) else { return true };
        let (folder, name) = split(&first);
        let Ok(folder) = target.existing_directory(folder) else { return false };
        let stays = matches!(target.decide(&folder, name, &planned.entry), Ok(Decision::Keep(_)));
        let file = |(folder, name): (&Directory, &[u8])| {
            statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|status| (status.st_dev, status.st_ino))
        };
        stays && file(stands) == file((&folder, name))
    }

    /// An object yields its name to a folder of that name, whether or not that is restored too.
    fn spelling(&self, part: &Part<'_>, entry: &Entry) -> Last {
        if !matches!(entry.kind, EntryKind::Object | EntryKind::Document) || entry.path.as_bytes().is_empty() {
            return Last::AsItIs;
        }
        let folder = [entry.path.as_bytes(), b"/"].concat();
        let mut cursor = Cursor::new(self.context.reader, part.resource.root);
        let ahead = cursor.seek(&folder).and_then(|()| cursor.peek());
        // What cannot be read may be such a folder; an escaped name is right in either case.
        let yields = ahead.map_or(true, |next| next.is_some_and(|next| next.path.as_bytes().starts_with(&folder)));
        if yields { Last::Yields } else { Last::AsItIs }
    }

    /// Whether what stands in the target stays.
    fn is_kept(&mut self, part: &Part<'_>, planned: &Planned) -> bool {
        let Some(target) = self.target.filter(|target| target.options().overwrite != Overwrite::Always) else {
            return false;
        };
        if planned.entry.kind == EntryKind::Directory {
            return false;
        }
        let place = part.place(&planned.entry, planned.spelling);
        let (folder, name) = split(&place);
        if self.absent.as_ref().is_some_and(|absent| is_at_or_beneath(folder, absent)) {
            return false;
        }
        match target.existing_directory(folder) {
            Ok(directory) => {
                // What cannot be told here is told when it is written.
                match target.decide(&directory, name, &planned.entry) {
                    Ok(Decision::Keep(KeepReason::Unchanged)) => {
                        self.is_still_linked(part, planned, (&directory, name))
                    }
                    decision => matches!(decision, Ok(Decision::Keep(_))),
                }
            }
            Err(TargetError::System { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.absent = Some(folder.to_vec());
                false
            }
            Err(_) => false,
        }
    }

    fn send_if_full(&mut self) -> Result<(), Stopped> {
        if self.window.is_full() { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Stopped> {
        let window = std::mem::take(&mut self.window);
        if self.context.is_stopped() {
            return Err(Stopped);
        }
        if window.is_empty() {
            return Ok(());
        }
        self.sender.send(window).map_err(|_| Stopped)
    }
}

/// Whether entries of this kind have bytes that stand in a file.
pub(super) fn has_content(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::File | EntryKind::Object | EntryKind::Document)
}

fn is_at_or_beneath(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest[0] == b'/')
}

/// The first path of the group of hard links that the entry is a further member of.
fn group_of(entry: &Entry) -> Option<&EntryPath> {
    let Metadata::Posix(posix) = &entry.metadata else { return None };
    posix.link_to.as_ref().filter(|first| **first != entry.path)
}

/// The entry without what takes room.
fn bare(entry: &Entry) -> Entry {
    Entry {
        path: EntryPath::ROOT,
        kind: entry.kind.clone(),
        metadata: entry.metadata.clone(),
        token: None,
        content: Content::Empty,
    }
}
