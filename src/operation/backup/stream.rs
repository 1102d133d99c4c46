//! Capturing a stream (standard input) as a snapshot of one file.
//!
//! A stream cannot be read twice, so nothing of it is committed unless all of it arrived.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::codec::chunk::{Chunker, Cut, Window, profile_of};
use crate::entry::{Content, Piece};
use crate::id::ChunkId;
use crate::operation::backup::{BackupError, BackupReport, Held, SnapshotLabel, finish, session_mark, tree_parameters};
use crate::operation::pages::PageWriter;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::pack::{PackKind, count};
use crate::repository::session::{ChunkWriter, Mode, Origin, Session};
use crate::resource::{Coverage, ResourceRecord, Summary, escape_path};
use crate::source::local::stdin::Stream;
use crate::tree::builder::TreeBuilder;
use crate::tree::list::ListBuilder;

/// Captures a stream into a snapshot that holds only it.
pub fn backup_stream<R: io::Read>(
    repository: &Arc<Repository>,
    mut stream: Stream<R>,
    label: &SnapshotLabel,
    mode: Mode,
    progress: &dyn Progress,
) -> Result<BackupReport, BackupError> {
    let started = Instant::now();
    let resource = stream.resource();
    let path = escape_path(&resource.path);
    let series = label.series.clone().unwrap_or_else(|| format!("{}:{path}", label.host));
    let session = Session::begin(Arc::clone(repository), &session_mark(&label.host, label.time), mode)?;
    let chunker = Chunker::new(repository.cutting_keys().chunker, &repository.config().chunker);
    let mut pages = PageWriter::new(session.writer(PackKind::Pages)?);
    let mut chunks = session.writer(PackKind::Data)?;
    let mut entry = stream.entry(super::capture::now());
    let mut read =
        |buffer: &mut Vec<u8>| stream.read_into(buffer, READ_SIZE).map_err(|source| BackupError::Stream { source });
    let stored = store(&resource.path, &mut read, &chunker, (&mut chunks, &mut pages), progress);
    let (content, bytes_read) = match stored {
        Ok(content) => content,
        Err(error) => {
            chunks.flush()?;
            pages.flush()?;
            session.close()?;
            return Err(error);
        }
    };
    entry.content = content;
    chunks.flush()?;
    let mut builder = TreeBuilder::new(tree_parameters(repository), &mut pages);
    builder.push(&entry)?;
    let map = builder.finish()?;
    pages.flush()?;
    let record = ResourceRecord {
        source: resource.source.to_owned(),
        path,
        root: map.id,
        totals: map.totals,
        coverage: Coverage::Complete,
        scope: label.scope.clone(),
        attributes: std::collections::BTreeMap::new(),
    };
    let summary = Summary { new: 1, bytes_read, ..Summary::default() };
    let held = Held { parent: None, resources: vec![record], asked: Vec::new() };
    finish(&session, label, series, held, summary, started)
}

/// Bytes asked of the stream at once.
const READ_SIZE: usize = 1 << 20;

/// Appends the next bytes and says how many; none at the end.
pub(super) type Read<'r> = dyn FnMut(&mut Vec<u8>) -> Result<usize, BackupError> + 'r;

/// Cuts and stores what `read` gives to its end; returns the content and its length.
pub(super) fn store(
    name: &[u8],
    read: &mut Read<'_>,
    chunker: &Chunker,
    (chunks, pages): (&mut ChunkWriter<'_>, &mut PageWriter<'_>),
    progress: &dyn Progress,
) -> Result<(Content, u64), BackupError> {
    let mut buffer = Vec::new();
    let mut window = Window::More;
    let mut bytes_read = 0;
    while buffer.len() <= Content::INLINE_MAX && matches!(window, Window::More) {
        let length = read(&mut buffer)?;
        bytes_read += length as u64;
        window = if length == 0 { Window::Last } else { Window::More };
    }
    if buffer.len() <= Content::INLINE_MAX {
        return Ok((if buffer.is_empty() { Content::Empty } else { Content::Inline(buffer) }, bytes_read));
    }
    let profile = profile_of(name, &buffer);
    let mut cutter = chunker.cutter(profile);
    let mut list = ListBuilder::new(pages, profile);
    let mut start = 0;
    while start < buffer.len() || matches!(window, Window::More) {
        let cut = if start == buffer.len() { Cut::NeedMore } else { cutter.next(&buffer[start..], window) };
        match cut {
            Cut::Chunk(length) => {
                let id = ChunkId(chunks.store(&buffer[start..start + length], Origin::Large)?);
                list.push(Piece::Chunk { id, length: count(length) })?;
                start += length;
            }
            Cut::Zeros(length) => {
                list.push(Piece::Zeros { length })?;
                start += usize::try_from(length).unwrap_or(buffer.len());
            }
            Cut::NeedMore => {
                if progress.interrupted() {
                    return Err(BackupError::Interrupted);
                }
                buffer.drain(..start);
                start = 0;
                let length = read(&mut buffer)?;
                bytes_read += length as u64;
                window = if length == 0 { Window::Last } else { Window::More };
            }
        }
    }
    Ok((list.finish()?, bytes_read))
}
