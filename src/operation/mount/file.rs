//! Reading an open file: any stretch of it, each chunk proven, the next ones opened ahead for whoever reads in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::entry::{Content, Entry, Metadata, Piece, PosixMetadata};
use crate::id::ChunkId;
use crate::operation::backup::error_chain;
use crate::operation::mount::node::Place;
use crate::operation::mount::{Fault, FileSystem, READER_CACHE_SIZE};
use crate::operation::read_ahead::{Stretch, Upcoming};
use crate::repository::reader::Reader;
use crate::tree::list::PieceIter;

/// Frames that are opened ahead for one reader, in bytes, once he has read on for a while.
const WINDOW_MAX: u64 = 8 << 20;
/// And at first.
const WINDOW_MIN: u64 = 1 << 20;
/// Pieces behind the last read that are remembered, in bytes: reads of the kernel overtake each other.
const BEHIND: u64 = 2 << 20;

/// A file that somebody reads.
pub(super) struct OpenFile<'a, 'r> {
    entry: Arc<Entry>,
    /// Where it stands, for words about it.
    place: Place,
    /// Files that are read in order.
    runs: Arc<AtomicUsize>,
    state: Mutex<State<'a, 'r>>,
}

struct State<'a, 'r> {
    upcoming: Upcoming<'a, 'r>,
    /// Pieces that were taken lately, without a gap between them, up to where `upcoming` stands.
    recent: VecDeque<Known>,
    /// Where the next read begins if it goes on from the last.
    expected: u64,
    reads: u64,
    window: u64,
}

/// What lies between two offsets.
#[derive(Clone)]
struct Known {
    start: u64,
    end: u64,
    what: What,
}

#[derive(Clone)]
enum What {
    Chunk(ChunkId),
    Zeros,
    Lost(Arc<str>),
}

/// What `lseek` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The next byte that is no hole.
    Data,
    /// The next byte of a hole; the end of a file is one.
    Hole,
}

impl<'a, 'r> OpenFile<'a, 'r> {
    /// Nothing is read yet.
    pub(super) fn new(reader: &'a Reader<'r>, entry: Arc<Entry>, place: Place, runs: Arc<AtomicUsize>) -> Self {
        let upcoming = Upcoming::new(reader, &entry.content);
        let state = State { upcoming, recent: VecDeque::new(), expected: 0, reads: 0, window: 0 };
        Self { entry, place, runs, state: Mutex::new(state) }
    }

    /// Up to `size` bytes at `offset`; fewer only at the end of the file.
    pub(super) fn read(&self, system: &FileSystem<'a, 'r>, offset: u64, size: u32) -> Result<Vec<u8>, Fault> {
        let end = offset.saturating_add(u64::from(size)).min(self.entry.content.size());
        if offset >= end {
            return Ok(Vec::new());
        }
        let length = usize::try_from(end - offset).expect("because it is at most a u32");
        if let Content::Inline(bytes) = &self.entry.content {
            let start = usize::try_from(offset).expect("because it is before the end");
            return Ok(bytes[start..start + length].to_vec());
        }
        let mut bytes = vec![0; length];
        let mut at = offset;
        for known in self.known(system, offset, end)? {
            let (from, to) = (known.start.max(offset), known.end.min(end));
            if from != at {
                break;
            }
            at = to;
            let lost = |why: &str| self.lost(system, &known, why);
            match &known.what {
                What::Zeros => {}
                What::Lost(why) => return Err(lost(why)),
                What::Chunk(id) => {
                    let chunk = system.chunk(id).map_err(|error| lost(&error_chain(&error)))?;
                    if chunk.len() as u64 != known.end - known.start {
                        return Err(lost("the chunk is not of the length that the list of pieces says"));
                    }
                    let within = |offset: u64, start: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
                    let part = &chunk[within(from, known.start)..within(to, known.start)];
                    bytes[within(from, offset)..within(to, offset)].copy_from_slice(part);
                }
            }
        }
        if at < end {
            let rest = Known { start: at, end, what: What::Zeros };
            return Err(self.lost(system, &rest, "the list of pieces ends early"));
        }
        Ok(bytes)
    }

    /// The pieces that hold the bytes from `offset` to `end`; asks for what comes behind them.
    fn known(&self, system: &FileSystem<'a, 'r>, offset: u64, end: u64) -> Result<Vec<Known>, Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let first = state.recent.front().map_or(state.upcoming.offset(), |known| known.start);
        if offset < first || offset > state.upcoming.offset() {
            state.recent.clear();
            if let Err(error) = state.upcoming.seek(offset) {
                let start = state.upcoming.offset();
                let lost = Known { start: offset, end: start.max(offset + 1), what: What::Zeros };
                return Err(self.lost(system, &lost, &error_chain(&error)));
            }
        }
        self.set_window(state, offset, end);
        while state.upcoming.offset() < end {
            let Some(stretch) = state.upcoming.take(state.window, system.read_ahead) else { break };
            state.recent.push_back(Known::of(stretch));
        }
        while state.recent.front().is_some_and(|known| known.end.saturating_add(BEHIND) <= offset) {
            state.recent.pop_front();
        }
        Ok(state.recent.iter().filter(|known| known.end > offset && known.start < end).cloned().collect())
    }

    /// Opens more ahead the longer a file is read in order, and less the more files are.
    fn set_window(&self, state: &mut State<'_, '_>, offset: u64, end: u64) {
        let is_run = state.reads > 0 && offset.abs_diff(state.expected) <= BEHIND;
        let runs = match (state.window > 0, is_run) {
            (false, true) => self.runs.fetch_add(1, Ordering::Relaxed) + 1,
            (true, false) => self.runs.fetch_sub(1, Ordering::Relaxed) - 1,
            _ => self.runs.load(Ordering::Relaxed),
        };
        let share = READER_CACHE_SIZE as u64 / 2 / (runs as u64).max(1);
        let wanted = (state.window * 2).clamp(WINDOW_MIN, WINDOW_MAX.min(share).max(WINDOW_MIN));
        state.window = if is_run { wanted } else { 0 };
        state.expected = if is_run { end.max(state.expected) } else { end };
        state.reads += 1;
    }

    fn lost(&self, system: &FileSystem<'a, 'r>, known: &Known, why: &str) -> Fault {
        let path = self.place.layout(self.entry.path.as_bytes());
        system.lose(path, format!("bytes {} to {} are lost: {why}", known.start, known.end))
    }

    /// Where data or a hole begins at or after `offset`; `None` if none does.
    pub(super) fn seek(&self, reader: &Reader<'_>, offset: u64, sought: Sought) -> Option<u64> {
        let size = self.entry.content.size();
        if offset >= size {
            return None;
        }
        let is_sparse =
            matches!(&self.entry.metadata, Metadata::Posix(posix) if posix.flags & PosixMetadata::SPARSE != 0);
        if !is_sparse {
            return Some(if sought == Sought::Data { offset } else { size });
        }
        let mut pieces = PieceIter::new(reader, &self.entry.content);
        // What is lost is no hole: whoever reads it is told.
        if pieces.seek(offset).is_err() {
            return (sought == Sought::Data).then_some(offset);
        }
        loop {
            let start = pieces.offset().max(offset);
            match (pieces.next(), sought) {
                (None, Sought::Data) => return None,
                (None, Sought::Hole) => return Some(size),
                (Some(Ok(Piece::Zeros { .. })), Sought::Hole) => return Some(start),
                (Some(Ok(Piece::Chunk { .. }) | Err(_)), Sought::Data) => return Some(start),
                _ => {}
            }
        }
    }
}

impl Drop for OpenFile<'_, '_> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.window > 0 {
            self.runs.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Known {
    fn of(stretch: Stretch) -> Self {
        let what = match stretch.piece {
            Ok(Piece::Chunk { id, .. }) => What::Chunk(id),
            Ok(Piece::Zeros { .. }) => What::Zeros,
            Err(error) => What::Lost(error_chain(&error).into()),
        };
        Self { start: stretch.start, end: stretch.end, what }
    }
}
