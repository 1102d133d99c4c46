//! Reading ahead: while somebody takes the bytes of a file in order, threads open the frames that come next.
//!
//! What is opened goes into the reader's cache of frames; whoever wants a chunk takes it from there, waits for the thread
//! that is at it, or opens it himself. So nothing depends on a frame being opened ahead, and memory is bounded by that cache.

use std::collections::VecDeque;
use std::thread;

use crossbeam_channel::Sender;

use crate::entry::{Content, Piece};
use crate::id::PackId;
use crate::repository::index::segment::Location;
use crate::repository::reader::Reader;
use crate::tree::error::TreeError;
use crate::tree::list::PieceIter;

/// Frames that may wait for a thread.
const QUEUE_LENGTH: usize = 64;

/// Threads that open frames before they are wanted.
pub struct ReadAhead {
    frames: Sender<Location>,
}

impl ReadAhead {
    /// Does `work` with so many threads that open frames for it; with none, nothing is opened ahead.
    pub fn during<T>(reader: &Reader<'_>, threads: usize, work: impl FnOnce(&Self) -> T) -> T {
        let (frames, wanted) = crossbeam_channel::bounded::<Location>(QUEUE_LENGTH);
        thread::scope(|scope| {
            for _ in 0..threads {
                let wanted = wanted.clone();
                scope.spawn(move || wanted.iter().for_each(|location| reader.warm(&location)));
            }
            // The threads end when this does, with the frames that wait still.
            let ahead = Self { frames };
            work(&ahead)
        })
    }

    /// Asks for a frame; where all threads are far behind, whoever wants it opens it.
    fn open(&self, location: Location) {
        let _full_or_asked = self.frames.try_send(location);
    }
}

/// A piece of a file's content, and where it lies in it.
#[derive(Debug)]
pub struct Stretch {
    /// Its first byte.
    pub start: u64,
    /// The byte after its last.
    pub end: u64,
    /// What is there; where a page of the list is lost, nobody knows.
    pub piece: Result<Piece, TreeError>,
}

/// The pieces of a file in order, of which the next ones are being opened.
pub struct Upcoming<'a, 'r> {
    reader: &'a Reader<'r>,
    pieces: PieceIter<&'a Reader<'r>>,
    /// Pieces that were asked for and not yet taken, with the bytes of the frames that were asked for with each.
    asked: VecDeque<(Stretch, u64)>,
    /// The frame that was asked for last, as the next chunk is mostly in it too.
    frame: Option<(PackId, u64)>,
    /// Bytes of frames that were asked for and not yet taken.
    ahead: u64,
}

impl<'a, 'r> Upcoming<'a, 'r> {
    /// Before the first piece; reads nothing yet.
    pub fn new(reader: &'a Reader<'r>, content: &Content) -> Self {
        let pieces = PieceIter::new(reader, content);
        Self { reader, pieces, asked: VecDeque::new(), frame: None, ahead: 0 }
    }

    /// Where the next piece begins in the content.
    pub fn offset(&self) -> u64 {
        self.asked.front().map_or(self.pieces.offset(), |(stretch, _)| stretch.start)
    }

    /// Goes to the piece that holds the byte at `offset`, or to the end; from there nothing is asked for yet.
    pub fn seek(&mut self, offset: u64) -> Result<(), TreeError> {
        self.asked.clear();
        (self.frame, self.ahead) = (None, 0);
        self.pieces.seek(offset)
    }

    /// The next piece, after asking for frames of up to `window` bytes behind it.
    pub fn take(&mut self, window: u64, read_ahead: &ReadAhead) -> Option<Stretch> {
        while self.asked.is_empty() || (self.ahead < window && self.asked.len() < QUEUE_LENGTH * 64) {
            let start = self.pieces.offset();
            let Some(piece) = self.pieces.next() else { break };
            let cost = match &piece {
                Ok(piece) if window > 0 => self.ask(piece, read_ahead),
                _ => 0,
            };
            self.asked.push_back((Stretch { start, end: self.pieces.offset(), piece }, cost));
        }
        let (stretch, cost) = self.asked.pop_front()?;
        self.ahead -= cost;
        Some(stretch)
    }

    /// Asks for the frame of a chunk, unless that is the one asked for last; the bytes it will take.
    fn ask(&mut self, piece: &Piece, read_ahead: &ReadAhead) -> u64 {
        let Piece::Chunk { id, .. } = piece else { return 0 };
        let Some(location) = self.reader.place(id) else { return 0 };
        let frame = (location.pack, location.frame.number);
        if self.frame == Some(frame) {
            return 0;
        }
        self.frame = Some(frame);
        let cost = u64::from(location.frame.record.plain_length);
        self.ahead += cost;
        read_ahead.open(location);
        cost
    }
}
