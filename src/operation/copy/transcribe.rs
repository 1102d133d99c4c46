//! The entries of one resource, from one repository into a session of another.
//!
//! A batch of entries at a time: small content on all processors, large content one after another with its windows stored on
//! all. The tree is built in path order as the target cuts it.

use std::sync::Mutex;

use bytes::Bytes;
use rayon::prelude::*;

use crate::codec::chunk::Chunker;
use crate::entry::{Content, Entry, Metadata, Piece, Profile};
use crate::id::{ChunkId, PageId, SnapshotId};
use crate::operation::backup::tree_parameters;
use crate::operation::copy::CopyError;
use crate::operation::cutting::{Part, Spans, WINDOW_SIZE, Windows};
use crate::operation::pages::PageWriter;
use crate::operation::part::folder_of;
use crate::progress::{Event, Progress};
use crate::repository::error::RepositoryError;
use crate::repository::pack::{PackKind, count};
use crate::repository::reader::Reader;
use crate::repository::session::{ChunkWriter, Origin, Session};
use crate::resource::{ResourceRecord, escape_path};
use crate::source::local::read::Span;
use crate::tree::builder::TreeBuilder;
use crate::tree::cursor::Cursor;
use crate::tree::list::{ListBuilder, PieceIter};
use crate::tree::store::PageSource;

/// Entries under way at once.
const BATCH_LENGTH: usize = 1024;
/// Bytes of small content under way at once.
const BATCH_SIZE: u64 = 64 << 20;
/// Entries that one processor takes at a time.
const SHARE_LENGTH: usize = 16;

/// What all of one resource share.
pub(super) struct Transcriber<'t, 'r> {
    session: &'t Session,
    from: &'t Reader<'r>,
    snapshot: SnapshotId,
    resource: &'t ResourceRecord,
    chunker: Chunker,
    progress: &'t dyn Progress,
    /// Writers that nobody uses at the moment.
    free: Mutex<Vec<Writers<'t>>>,
}

struct Writers<'t> {
    chunks: ChunkWriter<'t>,
    lists: PageWriter<'t>,
}

/// An entry to be copied, and the content of it in the target where it is known.
struct Wanted {
    entry: Entry,
    known: Option<Content>,
}

/// Copies the resource; `earlier` is another state of it that was copied.
pub(super) fn transcribe<S: PageSource, T: PageSource>(
    work: &Transcriber<'_, '_>,
    mut earlier: Option<Earlier<S, T>>,
) -> Result<ResourceRecord, CopyError> {
    let repository = work.session.repository();
    let mut pages = PageWriter::new(work.session.writer(PackKind::Pages)?);
    let mut builder = TreeBuilder::new(tree_parameters(repository), &mut pages);
    let mut entries = Cursor::new(work.from, work.resource.root);
    let (mut items, mut bytes) = (0, 0);
    loop {
        let batch = work.next_batch(&mut entries, &mut earlier)?;
        if batch.is_empty() {
            break;
        }
        for entry in work.entries(batch)? {
            items += 1;
            bytes += entry.content.size();
            builder.push(&entry)?;
        }
        work.session.keep_alive()?;
        work.progress.report(Event::Advanced {
            agent: work.resource.path.clone(),
            items,
            items_total: work.resource.totals.entries,
            bytes,
            bytes_total: work.resource.totals.bytes,
            listed: true,
        });
    }
    let root = builder.finish()?;
    pages.flush()?;
    work.flush()?;
    Ok(ResourceRecord { root: root.id, totals: root.totals, ..work.resource.clone() })
}

impl<'t, 'r> Transcriber<'t, 'r> {
    pub(super) fn new(
        session: &'t Session,
        from: &'t Reader<'r>,
        snapshot: SnapshotId,
        resource: &'t ResourceRecord,
        progress: &'t dyn Progress,
    ) -> Self {
        let repository = session.repository();
        let chunker = Chunker::new(repository.cutting_keys().chunker, &repository.config().chunker);
        Self { session, from, snapshot, resource, chunker, progress, free: Mutex::default() }
    }

    fn next_batch<S: PageSource, T: PageSource>(
        &self,
        entries: &mut Cursor<&Reader<'_>>,
        earlier: &mut Option<Earlier<S, T>>,
    ) -> Result<Vec<Wanted>, CopyError> {
        let (mut batch, mut size, mut last) = (Vec::new(), 0, Vec::new());
        while batch.len() < BATCH_LENGTH && size < BATCH_SIZE {
            if self.progress.interrupted() {
                return Err(CopyError::Interrupted);
            }
            let Some(entry) = entries.next() else { break };
            let entry = entry.map_err(|error| CopyError::of_entry(self.snapshot, &self.layout_path(&last), error))?;
            last = entry.path.as_bytes().to_vec();
            let known = earlier.as_mut().and_then(|earlier| earlier.content_of(&entry));
            let known = known.filter(|content| self.session.index().holds(content));
            if known.is_none() && entry.content.size() <= WINDOW_SIZE as u64 {
                size += entry.content.size();
            }
            batch.push(Wanted { entry, known });
        }
        Ok(batch)
    }

    /// The entries with their content in the target, in the same order.
    fn entries(&self, mut batch: Vec<Wanted>) -> Result<Vec<Entry>, CopyError> {
        let is_large = |wanted: &Wanted| wanted.known.is_none() && wanted.entry.content.size() > WINDOW_SIZE as u64;
        batch.par_chunks_mut(SHARE_LENGTH).try_for_each(|share| {
            let mut writers = self.writers()?;
            for wanted in share.iter_mut() {
                self.attributes(&mut wanted.entry, &mut writers)?;
                if wanted.known.is_none() && !is_large(wanted) {
                    wanted.known = Some(self.small(&wanted.entry, &wanted.entry.content, &mut writers)?);
                }
            }
            self.give_back(writers);
            Ok::<(), CopyError>(())
        })?;
        batch
            .into_iter()
            .map(|Wanted { mut entry, known }| {
                entry.content = match known {
                    Some(content) => content,
                    None => self.large(&entry)?,
                };
                Ok(entry)
            })
            .collect()
    }

    /// The values of extended attributes.
    fn attributes(&self, entry: &mut Entry, writers: &mut Writers<'_>) -> Result<(), CopyError> {
        let Metadata::Posix(posix) = &entry.metadata else { return Ok(()) };
        if posix.xattrs.iter().all(|xattr| matches!(xattr.value, Content::Empty | Content::Inline(_))) {
            return Ok(());
        }
        let mut posix = posix.clone();
        for xattr in &mut posix.xattrs {
            // As a capture does it: one chunk, not cut.
            if let Content::Pieces { .. } | Content::List { .. } = &xattr.value {
                let bytes = self.whole(entry, &xattr.value)?;
                let id = ChunkId(writers.chunks.store(&bytes, Origin::Small)?);
                let pieces = vec![Piece::Chunk { id, length: count(bytes.len()) }];
                xattr.value = Content::Pieces { profile: Profile::Bulk, pieces };
            }
        }
        entry.metadata = Metadata::Posix(posix);
        Ok(())
    }

    fn whole(&self, entry: &Entry, content: &Content) -> Result<Vec<u8>, CopyError> {
        let mut source = self.source(entry, content);
        let mut bytes = Vec::new();
        loop {
            match source.read_into(&mut bytes, WINDOW_SIZE)? {
                Span::Data(_) => {}
                Span::Hole(length) => bytes.resize(bytes.len() + usize::try_from(length).unwrap_or(0), 0),
                Span::End => return Ok(bytes),
            }
        }
    }

    fn small(&self, entry: &Entry, content: &Content, writers: &mut Writers<'_>) -> Result<Content, CopyError> {
        let (Content::Pieces { profile, .. } | Content::List { profile, .. }) = content else {
            return Ok(content.clone());
        };
        let mut source = self.source(entry, content);
        let mut windows = Windows::new(&mut source, Vec::new());
        let mut cutter = self.chunker.cutter(*profile);
        let mut list = ListBuilder::new(&mut writers.lists, *profile);
        while let Some((bytes, parts)) = windows.next(&mut cutter, Vec::new())? {
            for part in &parts {
                list.push(store(&mut writers.chunks, &bytes, part, Origin::Small)?)?;
            }
        }
        Ok(list.finish()?)
    }

    /// Content of several windows, each of which all processors store.
    fn large(&self, entry: &Entry) -> Result<Content, CopyError> {
        let (Content::Pieces { profile, .. } | Content::List { profile, .. }) = &entry.content else {
            return Ok(entry.content.clone());
        };
        let mut source = self.source(entry, &entry.content);
        let mut windows = Windows::new(&mut source, Vec::new());
        let mut cutter = self.chunker.cutter(*profile);
        let mut pages = self.writers()?;
        let mut list = ListBuilder::new(&mut pages.lists, *profile);
        let mut buffer = Vec::new();
        while let Some((bytes, parts)) = windows.next(&mut cutter, buffer)? {
            if self.progress.interrupted() {
                return Err(CopyError::Interrupted);
            }
            let share = parts.len().div_ceil(rayon::current_num_threads()).max(1);
            let stored = parts.par_chunks(share).map(|share| {
                let mut writers = self.writers()?;
                let pieces = share.iter().map(|part| store(&mut writers.chunks, &bytes, part, Origin::Large));
                let pieces = pieces.collect::<Result<Vec<Piece>, RepositoryError>>()?;
                self.give_back(writers);
                Ok::<_, CopyError>(pieces)
            });
            for piece in stored.collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
                list.push(piece)?;
            }
            self.session.keep_alive()?;
            buffer = bytes;
        }
        let content = list.finish()?;
        self.give_back(pages);
        Ok(content)
    }

    fn source(&self, entry: &Entry, content: &Content) -> StoredContent<'t, 'r> {
        StoredContent {
            pieces: PieceIter::new(self.from, content),
            reader: self.from,
            rest: Bytes::new(),
            snapshot: self.snapshot,
            path: self.layout_path(entry.path.as_bytes()),
        }
    }

    fn layout_path(&self, path: &[u8]) -> Vec<u8> {
        [folder_of(self.resource).as_slice(), b"/", path].concat()
    }

    fn writers(&self) -> Result<Writers<'t>, RepositoryError> {
        if let Some(writers) = self.free.lock().expect("because no holder panics").pop() {
            return Ok(writers);
        }
        let lists = PageWriter::new(self.session.writer(PackKind::Pages)?);
        Ok(Writers { chunks: self.session.writer(PackKind::Data)?, lists })
    }

    fn give_back(&self, writers: Writers<'t>) {
        self.free.lock().expect("because no holder panics").push(writers);
    }

    fn flush(&self) -> Result<(), RepositoryError> {
        for Writers { chunks, lists } in self.free.lock().expect("because no holder panics").drain(..) {
            chunks.flush()?;
            lists.flush()?;
        }
        Ok(())
    }
}

fn store(chunks: &mut ChunkWriter<'_>, bytes: &[u8], part: &Part, origin: Origin) -> Result<Piece, RepositoryError> {
    match part {
        Part::Chunk(range) => {
            let chunk = &bytes[range.clone()];
            Ok(Piece::Chunk { id: ChunkId(chunks.store(chunk, origin)?), length: count(chunk.len()) })
        }
        Part::Zeros(length) => Ok(Piece::Zeros { length: *length }),
    }
}

/// Content in the source, proven chunk by chunk.
struct StoredContent<'c, 'r> {
    pieces: PieceIter<&'c Reader<'r>>,
    reader: &'c Reader<'r>,
    /// What is left of the last chunk.
    rest: Bytes,
    snapshot: SnapshotId,
    path: Vec<u8>,
}

impl Spans for StoredContent<'_, '_> {
    type Error = CopyError;

    fn read_into(&mut self, buffer: &mut Vec<u8>, length_max: usize) -> Result<Span, CopyError> {
        while self.rest.is_empty() {
            let piece = match self.pieces.next() {
                None => return Ok(Span::End),
                Some(piece) => piece.map_err(|error| CopyError::of_entry(self.snapshot, &self.path, error))?,
            };
            match piece {
                Piece::Zeros { length: 0 } => {}
                Piece::Zeros { length } => return Ok(Span::Hole(length)),
                Piece::Chunk { id, .. } => self.rest = self.reader.chunk(&id).map_err(|error| self.lost(error))?,
            }
        }
        let part = self.rest.split_to(self.rest.len().min(length_max.max(1)));
        buffer.extend_from_slice(&part);
        Ok(Span::Data(part.len()))
    }
}

impl StoredContent<'_, '_> {
    fn lost(&self, error: RepositoryError) -> CopyError {
        if !error.is_loss() {
            return error.into();
        }
        CopyError::Incomplete { id: self.snapshot, path: escape_path(&self.path), reason: error.to_string() }
    }
}

/// Another state of the resource and its copy, walked in step.
pub(super) struct Earlier<S, T> {
    source: Cursor<S>,
    target: Cursor<T>,
}

impl<S: PageSource, T: PageSource> Earlier<S, T> {
    pub(super) fn new((from, source): (S, PageId), (to, target): (T, PageId)) -> Self {
        Self { source: Cursor::new(from, source), target: Cursor::new(to, target) }
    }

    /// The content in the target of an entry whose content in the source is what it was; what cannot be read is not known.
    fn content_of(&mut self, entry: &Entry) -> Option<Content> {
        let path = entry.path.as_bytes();
        let was = entry_at(&mut self.source, path)?;
        if was.content != entry.content {
            return None;
        }
        entry_at(&mut self.target, path).map(|copy| copy.content.clone())
    }
}

fn entry_at<'c, S: PageSource>(cursor: &'c mut Cursor<S>, path: &[u8]) -> Option<&'c Entry> {
    cursor.advance_to(path).ok()?;
    cursor.peek().ok()?.filter(|entry| entry.path.as_bytes() == path)
}
