//! Runs planner and workers, puts their results back into path order and builds the tree of them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::entry::{Entry, EntryPath};
use crate::id::PageId;
use crate::operation::backup::capture::{Captured, CapturedItem, Change, work};
use crate::operation::backup::content::WINDOWS_WAITING;
use crate::operation::backup::plan::{BATCHES_MAX, Outlets, plan};
use crate::operation::backup::{BackupError, Context};
use crate::operation::pages::PageWriter;
use crate::progress::Event;
use crate::repository::reader::Reader;
use crate::resource::{Coverage, Gap, Resource, Summary};
use crate::source::local::LocalRoot;
use crate::tree::builder::TreeBuilder;

/// Batches that wait for a free worker.
const BATCHES_WAITING: usize = 4;

/// What became of a root.
#[derive(Default)]
pub(super) struct Assembled {
    pub(super) gaps: Vec<Gap>,
    pub(super) gap_count: u64,
    pub(super) counts: Counts,
}

/// How the root compares with the parent's map of it.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) new: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    pub(super) removed: u64,
    pub(super) bytes_read: u64,
    items: u64,
    bytes: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.bytes_read += other.bytes_read;
    }

    pub(super) fn add_to(&self, summary: &mut Summary) {
        summary.new += self.new;
        summary.changed += self.changed;
        summary.unchanged += self.unchanged;
        summary.removed += self.removed;
        summary.bytes_read += self.bytes_read;
    }
}

/// Captures a root into `builder`.
pub(super) fn assemble(
    context: &Context<'_>,
    root: &LocalRoot,
    resource: &Resource,
    parent: Option<(&Reader<'_>, PageId)>,
    builder: &mut TreeBuilder<&mut PageWriter<'_>>,
) -> Result<Assembled, BackupError> {
    let (token_sender, tokens) = bounded(BATCHES_MAX);
    for _ in 0..BATCHES_MAX {
        token_sender.send(()).expect("because the receiver is held here");
    }
    let (work_sender, batches) = bounded(BATCHES_WAITING);
    let (done_sender, done) = unbounded();
    let (offer, help) = bounded(WINDOWS_WAITING);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..context.threads)
            .map(|_| {
                let (batches, windows, done) = (batches.clone(), (offer.clone(), help.clone()), done_sender.clone());
                scope.spawn(move || {
                    let result = work(context, &batches, windows, &done);
                    if result.is_err() {
                        context.abandoned.store(true, Ordering::Relaxed);
                    }
                    result
                })
            })
            .collect();
        let outlets = Outlets { tokens, work: work_sender, done: done_sender };
        let planner = scope.spawn(move || plan(context, root, parent, &outlets));
        // Only the threads hold the channels now, so each ends when the one before it does.
        drop((batches, offer, help));
        let mut assembler = Assembler { context, resource, builder, assembled: Assembled::default() };
        let assembled = assembler.run(&done, &token_sender);
        let assembled = assembled.map(|()| assembler.assembled);
        drop((done, token_sender));
        let planned = planner.join().map_err(|_| BackupError::WorkerStopped)?;
        let mut worked = Ok(());
        for worker in workers {
            let result = worker.join().map_err(|_| BackupError::WorkerStopped)?;
            worked = worked.and(result.map_err(BackupError::from));
        }
        // The first cause: a worker's failure makes the others end early, without an error of their own.
        worked.and(planned).and(assembled)
    })
}

struct Assembler<'a, 'b, 's> {
    context: &'a Context<'a>,
    resource: &'a Resource,
    builder: &'a mut TreeBuilder<&'b mut PageWriter<'s>>,
    assembled: Assembled,
}

impl Assembler<'_, '_, '_> {
    fn run(&mut self, done: &Receiver<Captured>, tokens: &Sender<()>) -> Result<(), BackupError> {
        let mut early = BTreeMap::new();
        let mut next = 0;
        for captured in done {
            early.insert(captured.number, captured);
            while let Some(captured) = early.remove(&next) {
                self.take(captured)?;
                next += 1;
                let _planner_may_have_ended = tokens.try_send(());
            }
        }
        // Results are missing only where a worker failed, which is then the error of the run.
        if early.is_empty() { Ok(()) } else { Err(BackupError::WorkerStopped) }
    }

    fn take(&mut self, captured: Captured) -> Result<(), BackupError> {
        let counts = &mut self.assembled.counts;
        counts.removed += captured.removed;
        counts.bytes_read += captured.bytes_read;
        for item in captured.items {
            match item {
                CapturedItem::Entry(entry, change) => self.take_entry(&entry, change)?,
                CapturedItem::Gap(gap) => self.take_gap(gap),
            }
        }
        let counts = &self.assembled.counts;
        self.context.progress.report(Event::Advanced {
            agent: crate::resource::escape_path(&self.resource.path),
            items: counts.items,
            items_total: counts.items,
            bytes: counts.bytes,
            bytes_total: counts.bytes,
            listed: false,
        });
        Ok(())
    }

    fn take_entry(&mut self, entry: &Entry, change: Change) -> Result<(), BackupError> {
        self.builder.push(entry)?;
        let counts = &mut self.assembled.counts;
        let (count, action) = match change {
            Change::New => (&mut counts.new, "new"),
            Change::Changed => (&mut counts.changed, "changed"),
            Change::Unchanged => (&mut counts.unchanged, "unchanged"),
        };
        *count += 1;
        counts.items += 1;
        counts.bytes += entry.content.size();
        if change != Change::Unchanged && self.context.progress.wants_items() {
            let path = full_path(self.resource, &entry.path);
            self.context.progress.report(Event::Item { action, path, bytes: entry.content.size() });
        }
        Ok(())
    }

    fn take_gap(&mut self, gap: Gap) {
        let message = format!("cannot {}: {}", gap.action, gap.reason);
        let inner = crate::resource::unescape_path(&gap.path).unwrap_or_default();
        let path = full_path(self.resource, &EntryPath(inner));
        self.context.progress.report(Event::Failed { path, message });
        self.assembled.gap_count += 1;
        if self.assembled.gaps.len() < Coverage::GAPS_MAX {
            self.assembled.gaps.push(gap);
        }
    }
}

/// The path of an entry in the layout of a snapshot.
pub(crate) fn full_path(resource: &Resource, path: &EntryPath) -> Vec<u8> {
    let mut full = resource.path.clone();
    if !path.as_bytes().is_empty() {
        full.push(b'/');
        full.extend_from_slice(path.as_bytes());
    }
    full
}
