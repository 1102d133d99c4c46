//! Frames: runs of chunks that are compressed and sealed together (FORMAT.md §5).
//!
//! `FrameSealer` appends one to a pack and proves at once, from the sealed bytes, that every chunk comes out of it
//! again; `FrameOpener` is the way back. Where frames lie is `pack`'s and `index`'s business.

use crate::codec::compress::{Compressor, Decompressor, Method};
use crate::codec::hash::{HashKey, keyed};
use crate::codec::seal::{NonceCounter, TAG_SIZE};
use crate::repository::error::RepositoryError;
use crate::repository::pack::{FRAME_HEAD_SIZE, FRAME_OVERHEAD, FRAME_PLAIN_MAX, FrameRecord, PackKeys, count};

const HEADER_PART: u32 = 0;
const BODY_PART: u32 = 1;

/// Chunks waiting to become a frame.
#[derive(Debug, Default)]
pub(crate) struct PendingFrame {
    content: Vec<u8>,
    ids: Vec<[u8; 32]>,
    lengths: Vec<u32>,
}

impl PendingFrame {
    pub(crate) fn push(&mut self, id: [u8; 32], chunk: &[u8]) {
        self.content.extend_from_slice(chunk);
        self.ids.push(id);
        self.lengths.push(count(chunk.len()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes of content so far.
    pub(crate) fn len(&self) -> usize {
        self.content.len()
    }

    /// The ids and lengths of its chunks, in order.
    pub(crate) fn chunks(&self) -> (&[[u8; 32]], &[u32]) {
        (&self.ids, &self.lengths)
    }

    pub(crate) fn clear(&mut self) {
        self.content.clear();
        self.ids.clear();
        self.lengths.clear();
    }

    /// Ends the content with its table of lengths: the plaintext of the frame's body.
    fn complete(&mut self) -> &[u8] {
        for length in &self.lengths {
            self.content.extend_from_slice(&length.to_le_bytes());
        }
        self.content.extend_from_slice(&count(self.lengths.len()).to_le_bytes());
        &self.content
    }
}

/// How much effort a frame is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Compress it well: neighbouring small files, or pages.
    Dense,
    /// Compress it fast: a stretch of a large file.
    Fast,
    /// Its chunks were found incompressible: store it as it is.
    Store,
}

/// zstd levels (FORMAT.md §12): on source trees level 2 is nearly as fast as 1 and 4 % smaller; on logs and tables level 1 is
/// both faster and smaller.
const LEVEL_DENSE: i32 = 2;
const LEVEL_FAST: i32 = 1;

/// Seals frames into packs; one for each thread, since it keeps compression contexts and scratch space.
pub(crate) struct FrameSealer {
    dense: Compressor,
    fast: Compressor,
    opener: FrameOpener,
}

impl FrameSealer {
    pub(crate) fn new() -> Result<Self, RepositoryError> {
        Ok(Self {
            dense: Compressor::new(LEVEL_DENSE)?,
            fast: Compressor::new(LEVEL_FAST)?,
            opener: FrameOpener::new()?,
        })
    }

    /// Appends `frame` as number `number` to `pack`. Fails if the sealed bytes do not open to the chunks of these ids;
    /// the number is then spent, and `pack` is as it was.
    pub(crate) fn seal(
        &mut self,
        keys: &PackKeys,
        id_key: &HashKey,
        number: u64,
        frame: &mut PendingFrame,
        effort: Effort,
        pack: &mut Vec<u8>,
    ) -> Result<FrameRecord, RepositoryError> {
        let start = pack.len();
        pack.resize(start + FRAME_HEAD_SIZE, 0);
        let body_start = pack.len();
        let plain = frame.complete();
        let plain_length = count(plain.len());
        let method = match effort {
            Effort::Dense => self.dense.compress(plain, pack)?,
            Effort::Fast => self.fast.compress(plain, pack)?,
            Effort::Store => {
                pack.extend_from_slice(plain);
                Method::Raw
            }
        };
        let stored_length = count(pack.len() - body_start);
        let body_nonce = NonceCounter { number, part: BODY_PART };
        keys.seal.seal_in_place(body_nonce, &keys.associated, pack, body_start);
        let head = seal_head(keys, number, [method as u32, stored_length, plain_length]);
        pack[start..body_start].copy_from_slice(&head);
        let record = FrameRecord { stored_length, plain_length, chunk_count: count(frame.ids.len()), method };
        let opened = self.opener.open(keys, number, &record, &pack[start..]);
        if opened.is_ok_and(|chunks| chunks.lengths_equal(&frame.lengths) && chunks.ids_equal(id_key, &frame.ids)) {
            Ok(record)
        } else {
            pack.truncate(start);
            frame.content.truncate(frame.content.len() - 4 * (frame.lengths.len() + 1));
            Err(RepositoryError::VerificationFailed)
        }
    }
}

fn seal_head(keys: &PackKeys, number: u64, words: [u32; 3]) -> Vec<u8> {
    let mut head = Vec::with_capacity(FRAME_HEAD_SIZE);
    head.extend_from_slice(&keys.sync_word(number));
    for word in words {
        head.extend_from_slice(&word.to_le_bytes());
    }
    keys.seal.seal_in_place(NonceCounter { number, part: HEADER_PART }, &keys.associated, &mut head, 8);
    head
}

/// The plaintext of a frame, in the buffer it was decompressed into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameChunks<'a> {
    content: &'a [u8],
    lengths: &'a [u8],
}

impl<'a> FrameChunks<'a> {
    /// The chunks, one after another.
    pub(crate) fn content(self) -> &'a [u8] {
        self.content
    }

    /// The chunks, in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.content;
        self.lengths.as_chunks::<4>().0.iter().map(move |length| {
            let (chunk, tail) = rest.split_at(u32::from_le_bytes(*length) as usize);
            rest = tail;
            chunk
        })
    }

    fn lengths_equal(self, lengths: &[u32]) -> bool {
        self.lengths.len() == 4 * lengths.len() && self.iter().zip(lengths).all(|(chunk, &l)| chunk.len() == l as usize)
    }

    /// Whether the chunks have these ids.
    pub(crate) fn ids_equal(self, id_key: &HashKey, ids: &[[u8; 32]]) -> bool {
        self.lengths.len() == 4 * ids.len() && self.iter().zip(ids).all(|(chunk, id)| keyed(id_key, chunk) == *id)
    }
}

/// Opens frames; one for each thread, since it keeps a decompression context and scratch space.
pub(crate) struct FrameOpener {
    decompressor: Decompressor,
    /// As long as the largest body so far; only its front is in use.
    opened: Vec<u8>,
    plain: Vec<u8>,
}

impl FrameOpener {
    pub(crate) fn new() -> Result<Self, RepositoryError> {
        Ok(Self { decompressor: Decompressor::new()?, opened: Vec::new(), plain: Vec::new() })
    }

    /// Opens frame `number`, whose stored bytes are `frame`; says what is wrong with it otherwise.
    pub(crate) fn open(
        &mut self,
        keys: &PackKeys,
        number: u64,
        record: &FrameRecord,
        frame: &[u8],
    ) -> Result<FrameChunks<'_>, String> {
        if frame.len() as u64 != record.size() || record.plain_length > FRAME_PLAIN_MAX {
            return Err(format!("frame {number} is not of the length its directory says"));
        }
        let damaged = |what: &str| format!("the {what} of frame {number} does not open");
        let (head, body) = frame.split_at(FRAME_HEAD_SIZE);
        let nonce = |part| NonceCounter { number, part };
        let (sync, sealed_header) = head.split_at(8);
        let mut header = [0; 12];
        keys.seal
            .open_into(nonce(HEADER_PART), &keys.associated, sealed_header, &mut header)
            .map_err(|_| damaged("header"))?;
        let word =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("because the slice has 4 bytes"));
        if *sync != keys.sync_word(number)
            || (word(0), word(4), word(8)) != (record.method as u32, record.stored_length, record.plain_length)
        {
            return Err(format!("frame {number} contradicts its directory"));
        }
        let stored_length = record.stored_length as usize;
        if self.opened.len() < stored_length {
            self.opened.resize(stored_length, 0);
        }
        let opened = &mut self.opened[..stored_length];
        keys.seal.open_into(nonce(BODY_PART), &keys.associated, body, opened).map_err(|_| damaged("body"))?;
        let plain = match record.method {
            Method::Raw => &*opened,
            Method::Zstd => {
                self.plain.clear();
                let decompressed =
                    self.decompressor.decompress(record.method, opened, record.plain_length as usize, &mut self.plain);
                decompressed.map_err(|error| format!("frame {number}: {error}"))?;
                &self.plain
            }
        };
        split_chunks(plain, record.chunk_count).ok_or_else(|| format!("the chunks of frame {number} do not fill it"))
    }
}

fn split_chunks(plain: &[u8], chunk_count: u32) -> Option<FrameChunks<'_>> {
    let (rest, stated) = plain.split_last_chunk::<4>()?;
    let table = 4 * chunk_count as usize;
    if u32::from_le_bytes(*stated) != chunk_count || rest.len() < table {
        return None;
    }
    let (content, lengths) = rest.split_at(rest.len() - table);
    let sum: u64 = lengths.as_chunks::<4>().0.iter().map(|l| u64::from(u32::from_le_bytes(*l))).sum();
    (sum == content.len() as u64).then_some(FrameChunks { content, lengths })
}

const _: () = assert!(FRAME_OVERHEAD == FRAME_HEAD_SIZE + TAG_SIZE);
