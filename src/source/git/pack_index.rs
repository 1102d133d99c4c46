//! Whether a pack holds an object, by its index (gitformat-pack(5), versions 1 and 2), a few bytes of which are read.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};

/// First bytes of an index of version 2 or later.
const MAGIC: [u8; 4] = [0xff, b't', b'O', b'c'];
/// Bytes of the table that says how many objects begin with at most a byte.
const FANOUT_SIZE: u64 = 256 * 4;

/// Whether the index names an object, whose id may have any length.
pub(super) fn holds(index: &OwnedFd, id: &[u8]) -> io::Result<bool> {
    let mut header = [0; 8];
    read_at(index, 0, &mut header)?;
    let (fanout, before_id, version) = match header.starts_with(&MAGIC) {
        true => (8, 0, u32::from_be_bytes([header[4], header[5], header[6], header[7]])),
        // Version 1 has an offset before each id, and no header.
        false => (0, 4, 1),
    };
    if version > 2 {
        return Err(Errno::NOTSUP.into());
    }
    let Some(first) = id.first() else { return Ok(false) };
    let number_at = |place: u64| {
        let mut number = [0; 4];
        read_at(index, place, &mut number).map(|()| u64::from(u32::from_be_bytes(number)))
    };
    let mut low = match first {
        0 => 0,
        _ => number_at(fanout + u64::from(first - 1) * 4)?,
    };
    let mut high = number_at(fanout + u64::from(*first) * 4)?;
    let mut found = vec![0; id.len()];
    while low < high {
        let middle = low + (high - low) / 2;
        let place = fanout + FANOUT_SIZE + middle * (before_id + id.len() as u64) + before_id;
        read_at(index, place, &mut found)?;
        match found.as_slice().cmp(id) {
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Ok(false)
}

fn read_at(file: &OwnedFd, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match retry_on_intr(|| rustix::io::pread(file, &mut *buffer, offset))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                offset += length as u64;
                buffer = &mut buffer[length..];
            }
        }
    }
    Ok(())
}
