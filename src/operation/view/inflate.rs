//! The bytes of a member, part by part; no more than its archive says, and its checksum before the last of them is given out.
//!
//! Parts are mostly wanted in order, so a few members that are under way stay open. Whoever wants an earlier part begins anew.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use rawzip::{Crc32, ReaderAt};

use crate::entry::Content;
use crate::operation::view::archive::{Body, Packing};
use crate::operation::view::content::ContentBytes;
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;

/// Bytes of a part, but for the last.
pub(super) const PART_SIZE: u32 = 1 << 20;
/// Members that stay open.
const OPEN_MAX: usize = 16;
/// Packed bytes that are read at once.
const INPUT_SIZE: usize = 64 * 1024;
/// What stands before the bytes of a member: so many bytes, its name and more.
const HEADER_SIZE: usize = 30;
const HEADER_BEGINS: &[u8] = b"PK\x03\x04";

/// Which member of which tree.
pub(super) type Key = (u32, u32);

/// Members that are under way.
#[derive(Debug, Default)]
pub(super) struct Inflaters {
    open: Mutex<Vec<(Key, Inflater)>>,
}

impl Inflaters {
    /// A part of a member.
    pub(super) fn part(
        &self,
        reader: &Reader<'_>,
        content: &Content,
        (key, body): (Key, &Body),
        part: u32,
    ) -> Result<Bytes, RepositoryError> {
        let no_view = |error: io::Error| RepositoryError::NoView { reason: error.to_string() };
        let bytes = ContentBytes::new(reader, content);
        let found = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let at = open.iter().position(|(of, inflater)| *of == key && inflater.next <= part);
            at.map(|at| open.remove(at).1)
        };
        let mut inflater = match found {
            Some(inflater) => inflater,
            None => Inflater::begin(&bytes, body).map_err(no_view)?,
        };
        while inflater.next < part {
            inflater.read(&bytes, body).map_err(no_view)?;
        }
        let made = inflater.read(&bytes, body).map_err(no_view)?;
        if inflater.left > 0 {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.len() >= OPEN_MAX {
                open.remove(0);
            }
            open.push((key, inflater));
        }
        Ok(made.into())
    }
}

/// All bytes of a small member.
pub(super) fn inflated(bytes: &ContentBytes<'_, '_>, body: &Body) -> io::Result<Vec<u8>> {
    let mut inflater = Inflater::begin(bytes, body)?;
    let mut all = Vec::new();
    while inflater.left > 0 {
        all.extend(inflater.read(bytes, body)?);
    }
    Ok(all)
}

/// A member that is being read.
#[derive(Debug)]
struct Inflater {
    /// Where its packed bytes go on, and where they end.
    at: u64,
    end: u64,
    decompress: Option<Decompress>,
    checksum: Crc32,
    /// The part that comes next.
    next: u32,
    /// Bytes that were not given out.
    left: u64,
}

impl Inflater {
    /// Before the first part. The directory says what a member is; of the header before its bytes only its length counts.
    fn begin(bytes: &ContentBytes<'_, '_>, body: &Body) -> io::Result<Self> {
        let mut header = [0; HEADER_SIZE];
        bytes.read_exact_at(&mut header, body.header)?;
        if !header.starts_with(HEADER_BEGINS) {
            return Err(wrong("it is not where its archive says"));
        }
        let [name, extra] = [26, 28].map(|at| u64::from(u16::from_le_bytes([header[at], header[at + 1]])));
        let at = body.header + HEADER_SIZE as u64 + name + extra;
        let decompress = (body.packing == Packing::Deflated).then(|| Decompress::new(false));
        if decompress.is_none() && body.packed != body.size {
            return Err(wrong("its archive says two sizes"));
        }
        let end = at.saturating_add(body.packed);
        Ok(Self { at, end, decompress, checksum: Crc32::new(), next: 0, left: body.size })
    }

    /// The next part.
    fn read(&mut self, bytes: &ContentBytes<'_, '_>, body: &Body) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.left.min(u64::from(PART_SIZE))).map_err(io::Error::other)?;
        let mut part = vec![0; length];
        let mut filled = 0;
        let mut input = vec![0; INPUT_SIZE];
        while filled < length {
            let written = self.step(bytes, &mut input, &mut part[filled..])?;
            filled += written.ok_or_else(|| wrong("it is shorter than its archive says"))?;
        }
        self.left -= length as u64;
        self.next += 1;
        self.checksum.update(&part);
        if self.left == 0 {
            while let Some(more) = self.step(bytes, &mut input, &mut [0])? {
                if more > 0 {
                    return Err(wrong("it is longer than its archive says"));
                }
            }
            if self.checksum.checksum() != body.checksum {
                return Err(wrong("it does not have the checksum that its archive says"));
            }
        }
        Ok(part)
    }

    /// Goes on by some bytes, perhaps by none; `None` at the end.
    fn step(&mut self, bytes: &ContentBytes<'_, '_>, input: &mut [u8], output: &mut [u8]) -> io::Result<Option<usize>> {
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let Some(decompress) = &mut self.decompress else {
            let length = room.min(output.len());
            let read = bytes.read(&mut output[..length], self.at)?;
            self.at += read as u64;
            return Ok((read > 0).then_some(read));
        };
        let length = room.min(input.len());
        let read = bytes.read(&mut input[..length], self.at)?;
        let (before_in, before_out) = (decompress.total_in(), decompress.total_out());
        let status = decompress
            .decompress(&input[..read], output, FlushDecompress::None)
            .map_err(|_| wrong("its packed bytes are damaged"))?;
        let (taken, given) = (decompress.total_in() - before_in, decompress.total_out() - before_out);
        self.at += taken;
        let is_over = status == Status::StreamEnd || taken == 0 && given == 0;
        let given = usize::try_from(given).map_err(io::Error::other)?;
        Ok(if is_over && given == 0 { None } else { Some(given) })
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
