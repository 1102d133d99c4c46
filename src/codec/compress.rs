//! Making frames and documents smaller: zstd with contexts that are used again, and a probe for what it cannot shrink.
//!
//! What is compressed together is decided by `repository`. Lengths read back come from sealed headers, but are
//! held to exactly all the same: no input makes more than it was said to be.

use std::io::Cursor;

use thiserror::Error;
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

/// How bytes are stored; the number stands in frame and object headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// As they are.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
}

impl Method {
    /// The method of this number, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Bytes that do not compress or decompress.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CompressError {
    /// zstd has no such level.
    #[error("there is no compression level {level}: zstd has {min} to {max}")]
    Level {
        /// What was asked for.
        level: i32,
        /// The fastest level.
        min: i32,
        /// The strongest level.
        max: i32,
    },
    /// zstd could not allocate its context.
    #[error("there is not enough memory for zstd")]
    Memory,
    /// zstd refused bytes or parameters.
    #[error("zstd failed: {reason}")]
    Zstd {
        /// What zstd says.
        reason: &'static str,
    },
    /// The stored bytes do not stand for as many bytes as they should.
    #[error("the stored bytes decompress to {actual} bytes instead of {expected}")]
    Length {
        /// What the header says.
        expected: usize,
        /// What the stored bytes say, or made.
        actual: u64,
    },
    /// Bytes follow the end of the zstd frame.
    #[error("{count} bytes follow the end of the compressed bytes")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

fn zstd_error(code: usize) -> CompressError {
    CompressError::Zstd { reason: zstd_safe::get_error_name(code) }
}

/// A zstd context at one level; every worker has its own.
pub struct Compressor(CCtx<'static>);

impl Compressor {
    /// A compressor of this zstd level (negative ones are the fastest).
    pub fn new(level: i32) -> Result<Self, CompressError> {
        let (min, max) = (zstd_safe::min_c_level(), zstd_safe::max_c_level());
        if level < min || level > max {
            return Err(CompressError::Level { level, min, max });
        }
        let mut context = CCtx::try_create().ok_or(CompressError::Memory)?;
        // Sealing authenticates the bytes already, so zstd's checksum would only cost time.
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
            CParameter::ContentSizeFlag(true),
        ] {
            context.set_parameter(parameter).map_err(zstd_error)?;
        }
        Ok(Self(context))
    }

    /// Appends `plain` to `target`, compressed if that saves enough, else as it is.
    ///
    /// Enough is 1/32: below that, decompressing on every read costs more than three percent less to store and fetch brings in.
    pub fn compress(&mut self, plain: &[u8], target: &mut Vec<u8>) -> Result<Method, CompressError> {
        if !looks_incompressible(plain) {
            let start = target.len();
            target.reserve(zstd_safe::compress_bound(plain.len()));
            let length = self.0.compress2(&mut cursor_at_end(target), plain).map_err(zstd_error)?;
            if length < plain.len() - plain.len() / 32 {
                return Ok(Method::Zstd);
            }
            target.truncate(start);
        }
        target.extend_from_slice(plain);
        Ok(Method::Raw)
    }
}

/// A zstd context for reading; every worker has its own.
pub struct Decompressor(DCtx<'static>);

impl Decompressor {
    /// A decompressor.
    pub fn new() -> Result<Self, CompressError> {
        DCtx::try_create().map(Self).ok_or(CompressError::Memory)
    }

    /// Appends the `plain_length` bytes that `stored` stands for to `target`, which is left as it was on an error.
    ///
    /// The caller has checked `plain_length` against the format's maximum: so much is allocated, and no more.
    pub fn decompress(
        &mut self,
        method: Method,
        stored: &[u8],
        plain_length: usize,
        target: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        match method {
            Method::Raw if stored.len() == plain_length => target.extend_from_slice(stored),
            Method::Raw => {
                return Err(CompressError::Length { expected: plain_length, actual: stored.len() as u64 });
            }
            Method::Zstd => {
                check_frame(stored, plain_length)?;
                let start = target.len();
                target.reserve_exact(plain_length);
                let made = self.0.decompress(&mut cursor_at_end(target), stored).map_err(zstd_error);
                let made = made.inspect_err(|_| target.truncate(start))?;
                if made != plain_length {
                    target.truncate(start);
                    return Err(CompressError::Length { expected: plain_length, actual: made as u64 });
                }
            }
        }
        Ok(())
    }
}

/// Where zstd appends; it writes no further than the capacity of the vector.
fn cursor_at_end(target: &mut Vec<u8>) -> Cursor<&mut Vec<u8>> {
    let end = target.len() as u64;
    let mut cursor = Cursor::new(target);
    cursor.set_position(end);
    cursor
}

/// That `stored` is one whole zstd frame which does not say itself that it is longer or shorter than it should be.
fn check_frame(stored: &[u8], plain_length: usize) -> Result<(), CompressError> {
    let length = zstd_safe::find_frame_compressed_size(stored).map_err(zstd_error)?;
    if length != stored.len() {
        return Err(CompressError::TrailingBytes { count: stored.len() - length });
    }
    match zstd_safe::get_frame_content_size(stored) {
        Ok(Some(actual)) if actual != plain_length as u64 => {
            Err(CompressError::Length { expected: plain_length, actual })
        }
        Ok(_) => Ok(()),
        Err(_) => Err(CompressError::Zstd { reason: "the frame has no header" }),
    }
}

const SAMPLE_SIZE: usize = 1024;
/// One sample stands for so many bytes, as a chunk of text among pictures is to be seen.
const BYTES_PER_SAMPLE: usize = 64 * 1024;
const SAMPLES_MIN: usize = 4;

/// Whether compressing would be in vain: all samples look like compressed or encrypted bytes. On doubt, not.
pub fn looks_incompressible(bytes: &[u8]) -> bool {
    if bytes.len() < SAMPLE_SIZE {
        return false;
    }
    let count = bytes.len().div_ceil(BYTES_PER_SAMPLE).max(SAMPLES_MIN);
    let last = bytes.len() - SAMPLE_SIZE;
    (0..count).all(|number| {
        let start = last * number / (count - 1);
        looks_random(&bytes[start..start + SAMPLE_SIZE])
    })
}

/// Whether the counts of byte values in a sample are about as uneven as chance makes them.
///
/// The sum of their squares tells: for 1,024 random bytes it is 5,116 on average, with a standard deviation of 90. Entropy-coded pictures
/// lie a little above; at 6,400 Huffman coding alone begins to save about 1/32. Text has over 30,000, base64 17,000. Far fewer is no
/// chance either: a table or a counter, which zstd shrinks well.
fn looks_random(sample: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    let squares: u32 = counts.iter().map(|count| count * count).sum();
    (4_600..=6_400).contains(&squares)
}
