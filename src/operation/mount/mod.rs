//! `mount`: snapshots as a read-only file system, apart from how a system asks for it.
//!
//! [`FileSystem`] answers what a kernel asks by inode numbers, from any thread; `fuse` passes the kernel's questions on.
//! `catalog` says which snapshots are shown, `node` what a number stands for, `folder` lists, `file` reads, `links` counts names.
//! Whatever it remembers is bounded, but for the numbers that the kernel has not forgotten.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata, Timestamp};
use crate::id::ChunkId;
use crate::operation::backup::error_chain;
use crate::operation::mount::attributes::{Attributes, Owner};
use crate::operation::mount::cache::Cache;
use crate::operation::mount::catalog::{Catalog, Look};
use crate::operation::mount::file::{OpenFile, Sought};
use crate::operation::mount::folder::{Detail, Item, OpenFolder};
use crate::operation::mount::links::{Links, first_name};
use crate::operation::mount::node::{Node, Place, Table};
use crate::operation::read_ahead::ReadAhead;
use crate::operation::selection::Selection;
use crate::operation::view::Views;
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;
use crate::tree::cursor::Cursor;
use crate::tree::error::TreeError;

pub mod attributes;
mod cache;
pub mod catalog;
pub mod file;
pub mod folder;
#[cfg(all(feature = "mount", target_os = "linux"))]
pub mod fuse;
mod links;
mod look_up;
pub mod node;
mod xattr;

/// Bytes of opened frames that the reader of a file system should keep.
pub const READER_CACHE_SIZE: usize = 64 << 20;
/// Bytes of proven chunks that are kept, since one read seldom takes a whole one.
const CHUNKS_SIZE: usize = 16 << 20;
/// Bytes of entries that are kept.
const ENTRIES_SIZE: usize = 8 << 20;
/// Most losses that are remembered as told.
const TOLD_MAX: usize = 10_000;

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Nothing has this name.
    #[error("there is no such name")]
    NotFound,
    /// The kernel was not told of this number or handle.
    #[error("this number stands for nothing")]
    Unknown,
    /// It is no folder.
    #[error("it is no folder")]
    NotAFolder,
    /// It is no file.
    #[error("it is no file")]
    NotAFile,
    /// It is no symbolic link.
    #[error("it is no symbolic link")]
    NotALink,
    /// It has no such attribute, or no such data.
    #[error("it has none such")]
    NoneSuch,
    /// What is asked for cannot be read.
    #[error("it cannot be read")]
    Lost,
}

/// Something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Path in the layout, raw bytes; empty where it is about no path.
    pub path: Vec<u8>,
    /// What is lost, and why.
    pub message: String,
}

/// How long an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// For good: snapshots do not change.
    Always,
    /// Until snapshots may have come or gone.
    AMoment,
}

/// Snapshots as a file system. Lifetimes: of the reader, and of what it reads.
pub struct FileSystem<'a, 'r> {
    reader: &'a Reader<'r>,
    read_ahead: &'a ReadAhead,
    told: &'a (dyn Fn(Loss) + Sync),
    owner: Owner,
    catalog: Catalog<'a>,
    table: Table,
    links: Links,
    entries: Mutex<Cache<u64, Arc<Entry>>>,
    chunks: Mutex<Cache<ChunkId, Bytes>>,
    losses: Mutex<HashSet<Vec<u8>>>,
    runs: Arc<AtomicUsize>,
    handles: AtomicU64,
    files: Handles<OpenFile<'a, 'r>>,
    folders: Handles<Mutex<OpenFolder<'a, 'r>>>,
}

type Handles<T> = Mutex<HashMap<u64, Arc<T>>>;

/// What a file system is made of, beside the reader.
pub struct Options {
    /// What is laid over the reader ([`crate::operation::view::Extent::Readable`]).
    pub views: Arc<Views>,
    /// Which snapshots are shown.
    pub selection: Selection,
    /// Owner of what has none.
    pub owner: Owner,
    /// How long the list of snapshots is taken as it is before it is looked at again.
    pub patience: Duration,
}

impl<'a, 'r> FileSystem<'a, 'r> {
    /// The file system of what `reader` reads; losses are told once each.
    pub fn new(
        reader: &'a Reader<'r>,
        read_ahead: &'a ReadAhead,
        options: Options,
        told: &'a (dyn Fn(Loss) + Sync),
    ) -> Self {
        let system = Self {
            reader,
            read_ahead,
            told,
            owner: options.owner,
            catalog: Catalog::new(reader.repository(), options.views, options.selection, options.patience),
            table: Table::default(),
            links: Links::new(),
            entries: Mutex::new(Cache::new(ENTRIES_SIZE)),
            chunks: Mutex::new(Cache::new(CHUNKS_SIZE)),
            losses: Mutex::default(),
            runs: Arc::default(),
            handles: AtomicU64::new(1),
            files: Mutex::default(),
            folders: Mutex::default(),
        };
        system.look();
        system
    }

    /// How many snapshots are shown.
    pub fn snapshot_count(&self) -> usize {
        self.catalog.shelf().len()
    }

    /// How many inode numbers the kernel knows, beside the few that are fixed.
    pub fn known_inodes(&self) -> usize {
        self.table.len()
    }

    /// What stands under a name of a folder. The kernel is told of it: it counts until [`FileSystem::forget`].
    pub fn look_up(&self, folder: u64, name: &[u8]) -> Result<(Attributes, Holds), Fault> {
        let (node, entry) = self.find(&self.node(folder)?, name)?;
        let inode = self.table.tell(&node);
        let attributes = self.attributes_of(&node, inode, entry.as_ref());
        if attributes.is_err() {
            self.table.forget(inode, 1);
        }
        Ok((attributes?, holds(&node)))
    }

    /// The kernel forgets a number it was told of so many times.
    pub fn forget(&self, inode: u64, times: u64) {
        self.table.forget(inode, times);
    }

    /// What `stat` says.
    pub fn attributes(&self, inode: u64) -> Result<(Attributes, Holds), Fault> {
        let node = self.node(inode)?;
        Ok((self.attributes_of(&node, inode, None)?, holds(&node)))
    }

    /// Where a symbolic link points.
    pub fn link_target(&self, inode: u64) -> Result<Vec<u8>, Fault> {
        match self.node(inode)? {
            Node::Link(target) => Ok(target.as_bytes().to_vec()),
            Node::Entry(place, path) => match &self.entry(&place, &path)?.kind {
                EntryKind::Symlink(target) => Ok(target.clone()),
                _ => Err(Fault::NotALink),
            },
            _ => Err(Fault::NotALink),
        }
    }

    /// Opens a file; its handle.
    pub fn open(&self, inode: u64) -> Result<u64, Fault> {
        let Node::Entry(place, path) = self.node(inode)? else { return Err(Fault::NotAFile) };
        let entry = self.entry(&place, &path)?;
        if !matches!(entry.kind, EntryKind::File | EntryKind::Object | EntryKind::Document) {
            return Err(Fault::NotAFile);
        }
        let file = OpenFile::new(self.reader, entry, place, Arc::clone(&self.runs));
        Ok(self.keep(&self.files, file))
    }

    /// Up to `size` bytes of an open file at `offset`; fewer only at its end.
    pub fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>, Fault> {
        held(&self.files, handle)?.read(self, offset, size)
    }

    /// Where data or a hole of an open file begins at or after `offset`.
    pub fn seek(&self, handle: u64, offset: u64, sought: Sought) -> Result<u64, Fault> {
        held(&self.files, handle)?.seek(self.reader, offset, sought).ok_or(Fault::NoneSuch)
    }

    /// Closes a file.
    pub fn close(&self, handle: u64) {
        lock(&self.files).remove(&handle);
    }

    /// Opens a folder; its handle.
    pub fn open_folder(&self, inode: u64) -> Result<u64, Fault> {
        let folder = match self.node(inode)? {
            Node::Entry(place, path) => {
                if self.entry(&place, &path)?.kind != EntryKind::Directory {
                    return Err(Fault::NotAFolder);
                }
                OpenFolder::tree(self.reader, inode, place, path)
            }
            node => OpenFolder::fixed(inode, self.names(&node)?),
        };
        Ok(self.keep(&self.folders, Mutex::new(folder)))
    }

    /// Gives what stands in an open folder from a position on to `take`, until that has no room; 0 is the beginning.
    /// With [`Detail::Attributes`] the kernel is told of each name that is taken.
    pub fn read_folder(
        &self,
        handle: u64,
        position: u64,
        detail: Detail,
        take: &mut dyn FnMut(&Item<'_>) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let folder = held(&self.folders, handle)?;
        lock(&folder).read(self, position, detail, take)
    }

    /// Closes a folder.
    pub fn close_folder(&self, handle: u64) {
        lock(&self.folders).remove(&handle);
    }

    fn node(&self, inode: u64) -> Result<Node, Fault> {
        self.table.node(inode).ok_or(Fault::Unknown)
    }

    /// The attributes of a node whose number is `inode`; its entry is read where it is not given.
    fn attributes_of(&self, node: &Node, inode: u64, entry: Option<&Arc<Entry>>) -> Result<Attributes, Fault> {
        let Node::Entry(place, path) = node else {
            let time = match node {
                Node::Layout(shown, _) => shown.snapshot.record.time,
                _ => self.catalog.shelf().last().map_or(jiff::Timestamp::UNIX_EPOCH, |last| last.snapshot.record.time),
            };
            return Ok(match node {
                Node::Link(target) => attributes::of_link(inode, self.owner, timestamp(time), target.len()),
                _ => attributes::of_folder(inode, self.owner, timestamp(time)),
            });
        };
        let entry = entry.map_or_else(|| self.entry(place, path), |entry| Ok(Arc::clone(entry)))?;
        let links = match entry.kind {
            EntryKind::Directory => 1,
            _ => self
                .links
                .names(self.reader, place.record(), &entry.path)
                .max(1 + u32::from(first_name(&entry).is_some())),
        };
        let time = timestamp(place.shown.snapshot.record.time);
        Ok(attributes::of_entry(self.reader, &entry, (inode, links), self.owner, time))
    }

    /// The entry at a path of a resource; a folder that has none is made up.
    fn entry(&self, place: &Place, path: &Arc<[u8]>) -> Result<Arc<Entry>, Fault> {
        let node = Node::Entry(place.clone(), Arc::clone(path));
        if let Some(entry) = self.at_hand(&node) {
            return Ok(entry);
        }
        let mut cursor = Cursor::new(self.reader, place.record().root);
        let found = cursor.seek(path).and_then(|()| cursor.next().transpose());
        let found = found.map_err(|error| self.lost_page(place.layout(path), &error))?;
        let entry = match found.filter(|entry| entry.path.as_bytes() == &**path) {
            Some(entry) => Arc::new(entry),
            None if path.is_empty() || path.ends_with(b"/") => self.implied_folder(EntryPath(path.to_vec())),
            None => return Err(Fault::NotFound),
        };
        self.remember(&node, &entry);
        self.remember_rest(place, &mut cursor);
        Ok(entry)
    }

    /// Keeps what is decoded already: names are mostly asked for one after another.
    fn remember_rest(&self, place: &Place, cursor: &mut Cursor<&Reader<'_>>) {
        for entry in cursor.rest_of_leaf() {
            let path = Arc::from(entry.path.as_bytes());
            self.remember(&Node::Entry(place.clone(), path), &Arc::new(entry));
        }
    }

    /// The entry of a node, if it is kept.
    fn at_hand(&self, node: &Node) -> Option<Arc<Entry>> {
        let Node::Entry(_, path) = node else { return None };
        lock(&self.entries).find(&node.number()).filter(|entry| entry.path.as_bytes() == &**path)
    }

    /// Keeps an entry at hand, for who looks a name up mostly asks more of it.
    fn remember(&self, node: &Node, entry: &Arc<Entry>) {
        let xattrs = match &entry.metadata {
            Metadata::Posix(posix) => posix.xattrs.iter().map(|xattr| xattr.name.len() + 320).sum(),
            Metadata::None | Metadata::Object(_) => 0,
        };
        let content = match &entry.content {
            Content::Pieces { pieces, .. } => pieces.len() * 48,
            Content::Empty | Content::Inline(_) | Content::List { .. } => 512,
        };
        lock(&self.entries).keep(
            node.number(),
            Arc::clone(entry),
            400 + entry.path.as_bytes().len() + xattrs + content,
        );
    }

    /// A folder that has entries in it but none of its own.
    fn implied_folder(&self, path: EntryPath) -> Arc<Entry> {
        let (kind, metadata) = (EntryKind::Directory, Metadata::None);
        Arc::new(Entry { path, kind, metadata, token: None, content: Content::Empty })
    }

    /// A chunk, proven.
    fn chunk(&self, id: &ChunkId) -> Result<Bytes, RepositoryError> {
        if let Some(chunk) = lock(&self.chunks).find(id) {
            return Ok(chunk);
        }
        // A copy, so that it does not keep its whole frame.
        let chunk = Bytes::copy_from_slice(&self.reader.chunk(id)?);
        lock(&self.chunks).keep(*id, chunk.clone(), chunk.len());
        Ok(chunk)
    }

    /// Looks whether snapshots came or went, unless that was done a moment ago.
    fn look(&self) {
        match self.catalog.look() {
            Look::Skipped | Look::Same => {}
            // What was missed may have come with them.
            Look::Changed => self.reader.look_again(),
            Look::Failed(error) => {
                self.lose(Vec::new(), format!("the list of snapshots stays as it was: {}", error_chain(&error)));
            }
        }
    }

    fn lost_page(&self, path: Vec<u8>, error: &TreeError) -> Fault {
        self.lose(path, format!("it cannot be read: {}", error_chain(error)))
    }

    /// Tells of a loss, unless that was told before.
    fn lose(&self, path: Vec<u8>, message: String) -> Fault {
        let is_new = {
            let mut losses = lock(&self.losses);
            if losses.len() >= TOLD_MAX {
                losses.clear();
            }
            losses.insert([path.as_slice(), b"\0", message.as_bytes()].concat())
        };
        if is_new {
            (self.told)(Loss { path, message });
        }
        Fault::Lost
    }

    fn keep<T>(&self, handles: &Handles<T>, value: T) -> u64 {
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        lock(handles).insert(handle, Arc::new(value));
        handle
    }
}

fn held<T>(handles: &Handles<T>, handle: u64) -> Result<Arc<T>, Fault> {
    lock(handles).get(&handle).cloned().ok_or(Fault::Unknown)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is in a snapshot stays, the snapshot itself may be forgotten.
fn holds(node: &Node) -> Holds {
    match node {
        Node::Entry(..) => Holds::Always,
        Node::Layout(_, path) if !path.is_empty() => Holds::Always,
        _ => Holds::AMoment,
    }
}

fn timestamp(time: jiff::Timestamp) -> Timestamp {
    let nanoseconds = time.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
    let nanoseconds = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0);
    Timestamp { seconds, nanoseconds }
}
