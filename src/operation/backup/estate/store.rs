//! One thread that stores resources: compares what was found with the snapshot before, fetches what changed, builds the map.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::entry::{Content, Entry, EntryKind, EntryPath};
use crate::operation::backup::assemble::Counts;
use crate::operation::backup::estate::fetch::{Part, fetch};
use crate::operation::backup::estate::map::{Map, bytes_of};
use crate::operation::backup::estate::{Agent, Captured, Work};
use crate::operation::backup::{BackupError, Context, Rereading, stream, tree_parameters};
use crate::operation::pages::PageWriter;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::session::ChunkWriter;
use crate::resource::{Resource, ResourceRecord, escape_path};
use crate::source::canonical::is_same;
use crate::source::estate::{Body, Found, Problem, Remote, Sent};
use crate::tree::builder::TreeBuilder;
use crate::tree::cursor::Cursor;

/// Content up to this size is fetched ahead; larger is fetched when its turn has come.
const AHEAD_SIZE_MAX: u64 = 4 << 20;
/// What is reserved for content of unknown size.
const SIZE_UNKNOWN: u64 = 64 << 10;
/// Entries of one resource that wait for their content.
const PENDING_MAX: usize = 512;
/// Parts of large content that wait to be stored.
const PARTS_WAITING: usize = 4;

pub(super) struct Storer<'c> {
    context: &'c Context<'c>,
    runtime: Handle,
    /// Bytes that may be fetched ahead, shared by all.
    ahead: Arc<Semaphore>,
    reader: Reader<'c>,
    data: ChunkWriter<'c>,
    lists: PageWriter<'c>,
    pages: PageWriter<'c>,
}

/// Content that is stored and its bytes, or why it could not be had.
type Stored = Result<(Content, u64), Problem>;

/// An entry whose content is here or on its way.
struct Pending {
    entry: Entry,
    earlier: Option<Entry>,
    coming: Coming,
    _reserved: Option<OwnedSemaphorePermit>,
}

enum Coming {
    Nothing,
    Unchanged,
    Here(Bytes),
    Fetched(mpsc::Receiver<Part>),
    Later(Box<dyn Remote>),
}

impl<'c> Storer<'c> {
    pub(super) fn new(context: &'c Context<'c>, runtime: Handle, ahead: Arc<Semaphore>) -> Result<Self, BackupError> {
        let session = context.session;
        Ok(Self {
            context,
            runtime,
            ahead,
            reader: Reader::new(session.repository(), session.index()),
            data: session.writer(PackKind::Data)?,
            lists: PageWriter::new(session.writer(PackKind::Pages)?),
            pages: PageWriter::new(session.writer(PackKind::Pages)?),
        })
    }

    pub(super) fn finish(self) -> Result<(), BackupError> {
        self.data.flush()?;
        self.lists.flush()?;
        Ok(self.pages.flush()?)
    }

    pub(super) fn take(
        &mut self,
        work: Work,
        earlier: &BTreeMap<&str, &ResourceRecord>,
        agents: &BTreeMap<&'static str, Agent<'_>>,
        captured: &Mutex<Captured>,
    ) -> Result<(), BackupError> {
        let (resource, mut sent): (Resource, Box<dyn Iterator<Item = Sent>>) = match work {
            Work::Whole(resource, mut all) => {
                // In the order of paths, whatever order answers came in.
                all.sort_by(|one, other| path_of(one).cmp(&path_of(other)));
                (resource, Box::new(all.into_iter()))
            }
            Work::Listing(resource, mut receiver) => {
                (resource, Box::new(std::iter::from_fn(move || receiver.blocking_recv())))
            }
            Work::Unknown(resource, problem) => (resource, Box::new(std::iter::once(Sent::End(Some(problem))))),
        };
        let agent = agents.get(resource.source);
        let earlier =
            earlier.get(escape_path(&resource.path).as_str()).filter(|record| record.source == resource.source);
        let (record, counts) = self.store(resource, earlier.copied(), &mut sent, agent)?;
        let mut captured = captured.lock().expect("because no holder panics");
        captured.records.extend(record);
        captured.counts.add(&counts);
        if let Some(agent) = agent {
            agent.done.fetch_add(1, Ordering::Relaxed);
            agent.tell();
        }
        Ok(())
    }

    fn store(
        &mut self,
        resource: Resource,
        earlier: Option<&ResourceRecord>,
        sent: &mut dyn Iterator<Item = Sent>,
        agent: Option<&Agent<'_>>,
    ) -> Result<(Option<ResourceRecord>, Counts), BackupError> {
        let Self { context, runtime, ahead, reader, data, lists, pages } = self;
        let builder = TreeBuilder::new(tree_parameters(context.session.repository()), &mut *pages);
        let mut map = Map::new(resource, earlier.map(|record| &record.coverage), builder);
        let mut fill = Filler { context, runtime, ahead, reader, data, lists, agent };
        let mut before = earlier.map(|record| Cursor::new(&*reader, record.root));
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut end = Some(Problem { reason: "the source ended early".to_owned(), ..Problem::default() });
        let mut is_gone = false;
        for sent in sent {
            if context.progress.interrupted() {
                return Err(BackupError::Interrupted);
            }
            match sent {
                Sent::Found(found) => {
                    if !map.is_next(&found.entry.path) {
                        map.take_gap(disorder().at(found.entry.path.as_bytes()), context);
                        continue;
                    }
                    let known = match &mut before {
                        Some(cursor) => earlier_of(cursor, &found.entry.path, &mut map)?,
                        None => None,
                    };
                    fill.begin(*found, known, &mut pending, &mut map)?;
                    while pending.len() > PENDING_MAX || pending.front().is_some_and(Pending::is_here) {
                        let Some(first) = pending.pop_front() else { break };
                        fill.complete(first, &mut map)?;
                    }
                }
                Sent::Gap(gap) => map.take_gap(gap, context),
                Sent::Attribute(name, value) => drop(map.resource.attributes.insert(name.to_owned(), value)),
                Sent::End(problem) => {
                    end = problem;
                    break;
                }
                Sent::Gone(problem) => {
                    is_gone = pending.is_empty() && map.is_empty();
                    end = (!is_gone).then_some(problem);
                    break;
                }
            }
        }
        while let Some(first) = pending.pop_front() {
            fill.complete(first, &mut map)?;
        }
        if let (Some(cursor), None) = (&mut before, &end) {
            while let Some(entry) = cursor.next().transpose()? {
                map.count_removed(&entry.path);
            }
        }
        if is_gone {
            return Ok((None, map.counts));
        }
        map.finish(end, context).map(|(record, counts)| (Some(record), counts))
    }
}

/// A list that is not in order, or has something twice.
fn disorder() -> Problem {
    let reason = "it was listed twice, or out of order".to_owned();
    Problem { action: "list".to_owned(), code: "Disorder".to_owned(), reason, ..Problem::default() }
}

/// The path of what was sent; what has none comes first, and the end last.
fn path_of(sent: &Sent) -> (u8, &[u8]) {
    match sent {
        Sent::Gap(_) | Sent::Attribute(..) => (0, &[]),
        Sent::Found(found) => (1, found.entry.path.as_bytes()),
        Sent::End(_) | Sent::Gone(_) => (2, &[]),
    }
}

/// The entry of the snapshot before at this path; those that were passed are gone.
fn earlier_of(
    cursor: &mut Cursor<&Reader<'_>>,
    path: &EntryPath,
    map: &mut Map<'_, '_>,
) -> Result<Option<Entry>, BackupError> {
    while let Some(entry) = cursor.peek()? {
        match entry.path.cmp(path) {
            std::cmp::Ordering::Less => {
                map.count_removed(&entry.path);
                cursor.next().transpose()?;
            }
            std::cmp::Ordering::Equal => return Ok(cursor.next().transpose()?),
            std::cmp::Ordering::Greater => return Ok(None),
        }
    }
    Ok(None)
}

impl Pending {
    fn is_here(&self) -> bool {
        !matches!(self.coming, Coming::Fetched(_) | Coming::Later(_))
    }
}

/// What it takes to give an entry its content.
struct Filler<'f, 'c, 'a> {
    context: &'f Context<'c>,
    runtime: &'f Handle,
    ahead: &'f Arc<Semaphore>,
    reader: &'f Reader<'c>,
    data: &'f mut ChunkWriter<'c>,
    lists: &'f mut PageWriter<'c>,
    agent: Option<&'f Agent<'a>>,
}

impl Filler<'_, '_, '_> {
    /// Decides how the content comes, and has it fetched if it is small enough to wait for its turn.
    fn begin(
        &mut self,
        found: Found,
        earlier: Option<Entry>,
        pending: &mut VecDeque<Pending>,
        map: &mut Map<'_, '_>,
    ) -> Result<(), BackupError> {
        let Found { entry, body } = found;
        let is_unchanged = self.context.rereading == Rereading::Changed
            && entry.token.is_some()
            && earlier.as_ref().is_some_and(|earlier| {
                earlier.token == entry.token && self.context.session.index().holds(&earlier.content)
            });
        let mut reserved = None;
        let coming = match body {
            Body::None => Coming::Nothing,
            Body::Bytes(bytes) => Coming::Here(bytes),
            Body::Remote(_) if is_unchanged => Coming::Unchanged,
            Body::Remote(remote) => {
                let size = remote.size().unwrap_or(SIZE_UNKNOWN).max(1);
                if size > AHEAD_SIZE_MAX {
                    Coming::Later(remote)
                } else {
                    reserved = Some(self.reserve(size, pending, map)?);
                    let (sender, parts) = mpsc::channel(PARTS_WAITING);
                    drop(self.runtime.spawn(fetch(remote, sender)));
                    Coming::Fetched(parts)
                }
            }
        };
        pending.push_back(Pending { entry, earlier, coming, _reserved: reserved });
        Ok(())
    }

    /// Room for so many bytes. Whoever holds room is served in turn, so waiting for others ends.
    fn reserve(
        &mut self,
        size: u64,
        pending: &mut VecDeque<Pending>,
        map: &mut Map<'_, '_>,
    ) -> Result<OwnedSemaphorePermit, BackupError> {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        loop {
            if let Ok(permit) = Arc::clone(self.ahead).try_acquire_many_owned(size) {
                return Ok(permit);
            }
            match pending.pop_front() {
                Some(first) => self.complete(first, map)?,
                None => {
                    let waited = self.runtime.block_on(Arc::clone(self.ahead).acquire_many_owned(size));
                    return Ok(waited.expect("because it is never closed"));
                }
            }
        }
    }

    /// Stores the content of the entry and puts it into the map.
    fn complete(&mut self, pending: Pending, map: &mut Map<'_, '_>) -> Result<(), BackupError> {
        let Pending { mut entry, earlier, coming, .. } = pending;
        let stored = match coming {
            Coming::Unchanged => {
                map.push(earlier.as_ref().unwrap_or(&entry), earlier.as_ref())?;
                return Ok(());
            }
            Coming::Here(bytes)
                if earlier.as_ref().is_some_and(|earlier| self.says_the_same(map, earlier, &entry, &bytes)) =>
            {
                return map.push(earlier.as_ref().unwrap_or(&entry), earlier.as_ref());
            }
            Coming::Nothing => Ok((Content::Empty, 0)),
            Coming::Here(bytes) => {
                let mut bytes = Some(bytes);
                let mut read = |buffer: &mut Vec<u8>| {
                    let bytes = bytes.take().unwrap_or_default();
                    buffer.extend_from_slice(&bytes);
                    Ok(bytes.len())
                };
                Ok(self.cut(&entry, &mut read)?)
            }
            Coming::Fetched(parts) => self.receive(&mut entry, parts, map)?,
            Coming::Later(remote) => {
                let (sender, parts) = mpsc::channel(PARTS_WAITING);
                drop(self.runtime.spawn(fetch(remote, sender)));
                self.receive(&mut entry, parts, map)?
            }
        };
        match stored {
            Ok((content, length)) => {
                entry.content = content;
                map.counts.bytes_read += length;
                if let Some(agent) = self.agent {
                    agent.bytes.fetch_add(length, Ordering::Relaxed);
                }
                map.push(&entry, earlier.as_ref())
            }
            Err(problem) => {
                map.take_gap(problem.at(entry.path.as_bytes()), self.context);
                Ok(())
            }
        }
    }

    /// Whether a document differs from that of the snapshot before in nothing but what changes by itself.
    fn says_the_same(&self, map: &Map<'_, '_>, earlier: &Entry, entry: &Entry, bytes: &[u8]) -> bool {
        let is_pair = earlier.kind == EntryKind::Document && entry.kind == EntryKind::Document;
        if !is_pair || map.was_less(&entry.path) || !self.context.session.index().holds(&earlier.content) {
            return false;
        }
        let before = bytes_of(self.reader, &earlier.content);
        before.is_some_and(|before| is_same(map.resource.source, entry.path.as_bytes(), &before, bytes))
    }

    /// Stores what a fetch sends; what it could not have is the inner error.
    fn receive(
        &mut self,
        entry: &mut Entry,
        mut parts: mpsc::Receiver<Part>,
        map: &mut Map<'_, '_>,
    ) -> Result<Stored, BackupError> {
        loop {
            if let Some(stored) = self.receive_once(entry, &mut parts, map)? {
                return Ok(stored);
            }
        }
    }

    /// The same; nothing where all of it comes anew.
    fn receive_once(
        &mut self,
        entry: &mut Entry,
        parts: &mut mpsc::Receiver<Part>,
        map: &mut Map<'_, '_>,
    ) -> Result<Option<Stored>, BackupError> {
        let early = || Problem { reason: "the answer ended early".to_owned(), ..Problem::default() };
        match parts.blocking_recv() {
            Some(Part::Opened(metadata, missing)) => {
                entry.metadata = metadata.unwrap_or_else(|| entry.metadata.clone());
                entry.token = entry.token.take().filter(|_| missing.is_empty());
                missing.into_iter().for_each(|problem| map.take_gap(problem.at(entry.path.as_bytes()), self.context));
            }
            Some(Part::Problem(problem)) => return Ok(Some(Err(problem))),
            None if self.context.progress.interrupted() => return Err(BackupError::Interrupted),
            Some(Part::Bytes(_) | Part::End | Part::Anew) | None => return Ok(Some(Err(early()))),
        }
        let (mut failure, mut is_anew) = (None, false);
        let mut read = |buffer: &mut Vec<u8>| {
            Ok(match parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => {
                    buffer.extend_from_slice(&bytes);
                    bytes.len()
                }
                Some(Part::End) => 0,
                Some(Part::Problem(problem)) => {
                    failure = Some(problem);
                    0
                }
                Some(Part::Anew) => {
                    is_anew = true;
                    0
                }
                Some(Part::Opened(..)) | None => {
                    failure = Some(early());
                    0
                }
            })
        };
        let stored = self.cut(entry, &mut read)?;
        Ok((!is_anew).then(|| failure.map_or(Ok(stored), Err)))
    }

    fn cut(&mut self, entry: &Entry, read: &mut stream::Read<'_>) -> Result<(Content, u64), BackupError> {
        let (context, name) = (self.context, entry.path.as_bytes());
        stream::store(name, read, &context.chunker, (&mut *self.data, &mut *self.lists), context.progress)
    }
}
