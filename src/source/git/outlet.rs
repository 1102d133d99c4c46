//! What a capture sends, from a thread that may wait: entries as the local source makes them, their bodies behind them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata, Timestamp};
use crate::source::estate::{Body, EntrySink, Found, Problem, Sent, Stopped};
use crate::source::git::body::{FileBody, Origin, WHOLE_MAX, take_attributes};
use crate::source::local::LocalError;
use crate::source::local::listed::Listed;
use crate::source::local::metadata::OwnerNames;
use crate::source::local::read::OpenFile;
use crate::source::local::stat::{FileStat, FileType};

/// Small files that are open because their names may go before anyone reads them.
const SMALL_OPEN_MAX: usize = 48;
/// Large ones.
const LARGE_OPEN_MAX: usize = 48;

/// Where the entries of one repository go.
pub(super) struct Outlet {
    sink: EntrySink,
    runtime: Handle,
    owners: Arc<OwnerNames>,
    clock: fn() -> Timestamp,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Outlet {
    pub(super) fn new(sink: EntrySink, runtime: Handle, clock: fn() -> Timestamp) -> Self {
        let (small, large) = (Arc::new(Semaphore::new(SMALL_OPEN_MAX)), Arc::new(Semaphore::new(LARGE_OPEN_MAX)));
        Self { sink, runtime, owners: Arc::default(), clock, small, large }
    }

    pub(super) fn send(&self, sent: Sent) -> Result<(), Stopped> {
        self.runtime.block_on(self.sink.send(sent))
    }

    pub(super) fn gap(&self, path: &[u8], problem: Problem) -> Result<(), Stopped> {
        self.send(Sent::Gap(problem.at(path)))
    }

    pub(super) fn refused(&self, error: &LocalError) -> Result<(), Stopped> {
        self.send(Sent::Gap(error.gap()))
    }

    fn found(&self, entry: Entry, body: Body) -> Result<(), Stopped> {
        self.send(Sent::Found(Box::new(Found { entry, body })))
    }

    /// What stands there; a file is opened when its bytes are wanted.
    pub(super) fn listed(&self, listed: Listed) -> Result<(), Stopped> {
        if listed.file_type() == FileType::File {
            let entry = self.entry(listed.path.clone(), EntryKind::File, &listed.stat);
            let size = listed.stat.size;
            return self.file(entry, Origin::Listed(Box::new(listed)), size, None);
        }
        let kind = match listed.kind() {
            Ok(kind) => kind,
            Err(error) => return self.refused(&error),
        };
        let mut entry = self.entry(listed.path.clone(), kind, &listed.stat);
        match listed.attributes() {
            Ok(attributes) => {
                if let Metadata::Posix(metadata) = &mut entry.metadata {
                    for problem in take_attributes(attributes, metadata) {
                        self.gap(listed.path.as_bytes(), problem)?;
                    }
                }
            }
            // A folder that is empty by now is let go of by git itself.
            Err(LocalError::Vanished { .. } | LocalError::Replaced { .. }) => {}
            Err(error) => self.refused(&error)?,
        }
        self.found(entry, Body::None)
    }

    /// A file whose name may go, but which is open; nobody writes to it.
    pub(super) fn open(&self, listed: &Listed, file: OpenFile) -> Result<(), Stopped> {
        let entry = self.entry(listed.path.clone(), EntryKind::File, &listed.stat);
        self.file(entry, Origin::Open(file), listed.stat.size, None)
    }

    /// The same, of many: it waits until few enough are open.
    pub(super) fn open_one_of_many(&self, listed: Listed) -> Result<Option<LocalError>, Stopped> {
        let permit = match listed.stat.size <= WHOLE_MAX {
            // Whoever takes these reads them at once, so it ends.
            true => self.runtime.block_on(Arc::clone(&self.small).acquire_owned()).ok(),
            false => Arc::clone(&self.large).try_acquire_owned().ok(),
        };
        let entry = self.entry(listed.path.clone(), EntryKind::File, &listed.stat);
        let size = listed.stat.size;
        let origin = match (listed.open(), &permit) {
            (Ok(file), Some(_)) => Origin::Open(file),
            (Ok(_), None) => Origin::Listed(Box::new(listed)),
            (Err(error), _) => return Ok(Some(error)),
        };
        self.file(entry, origin, size, permit)?;
        Ok(None)
    }

    /// A file that was read already.
    pub(super) fn kept(&self, entry: Entry, bytes: Bytes) -> Result<(), Stopped> {
        let size = bytes.len() as u64;
        self.file(entry, Origin::Kept(bytes), size, None)
    }

    /// Something without bytes.
    pub(super) fn made(&self, entry: Entry) -> Result<(), Stopped> {
        self.found(entry, Body::None)
    }

    fn file(
        &self,
        entry: Entry,
        origin: Origin,
        size: u64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Stopped> {
        self.found(entry, Body::Remote(Box::new(FileBody::new(origin, size, &self.owners, permit))))
    }

    /// An entry of what the system tells, its content still empty and without extended attributes.
    pub(super) fn entry(&self, path: EntryPath, kind: EntryKind, stat: &FileStat) -> Entry {
        Entry {
            path,
            kind,
            metadata: Metadata::Posix(Box::new(stat.posix_metadata(&self.owners))),
            token: stat.change_token((self.clock)()),
            content: Content::Empty,
        }
    }

    /// The same of a file that is open, with its extended attributes but for those that are named.
    pub(super) fn entry_of(&self, path: EntryPath, file: &OpenFile) -> (Entry, Vec<Problem>) {
        let mut entry = self.entry(path, EntryKind::File, file.stat());
        let mut problems = Vec::new();
        if let (Metadata::Posix(metadata), Ok(attributes)) = (&mut entry.metadata, file.attributes()) {
            problems = take_attributes(attributes, metadata);
        }
        (entry, problems)
    }
}
