//! Field after field out of encoded bytes (FORMAT.md §10), nothing copied: for what is read by the hundred thousand.
//!
//! Reads the same encoding as `encode`, which serves everything else; a general decoder takes three times as long for the
//! entries of a snapshot. A test holds the two against each other.

use crate::codec::encode::{EncodeError, PAGE_SIZE_MAX};

/// Items of a list reserved ahead of reading them; more only come with bytes that are really there.
const RESERVED_MAX: usize = 4096;

/// Bytes from which fields are taken one after another.
#[derive(Debug)]
pub struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    /// The fields of these bytes; an error if they are more than [`PAGE_SIZE_MAX`].
    pub fn of(bytes: &'b [u8]) -> Result<Self, EncodeError> {
        let length = bytes.len();
        if length > PAGE_SIZE_MAX { Err(EncodeError::TooLarge { length }) } else { Ok(Self { rest: bytes }) }
    }

    /// An error if anything is left.
    pub fn end(self) -> Result<(), EncodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(EncodeError::TrailingBytes { count }),
        }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, EncodeError> {
        let (first, rest) = self.rest.split_first().ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(*first)
    }

    /// This many bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], EncodeError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(*array)
    }

    /// An unsigned number of 64 bits.
    pub fn u64(&mut self) -> Result<u64, EncodeError> {
        match self.byte()? {
            small @ ..=250 => Ok(u64::from(small)),
            251 => Ok(u64::from(u16::from_le_bytes(self.array()?))),
            252 => Ok(u64::from(u32::from_le_bytes(self.array()?))),
            253 => Ok(u64::from_le_bytes(self.array()?)),
            other => Err(malformed(&format!("{other} begins no number"))),
        }
    }

    /// An unsigned number of 32 bits: also that of a variant.
    pub fn u32(&mut self) -> Result<u32, EncodeError> {
        match self.byte()? {
            small @ ..=250 => Ok(u32::from(small)),
            251 => Ok(u32::from(u16::from_le_bytes(self.array()?))),
            252 => Ok(u32::from_le_bytes(self.array()?)),
            other => Err(malformed(&format!("{other} begins no number of 32 bits"))),
        }
    }

    /// A signed number of 64 bits.
    pub fn i64(&mut self) -> Result<i64, EncodeError> {
        let zigzag = self.u64()?;
        let half = (zigzag >> 1).cast_signed();
        Ok(if zigzag & 1 == 0 { half } else { !half })
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'b [u8], EncodeError> {
        let length = self.u64()?;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.rest.len()).ok_or_else(ends_early)?;
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    /// A string.
    pub fn text(&mut self) -> Result<&'b str, EncodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|error| malformed(&error.to_string()))
    }

    /// Yes or no.
    pub fn flag(&mut self) -> Result<bool, EncodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(malformed(&format!("{other} is neither yes nor no"))),
        }
    }

    /// What may be absent.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, EncodeError>,
    ) -> Result<Option<T>, EncodeError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A list.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, EncodeError>,
    ) -> Result<Vec<T>, EncodeError> {
        let length = self.u64()?;
        let reserved = usize::try_from(length).unwrap_or(usize::MAX).min(RESERVED_MAX).min(self.rest.len());
        let mut items = Vec::with_capacity(reserved);
        for _ in 0..length {
            items.push(read(self)?);
        }
        Ok(items)
    }
}

fn ends_early() -> EncodeError {
    malformed("the bytes end within it")
}

/// An error that says `reason`.
pub fn malformed(reason: &str) -> EncodeError {
    EncodeError::Malformed { reason: reason.to_owned() }
}
