//! Reads one file's content in order, holes as holes, and tells whether it stayed the same meanwhile.
//!
//! A read ends at the size the file had when it was opened, or earlier if it shrank. Reading again, and what
//! becomes of a file that never stays the same, is for the operation to decide.

use std::io;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::entry::EntryPath;
use crate::source::local::LocalError;
use crate::source::local::attributes::{self, Attributes};
use crate::source::local::listed::error_at;
use crate::source::local::stat::FileStat;

/// A stretch of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many bytes were appended to the buffer; never 0.
    Data(usize),
    /// So many zero bytes that take no room follow; nothing was read. Never 0.
    Hole(u64),
    /// The content is complete.
    End,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    path: EntryPath,
    file: OwnedFd,
    /// As it was when this read began.
    stat: FileStat,
    position: u64,
    /// Up to where all is known to be data; the next hole is looked for from there.
    data_end: u64,
}

impl OpenFile {
    pub(crate) fn new(path: EntryPath, file: OwnedFd, stat: FileStat) -> Self {
        Self { path, file, stat, position: 0, data_end: if stat.is_sparse() { 0 } else { u64::MAX } }
    }

    /// What the system told of it when this read began; newer than what was listed, so keep this beside the content.
    pub fn stat(&self) -> &FileStat {
        &self.stat
    }

    /// Appends at most `length_max` bytes of what follows to `buffer`, or says how long the hole is that follows.
    ///
    /// One system call for a file that fits, if it has no holes. A `length_max` of 0 is taken as 1.
    pub fn read_into(&mut self, buffer: &mut Vec<u8>, length_max: usize) -> Result<Span, LocalError> {
        let left = self.stat.size.saturating_sub(self.position);
        if left == 0 {
            return Ok(Span::End);
        }
        if self.position >= self.data_end
            && let Some(hole) = self.hole().map_err(|error| self.error(error))?
        {
            self.position += hole;
            return Ok(Span::Hole(hole));
        }
        let wanted = left.min(self.data_end - self.position).min(length_max.max(1) as u64);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let length = self.fill(buffer, wanted).map_err(|error| self.error(error))?;
        self.position += length as u64;
        if length == 0 {
            // It shrank: what is left of it is all there is.
            self.position = self.stat.size;
            return Ok(Span::End);
        }
        Ok(Span::Data(length))
    }

    /// Whether the file is still as it was when this read began, so that what was read is one state of it.
    pub fn is_unchanged_since_open(&self) -> Result<bool, LocalError> {
        let now = rustix::fs::fstat(&self.file).map_err(|error| self.error(error))?;
        Ok(self.stat.is_same_state(&now.into()))
    }

    /// Begins a new read at the start, of the file as it is now.
    pub fn rewind(&mut self) -> Result<(), LocalError> {
        let now = FileStat::from(rustix::fs::fstat(&self.file).map_err(|error| self.error(error))?);
        self.stat = now;
        self.position = 0;
        self.data_end = if now.is_sparse() { 0 } else { u64::MAX };
        Ok(())
    }

    /// Its extended attributes.
    pub fn attributes(&self) -> Result<Attributes, LocalError> {
        attributes::of_descriptor(&self.file).map_err(|error| error_at(self.path.clone(), "read attributes", error))
    }

    /// Length of the hole at the position, or `None` and in `data_end` where the data there ends.
    fn hole(&mut self) -> Result<Option<u64>, Errno> {
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(self.position)) {
            Ok(data) => data.min(self.stat.size),
            Err(Errno::NXIO) => self.size_now()?.min(self.stat.size).max(self.position),
            // A file system that cannot tell has no holes.
            Err(Errno::INVAL | Errno::NOTSUP) => {
                self.data_end = u64::MAX;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if data > self.position {
            return Ok(Some(data - self.position));
        }
        self.data_end = match rustix::fs::seek(&self.file, SeekFrom::Hole(self.position)) {
            Ok(hole) if hole > self.position => hole,
            // It changed in between; the read finds out how far it goes.
            Ok(_) | Err(Errno::NXIO) => u64::MAX,
            Err(error) => return Err(error),
        };
        Ok(None)
    }

    fn size_now(&self) -> Result<u64, Errno> {
        Ok(FileStat::from(rustix::fs::fstat(&self.file)?).size)
    }

    /// Reads until so many bytes are there or the file ends.
    fn fill(&self, buffer: &mut Vec<u8>, wanted: usize) -> Result<usize, Errno> {
        let start = buffer.len();
        let mut filled = 0;
        while filled < wanted {
            let offset = self.position + filled as u64;
            match self.fill_once(buffer, wanted - filled, offset) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(Errno::INTR) => {}
                Err(error) => {
                    buffer.truncate(start);
                    return Err(error);
                }
            }
        }
        Ok(filled)
    }

    fn fill_once(&self, buffer: &mut Vec<u8>, wanted: usize, offset: u64) -> Result<usize, Errno> {
        let start = buffer.len();
        buffer.reserve(wanted);
        let is_last = offset + wanted as u64 >= self.stat.size;
        let length = if is_last || buffer.capacity() - start == wanted {
            // All the room there is may be offered without clearing it first: behind this the file ends, or the room does.
            rustix::io::pread(&self.file, spare_capacity(buffer), offset)?.min(wanted)
        } else {
            buffer.resize(start + wanted, 0);
            match rustix::io::pread(&self.file, &mut buffer[start..], offset) {
                Ok(length) => length,
                Err(error) => {
                    buffer.truncate(start);
                    return Err(error);
                }
            }
        };
        buffer.truncate(start + length);
        Ok(length)
    }

    fn error(&self, error: Errno) -> LocalError {
        LocalError::System { action: "read", path: self.path.clone(), source: io::Error::from(error) }
    }
}
