//! Cutting content of any length in windows, holes unread: of a file that is captured, of one that is copied.

use std::ops::Range;

use crate::codec::chunk::{Cut, Cutter, Window};
use crate::source::local::read::Span;

/// Content up to this size is read whole by one worker; larger in windows of it.
pub(super) const WINDOW_SIZE: usize = 2 << 20;

/// Content that comes in stretches of bytes and of zeros.
pub(super) trait Spans {
    /// Why it cannot be read.
    type Error;

    /// Appends at most `length_max` bytes, or says that zeros follow, or the end.
    fn read_into(&mut self, buffer: &mut Vec<u8>, length_max: usize) -> Result<Span, Self::Error>;
}

/// A piece before it has a name.
pub(super) enum Part {
    /// These bytes of the window.
    Chunk(Range<usize>),
    /// So many zeros.
    Zeros(u64),
}

/// The bytes of a window and how they are cut.
pub(super) type CutWindow = (Vec<u8>, Vec<Part>);

/// Reads content window by window and cuts it.
pub(super) struct Windows<'s, S> {
    source: &'s mut S,
    /// What is read but not yet cut.
    bytes: Vec<u8>,
    /// Zeros that follow `bytes` without having been read.
    hole: u64,
    at_end: bool,
    bytes_read: u64,
}

impl<'s, S: Spans> Windows<'s, S> {
    pub(super) fn new(source: &'s mut S, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { source, bytes: buffer, hole: 0, at_end: false, bytes_read: 0 }
    }

    /// What is read but not yet cut.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes that were read so far; holes are not.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The buffer, for the next content.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads until the window is full, a hole follows, or the file ends.
    pub(super) fn fill(&mut self) -> Result<(), S::Error> {
        self.bytes.reserve(WINDOW_SIZE.saturating_sub(self.bytes.len()));
        while self.hole == 0 && !self.at_end && self.bytes.len() < WINDOW_SIZE {
            let room = WINDOW_SIZE - self.bytes.len();
            match self.source.read_into(&mut self.bytes, room)? {
                Span::Data(length) => self.bytes_read += length as u64,
                Span::Hole(length) => self.hole = length,
                Span::End => self.at_end = true,
            }
        }
        Ok(())
    }

    /// The next window and its parts; what is left uncut begins the next in `buffer`. `None` at the end.
    pub(super) fn next(&mut self, cutter: &mut Cutter<'_>, mut buffer: Vec<u8>) -> Result<Option<CutWindow>, S::Error> {
        let mut parts = Vec::new();
        let mut start = 0;
        loop {
            self.fill()?;
            let window = if self.at_end && self.hole == 0 { Window::Last } else { Window::More };
            let rest = &self.bytes[start..];
            let cut = match (rest.is_empty(), window) {
                (true, Window::Last) => break,
                (true, Window::More) => Cut::NeedMore,
                (false, window) => cutter.next(rest, window),
            };
            match cut {
                Cut::Chunk(length) => {
                    parts.push(Part::Chunk(start..start + length));
                    start += length;
                }
                Cut::Zeros(length) => {
                    parts.push(Part::Zeros(length));
                    start += usize::try_from(length).unwrap_or(rest.len());
                }
                // The rest of a hole within a run of zeros needs no looking at.
                Cut::NeedMore if self.hole > 0 && rest.is_empty() && cutter.in_zeros() => {
                    parts.push(Part::Zeros(std::mem::take(&mut self.hole)));
                }
                Cut::NeedMore if self.hole > 0 => {
                    let zeros = self.hole.min(cutter.window_size() as u64);
                    self.hole -= zeros;
                    let length = self.bytes.len() + usize::try_from(zeros).unwrap_or(0);
                    self.bytes.resize(length, 0);
                }
                Cut::NeedMore if start == 0 && parts.is_empty() => self.grow()?,
                Cut::NeedMore => break,
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        buffer.clear();
        buffer.extend_from_slice(&self.bytes[start..]);
        Ok(Some((std::mem::replace(&mut self.bytes, buffer), parts)))
    }

    /// Reads beyond a window that is too short to be cut.
    fn grow(&mut self) -> Result<(), S::Error> {
        match self.source.read_into(&mut self.bytes, WINDOW_SIZE)? {
            Span::Data(length) => self.bytes_read += length as u64,
            Span::Hole(length) => self.hole = length,
            Span::End => self.at_end = true,
        }
        Ok(())
    }
}
