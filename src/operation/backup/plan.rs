//! What must be read: the walk of a root in step with the parent snapshot's map of it.
//!
//! An entry whose stat equals what the parent says of it is the parent's entry, unopened; everything else goes to a
//! worker. Results are batches numbered in path order, each small enough to be one worker's turn.

use crossbeam_channel::{Receiver, Sender};

use crate::entry::{Entry, EntryPath, Metadata};
use crate::id::PageId;
use crate::operation::backup::{BackupError, Context, Rereading, error_chain};
use crate::progress::Event;
use crate::repository::reader::Reader;
use crate::resource::Gap;
use crate::source::local::LocalRoot;
use crate::source::local::listed::Listed;
use crate::source::local::metadata::HardLinks;
use crate::source::local::stat::FileType;
use crate::source::local::walk::{Walked, walk};
use crate::tree::cursor::Cursor;

/// Bytes to be read that make a batch full.
const BATCH_BYTES: u64 = 4 << 20;
/// Entries that make a batch full.
const BATCH_LENGTH: usize = 1024;
/// Batches that may be on their way at once; bounds what waits behind a slow one.
pub(super) const BATCHES_MAX: usize = 48;

/// A run of entries in path order.
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) items: Vec<Item>,
    /// Entries of the parent that are gone.
    pub(super) removed: u64,
}

/// One entry on its way.
pub(super) enum Item {
    /// The parent's entry still holds.
    Unchanged(Entry),
    /// Must be looked at: what was listed, its link group, and what the parent had there.
    Read { listed: Listed, link_to: Option<EntryPath>, earlier: Option<Box<Entry>> },
    /// Could not be had.
    Gap(Gap),
}

/// Where batches go.
pub(super) struct Outlets {
    /// A token for each batch that may still be sent.
    pub(super) tokens: Receiver<()>,
    /// To the workers.
    pub(super) work: Sender<Batch>,
    /// Past them: nothing in the batch needs reading.
    pub(super) done: Sender<super::capture::Captured>,
}

/// Walks the root and sends every batch; ends early when nobody takes them any more.
pub(super) fn plan(
    context: &Context<'_>,
    root: &LocalRoot,
    parent: Option<(&Reader<'_>, PageId)>,
    outlets: &Outlets,
) -> Result<(), BackupError> {
    let mut planner = Planner {
        context,
        parent: parent.map(|(reader, root)| Cursor::new(reader, root)),
        parent_damaged: false,
        hard_links: HardLinks::new(),
        batch: Batch { number: 0, items: Vec::new(), removed: 0 },
        batch_bytes: 0,
        needs_reading: false,
    };
    for walked in walk(root, context.threads)? {
        if context.progress.interrupted() {
            return Err(BackupError::Interrupted);
        }
        for walked in walked {
            planner.take(walked);
            if (planner.batch.items.len() >= BATCH_LENGTH || planner.batch_bytes >= BATCH_BYTES)
                && !planner.send(outlets)
            {
                return Ok(());
            }
        }
        context.session.keep_alive()?;
    }
    planner.count_removed_before(None);
    planner.send(outlets);
    Ok(())
}

struct Planner<'p, 'r> {
    context: &'p Context<'p>,
    parent: Option<Cursor<&'p Reader<'r>>>,
    parent_damaged: bool,
    hard_links: HardLinks,
    batch: Batch,
    batch_bytes: u64,
    needs_reading: bool,
}

impl Planner<'_, '_> {
    fn take(&mut self, walked: Walked) {
        let listed = match walked {
            Walked::Entry(listed) => listed,
            Walked::Gap(gap) => return self.batch.items.push(Item::Gap(gap)),
        };
        let link_to = self.hard_links.meet(&listed);
        let earlier = self.earlier(&listed.path);
        match earlier {
            Some(earlier) if self.still_holds(&listed, link_to.as_ref(), &earlier) => {
                self.batch.items.push(Item::Unchanged(earlier));
            }
            earlier => {
                if listed.file_type() == FileType::File {
                    self.batch_bytes = self.batch_bytes.saturating_add(listed.stat.size);
                }
                self.needs_reading = true;
                self.batch.items.push(Item::Read { listed, link_to, earlier: earlier.map(Box::new) });
            }
        }
    }

    /// What the parent has at this path; what it has before it is gone.
    fn earlier(&mut self, path: &EntryPath) -> Option<Entry> {
        self.count_removed_before(Some(path));
        let found = match self.parent.as_mut()?.peek() {
            Ok(found) => found.is_some_and(|entry| entry.path == *path),
            Err(_) => false,
        };
        if found { self.parent.as_mut()?.next()?.ok() } else { None }
    }

    fn count_removed_before(&mut self, path: Option<&EntryPath>) {
        let Some(parent) = self.parent.as_mut() else { return };
        loop {
            match parent.peek() {
                Ok(Some(entry)) if path.is_none_or(|path| entry.path < *path) => {
                    self.batch.removed += 1;
                    drop(parent.next());
                }
                Ok(_) => return,
                // A page of the parent is lost: what it held is read again, which may heal it. The cursor steps over it.
                Err(error) => {
                    if !std::mem::replace(&mut self.parent_damaged, true) {
                        let message = format!("part of the parent snapshot is read anew: {}", error_chain(&error));
                        self.context.progress.report(Event::Warning { message });
                    }
                }
            }
        }
    }

    /// Whether the parent's entry can be taken as it is: nothing about it changed, and its bytes are there.
    fn still_holds(&self, listed: &Listed, link_to: Option<&EntryPath>, earlier: &Entry) -> bool {
        let Metadata::Posix(metadata) = &earlier.metadata else { return false };
        self.context.rereading == Rereading::Changed
            && listed.is_unchanged(earlier)
            && metadata.link_to.as_ref() == link_to
            && self.context.session.index().holds(&earlier.content)
            && metadata.xattrs.iter().all(|xattr| self.context.session.index().holds(&xattr.value))
    }

    /// Sends the batch on; `false` when nobody takes it.
    fn send(&mut self, outlets: &Outlets) -> bool {
        if outlets.tokens.recv().is_err() {
            return false;
        }
        let next = Batch { number: self.batch.number + 1, items: Vec::new(), removed: 0 };
        let batch = std::mem::replace(&mut self.batch, next);
        self.batch_bytes = 0;
        if std::mem::take(&mut self.needs_reading) {
            outlets.work.send(batch).is_ok()
        } else {
            outlets.done.send(super::capture::Captured::of_unchanged(batch)).is_ok()
        }
    }
}
