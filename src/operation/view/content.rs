//! The bytes of stored content at any offset, for those that read here and there.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::entry::{Content, Piece};
use crate::operation::backup::error_chain;
use crate::repository::reader::Reader;
use crate::tree::list::PieceIter;

/// Content that is read by offset; the piece that was read last stays at hand.
pub(super) struct ContentBytes<'c, 'r> {
    reader: &'c Reader<'r>,
    content: &'c Content,
    state: Mutex<State<'c, 'r>>,
}

struct State<'c, 'r> {
    pieces: PieceIter<&'c Reader<'r>>,
    last: Option<Stretch>,
}

/// A piece and where it begins; zeros have no bytes.
#[derive(Clone)]
struct Stretch {
    start: u64,
    length: u64,
    bytes: Option<Bytes>,
}

impl<'c, 'r> ContentBytes<'c, 'r> {
    pub(super) fn new(reader: &'c Reader<'r>, content: &'c Content) -> Self {
        let state = State { pieces: PieceIter::new(reader, content), last: None };
        Self { reader, content, state: Mutex::new(state) }
    }

    /// Fills the front of `target` from `offset` on, as far as one piece reaches; 0 only at the end.
    pub(super) fn read(&self, target: &mut [u8], offset: u64) -> io::Result<usize> {
        if target.is_empty() || offset >= self.content.size() {
            return Ok(0);
        }
        if let Content::Inline(bytes) = self.content {
            let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
            return Ok(copied(rest, target));
        }
        let stretch = self.stretch(offset)?;
        let within = offset - stretch.start;
        match &stretch.bytes {
            Some(bytes) => Ok(copied(&bytes[usize::try_from(within).map_err(io::Error::other)?..], target)),
            None => {
                let length = usize::try_from(stretch.length - within).unwrap_or(usize::MAX).min(target.len());
                target[..length].fill(0);
                Ok(length)
            }
        }
    }

    /// The piece that holds the byte at `offset`, which is before the end.
    fn stretch(&self, offset: u64) -> io::Result<Stretch> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |last: &Stretch| last.start <= offset && offset - last.start < last.length;
        if let Some(last) = state.last.as_ref().filter(|last| holds(last)) {
            return Ok(last.clone());
        }
        let failed = |error: &dyn std::error::Error| io::Error::other(error_chain(error));
        state.pieces.seek(offset).map_err(|error| failed(&error))?;
        let start = state.pieces.offset();
        let piece = state.pieces.next().ok_or_else(|| io::Error::other("the list of pieces ends early"))?;
        let piece = piece.map_err(|error| failed(&error))?;
        let bytes = match piece {
            Piece::Zeros { .. } => None,
            Piece::Chunk { id, .. } => Some(self.reader.chunk(&id).map_err(|error| failed(&error))?),
        };
        if bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 != piece.length()) {
            return Err(io::Error::other("a chunk is not of the length that the list of pieces says"));
        }
        let stretch = Stretch { start, length: piece.length(), bytes };
        state.last = Some(stretch.clone());
        Ok(stretch)
    }
}

impl rawzip::ReaderAt for ContentBytes<'_, '_> {
    fn read_at(&self, target: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(target, offset)
    }
}

fn copied(bytes: &[u8], target: &mut [u8]) -> usize {
    let length = bytes.len().min(target.len());
    target[..length].copy_from_slice(&bytes[..length]);
    length
}
