//! `backup`: sources in, one snapshot out.
//!
//! `plan` walks a root in step with the parent snapshot and decides what must be read; workers (`capture`, `content`)
//! read, cut, hash and store; `assemble` puts their results back into path order and builds the tree. Each stage hands
//! bounded batches to the next, so memory does not grow with the tree, and both ends of it work at once.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use thiserror::Error;

use crate::codec::chunk::Chunker;
use crate::id::SnapshotId;
use crate::operation::backup::assemble::{Assembled, assemble};
use crate::operation::backup::capture::CaptureError;
use crate::operation::backup::estate::before::Before;
use crate::operation::backup::estate::capture_estate;
use crate::operation::pages::PageWriter;
use crate::platform::process::ProcessIdentity;
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::session::{Mode, Session, SessionMark};
use crate::repository::snapshot::Snapshot;
use crate::resource::{Asked, Coverage, Resource, ResourceRecord, SnapshotRecord, Summary};
use crate::source::estate::Source;
use crate::source::local::{LocalError, LocalRoot, drop_nested, resource_of};
use crate::storage::Writers;
use crate::tree::boundary::TreeParameters;
use crate::tree::builder::TreeBuilder;
use crate::tree::error::TreeError;

mod assemble;
mod capture;
mod content;
mod estate;
mod plan;
pub mod stream;

/// What a backup takes and how.
#[derive(Clone)]
pub struct BackupRequest {
    /// What is captured; roots that lie in others are left out with a word.
    pub roots: Vec<LocalRoot>,
    /// What else of the estate is.
    pub sources: Vec<Arc<dyn Source>>,
    /// How the snapshot is labelled.
    pub label: SnapshotLabel,
    /// Whether entries that look unchanged are read all the same.
    pub rereading: Rereading,
    /// Whether anything is written.
    pub mode: Mode,
    /// Threads that read and compress.
    pub threads: usize,
}

/// What a snapshot says of itself beside what it holds.
#[derive(Clone, Debug)]
pub struct SnapshotLabel {
    /// When the capture began.
    pub time: jiff::Timestamp,
    /// Which machine.
    pub host: String,
    /// Which user.
    pub user: String,
    /// Its series; `<host>:<roots>` where none is named.
    pub series: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Free text.
    pub description: String,
    /// Filters that are in force, for the record.
    pub scope: Vec<String>,
}

/// Whether entries that look unchanged are read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rereading {
    /// Only what changed is read.
    Changed,
    /// Everything is read.
    Everything,
}

/// What a backup did.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// The snapshot; none in a dry run.
    pub id: Option<SnapshotId>,
    /// What it says of itself.
    pub record: SnapshotRecord,
}

impl BackupReport {
    /// Things that could not be captured.
    pub fn gap_count(&self) -> u64 {
        let gaps = |resource: &ResourceRecord| match &resource.coverage {
            Coverage::Complete => 0,
            Coverage::Partial { count, .. } => *count,
            Coverage::Failed { .. } => 1,
        };
        self.record.resources.iter().map(gaps).sum()
    }
}

/// Why there is no snapshot.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The tree could not be built.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A root cannot be captured at all.
    #[error(transparent)]
    Root(#[from] LocalError),
    /// A root is not a path that can be made absolute.
    #[error("cannot make {path:?} an absolute path")]
    Path {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The stream that was to be captured cannot be read; what came of it is not kept as a snapshot.
    #[error("the input stream cannot be read")]
    Stream {
        /// Why.
        source: std::io::Error,
    },
    /// The threads that ask sources cannot be started.
    #[error("cannot start what asks the sources")]
    Runtime {
        /// Why not.
        source: std::io::Error,
    },
    /// Nothing was named.
    #[error("there is nothing to capture")]
    Nothing,
    /// The user asked to stop. What was stored stays for the next run.
    #[error("interrupted; what was stored so far will not be sent again")]
    Interrupted,
    /// A worker ended before its work, which is a fault of the program.
    #[error("a worker thread stopped early")]
    WorkerStopped,
}

/// What all stages of one backup share.
pub(super) struct Context<'c> {
    session: &'c Session,
    chunker: Chunker,
    rereading: Rereading,
    threads: usize,
    progress: &'c dyn Progress,
    /// A worker failed: the others stop waiting for it.
    abandoned: AtomicBool,
}

/// What is told of a store that does not decide between writers, by whoever finds out.
const ONE_WRITER: &str = "this store replaces objects it was told to keep: never write to it from two machines at once, \
     and prune it with --exclusive only";

/// How often a backup begins again because a prune held it for dead.
const REVOCATIONS_MAX: usize = 4;

/// Captures every root of the request into one snapshot.
///
/// Unreadable things become gaps of the report, and a root that is not there becomes a failed resource; errors of the
/// repository end the run without a snapshot, leaving what was stored for the next. A run that slept so long that a prune
/// held it for dead captures again and sends what is no longer there (W8).
pub fn backup(
    repository: &Arc<Repository>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<BackupReport, BackupError> {
    for _ in 0..REVOCATIONS_MAX {
        match capture(repository, request, progress) {
            Err(BackupError::Repository(RepositoryError::Revoked)) => {
                let message = "a prune held this backup for dead while it slept; it captures again".to_owned();
                progress.report(Event::Warning { message });
            }
            outcome => return outcome,
        }
    }
    capture(repository, request, progress)
}

fn capture(
    repository: &Arc<Repository>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<BackupReport, BackupError> {
    let started = Instant::now();
    let (roots, resources) = match request.sources.is_empty() || !request.roots.is_empty() {
        true => resolve_roots(&request.roots, progress)?,
        false => Default::default(),
    };
    let series = request
        .label
        .series
        .clone()
        .unwrap_or_else(|| derived_series(&request.label.host, &resources, &request.sources));
    let mark = session_mark(&request.label.host, request.label.time);
    let (session, snapshots) = Session::begin_with_snapshots(Arc::clone(repository), &mark, request.mode)?;
    for damaged in session.damaged() {
        progress.report(Event::Warning { message: format!("{damaged}; what it named is sent again") });
    }
    if session.writers() == Some(Writers::One) {
        progress.report(Event::Warning { message: ONE_WRITER.to_owned() });
    }
    let line: Vec<Snapshot> = snapshots.valid.into_iter().filter(|snapshot| snapshot.record.series == series).collect();
    let parent = line.last();
    let mut summary = Summary::default();
    let context = || Context {
        session: &session,
        chunker: Chunker::new(repository.cutting_keys().chunker, &repository.config().chunker),
        rereading: request.rereading,
        threads: request.threads.max(1),
        progress,
        abandoned: AtomicBool::new(false),
    };
    let parent_record = parent.map(|parent| &parent.record);
    let captured = std::thread::scope(|scope| {
        let estate = scope.spawn(|| capture_estate(&context(), &request.sources, Before::of(&line)));
        let capture = |(root, resource): (&LocalRoot, &Resource)| {
            let earlier = parent_record.and_then(|parent| resource_in(parent, resource));
            capture_root(&context(), root, resource, earlier, &request.label.scope, &mut summary)
        };
        let local = roots.iter().zip(&resources).map(capture).collect::<Result<Vec<_>, _>>();
        let estate = estate.join().unwrap_or(Err(BackupError::WorkerStopped));
        local.and_then(|local| Ok((local, estate?)))
    });
    let (mut records, estate) = match captured {
        Ok(captured) => captured,
        Err(BackupError::Interrupted) => {
            session.close()?;
            return Err(BackupError::Interrupted);
        }
        Err(error) => return Err(error),
    };
    estate.counts.add_to(&mut summary);
    records.extend(estate.records);
    let held = Held { parent: parent.map(|parent| parent.id), resources: records, asked: estate.asked };
    let is_nothing = held.resources.iter().all(|record| matches!(record.coverage, Coverage::Failed { .. }));
    if is_nothing && (held.asked.is_empty() || !held.resources.is_empty()) {
        session.close()?;
        return Err(BackupError::Nothing);
    }
    finish(&session, &request.label, series, held, summary, started)
}

/// What a snapshot holds.
struct Held {
    parent: Option<SnapshotId>,
    resources: Vec<ResourceRecord>,
    asked: Vec<Asked>,
}

/// Settles the session and commits the record.
fn finish(
    session: &Session,
    label: &SnapshotLabel,
    series: String,
    Held { parent, mut resources, asked }: Held,
    mut summary: Summary,
    started: Instant,
) -> Result<BackupReport, BackupError> {
    resources.sort_by(|one, other| one.path.cmp(&other.path));
    for resource in &resources {
        summary.totals.add(&resource.totals);
    }
    let stored = session.settle()?;
    summary.bytes_new = stored.new;
    summary.bytes_stored = stored.written;
    summary.milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let record = SnapshotRecord {
        time: label.time,
        host: label.host.clone(),
        user: label.user.clone(),
        series,
        tags: label.tags.clone(),
        description: label.description.clone(),
        parent,
        amends: None,
        original: None,
        tool: tool(),
        resources,
        asked,
        summary,
    };
    let id = session.commit(record.clone())?;
    Ok(BackupReport { id: session.writes().then_some(id), record })
}

/// Name and version of this program, as records carry it.
pub(crate) fn tool() -> String {
    concat!("snap ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The mark of a session of this process.
pub fn session_mark(host: &str, time: jiff::Timestamp) -> SessionMark {
    let ProcessIdentity { boot, pid_namespace, pid, started } = ProcessIdentity::of_this();
    SessionMark { time, host: host.to_owned(), boot, pid_namespace, pid, started, tool: tool() }
}

fn capture_root(
    context: &Context<'_>,
    root: &LocalRoot,
    resource: &Resource,
    earlier: Option<&ResourceRecord>,
    scope: &[String],
    summary: &mut Summary,
) -> Result<ResourceRecord, BackupError> {
    let path = crate::resource::escape_path(&resource.path);
    context.progress.report(Event::Started { agent: path.clone() });
    let repository = context.session.repository();
    let reader = Reader::new(repository, context.session.index());
    let mut pages = PageWriter::new(context.session.writer(PackKind::Pages)?);
    let mut builder = TreeBuilder::new(tree_parameters(repository), &mut pages);
    let assembled = assemble(context, root, resource, earlier.map(|earlier| (&reader, earlier.root)), &mut builder);
    let (coverage, map) = match assembled {
        Ok(Assembled { gaps, gap_count, counts }) => {
            counts.add_to(summary);
            let coverage =
                if gap_count == 0 { Coverage::Complete } else { Coverage::Partial { gaps, count: gap_count } };
            (coverage, builder.finish()?)
        }
        Err(BackupError::Root(error)) => {
            let event = Event::Failed { path: resource.path.clone(), message: error_chain(&error) };
            context.progress.report(event);
            drop(builder);
            let nothing = TreeBuilder::new(tree_parameters(repository), &mut pages).finish()?;
            (Coverage::Failed { reason: error_chain(&error) }, nothing)
        }
        Err(error) => return Err(error),
    };
    pages.flush()?;
    context.progress.report(Event::Finished { agent: path.clone() });
    Ok(ResourceRecord {
        source: resource.source.to_owned(),
        path,
        root: map.id,
        totals: map.totals,
        coverage,
        scope: scope.to_vec(),
        attributes: std::collections::BTreeMap::new(),
    })
}

/// How the maps of a repository are cut into pages.
pub(crate) fn tree_parameters(repository: &Repository) -> TreeParameters {
    let page_entries = NonZeroU32::new(repository.config().page_entries).unwrap_or(NonZeroU32::MIN);
    TreeParameters { page_boundary: *repository.cutting_keys().page_boundary, page_entries }
}

fn resolve_roots(roots: &[LocalRoot], progress: &dyn Progress) -> Result<(Vec<LocalRoot>, Vec<Resource>), BackupError> {
    let paths: Vec<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
    let at = |source| BackupError::Path { path: paths.first().cloned().unwrap_or_default(), source };
    let (kept, nested) = drop_nested(&paths).map_err(at)?;
    for nested in nested {
        let message = format!("{} lies in {}, which is captured", nested.root.display(), nested.lies_in.display());
        progress.report(Event::Warning { message });
    }
    let kept: Vec<LocalRoot> =
        kept.iter().filter_map(|path| roots.iter().find(|root| root.path == *path).cloned()).collect();
    if kept.is_empty() {
        return Err(BackupError::Nothing);
    }
    let resource = |root: &LocalRoot| {
        resource_of(&root.path).map_err(|source| BackupError::Path { path: root.path.clone(), source })
    };
    let resources = kept.iter().map(resource).collect::<Result<_, _>>()?;
    Ok((kept, resources))
}

/// The series of runs of the same roots on the same host.
fn derived_series(host: &str, resources: &[Resource], sources: &[Arc<dyn Source>]) -> String {
    let mut roots: Vec<String> = resources
        .iter()
        .map(|resource| crate::resource::escape_path(resource.path.strip_prefix(b"local").unwrap_or(&resource.path)))
        .collect();
    if !sources.is_empty() {
        roots.push("estate".to_owned());
    }
    roots.sort();
    format!("{host}:{}", roots.join(","))
}

fn resource_in<'r>(record: &'r SnapshotRecord, resource: &Resource) -> Option<&'r ResourceRecord> {
    let path = crate::resource::escape_path(&resource.path);
    record.resources.iter().find(|earlier| earlier.path == path && earlier.source == resource.source)
}

/// An error and what caused it, on one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl From<CaptureError> for BackupError {
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::Repository(error) => Self::Repository(error),
            CaptureError::Tree(error) => Self::Tree(error),
            CaptureError::Local(error) => Self::Root(error),
            CaptureError::Interrupted => Self::Interrupted,
        }
    }
}
