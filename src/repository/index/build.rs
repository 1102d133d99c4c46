//! Making segments: of the packs that index deltas or trailers name, and of smaller segments.
//!
//! A new segment is written column by column into its file (or heap, where there is no cache); merging walks the
//! sorted columns of its parts and holds nothing per chunk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::repository::index::delta::PackRecord;
use crate::repository::index::segment::{
    BLOCK_SIZE, Columns, Counts, FRAME_ROW, MAGIC, PACK_ROW, Segment, bucket_of, frame_row, pack_row,
};
use crate::repository::pack::{HEADER_SIZE, count};

/// The packs that an object of the index names.
#[derive(Clone, Copy)]
pub(super) struct Part<'p> {
    /// The name of the object; empty for packs of which only their ends are known.
    pub(super) name: &'p str,
    pub(super) packs: &'p [PackRecord],
}

/// The names of these parts as a segment holds them, a line each.
pub(super) fn names_of(parts: &[Part<'_>]) -> String {
    parts.iter().flat_map(|part| [part.name, "\n"]).collect()
}

/// The file size and columns of a segment to be written.
pub(super) struct Plan {
    counts: Counts,
    columns: Columns,
}

/// A chunk while its segment is made: id, ordinal of its frame, offset in it, length.
type ChunkRow = ([u8; 32], u32, u32, u32);

impl Plan {
    pub(super) fn of_parts(parts: &[Part<'_>]) -> Option<Self> {
        let sum = |of: fn(&PackRecord) -> usize| parts.iter().flat_map(|part| part.packs).map(of).sum();
        Self::new(Counts {
            names_length: parts.iter().map(|part| part.name.len() + 1).sum(),
            packs: sum(|_| 1),
            frames: sum(|pack| pack.directory.frames.len()),
            chunks: sum(|pack| pack.directory.ids.len()),
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

    /// Writes the segment of `parts` into `target`, which has the file's size.
    pub(super) fn write_parts(&self, parts: &[Part<'_>], target: &mut [u8]) {
        let mut rows: Vec<ChunkRow> = Vec::with_capacity(self.counts.chunks);
        let mut frame_ordinal = 0_u32;
        let mut frames = target_rows(target, &self.columns.frames, FRAME_ROW);
        let mut pack_rows = Vec::with_capacity(self.counts.packs);
        let objects =
            parts.iter().enumerate().flat_map(|(object, part)| part.packs.iter().map(move |pack| (object, pack)));
        for (pack_ordinal, (object, pack)) in objects.enumerate() {
            pack_rows.push(pack_row(pack, frame_ordinal, count(object)));
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
        self.write_chunks(&names_of(parts), rows.into_iter(), target);
    }

    /// Writes the union of `segments` into `target`, which has the file's size; `None` if one of them is damaged.
    pub(super) fn write_segments(&self, names: &str, segments: &[&Segment], target: &mut [u8]) -> Option<()> {
        let (mut pack_base, mut frame_base, mut object_base) = (0_u32, 0_u32, 0_u32);
        let (mut pack_at, mut frame_at) = (self.columns.packs.start, self.columns.frames.start);
        let mut sources = Vec::with_capacity(segments.len());
        for segment in segments {
            segment.expect_pass();
            let (packs, frames) = segment.tables()?;
            for row in packs.as_chunks::<PACK_ROW>().0 {
                let mut row = *row;
                add_to_word(&mut row[68..72], frame_base);
                add_to_word(&mut row[76..80], object_base);
                target[pack_at..pack_at + PACK_ROW].copy_from_slice(&row);
                pack_at += PACK_ROW;
            }
            for row in frames.as_chunks::<FRAME_ROW>().0 {
                let mut row = *row;
                add_to_word(&mut row[..4], pack_base);
                target[frame_at..frame_at + FRAME_ROW].copy_from_slice(&row);
                frame_at += FRAME_ROW;
            }
            sources.push(Source { segment, next: 0, frame_base });
            pack_base += count(segment.counts().packs);
            frame_base += count(segment.counts().frames);
            object_base += count(segment.names().count());
        }
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (at, source) in sources.iter_mut().enumerate() {
            heads.extend(source.take().map(|row| Reverse((row, at))));
        }
        // A source that is damaged ends early, and then fewer come than were counted.
        let merged = std::iter::from_fn(|| {
            let mut least = heads.peek_mut()?;
            let Reverse((row, at)) = *least;
            match sources[at].take() {
                Some(next) => *least = Reverse((next, at)),
                None => drop(PeekMut::pop(least)),
            }
            Some(row)
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
}

impl Source<'_> {
    /// The next chunk; `None` at the end, or where the segment is damaged.
    fn take(&mut self) -> Option<ChunkRow> {
        let (id, frame, offset, length) = self.segment.chunk_row(self.next)?;
        self.next += 1;
        Some((id, frame + self.frame_base, offset, length))
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
