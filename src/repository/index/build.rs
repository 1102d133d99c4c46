//! Making segments: of the packs that index deltas or trailers name, and of smaller segments.
//!
//! A new segment is written column by column into its file (or heap, where there is no cache); merging walks the
//! sorted columns of its parts and holds nothing per chunk.

use crate::repository::index::delta::PackRecord;
use crate::repository::index::segment::{
    BLOCK_SIZE, Columns, Counts, FRAME_ROW, MAGIC, PACK_ROW, Segment, bucket_of, frame_row, pack_row,
};
use crate::repository::pack::{HEADER_SIZE, count};

/// The file size and columns of a segment to be written.
pub(super) struct Plan {
    counts: Counts,
    columns: Columns,
}

/// A chunk while its segment is made: id, ordinal of its frame, offset in it, length.
type ChunkRow = ([u8; 32], u32, u32, u32);

impl Plan {
    pub(super) fn of_packs(names: &str, packs: &[PackRecord]) -> Option<Self> {
        Self::new(Counts {
            names_length: names.len(),
            packs: packs.len(),
            frames: packs.iter().map(|pack| pack.directory.frames.len()).sum(),
            chunks: packs.iter().map(|pack| pack.directory.ids.len()).sum(),
        })
    }

    pub(super) fn of_segments(names: &str, segments: &[&Segment]) -> Option<Self> {
        let sum = |of: fn(Counts) -> usize| segments.iter().map(|segment| of(segment.counts())).sum();
        Self::new(Counts {
            names_length: names.len(),
            packs: sum(|c| c.packs),
            frames: sum(|c| c.frames),
            chunks: sum(|c| c.chunks),
        })
    }

    fn new(counts: Counts) -> Option<Self> {
        let addressable = counts.frames < u32::MAX as usize && counts.chunks < u32::MAX as usize;
        Some(Self { counts, columns: Columns::of(counts).filter(|_| addressable)? })
    }

    pub(super) fn file_size(&self) -> usize {
        self.columns.file_size
    }

    /// Writes the segment of `packs` into `target`, which has the file's size.
    pub(super) fn write_packs(&self, names: &str, packs: &[PackRecord], target: &mut [u8]) {
        let mut rows: Vec<ChunkRow> = Vec::with_capacity(self.counts.chunks);
        let mut frame_ordinal = 0_u32;
        let mut frames = target_rows(target, &self.columns.frames, FRAME_ROW);
        let mut pack_rows = Vec::with_capacity(packs.len());
        for (pack_ordinal, pack) in packs.iter().enumerate() {
            pack_rows.push(pack_row(&pack.id, &pack.header, pack.size, frame_ordinal));
            let mut chunks = pack.directory.ids.iter().zip(&pack.directory.lengths);
            let mut offset = HEADER_SIZE as u64;
            for frame in &pack.directory.frames {
                let row = frame_row(count(pack_ordinal), u32::try_from(offset).unwrap_or(u32::MAX), frame);
                frames.next().expect("because rows were counted").copy_from_slice(&row);
                let mut chunk_offset = 0;
                for (id, &length) in chunks.by_ref().take(frame.chunk_count as usize) {
                    rows.push((*id, frame_ordinal, chunk_offset, length));
                    chunk_offset += length;
                }
                offset += frame.size();
                frame_ordinal += 1;
            }
        }
        drop(frames);
        for (row, bytes) in target_rows(target, &self.columns.packs, PACK_ROW).zip(&pack_rows) {
            row.copy_from_slice(bytes);
        }
        rows.sort_unstable();
        self.write_chunks(names, rows.into_iter(), target);
    }

    /// Writes the union of `segments` into `target`, which has the file's size; `None` if one of them is damaged.
    pub(super) fn write_segments(&self, names: &str, segments: &[&Segment], target: &mut [u8]) -> Option<()> {
        let (mut pack_base, mut frame_base) = (0_u32, 0_u32);
        let (mut pack_at, mut frame_at) = (self.columns.packs.start, self.columns.frames.start);
        let mut sources = Vec::with_capacity(segments.len());
        for segment in segments {
            let (packs, frames) = segment.tables();
            for row in packs.as_chunks::<PACK_ROW>().0 {
                let mut row = *row;
                add_to_word(&mut row[68..72], frame_base);
                target[pack_at..pack_at + PACK_ROW].copy_from_slice(&row);
                pack_at += PACK_ROW;
            }
            for row in frames.as_chunks::<FRAME_ROW>().0 {
                let mut row = *row;
                add_to_word(&mut row[..4], pack_base);
                target[frame_at..frame_at + FRAME_ROW].copy_from_slice(&row);
                frame_at += FRAME_ROW;
            }
            sources.push(Source { segment, next: 0, frame_base, head: None });
            pack_base += count(segment.counts().packs);
            frame_base += count(segment.counts().frames);
        }
        for source in &mut sources {
            source.advance()?;
        }
        let mut damaged = false;
        let merged = std::iter::from_fn(|| {
            let least = sources.iter_mut().filter(|source| source.head.is_some()).min_by_key(|source| source.head)?;
            let row = least.head.take();
            damaged |= least.advance().is_none();
            if damaged { None } else { row }
        });
        let written = self.write_chunks(names, merged, target);
        (written == self.counts.chunks).then_some(())
    }

    /// Writes header, names, fan-out, the chunk columns from `rows` (sorted) and the checksums; returns how many rows came.
    fn write_chunks(&self, names: &str, rows: impl Iterator<Item = ChunkRow>, target: &mut [u8]) -> usize {
        target[..8].copy_from_slice(MAGIC);
        let Counts { names_length, packs, frames, chunks } = self.counts;
        for (at, value) in [(8, names_length), (16, packs), (24, frames), (32, chunks)] {
            target[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
        }
        let columns = &self.columns;
        target[columns.names.clone()].copy_from_slice(names.as_bytes());
        let put = |target: &mut [u8], column: &std::ops::Range<usize>, at: usize, word: u32| {
            target[column.start + at * 4..][..4].copy_from_slice(&word.to_le_bytes());
        };
        let mut next_bucket = 0;
        let mut written = 0;
        for (id, frame, offset, length) in rows {
            let prefix = u64::from_be_bytes(id[..8].try_into().expect("because an id has 32 bytes"));
            let bucket = bucket_of(prefix, columns.fan_out_bits);
            while next_bucket <= bucket {
                put(target, &columns.fan_out, next_bucket, count(written));
                next_bucket += 1;
            }
            target[columns.ids.start + written * 32..][..32].copy_from_slice(&id);
            put(target, &columns.chunk_frames, written, frame);
            put(target, &columns.offsets, written, offset);
            put(target, &columns.lengths, written, length);
            written += 1;
        }
        for bucket in next_bucket..columns.fan_out.len() / 4 {
            put(target, &columns.fan_out, bucket, count(written));
        }
        for block in 0..columns.checksums.len() / 4 {
            let end = ((block + 1) * BLOCK_SIZE).min(columns.lengths.end);
            let checksum = crc32c::crc32c(&target[block * BLOCK_SIZE..end]);
            put(target, &columns.checksums, block, checksum);
        }
        let table = crc32c::crc32c(&target[columns.checksums.clone()]);
        target[columns.checksums.end..].copy_from_slice(&table.to_le_bytes());
        written
    }
}

/// A segment while it is merged.
struct Source<'s> {
    segment: &'s Segment,
    next: usize,
    frame_base: u32,
    head: Option<ChunkRow>,
}

impl Source<'_> {
    /// Moves to the next chunk; `None` if the segment is damaged there.
    fn advance(&mut self) -> Option<()> {
        if self.next < self.segment.chunk_count() {
            let (id, frame, offset, length) = self.segment.chunk_row(self.next)?;
            self.head = Some((id, frame + self.frame_base, offset, length));
            self.next += 1;
        }
        Some(())
    }
}

fn target_rows<'t>(
    target: &'t mut [u8],
    column: &std::ops::Range<usize>,
    width: usize,
) -> std::slice::ChunksExactMut<'t, u8> {
    target[column.clone()].chunks_exact_mut(width)
}

fn add_to_word(word: &mut [u8], addend: u32) {
    let value = u32::from_le_bytes((&*word).try_into().expect("because the slice has 4 bytes"));
    word.copy_from_slice(&(value + addend).to_le_bytes());
}
