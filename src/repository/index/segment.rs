//! One index segment: a file of fixed-width columns sorted by id, memory-mapped, no heap per chunk.
//!
//! Derived from index deltas or pack trailers, kept in the local cache, always disposable; not part of the
//! repository format. A damaged block is noticed before anything in it is believed.
//!
//! ```text
//! header 64 | names | packs 80 each | frames 20 each | fan-out u32 each | ids 32 each | frame u32 each
//! | offset u32 each | length u32 each | CRC32C of each 4 KiB before | CRC32C of those
//! ```

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memmap2::{Advice, Mmap};

use crate::codec::compress::Method;
use crate::codec::seal::Cipher;
use crate::id::PackId;
use crate::repository::index::delta::PackRecord;
use crate::repository::pack::{FrameRecord, PackHeader, PackKind};

pub(super) const MAGIC: &[u8; 8] = b"SNAPSEG2";
pub(super) const HEADER_SIZE: usize = 64;
pub(super) const PACK_ROW: usize = 80;
pub(super) const FRAME_ROW: usize = 20;
/// A look-up reads no more than a page of memory where it lands.
pub(super) const BLOCK_SIZE: usize = 4096;
const METHOD_BIT: u32 = 1 << 31;
/// Files up to this size are proven as a whole when they are opened, which takes about a millisecond; larger ones block by
/// block as they are asked.
const PROVEN_AT_ONCE_MAX: usize = 8 << 20;

/// Where a chunk or page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// In which pack.
    pub pack: PackId,
    /// That pack's header, of which its key is derived.
    pub header: PackHeader,
    /// The frame it is in.
    pub frame: FrameLocation,
    /// Where it begins in the frame's content.
    pub offset: u32,
    /// Its length.
    pub length: u32,
}

/// Where a frame lies in its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLocation {
    /// Its number.
    pub number: u64,
    /// Where it begins in the pack.
    pub offset: u64,
    /// Its lengths and compression.
    pub record: FrameRecord,
}

/// A pack that a segment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedPack {
    /// Its id.
    pub id: PackId,
    /// Its header.
    pub header: PackHeader,
    /// Bytes it has on storage.
    pub size: u32,
    /// Ordinal of its first frame in the segment.
    first_frame: u32,
    /// Ordinal of the object that names it among those of the segment.
    object: u32,
}

/// The bytes of a segment file.
pub(super) enum Backing {
    Mapped(Mmap),
    Heap(Vec<u8>),
}

impl Backing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Heap(bytes) => bytes,
        }
    }

    /// Tells the system how it will be read. It may not care.
    fn advise(&self, advice: Advice) {
        if let Self::Mapped(map) = self {
            drop(map.advise(advice));
        }
    }
}

/// Where each column lies in a segment of these counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) names: Range<usize>,
    pub(super) packs: Range<usize>,
    pub(super) frames: Range<usize>,
    pub(super) fan_out: Range<usize>,
    pub(super) ids: Range<usize>,
    pub(super) chunk_frames: Range<usize>,
    pub(super) offsets: Range<usize>,
    pub(super) lengths: Range<usize>,
    pub(super) checksums: Range<usize>,
    pub(super) fan_out_bits: u32,
    pub(super) file_size: usize,
}

/// How much a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) names_length: usize,
    pub(super) packs: usize,
    pub(super) frames: usize,
    pub(super) chunks: usize,
}

impl Columns {
    /// The layout of a segment of these counts; `None` if it could not be addressed.
    pub(super) fn of(counts: Counts) -> Option<Self> {
        let fan_out_bits = counts.chunks.max(1).ilog2().saturating_sub(8);
        let mut end = HEADER_SIZE;
        let mut column = |count: usize, width: usize| {
            let start = end;
            end = start.checked_add(count.checked_mul(width)?)?;
            Some(start..end)
        };
        let names = column(counts.names_length, 1)?;
        let packs = column(counts.packs, PACK_ROW)?;
        let frames = column(counts.frames, FRAME_ROW)?;
        let fan_out = column((1 << fan_out_bits) + 1, 4)?;
        let ids = column(counts.chunks, 32)?;
        let chunk_frames = column(counts.chunks, 4)?;
        let offsets = column(counts.chunks, 4)?;
        let lengths = column(counts.chunks, 4)?;
        let checksums = column(lengths.end.div_ceil(BLOCK_SIZE), 4)?;
        let file_size = checksums.end.checked_add(4)?;
        Some(Self {
            names,
            packs,
            frames,
            fan_out,
            ids,
            chunk_frames,
            offsets,
            lengths,
            checksums,
            fan_out_bits,
            file_size,
        })
    }
}

/// A segment of the index, open for look-ups.
pub(super) struct Segment {
    backing: Backing,
    columns: Columns,
    counts: Counts,
    /// One bit for each block whose checksum was found right.
    verified: Vec<AtomicU64>,
    /// The file, which is deleted when a block of it turns out damaged.
    path: Option<PathBuf>,
    damaged: AtomicBool,
    /// For each object that it was made of, whether that counts no more; empty where all count.
    stale: Vec<bool>,
}

impl Segment {
    /// Opens the bytes of a segment file at `path`; `None` if they are not a whole one.
    pub(super) fn open(backing: Backing, path: Option<PathBuf>) -> Option<Self> {
        let bytes = backing.bytes();
        if bytes.len() < HEADER_SIZE || &bytes[..8] != MAGIC {
            return None;
        }
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("because the slice has 8 bytes"));
        let counts = Counts {
            names_length: usize::try_from(long(8)).ok()?,
            packs: usize::try_from(long(16)).ok()?,
            frames: usize::try_from(long(24)).ok()?,
            chunks: usize::try_from(long(32)).ok()?,
        };
        let columns = Columns::of(counts)?;
        if bytes.len() != columns.file_size {
            return None;
        }
        let table = &bytes[columns.checksums.clone()];
        if crc32c::crc32c(table).to_le_bytes() != bytes[columns.checksums.end..] {
            return None;
        }
        let verified = (0..table.len().div_ceil(4 * 64)).map(|_| AtomicU64::new(0)).collect();
        let segment =
            Self { columns, counts, verified, backing, path, damaged: AtomicBool::new(false), stale: Vec::new() };
        let columns = &segment.columns;
        if columns.file_size <= PROVEN_AT_ONCE_MAX {
            segment.bytes(0..columns.lengths.end)?;
        } else {
            segment.bytes(0..columns.names.end)?;
            // What lies beside a look-up is of no use to the next one.
            segment.backing.advise(Advice::Random);
        }
        Some(segment)
    }

    /// Whether a block was found damaged; the segment then does not know what stands in it.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The names of the objects this segment was made of, a line each.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let bytes = &self.backing.bytes()[self.columns.names.clone()];
        std::str::from_utf8(bytes).unwrap_or_default().lines()
    }

    /// From now on only packs of objects that `counts` knows are found in it. Returns the part of its packs that are, of 1.
    pub(super) fn retain(&mut self, counts: impl Fn(&str) -> bool) -> f64 {
        let stale: Vec<bool> = self.names().map(|name| !counts(name)).collect();
        if !stale.contains(&true) {
            return 1.0;
        }
        self.stale = stale;
        self.packs().count() as f64 / self.counts.packs.max(1) as f64
    }

    /// From now on it is read from one end to the other.
    pub(super) fn expect_pass(&self) {
        self.backing.advise(Advice::Sequential);
    }

    pub(super) fn chunk_count(&self) -> usize {
        self.counts.chunks
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Where the chunk of this id lies: every copy that the segment knows.
    pub(super) fn find<'s>(&'s self, id: &'s [u8; 32]) -> impl Iterator<Item = Location> + 's {
        self.ordinals(id).filter_map(|c| self.location(c))
    }

    /// Whether all objects that it was made of count.
    pub(super) fn counts_all(&self) -> bool {
        self.stale.is_empty()
    }

    /// The ordinals of the copies of this id, those in packs that are not found any more among them.
    pub(super) fn ordinals<'s>(&'s self, id: &'s [u8; 32]) -> impl Iterator<Item = usize> + 's {
        let first = self.lower_bound(id);
        (first..self.counts.chunks).take_while(move |&chunk| self.id(chunk) == Some(*id))
    }

    /// Whether the segment knows the id.
    pub(super) fn contains(&self, id: &[u8; 32]) -> bool {
        if self.counts_all() { self.id(self.lower_bound(id)) == Some(*id) } else { self.find(id).next().is_some() }
    }

    /// Id and place of the chunk of this ordinal; ordinals are in id order.
    pub(super) fn chunk(&self, ordinal: usize) -> Option<([u8; 32], Location)> {
        Some((self.id(ordinal)?, self.location(ordinal)?))
    }

    /// The raw columns of a chunk: id, ordinal of its frame, offset, length.
    pub(super) fn chunk_row(&self, ordinal: usize) -> Option<([u8; 32], u32, u32, u32)> {
        Some((
            self.id(ordinal)?,
            self.word(&self.columns.chunk_frames, ordinal)?,
            self.word(&self.columns.offsets, ordinal)?,
            self.word(&self.columns.lengths, ordinal)?,
        ))
    }

    /// The bytes of all pack rows and all frame rows; `None` where one of them is damaged.
    pub(super) fn tables(&self) -> Option<(&[u8], &[u8])> {
        Some((self.bytes(self.columns.packs.clone())?, self.bytes(self.columns.frames.clone())?))
    }

    /// The packs that the segment names.
    pub(super) fn packs(&self) -> impl Iterator<Item = IndexedPack> {
        (0..self.counts.packs).filter_map(|ordinal| self.pack(ordinal))
    }

    /// The packs and, for each, which of `names` named it.
    pub(super) fn packs_by_object(&self) -> impl Iterator<Item = (PackId, &str)> {
        let names: Vec<&str> = self.names().collect();
        self.packs().filter_map(move |pack| Some((pack.id, *names.get(pack.object as usize)?)))
    }

    /// First ordinal whose id is not below `id`.
    fn lower_bound(&self, id: &[u8; 32]) -> usize {
        self.search(id).unwrap_or(self.counts.chunks)
    }

    /// Ids are uniform, so the place within a bucket is guessed first and corrected in steps that double.
    fn search(&self, id: &[u8; 32]) -> Option<usize> {
        let prefix = u64::from_be_bytes(id[..8].try_into().expect("because an id has 32 bytes"));
        let bits = self.columns.fan_out_bits;
        let bucket = bucket_of(prefix, bits);
        let start = self.word(&self.columns.fan_out, bucket)? as usize;
        let end = self.word(&self.columns.fan_out, bucket + 1)? as usize;
        if start >= end {
            return Some(start);
        }
        let column = self.columns.ids.start;
        let (ids, _) = self.bytes(column + start * 32..column + end * 32)?.as_chunks::<32>();
        let guess = (u128::from(prefix << bits) * ids.len() as u128) >> 64;
        let guess = usize::try_from(guess).expect("because it is below the number of ids");
        let mut step = 1;
        let (low, high) = if ids[guess] < *id {
            let mut low = guess;
            while low + step < ids.len() && ids[low + step] < *id {
                low += step;
                step *= 2;
            }
            (low + 1, (low + step).min(ids.len()))
        } else {
            let mut high = guess;
            while high >= step && ids[high - step] >= *id {
                high -= step;
                step *= 2;
            }
            ((high + 1).saturating_sub(step), high)
        };
        Some(start + low + ids[low..high].partition_point(|other| other < id))
    }

    fn id(&self, ordinal: usize) -> Option<[u8; 32]> {
        let start = self.columns.ids.start + ordinal * 32;
        if ordinal >= self.counts.chunks {
            return None;
        }
        self.bytes(start..start + 32)?.try_into().ok()
    }

    fn word(&self, column: &Range<usize>, ordinal: usize) -> Option<u32> {
        let start = column.start + ordinal * 4;
        if start + 4 > column.end {
            return None;
        }
        Some(u32::from_le_bytes(self.bytes(start..start + 4)?.try_into().ok()?))
    }

    fn location(&self, ordinal: usize) -> Option<Location> {
        let (_, frame, offset, length) = self.chunk_row(ordinal)?;
        let row = self.row(&self.columns.frames, FRAME_ROW, frame as usize)?;
        let word = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().expect("because the slice has 4 bytes"));
        let pack = self.pack(word(0) as usize)?;
        let chunks_and_method = word(16);
        let method = if chunks_and_method & METHOD_BIT == 0 { Method::Raw } else { Method::Zstd };
        let record = FrameRecord {
            stored_length: word(8),
            plain_length: word(12),
            chunk_count: chunks_and_method & !METHOD_BIT,
            method,
        };
        let number = u64::from(frame.checked_sub(pack.first_frame)?);
        let frame = FrameLocation { number, offset: u64::from(word(4)), record };
        Some(Location { pack: pack.id, header: pack.header, frame, offset, length })
    }

    fn pack(&self, ordinal: usize) -> Option<IndexedPack> {
        let row = self.row(&self.columns.packs, PACK_ROW, ordinal)?;
        let kind = match row[72] {
            1 => PackKind::Data,
            2 => PackKind::Pages,
            _ => return None,
        };
        let word = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().expect("because the slice has 4 bytes"));
        let object = word(76);
        if self.stale.get(object as usize).is_some_and(|is_stale| *is_stale) {
            return None;
        }
        let salt = row[32..64].try_into().ok()?;
        Some(IndexedPack {
            id: PackId(row[..32].try_into().ok()?),
            header: PackHeader { kind, cipher: Cipher::from_number(row[73])?, salt },
            size: word(64),
            first_frame: word(68),
            object,
        })
    }

    fn row(&self, column: &Range<usize>, width: usize, ordinal: usize) -> Option<&[u8]> {
        let start = column.start + ordinal * width;
        if start + width > column.end {
            return None;
        }
        self.bytes(start..start + width)
    }

    /// These bytes of the file, if the blocks they lie in are what was written.
    fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        let (first, last) = (range.start / BLOCK_SIZE, range.end.saturating_sub(1) / BLOCK_SIZE);
        for block in first..=last {
            if !self.block_is_whole(block) {
                return None;
            }
        }
        self.backing.bytes().get(range)
    }

    fn block_is_whole(&self, block: usize) -> bool {
        let bit = 1 << (block % 64);
        let word = &self.verified[block / 64];
        if word.load(Ordering::Relaxed) & bit != 0 {
            return true;
        }
        let bytes = self.backing.bytes();
        let end = ((block + 1) * BLOCK_SIZE).min(self.columns.lengths.end);
        let stated = &bytes[self.columns.checksums.start + block * 4..][..4];
        let whole = crc32c::crc32c(&bytes[block * BLOCK_SIZE..end]).to_le_bytes() == *stated;
        if whole {
            word.fetch_or(bit, Ordering::Relaxed);
        } else if !self.damaged.swap(true, Ordering::Relaxed)
            && let Some(path) = &self.path
        {
            // The next command makes it anew; this one says what it misses.
            drop(std::fs::remove_file(path));
        }
        whole
    }
}

/// The bucket of the fan-out that ids of this prefix are in.
pub(super) fn bucket_of(prefix: u64, fan_out_bits: u32) -> usize {
    let bucket = prefix.checked_shr(64 - fan_out_bits).unwrap_or(0);
    usize::try_from(bucket).expect("because there are fewer buckets than ids")
}

/// A pack row: id, salt, size, ordinal of its first frame, kind and cipher, ordinal of the object that names it.
pub(super) fn pack_row(pack: &PackRecord, first_frame: u32, object: u32) -> [u8; PACK_ROW] {
    let PackRecord { id, header, size, .. } = pack;
    let mut row = [0; PACK_ROW];
    row[..32].copy_from_slice(&id.0);
    row[32..64].copy_from_slice(&header.salt);
    row[64..68].copy_from_slice(&size.to_le_bytes());
    row[68..72].copy_from_slice(&first_frame.to_le_bytes());
    row[72] = header.kind as u8;
    row[73] = header.cipher as u8;
    row[76..].copy_from_slice(&object.to_le_bytes());
    row
}

/// A frame row: ordinal of its pack, offset in it, lengths, chunk count with the method in its highest bit.
pub(super) fn frame_row(pack: u32, offset: u32, record: &FrameRecord) -> [u8; FRAME_ROW] {
    let method = if record.method == Method::Zstd { METHOD_BIT } else { 0 };
    let words = [pack, offset, record.stored_length, record.plain_length, record.chunk_count | method];
    let mut row = [0; FRAME_ROW];
    for (at, word) in words.iter().enumerate() {
        row[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    row
}
