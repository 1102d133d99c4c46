//! Writes windows: reads each pack in runs of frames, proves every chunk and writes it to all files that want it.
//!
//! A chunk that one pack has damaged is looked for in every other. A file that cannot be made whole is removed and named.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Receiver;

use crate::entry::{Content, EntryKind, Metadata, Piece};
use crate::id::PackId;
use crate::operation::backup::error_chain;
use crate::operation::restore::place::Names;
use crate::operation::restore::plan::has_content;
use crate::operation::restore::window::{
    FileState, GoesTo, Link, Loss, Missing, Planned, SharedFile, Thing, Unit, Wanted, Window,
};
use crate::operation::restore::{Context, RestoreError, values};
use crate::operation::target::Target;
use crate::operation::target::directory::Directory;
use crate::operation::target::error::{TargetError, TargetWarning};
use crate::operation::target::file::TargetFile;
use crate::operation::target::metadata::Attribute;
use crate::operation::target::node::{LinkedFile, Node};
use crate::progress::Event;
use crate::repository::error::RepositoryError;
use crate::repository::reader::FrameReader;
use crate::storage::name::ObjectName;
use crate::storage::together::threads as threads_for;
use crate::storage::{ByteRange, StorageErrorKind};
use crate::tree::list::PieceIter;

/// Writes every window that comes.
pub(super) fn write<'t>(
    context: &Context<'_>,
    target: &'t Target,
    threads: NonZeroUsize,
    windows: &Receiver<Window<'t>>,
) -> Result<(), RestoreError> {
    let repository = context.reader.repository();
    let threads = threads_for(repository.storage().as_ref(), threads);
    let mut readers = (0..threads.get()).map(|_| FrameReader::new(repository)).collect::<Result<Vec<_>, _>>()?;
    let damaged = Mutex::default();
    for mut window in windows {
        let units = window.units();
        let links = window.link_units();
        for units in [units, links] {
            let next = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for frames in &mut readers {
                    let writer = Writer { context, target, window: &window, damaged: &damaged, folder: None };
                    let (next, units) = (&next, &units);
                    scope.spawn(move || writer.run(frames, next, units));
                }
            });
        }
        if context.is_stopped() {
            break;
        }
    }
    Ok(())
}

/// One thread at work on a window.
pub(super) struct Writer<'w, 'c, 't> {
    pub(super) context: &'w Context<'c>,
    pub(super) target: &'t Target,
    window: &'w Window<'t>,
    /// Packs that were told of already.
    damaged: &'w Mutex<HashSet<PackId>>,
    /// The folder of the last file, as the next one mostly is in it too.
    pub(super) folder: Option<Arc<Directory>>,
}

impl<'t> Writer<'_, '_, 't> {
    fn run(mut self, frames: &mut FrameReader<'_>, next: &AtomicUsize, units: &[Unit]) {
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            if self.context.is_stopped() {
                return;
            }
            match unit {
                Unit::Things(range) => self.things(&self.window.things[range.clone()]),
                Unit::Links(range) => self.window.links[range.clone()].iter().for_each(|link| self.link(link)),
                Unit::Unknown(range) => {
                    self.window.wanted(range.clone()).iter().for_each(|wanted| self.rescue(wanted, None));
                }
                Unit::Frames { wanted, offset, length } => {
                    self.frames(frames, self.window.wanted(wanted.clone()), *offset, *length);
                }
            }
            self.context.report_advance();
        }
    }

    fn things(&mut self, things: &[Thing<'t>]) {
        for thing in things {
            match thing {
                Thing::Small(planned) => {
                    let outcome = self.small(planned);
                    self.end(planned, outcome);
                }
                Thing::Planned(shared) => self.piece_done(shared),
            }
        }
    }

    /// Reads a run of frames and writes what is wanted of each.
    fn frames(&mut self, frames: &mut FrameReader<'_>, wanted: &[Wanted], offset: u64, length: u64) {
        let Some(first) = wanted.first().and_then(|wanted| self.window.location(wanted)) else { return };
        let name = ObjectName::pack(&first.pack);
        let stored = self.context.reader.repository().storage().get(&name, ByteRange::From { offset, length });
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) if error.kind == StorageErrorKind::Unreachable => {
                return self.context.fail(RepositoryError::from(error).into());
            }
            // One frame at a time, for the pack may only be shorter than it should be.
            Err(error) => {
                let error = error.into();
                return wanted.iter().for_each(|wanted| self.rescue(wanted, Some(&error)));
            }
        };
        let repository = self.context.reader.repository();
        for group in wanted.chunk_by(Wanted::same_frame) {
            if self.context.is_stopped() {
                return;
            }
            let Some(place) = self.window.location(&group[0]) else { continue };
            let start = usize::try_from(place.frame.offset - offset).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(place.frame.record.size()).unwrap_or(usize::MAX));
            let content = match frames.open(&place, stored.get(start..end).unwrap_or_default()) {
                Ok(content) => content,
                Err(error) => {
                    group.iter().for_each(|wanted| self.rescue(wanted, Some(&error)));
                    continue;
                }
            };
            for same in group.chunk_by(|one, other| one.id == other.id) {
                let Some(location) = self.window.location(&same[0]) else { continue };
                match FrameReader::proven(repository, content, &location, &same[0].id.0) {
                    Ok(chunk) => same.iter().for_each(|wanted| self.deliver(wanted, chunk)),
                    Err(error) => same.iter().for_each(|wanted| self.rescue(wanted, Some(&error))),
                }
            }
        }
    }

    /// Looks for a chunk everywhere, after the nearest copy of it failed.
    fn rescue(&mut self, wanted: &Wanted, failure: Option<&RepositoryError>) {
        let pack = self.window.location(wanted).map(|location| location.pack);
        match self.context.reader.chunk(&wanted.id) {
            Ok(chunk) if chunk.len() == wanted.length as usize => {
                if let (Some(pack), Some(failure)) = (pack, failure) {
                    let mut told = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
                    if told.insert(pack) {
                        let message = format!("{}; other copies serve", error_chain(failure));
                        self.context.progress.report(Event::Warning { message });
                    }
                }
                self.deliver(wanted, &chunk);
            }
            Ok(chunk) => self.lose(wanted, &format!("its chunk has {} bytes", chunk.len())),
            Err(RepositoryError::NoView { reason }) => self.leave_out(wanted, reason),
            Err(error) => self.lose(wanted, &error_chain(failure.unwrap_or(&error))),
        }
    }

    /// A part of a view cannot be made, and so no file of it is.
    fn leave_out(&mut self, wanted: &Wanted, why: String) {
        match wanted.goes_to {
            GoesTo::Whole(number) => {
                let planned = &self.window.whole[number as usize];
                self.context.withhold(|| self.layout_path(planned), &why);
            }
            GoesTo::Shared(number) => {
                let shared = &self.window.shared[number as usize];
                shared.lose(Missing::View, why);
                self.piece_done(shared);
            }
        }
    }

    fn lose(&mut self, wanted: &Wanted, why: &str) {
        let end = wanted.at + u64::from(wanted.length);
        let what = format!("bytes {} to {end} are lost: {why}", wanted.at);
        match wanted.goes_to {
            GoesTo::Whole(number) => {
                let planned = &self.window.whole[number as usize];
                self.context.lost(self.layout_path(planned), what);
            }
            GoesTo::Shared(number) => {
                let shared = &self.window.shared[number as usize];
                shared.lose(Missing::Stored, what);
                self.piece_done(shared);
            }
        }
    }

    fn deliver(&mut self, wanted: &Wanted, chunk: &[u8]) {
        match wanted.goes_to {
            GoesTo::Whole(number) => {
                let planned = &self.window.whole[number as usize];
                let outcome = self.whole(planned, chunk);
                self.end(planned, outcome);
            }
            GoesTo::Shared(number) => {
                let shared = &self.window.shared[number as usize];
                self.piece(shared, chunk, wanted.at);
                self.piece_done(shared);
            }
        }
    }

    /// A file whose content is at hand.
    fn whole(&mut self, planned: &Planned, content: &[u8]) -> Result<Vec<TargetWarning>, TargetError> {
        let file = self.create(planned)?;
        file.write_at(content, 0)?;
        self.finish(planned, file)
    }

    fn create(&mut self, planned: &Planned) -> Result<TargetFile<'t>, TargetError> {
        let target = self.target;
        self.at_place(planned, |folder, name| target.create_file(folder, name, &planned.entry.metadata))
    }

    /// Gives a file all but its bytes.
    fn finish(&self, planned: &Planned, file: TargetFile<'_>) -> Result<Vec<TargetWarning>, TargetError> {
        file.extend_to(planned.entry.content.size());
        let values = self.values(planned);
        let attributes: Vec<Attribute<'_>> =
            values.iter().map(|(name, value)| Attribute { name: name.as_ref(), value: value.as_ref() }).collect();
        file.finish(&planned.entry.metadata, &attributes)
    }

    /// The extended attributes; one that is lost is reported and left out.
    fn values<'e>(&self, planned: &'e Planned) -> Vec<values::Value<'e>> {
        values::values(self.context, &planned.entry, || self.layout_path(planned))
    }

    /// Writes one piece of a file, unless that is lost already.
    fn piece(&mut self, shared: &SharedFile<'t>, chunk: &[u8], at: u64) {
        if shared.loss.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        self.open_shared(shared);
        self.write_piece(shared, chunk, at);
    }

    fn write_piece(&self, shared: &SharedFile<'t>, chunk: &[u8], at: u64) {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let FileState::Open(file) = &*state else { return };
        if let Err(error) = file.write_at(chunk, at) {
            drop(state);
            self.give_up(shared, error);
        }
    }

    fn open_shared(&mut self, shared: &SharedFile<'t>) {
        if !matches!(*shared.state.read().unwrap_or_else(PoisonError::into_inner), FileState::New) {
            return;
        }
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, FileState::New) {
            return;
        }
        let size = shared.planned.entry.content.size();
        match self.create(&shared.planned).and_then(|file| file.reserve(size).map(|()| file)) {
            Ok(file) => *state = FileState::Open(file),
            Err(error) => {
                *state = FileState::Ended;
                drop(state);
                self.context.refused(self.layout_path(&shared.planned), error);
            }
        }
    }

    /// The target does not take the file.
    fn give_up(&self, shared: &SharedFile<'t>, error: TargetError) {
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, FileState::Ended) {
            *state = FileState::Ended;
            drop(state);
            self.context.refused(self.layout_path(&shared.planned), error);
        }
    }

    /// Counts a piece of a file as done, and ends the file with its last.
    fn piece_done(&mut self, shared: &SharedFile<'t>) {
        if !shared.piece_done() {
            return;
        }
        let loss = shared.loss.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Loss { missing, first, others }) = loss {
            *shared.state.write().unwrap_or_else(PoisonError::into_inner) = FileState::Ended;
            if missing == Missing::View {
                return self.context.withhold(|| self.layout_path(&shared.planned), &first);
            }
            let further = if others == 0 { String::new() } else { format!(" (and {others} further places)") };
            return self.context.lost(self.layout_path(&shared.planned), first + &further);
        }
        // A file of zeros alone was never opened.
        self.open_shared(shared);
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        if let FileState::Open(file) = std::mem::replace(&mut *state, FileState::Ended) {
            drop(state);
            let outcome = self.finish(&shared.planned, file);
            self.end(&shared.planned, outcome);
        }
    }

    /// Something that needs no chunk.
    fn small(&mut self, planned: &Planned) -> Result<Vec<TargetWarning>, TargetError> {
        let (target, entry) = (self.target, &planned.entry);
        let node = match &entry.kind {
            EntryKind::Directory => {
                let place = self.place(planned, planned.spelling);
                let made = target.directory(&place).or_else(|error| match error.asks_for_an_escaped_name() {
                    true => self.folded(planned, Names::All),
                    false => Err(error),
                });
                self.folder = Some(made?);
                return Ok(Vec::new());
            }
            EntryKind::Symlink(leads_to) => {
                return self
                    .at_place(planned, |folder, name| target.create_symlink(folder, name, leads_to, &entry.metadata));
            }
            EntryKind::Fifo => Node::Fifo,
            EntryKind::Socket => Node::Socket,
            EntryKind::BlockDevice { major, minor } => Node::BlockDevice { major: *major, minor: *minor },
            EntryKind::CharacterDevice { major, minor } => Node::CharacterDevice { major: *major, minor: *minor },
            EntryKind::File | EntryKind::Object | EntryKind::Document => {
                let content = if let Content::Inline(bytes) = &entry.content { &bytes[..] } else { b"" };
                return self.whole(planned, content);
            }
        };
        self.at_place(planned, |folder, name| target.create_node(folder, name, node, &entry.metadata))
    }

    /// A hard link; a file of its own where that cannot be.
    fn link(&mut self, link: &Link) {
        let Link { planned, first } = link;
        let Metadata::Posix(posix) = &planned.entry.metadata else { return };
        let linked = LinkedFile::new(first, &planned.entry.content, posix);
        let target = self.target;
        match self.at_place(planned, |folder, name| target.create_hard_link(linked, folder, name)) {
            Err(error) if !error.ends_the_run() => self.alone(planned),
            outcome => self.end(planned, outcome.map(|()| Vec::new())),
        }
    }

    /// Writes an entry piece by piece, apart from all others.
    fn alone(&mut self, planned: &Planned) {
        let content = &planned.entry.content;
        if !has_content(&planned.entry.kind) || matches!(content, Content::Empty | Content::Inline(_)) {
            let outcome = self.small(planned);
            return self.end(planned, outcome);
        }
        let file = match self.create(planned) {
            Ok(file) => file,
            Err(error) => return self.end(planned, Err(error)),
        };
        let reader = self.context.reader;
        let mut pieces = PieceIter::new(reader, content);
        loop {
            let at = pieces.offset();
            let why = match pieces.next() {
                None => break,
                Some(Ok(Piece::Zeros { .. })) => continue,
                Some(Ok(Piece::Chunk { id, length })) => match reader.chunk(&id) {
                    Ok(chunk) if chunk.len() == length as usize => match file.write_at(&chunk, at) {
                        Ok(()) => continue,
                        Err(error) => return self.end(planned, Err(error)),
                    },
                    Ok(chunk) => format!("its chunk has {} bytes", chunk.len()),
                    Err(error) => error_chain(&error),
                },
                Some(Err(error)) => error_chain(&error),
            };
            let message = format!("bytes {at} to {} are lost: {why}", pieces.offset());
            return self.context.lost(self.layout_path(planned), message);
        }
        let outcome = self.finish(planned, file);
        self.end(planned, outcome);
    }

    fn layout_path(&self, planned: &Planned) -> Vec<u8> {
        self.context.selection.parts[planned.part].layout_path(planned.entry.path.as_bytes())
    }

    fn end(&self, planned: &Planned, outcome: Result<Vec<TargetWarning>, TargetError>) {
        match outcome {
            Ok(warnings) => {
                let size = planned.entry.content.size();
                self.context.tally.restored.fetch_add(1, Ordering::Relaxed);
                self.context.tally.bytes.fetch_add(size, Ordering::Relaxed);
                self.context.warn(&warnings);
                self.context.item("restored", || self.layout_path(planned), size);
            }
            Err(error) => self.context.refused(self.layout_path(planned), error),
        }
    }
}
