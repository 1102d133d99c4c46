//! Lists a local root in path order, several directories at once, in bounded memory.
//!
//! Directories are listed as they become known, the earliest path first, by some workers and by the consumer while it
//! waits; [`Walk`] puts the results in order. A directory of any size is asked about in runs of a thousand names.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::entry::EntryPath;
use crate::resource::Gap;
use crate::source::local::directory::{DescriptorCache, Directory};
use crate::source::local::exclude::Rules;
use crate::source::local::listed::{Listed, error_at};
use crate::source::local::listing::{Names, stat_at};
use crate::source::local::schedule::{Item, Job, Listing, Outcome, Schedule, Slot, Task};
use crate::source::local::stat::{FileStat, FileType};
use crate::source::local::{FileSystems, LocalError, LocalRoot};

/// Memory of results that may wait for the consumer.
const UNCONSUMED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most names asked about in one job.
const RUN_LENGTH_MAX: usize = 1024;
/// Most bytes of paths made in one job, where paths are very long.
const RUN_BYTES_MAX: usize = 1024 * 1024;
/// Entries in a full batch.
const BATCH_LENGTH: usize = 512;
/// Bytes of paths that make a batch full.
const BATCH_BYTES: usize = 256 * 1024;

/// What a walk yields.
pub enum Walked {
    /// Something that stands there.
    Entry(Listed),
    /// Something that could not be had; a directory's own entry comes before the gap for what is in it.
    Gap(Gap),
}

/// The entries of a root in path order, in batches of about 512; ends its threads when dropped.
pub struct Walk {
    schedule: Arc<Schedule>,
    lister: Lister,
    workers: Vec<JoinHandle<()>>,
    root: Option<Listed>,
    levels: Vec<Level>,
}

/// How far a directory is consumed.
#[derive(Default)]
struct Level {
    items: std::vec::IntoIter<Item>,
    items_size: usize,
    rest: VecDeque<Arc<Slot>>,
    listing_size: usize,
}

/// Starts listing a root with so many threads, that of the consumer among them.
///
/// What cannot be listed becomes a gap; only a root that cannot be opened is an error. A root that is no directory
/// yields one entry, with the empty path.
pub fn walk(root: &LocalRoot, threads: usize) -> Result<Walk, LocalError> {
    let refused = |source| LocalError::Root { path: root.path.clone(), source };
    let cache = DescriptorCache::new(DescriptorCache::OPEN_MAX);
    let (directory, stat) = open_root(&root.path, cache).map_err(refused)?;
    let context = Arc::new(Context { root: root.clone(), device: stat.identity.device });
    let slot = Slot::new();
    let is_directory = stat.file_type() == FileType::Directory;
    let task = Task::List { directory: Arc::clone(&directory), rules: root.excludes.rules() };
    let schedule =
        Arc::new(Schedule::new(UNCONSUMED_BYTES_MAX, Job { path: Vec::new(), slot: Arc::clone(&slot), task }));
    let start = |_| {
        let (schedule, mut lister) = (Arc::clone(&schedule), Lister::new(&context));
        let work = move || schedule.work(|job, jobs| lister.run(job, jobs));
        // Where no thread can be had, the others do its part.
        std::thread::Builder::new().name("walk".to_owned()).spawn(work).ok()
    };
    let workers = if is_directory { (1..threads).filter_map(start).collect() } else { Vec::new() };
    let levels =
        if is_directory { vec![Level { rest: VecDeque::from([slot]), ..Level::default() }] } else { Vec::new() };
    let root = Some(Listed::new(EntryPath::ROOT, stat, directory));
    Ok(Walk { lister: Lister::new(&context), schedule, workers, root, levels })
}

impl Iterator for Walk {
    type Item = Vec<Walked>;

    fn next(&mut self) -> Option<Vec<Walked>> {
        let mut batch = Vec::with_capacity(BATCH_LENGTH);
        let mut bytes = 0;
        batch.extend(self.root.take().map(Walked::Entry));
        while batch.len() < BATCH_LENGTH && bytes < BATCH_BYTES {
            let Some(level) = self.levels.last_mut() else { break };
            match level.items.next() {
                Some(Item::Entry(listed)) => {
                    bytes += listed.path.as_bytes().len();
                    batch.push(Walked::Entry(listed));
                }
                Some(Item::Directory(listed, slot)) => {
                    bytes += listed.path.as_bytes().len();
                    batch.push(Walked::Entry(listed));
                    self.levels.push(Level { rest: VecDeque::from([slot]), ..Level::default() });
                }
                Some(Item::Gap(gap)) => batch.push(Walked::Gap(gap)),
                None => self.next_run(),
            }
        }
        (!batch.is_empty()).then_some(batch)
    }
}

impl Walk {
    /// Goes on to the next results of the innermost directory, or leaves it.
    fn next_run(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        let mut consumed = std::mem::take(&mut level.items_size);
        match level.rest.pop_front() {
            Some(slot) => {
                let lister = &mut self.lister;
                let outcome = self.schedule.outcome(&slot, |job, jobs| lister.run(job, jobs));
                level.items = outcome.items.into_iter();
                level.items_size = outcome.items_size;
                level.listing_size += outcome.listing_size;
                level.rest.extend(outcome.rest);
            }
            None => {
                consumed += level.listing_size;
                self.levels.pop();
            }
        }
        if consumed > 0 {
            self.schedule.consumed(consumed);
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.schedule.end();
        for worker in self.workers.drain(..) {
            // A worker that panicked made the consumer panic already.
            let _panicked = worker.join();
        }
    }
}

/// What all jobs of a walk share.
struct Context {
    root: LocalRoot,
    device: u64,
}

/// Does the jobs of one thread; its buffers serve again and again.
struct Lister {
    context: Arc<Context>,
    names: Names,
    buffer: Vec<u8>,
}

/// A directory that is being listed.
struct Place<'a> {
    directory: &'a Arc<Directory>,
    descriptor: &'a OwnedFd,
    path: &'a [u8],
    rules: &'a Option<Arc<Rules>>,
}

impl Lister {
    fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context), names: Names::default(), buffer: Vec::new() }
    }

    fn run(&mut self, job: Job, jobs: &mut Vec<Job>) -> Outcome {
        match job.task {
            Task::List { directory, rules } => self.list(&directory, job.path, rules, jobs),
            Task::Ask { listing, first, end } => match listing.directory.descriptor() {
                Ok(descriptor) => {
                    let Listing { directory, path, names, rules } = &*listing;
                    let place = Place { directory, descriptor: &descriptor, path, rules };
                    self.context.ask(&place, names, first..end, jobs)
                }
                Err(error) => gap_in(&listing.path, error),
            },
        }
    }

    fn list(
        &mut self,
        directory: &Arc<Directory>,
        path: Vec<u8>,
        mut rules: Option<Arc<Rules>>,
        jobs: &mut Vec<Job>,
    ) -> Outcome {
        let descriptor = match directory.descriptor() {
            Ok(descriptor) => descriptor,
            Err(error) => return gap_in(&path, error),
        };
        let root = &self.context.root;
        let device = directory.identity().map_or(self.context.device, |identity| identity.device);
        if root.file_systems == FileSystems::One && device != self.context.device {
            return Outcome::default();
        }
        if let Err(error) = self.names.read(&descriptor, &mut self.buffer, root.ways) {
            return gap_in(&path, error);
        }
        root.excludes.filter(&mut self.names, &descriptor, &path, &mut rules);
        let run_length = (RUN_BYTES_MAX / (path.len() + 64)).clamp(16, RUN_LENGTH_MAX);
        if self.names.len() <= run_length {
            let place = Place { directory, descriptor: &descriptor, path: &path, rules: &rules };
            return self.context.ask(&place, &self.names, 0..self.names.len(), jobs);
        }
        let names = std::mem::take(&mut self.names);
        split(Listing { directory: Arc::clone(directory), path, names, rules }, run_length, jobs)
    }
}

impl Context {
    /// Asks the system about some names of a directory.
    fn ask(&self, place: &Place<'_>, names: &Names, run: std::ops::Range<usize>, jobs: &mut Vec<Job>) -> Outcome {
        let mut outcome = Outcome { items: Vec::with_capacity(run.len()), ..Outcome::default() };
        outcome.items_size = run.len() * size_of::<Item>();
        for name in run.map(|index| names.at(index)) {
            let text = names.text(name);
            let mut path = Vec::with_capacity(place.path.len() + text.count_bytes() + 1);
            path.extend_from_slice(place.path);
            path.extend_from_slice(text.to_bytes());
            if name.is_directory {
                path.push(b'/');
            }
            outcome.items_size += path.len();
            let path = EntryPath(path);
            if path.as_bytes().len() > EntryPath::LENGTH_MAX {
                outcome.items.push(gap(path, "list", Errno::NAMETOOLONG.into()));
                continue;
            }
            let stat = match stat_at(place.descriptor, text) {
                Ok(stat) => stat,
                // It went before anyone looked: as if it had gone before the directory was listed.
                Err(Errno::NOENT) => continue,
                Err(error) => {
                    outcome.items.push(gap(path, "stat", error.into()));
                    continue;
                }
            };
            if (stat.file_type() == FileType::Directory) != name.is_directory {
                outcome.items.push(Item::Gap(LocalError::Replaced { path }.gap()));
                continue;
            }
            if name.is_directory {
                let child = || place.directory.child(text, &stat);
                outcome.items.push(self.directory(place, child, path, stat, jobs));
            } else if self.is_wanted(&stat) {
                outcome.items.push(Item::Entry(Listed::new(path, stat, Arc::clone(place.directory))));
            }
        }
        outcome
    }

    fn directory(
        &self,
        place: &Place<'_>,
        child: impl FnOnce() -> Arc<Directory>,
        path: EntryPath,
        stat: FileStat,
        jobs: &mut Vec<Job>,
    ) -> Item {
        let is_entered = self.is_on_a_wanted_device(&stat);
        let listed = Listed::new(path, stat, Arc::clone(place.directory));
        if !is_entered {
            return Item::Entry(listed);
        }
        let slot = Slot::new();
        let task = Task::List { directory: child(), rules: place.rules.clone() };
        jobs.push(Job { path: listed.path.as_bytes().to_vec(), slot: Arc::clone(&slot), task });
        Item::Directory(listed, slot)
    }

    fn is_wanted(&self, stat: &FileStat) -> bool {
        self.is_on_a_wanted_device(stat) && !self.root.excludes.is_too_large(stat)
    }

    fn is_on_a_wanted_device(&self, stat: &FileStat) -> bool {
        self.root.file_systems == FileSystems::All || stat.identity.device == self.device
    }
}

/// Leaves the names of a large directory to jobs of their own.
fn split(listing: Listing, run_length: usize, jobs: &mut Vec<Job>) -> Outcome {
    let listing = Arc::new(listing);
    let names = &listing.names;
    let mut outcome = Outcome { listing_size: names.bytes(), ..Outcome::default() };
    for first in (0..names.len()).step_by(run_length) {
        let end = names.len().min(first + run_length);
        let name = names.at(first);
        let slash: &[u8] = if name.is_directory { b"/" } else { b"" };
        let path = [&listing.path, names.text(name).to_bytes(), slash].concat();
        let slot = Slot::new();
        outcome.rest.push(Arc::clone(&slot));
        jobs.push(Job { path, slot, task: Task::Ask { listing: Arc::clone(&listing), first, end } });
    }
    outcome
}

fn gap_in(directory: &[u8], error: io::Error) -> Outcome {
    Outcome { items: vec![gap(EntryPath(directory.to_vec()), "list", error)], ..Outcome::default() }
}

fn gap(path: EntryPath, action: &'static str, error: io::Error) -> Item {
    Item::Gap(error_at(path, action, error).gap())
}

/// A root's directory and what it is; where it is a file, the directory that file is in.
fn open_root(path: &Path, cache: Arc<DescriptorCache>) -> io::Result<(Arc<Directory>, FileStat)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => {
            let stat = FileStat::from(rustix::fs::fstat(&descriptor)?);
            Ok((Directory::root(descriptor, CString::from(c"."), &stat, cache), stat))
        }
        Err(Errno::NOTDIR | Errno::NOENT) => {
            let stat = stat_at(CWD, path)?;
            let name = path.file_name().ok_or(Errno::NOENT)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = rustix::fs::open(parent.map_or(PathBuf::from("."), Path::to_owned), flags, Mode::empty())?;
            let parent_stat = FileStat::from(rustix::fs::fstat(&parent)?);
            Ok((Directory::root(parent, CString::new(name.as_bytes())?, &parent_stat, cache), stat))
        }
        Err(error) => Err(error.into()),
    }
}
