//! Capturing a stream (standard input) as a snapshot of one file.
//!
//! A stream cannot be read twice, so nothing of it is committed unless all of it arrived.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use crate::operation::backup::content::StreamContent;
use crate::operation::backup::{
    BackupError, BackupReport, DATA_LEVEL, PAGE_LEVEL, SnapshotLabel, finish, session_mark, tree_parameters,
};
use crate::codec::chunk::Chunker;
use crate::operation::pages::PageWriter;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::pack::PackKind;
use crate::repository::session::{Mode, Session};
use crate::resource::{Coverage, ResourceRecord, Summary, escape_path};
use crate::source::local::stdin::Stream;
use crate::tree::builder::TreeBuilder;

/// Captures a stream into a snapshot that holds only it.
pub fn backup_stream<R: Read>(
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
    let session = Session::begin(Arc::clone(repository), &session_mark(label), mode)?;
    let chunker = Chunker::new(repository.cutting_keys().chunker, &repository.config().chunker);
    let mut pages = PageWriter::new(session.writer(PackKind::Pages, PAGE_LEVEL)?);
    let mut chunks = session.writer(PackKind::Data, DATA_LEVEL)?;
    let mut entry = stream.entry(super::capture::now());
    let content = StreamContent { chunker: &chunker, progress }.store(&mut stream, &mut chunks, &mut pages);
    let (content, bytes_read) = match content {
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
    finish(&session, label, series, None, vec![record], summary, started)
}
