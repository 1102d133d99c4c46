//! One worker: batches in, finished entries out. Files are read as `content` says; whatever cannot be had is a gap.
//!
//! A file that changes while it is read is read again, and flagged if it never holds still.

use crossbeam_channel::{Receiver, Sender};

use crate::entry::{ChangeToken, Content, Entry, EntryKind, Metadata, PosixMetadata, Timestamp, Xattr};
use crate::operation::backup::Context;
use crate::operation::backup::content::{ContentWriter, WindowJob};
use crate::operation::backup::plan::{Batch, Item};
use crate::repository::error::RepositoryError;
use crate::resource::{Gap, escape_path};
use crate::source::local::LocalError;
use crate::source::local::attributes::Attributes;
use crate::source::local::listed::Listed;
use crate::source::local::metadata::OwnerNames;
use crate::source::local::stat::{FileStat, FileType};
use crate::tree::error::TreeError;

/// How often a file that changes while it is read is read in all.
const READS_MAX: usize = 3;
/// How often something that was replaced since it was listed is looked at again.
const REFRESHES_MAX: usize = 3;

/// A batch, done.
pub(super) struct Captured {
    pub(super) number: u64,
    pub(super) items: Vec<CapturedItem>,
    pub(super) removed: u64,
    pub(super) bytes_read: u64,
}

/// One entry, done.
pub(super) enum CapturedItem {
    Entry(Entry, Change),
    Gap(Gap),
}

/// How an entry compares with the parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    New,
    Changed,
    Unchanged,
}

/// Why an entry is not captured.
pub(super) enum CaptureError {
    /// Only this one.
    Local(LocalError),
    /// The run cannot go on.
    Repository(RepositoryError),
    /// The run cannot go on.
    Tree(TreeError),
    /// The user asked to stop.
    Interrupted,
}

impl From<LocalError> for CaptureError {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}

impl From<RepositoryError> for CaptureError {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

impl From<TreeError> for CaptureError {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

impl Captured {
    /// A batch in which nothing had to be read.
    pub(super) fn of_unchanged(batch: Batch) -> Self {
        let items = batch.items.into_iter().filter_map(|item| match item {
            Item::Unchanged(entry) => Some(CapturedItem::Entry(entry, Change::Unchanged)),
            Item::Gap(gap) => Some(CapturedItem::Gap(gap)),
            Item::Read { .. } => None,
        });
        Self { number: batch.number, items: items.collect(), removed: batch.removed, bytes_read: 0 }
    }
}

/// Works until there are no more batches and no other worker needs help.
pub(super) fn work(
    context: &Context<'_>,
    batches: &Receiver<Batch>,
    windows: (Sender<WindowJob>, Receiver<WindowJob>),
    done: &Sender<Captured>,
) -> Result<(), CaptureError> {
    let (offer, help) = windows;
    let mut worker = Worker { context, content: ContentWriter::new(context, offer, help)?, names: OwnerNames::new() };
    let result = worker.run(batches, done);
    // What an interrupted run has stored is kept for the next.
    if matches!(result, Ok(()) | Err(CaptureError::Interrupted)) {
        worker.content.finish()?;
    }
    result
}

struct Worker<'w> {
    context: &'w Context<'w>,
    content: ContentWriter<'w>,
    names: OwnerNames,
}

impl Worker<'_> {
    fn run(&mut self, batches: &Receiver<Batch>, done: &Sender<Captured>) -> Result<(), CaptureError> {
        while let Some(batch) = self.content.next_batch(batches)? {
            if done.send(self.capture(batch)?).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn capture(&mut self, batch: Batch) -> Result<Captured, CaptureError> {
        let mut items = Vec::with_capacity(batch.items.len());
        let read_before = self.content.bytes_read();
        for item in batch.items {
            let item = match item {
                Item::Unchanged(entry) => CapturedItem::Entry(entry, Change::Unchanged),
                Item::Gap(gap) => CapturedItem::Gap(gap),
                Item::Read { mut listed, link_to, earlier } => match self.entry(&mut listed) {
                    Ok(mut entry) => {
                        if let Metadata::Posix(metadata) = &mut entry.metadata {
                            metadata.link_to = link_to;
                        }
                        let change = change_of(&entry, earlier.as_deref());
                        CapturedItem::Entry(entry, change)
                    }
                    Err(CaptureError::Local(error)) => CapturedItem::Gap(error.gap()),
                    Err(error) => return Err(error),
                },
            };
            if self.context.progress.interrupted() {
                return Err(CaptureError::Interrupted);
            }
            items.push(item);
        }
        let bytes_read = self.content.bytes_read() - read_before;
        Ok(Captured { number: batch.number, items, removed: batch.removed, bytes_read })
    }

    /// The entry of what stands there, looking again where it was replaced since it was listed.
    fn entry(&mut self, listed: &mut Listed) -> Result<Entry, CaptureError> {
        for _ in 1..REFRESHES_MAX {
            match self.entry_once(listed) {
                Err(CaptureError::Local(LocalError::Replaced { .. })) => listed.refresh()?,
                result => return result,
            }
        }
        self.entry_once(listed)
    }

    fn entry_once(&mut self, listed: &Listed) -> Result<Entry, CaptureError> {
        if listed.file_type() == FileType::File {
            return self.file(listed);
        }
        let kind = listed.kind()?;
        let attributes = listed.attributes()?;
        let read_started = now();
        let metadata = listed.posix_metadata(&self.names);
        let token = listed.change_token(read_started);
        self.finish_entry(listed, kind, metadata, token, Content::Empty, attributes)
    }

    fn file(&mut self, listed: &Listed) -> Result<Entry, CaptureError> {
        let mut file = listed.open()?;
        for read in 1..=READS_MAX {
            let read_started = now();
            let content = self.content.of_file(&mut file, &listed.path)?;
            let attributes = file.attributes()?;
            let stat: &FileStat = file.stat();
            let mut metadata = stat.posix_metadata(&self.names);
            let mut token = stat.change_token(read_started);
            if !file.is_unchanged_since_open()? {
                if read < READS_MAX {
                    file.rewind()?;
                    continue;
                }
                metadata.flags |= PosixMetadata::CHANGED_WHILE_READ;
                token = None;
            }
            return self.finish_entry(listed, EntryKind::File, metadata, token, content, attributes);
        }
        unreachable!("the last read returns")
    }

    fn finish_entry(
        &mut self,
        listed: &Listed,
        kind: EntryKind,
        mut metadata: PosixMetadata,
        token: Option<ChangeToken>,
        content: Content,
        attributes: Attributes,
    ) -> Result<Entry, CaptureError> {
        for attribute in attributes.values {
            let value = self.content.of_attribute(attribute.value)?;
            metadata.xattrs.push(Xattr { name: attribute.name, value });
        }
        for name in attributes.withheld {
            let message = format!(
                "{}: the extended attribute {} cannot be read and is left out",
                escape_path(listed.path.as_bytes()),
                escape_path(&name)
            );
            self.context.progress.report(crate::progress::Event::Warning { message });
        }
        Ok(Entry { path: listed.path.clone(), kind, metadata: Metadata::Posix(Box::new(metadata)), token, content })
    }
}

/// The system's clock, as file systems stamp with it.
pub(super) fn now() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Timestamp { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}

/// How an entry compares with an earlier one of the same path; change tokens do not count.
fn change_of(entry: &Entry, earlier: Option<&Entry>) -> Change {
    match earlier {
        None => Change::New,
        Some(earlier)
            if entry.kind == earlier.kind && entry.metadata == earlier.metadata && entry.content == earlier.content =>
        {
            Change::Unchanged
        }
        Some(_) => Change::Changed,
    }
}
