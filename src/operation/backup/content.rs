//! A file's bytes to chunks: read, cut, name, store.
//!
//! Small files are one worker's turn. A large one is read and cut in windows by the worker that has it, and the windows are
//! offered to whoever is free, so that both ends of a single huge file keep every processor busy. Holes are not read.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, never, select, unbounded};

use crate::codec::chunk::{Cut, Window, profile_of};
use crate::entry::{Content, EntryPath, Piece, Profile, Xattr};
use crate::id::ChunkId;
use crate::operation::backup::Context;
use crate::operation::backup::capture::CaptureError;
use crate::operation::backup::plan::Batch;
use crate::operation::cutting::{Part, Spans, WINDOW_SIZE, Windows};
use crate::operation::pages::PageWriter;
use crate::repository::error::RepositoryError;
use crate::repository::pack::{PackKind, count};
use crate::repository::session::{ChunkWriter, Origin};
use crate::source::local::LocalError;
use crate::source::local::read::{OpenFile, Span};
use crate::tree::list::ListBuilder;

/// How often a worker that waits for another looks whether that one failed.
const ABANDONED_CHECK: Duration = Duration::from_millis(50);
/// Windows that wait for a free worker.
pub(super) const WINDOWS_WAITING: usize = 2;

/// A window of a large file, cut but not yet stored.
pub(super) struct WindowJob {
    number: u64,
    bytes: Vec<u8>,
    parts: Vec<Part>,
    results: Sender<(WindowResult, Vec<u8>)>,
}

type WindowResult = (u64, Vec<Piece>);

/// What one worker stores content with.
pub(super) struct ContentWriter<'w> {
    context: &'w Context<'w>,
    chunks: ChunkWriter<'w>,
    /// For chunk lists; made when the first large file comes.
    pages: Option<PageWriter<'w>>,
    offer: Option<Sender<WindowJob>>,
    help: Receiver<WindowJob>,
    buffer: Vec<u8>,
    spare: Vec<Vec<u8>>,
    bytes_read: u64,
}

impl<'w> ContentWriter<'w> {
    pub(super) fn new(
        context: &'w Context<'w>,
        offer: Sender<WindowJob>,
        help: Receiver<WindowJob>,
    ) -> Result<Self, RepositoryError> {
        Ok(Self {
            chunks: context.session.writer(PackKind::Data)?,
            context,
            pages: None,
            offer: Some(offer),
            help,
            buffer: Vec::new(),
            spare: Vec::new(),
            bytes_read: 0,
        })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next batch, helping others with their windows meanwhile; `None` when all is done.
    pub(super) fn next_batch(&mut self, batches: &Receiver<Batch>) -> Result<Option<Batch>, CaptureError> {
        let mut batches = batches.clone();
        loop {
            match self.help.try_recv() {
                Ok(job) => {
                    self.store_window(job)?;
                    continue;
                }
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {}
            }
            select! {
                recv(self.help) -> job => match job {
                    Ok(job) => self.store_window(job)?,
                    Err(_) => return Ok(None),
                },
                recv(batches) -> batch => match batch {
                    Ok(batch) => return Ok(Some(batch)),
                    // No more files: offer nothing any more, but help until nobody can offer.
                    Err(_) => {
                        self.offer = None;
                        batches = never();
                    }
                },
            }
        }
    }

    /// Closes the packs being filled.
    pub(super) fn finish(self) -> Result<(), RepositoryError> {
        self.chunks.flush()?;
        self.pages.map_or(Ok(()), PageWriter::flush)
    }

    /// The content of a file, from its start to its end as they are now.
    pub(super) fn of_file(&mut self, file: &mut OpenFile, path: &EntryPath) -> Result<Content, CaptureError> {
        if file.stat().size > WINDOW_SIZE as u64 {
            return self.of_large_file(file, path);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let read = read_whole(file, &mut buffer);
        let content = match read {
            Ok(()) => self.of_bytes(&buffer, path.as_bytes()),
            Err(error) => Err(error),
        };
        self.bytes_read += buffer.len() as u64;
        self.buffer = buffer;
        content
    }

    /// The value of an extended attribute.
    pub(super) fn of_attribute(&mut self, value: Vec<u8>) -> Result<Content, RepositoryError> {
        match value.len() {
            0 => Ok(Content::Empty),
            length if length <= Xattr::INLINE_MAX => Ok(Content::Inline(value)),
            length => {
                let id = ChunkId(self.chunks.store(&value, Origin::Small)?);
                let pieces = vec![Piece::Chunk { id, length: count(length) }];
                Ok(Content::Pieces { profile: Profile::Bulk, pieces })
            }
        }
    }

    /// Content that is whole in memory, at most [`WINDOW_SIZE`] bytes.
    fn of_bytes(&mut self, bytes: &[u8], name: &[u8]) -> Result<Content, CaptureError> {
        if bytes.len() <= Content::INLINE_MAX {
            return Ok(if bytes.is_empty() { Content::Empty } else { Content::Inline(bytes.to_vec()) });
        }
        let profile = profile_of(name, bytes);
        let mut cutter = self.context.chunker.cutter(profile);
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            match cutter.next(rest, Window::Last) {
                Cut::Chunk(length) => {
                    let (chunk, tail) = rest.split_at(length);
                    let id = ChunkId(self.chunks.store(chunk, Origin::Small)?);
                    pieces.push(Piece::Chunk { id, length: count(length) });
                    rest = tail;
                }
                Cut::Zeros(length) => {
                    pieces.push(Piece::Zeros { length });
                    rest = &rest[usize::try_from(length).unwrap_or(rest.len())..];
                }
                Cut::NeedMore => unreachable!("the last window is always cut"),
            }
        }
        self.content_of(profile, pieces)
    }

    fn content_of(&mut self, profile: Profile, pieces: Vec<Piece>) -> Result<Content, CaptureError> {
        if pieces.len() <= Content::PIECES_MAX {
            return Ok(Content::Pieces { profile, pieces });
        }
        let mut list = ListBuilder::new(self.pages()?, profile);
        for piece in pieces {
            list.push(piece)?;
        }
        Ok(list.finish()?)
    }

    fn pages(&mut self) -> Result<&mut PageWriter<'w>, RepositoryError> {
        if self.pages.is_none() {
            self.pages = Some(PageWriter::new(self.context.session.writer(PackKind::Pages)?));
        }
        Ok(self.pages.as_mut().expect("because it was just made"))
    }

    fn of_large_file(&mut self, file: &mut OpenFile, path: &EntryPath) -> Result<Content, CaptureError> {
        // The list needs a page writer of its own while windows are stored with the rest of `self`.
        let mut pages = match self.pages.take() {
            Some(pages) => pages,
            None => PageWriter::new(self.context.session.writer(PackKind::Pages)?),
        };
        let content = self.of_windows(file, path, &mut pages);
        self.pages = Some(pages);
        content
    }

    fn of_windows(
        &mut self,
        file: &mut OpenFile,
        path: &EntryPath,
        pages: &mut PageWriter<'w>,
    ) -> Result<Content, CaptureError> {
        let context = self.context;
        let (results, finished) = unbounded();
        let mut windows = Windows::new(file, self.spare.pop().unwrap_or_default());
        windows.fill()?;
        let profile = profile_of(path.as_bytes(), windows.bytes());
        let mut cutter = context.chunker.cutter(profile);
        let mut list = ListBuilder::new(pages, profile);
        let mut ordered = Ordered::default();
        let mut offered = 0;
        while let Some((bytes, parts)) = windows.next(&mut cutter, self.spare.pop().unwrap_or_default())? {
            if context.progress.interrupted() {
                return Err(CaptureError::Interrupted);
            }
            let job = WindowJob { number: offered, bytes, parts, results: results.clone() };
            offered += 1;
            match self.offer.as_ref().map(|offer| offer.try_send(job)) {
                Some(Ok(())) => {}
                Some(Err(TrySendError::Full(job) | TrySendError::Disconnected(job))) => self.store_window(job)?,
                None => unreachable!("a worker with a batch still offers"),
            }
            while let Ok((result, buffer)) = finished.try_recv() {
                self.spare.push(buffer);
                ordered.take(result, &mut list)?;
            }
        }
        self.bytes_read += windows.bytes_read();
        self.spare.push(windows.into_buffer());
        while ordered.next < offered {
            select! {
                recv(finished) -> result => {
                    let (result, buffer) = result.expect("because this function holds a sender itself");
                    self.spare.push(buffer);
                    ordered.take(result, &mut list)?;
                }
                recv(self.help) -> job => if let Ok(job) = job { self.store_window(job)? },
                default(ABANDONED_CHECK) => {}
            }
            if context.abandoned.load(Ordering::Relaxed) {
                return Err(CaptureError::Interrupted);
            }
        }
        self.spare.truncate(WINDOWS_WAITING + 2);
        Ok(list.finish()?)
    }

    /// Stores a window's chunks and hands their pieces back to whoever cut it.
    fn store_window(&mut self, job: WindowJob) -> Result<(), CaptureError> {
        let WindowJob { number, mut bytes, parts, results } = job;
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            pieces.push(match part {
                Part::Chunk(range) => {
                    let chunk = &bytes[range];
                    Piece::Chunk { id: ChunkId(self.chunks.store(chunk, Origin::Large)?), length: count(chunk.len()) }
                }
                Part::Zeros(length) => Piece::Zeros { length },
            });
        }
        bytes.clear();
        // Its reader may have given up meanwhile.
        drop(results.send(((number, pieces), bytes)));
        Ok(())
    }
}

/// Puts the pieces of windows back into order.
#[derive(Default)]
struct Ordered {
    next: u64,
    early: BTreeMap<u64, Vec<Piece>>,
}

impl Ordered {
    fn take(
        &mut self,
        (number, pieces): WindowResult,
        list: &mut ListBuilder<&mut PageWriter<'_>>,
    ) -> Result<(), CaptureError> {
        self.early.insert(number, pieces);
        while let Some(pieces) = self.early.remove(&self.next) {
            for piece in pieces {
                list.push(piece)?;
            }
            self.next += 1;
        }
        Ok(())
    }
}

impl Spans for OpenFile {
    type Error = LocalError;

    fn read_into(&mut self, buffer: &mut Vec<u8>, length_max: usize) -> Result<Span, LocalError> {
        OpenFile::read_into(self, buffer, length_max)
    }
}

fn read_whole(file: &mut OpenFile, buffer: &mut Vec<u8>) -> Result<(), CaptureError> {
    loop {
        match file.read_into(buffer, WINDOW_SIZE)? {
            Span::Data(_) => {}
            Span::Hole(length) => buffer.resize(buffer.len() + usize::try_from(length).unwrap_or(0), 0),
            Span::End => return Ok(()),
        }
    }
}
