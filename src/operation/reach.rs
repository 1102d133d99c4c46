//! Everything that snapshots refer to: a walk of their trees down to every chunk, each distinct page once.
//!
//! `check`, `tag`, `stats` (and whatever deletes) share it. What is asked of a chunk is the [`Witness`]'s business; the
//! walk itself proves each page, its place and its totals. Pages with a fault below them are walked again wherever they
//! are met, so that every snapshot that is hit is named. It runs on all processors and holds 32 bytes a page.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::codec::hash::digest;
use crate::entry::{Content, Entry, EntryPath, Metadata, Piece};
use crate::id::{ChunkId, IdHasher, PageId, SnapshotId};
use crate::operation::part::folder_of;
use crate::repository::reader::Reader;
use crate::resource::{ResourceRecord, Totals};
use crate::tree::error::{PageFault, TreeError};
use crate::tree::list_page::{ListLink, ListPage};
use crate::tree::page::{LEVEL_MAX, Page, PageLink};

/// Whoever wants to know what is reached. Called from many threads.
pub trait Witness: Sync {
    /// Content refers to this chunk; says what is wrong with that, if anything is.
    fn chunk(&self, id: &ChunkId, length: u32) -> Result<(), String>;

    /// A tree or list refers to this page, which is met for the first time; says what is wrong with that.
    fn page(&self, id: &PageId) -> Result<(), String> {
        let _ = id;
        Ok(())
    }

    /// Something cannot be had.
    fn fault(&self, fault: Fault);

    /// Whether to go on.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Something that a snapshot refers to and that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which snapshot.
    pub snapshot: SnapshotId,
    /// Path in the layout, raw bytes: that of the entry, or the first that the page holds.
    pub path: Vec<u8>,
    /// How much is hit.
    pub extent: Extent,
    /// What is wrong.
    pub reason: String,
}

/// How much a fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The bytes of one entry from `start` to before `end`.
    Bytes {
        /// First byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// A page: every path from that of the fault to before this one, or to the end of the resource; counts as its parent
    /// states them.
    Entries {
        /// First path, in the layout, that is not hit.
        end: Option<Vec<u8>>,
        /// What is hit, as far as known.
        totals: Totals,
    },
}

/// What a walk met, each page once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Pages of trees.
    pub tree_pages: u64,
    /// Pages of chunk lists.
    pub list_pages: u64,
    /// Entries in those pages.
    pub entries: u64,
    /// References to chunks in those pages.
    pub references: u64,
}

/// A walk, which remembers where it has been.
pub struct Reach<'w, 'r, W> {
    reader: &'w Reader<'r>,
    witness: &'w W,
    sound: Vec<Mutex<HashSet<[u8; 32], BuildHasherDefault<IdHasher>>>>,
    tree_pages: AtomicU64,
    list_pages: AtomicU64,
    entries: AtomicU64,
    references: AtomicU64,
}

/// Whether all below is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// It is.
    Sound,
    /// Something is not.
    Faulty,
}

impl Soundness {
    fn and(self, other: Self) -> Self {
        if self == Self::Sound { other } else { Self::Faulty }
    }

    fn of_all(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::Sound, Self::and)
    }
}

/// Shards of the set of pages, so that threads do not wait for each other.
const SHARDS: usize = 64;

impl<'w, 'r, W: Witness> Reach<'w, 'r, W> {
    /// A walk that has not begun.
    pub fn new(reader: &'w Reader<'r>, witness: &'w W) -> Self {
        Self {
            reader,
            witness,
            sound: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tree_pages: AtomicU64::new(0),
            list_pages: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            references: AtomicU64::new(0),
        }
    }

    /// Walks one resource of a snapshot.
    pub fn resource(&self, snapshot: SnapshotId, record: &ResourceRecord) -> Soundness {
        let place = Place { snapshot, folder: folder_of(record) };
        let link = PageLink { first: EntryPath::ROOT, id: record.root, totals: record.totals };
        self.tree_page(&place, Expected { link: &link, level: None, end: None })
    }

    /// What was met so far.
    pub fn reached(&self) -> Reached {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reached {
            tree_pages: count(&self.tree_pages),
            list_pages: count(&self.list_pages),
            entries: count(&self.entries),
            references: count(&self.references),
        }
    }

    fn tree_page(&self, place: &Place, expected: Expected<'_>) -> Soundness {
        let link = expected.link;
        let key = key_of(Role::Tree, &link.id, &link.totals, expected.level);
        if !self.witness.goes_on() || self.is_known_sound(&key) {
            return Soundness::Sound;
        }
        let page = match self.read_tree_page(&expected) {
            Ok(page) => page,
            Err(reason) => {
                let end = expected.end.map(|end| place.whole(end.as_bytes()));
                let extent = Extent::Entries { end, totals: link.totals };
                return self.faulty(place.fault(link.first.as_bytes(), extent, reason));
            }
        };
        let soundness = match &page {
            Page::Leaf(entries) => Soundness::of_all(entries.iter().map(|entry| self.entry(place, entry))),
            Page::Inner { level, links } => (0..links.len())
                .into_par_iter()
                .map(|at| {
                    let end = links.get(at + 1).map(|next| &next.first).or(expected.end);
                    self.tree_page(place, Expected { link: &links[at], level: Some(level - 1), end })
                })
                .reduce(|| Soundness::Sound, Soundness::and),
        };
        if soundness == Soundness::Sound && self.remember(key) {
            self.tree_pages.fetch_add(1, Ordering::Relaxed);
            if let Page::Leaf(entries) = &page {
                self.entries.fetch_add(entries.len() as u64, Ordering::Relaxed);
            }
        }
        soundness
    }

    fn read_tree_page(&self, expected: &Expected<'_>) -> Result<Page, String> {
        let Expected { link, level, end } = expected;
        self.witness.page(&link.id)?;
        let bytes = self.reader.page(&link.id).map_err(|error| error.to_string())?;
        let malformed = |fault| error_chain(&TreeError::Malformed { id: link.id, fault });
        let page = Page::decode(&bytes).map_err(malformed)?;
        if let Some(level) = level {
            page.check_place(*level, link, *end).map_err(malformed)?;
        }
        let totals = page.totals();
        if totals == link.totals {
            return Ok(page);
        }
        Err(format!(
            "page {} holds {} entries with {} bytes, not {} with {} as is said above it",
            link.id, totals.entries, totals.bytes, link.totals.entries, link.totals.bytes
        ))
    }

    fn entry(&self, place: &Place, entry: &Entry) -> Soundness {
        let soundness = self.content(place, entry, &entry.content);
        match &entry.metadata {
            Metadata::Posix(posix) => {
                let values = posix.xattrs.iter().map(|xattr| self.content(place, entry, &xattr.value));
                soundness.and(Soundness::of_all(values))
            }
            Metadata::None | Metadata::Object(_) => soundness,
        }
    }

    fn content(&self, place: &Place, entry: &Entry, content: &Content) -> Soundness {
        let path = entry.path.as_bytes();
        match content {
            Content::Empty | Content::Inline(_) => Soundness::Sound,
            Content::Pieces { pieces, .. } => self.pieces(place, path, 0, pieces),
            Content::List { root, size, .. } => {
                let link = ListLink { id: *root, size: *size, pieces: 0 };
                self.list_page(place, path, Stretch { link, level: None, start: 0 })
            }
        }
    }

    fn pieces(&self, place: &Place, path: &[u8], mut start: u64, pieces: &[Piece]) -> Soundness {
        let mut soundness = Soundness::Sound;
        for piece in pieces {
            let end = start.saturating_add(piece.length());
            if let Piece::Chunk { id, length } = piece
                && let Err(reason) = self.witness.chunk(id, *length)
            {
                soundness = self.faulty(place.fault(path, Extent::Bytes { start, end }, reason));
            }
            start = end;
        }
        self.references.fetch_add(pieces.len() as u64, Ordering::Relaxed);
        soundness
    }

    fn list_page(&self, place: &Place, path: &[u8], stretch: Stretch) -> Soundness {
        let Stretch { link, level, start } = stretch;
        let totals = Totals { entries: link.pieces, files: 1, bytes: link.size };
        let key = key_of(Role::List, &link.id, &totals, level);
        if !self.witness.goes_on() || self.is_known_sound(&key) {
            return Soundness::Sound;
        }
        let page = match self.read_list_page(&stretch) {
            Ok(page) => page,
            Err(reason) => {
                let extent = Extent::Bytes { start, end: start.saturating_add(link.size) };
                return self.faulty(place.fault(path, extent, reason));
            }
        };
        let soundness = match &page {
            ListPage::Leaf(pieces) => self.pieces(place, path, start, pieces),
            ListPage::Inner { level, links } => {
                let mut start = start;
                Soundness::of_all(links.iter().map(|link| {
                    let stretch = Stretch { link: *link, level: Some(level - 1), start };
                    start = start.saturating_add(link.size);
                    self.list_page(place, path, stretch)
                }))
            }
        };
        if soundness == Soundness::Sound && self.remember(key) {
            self.list_pages.fetch_add(1, Ordering::Relaxed);
        }
        soundness
    }

    fn read_list_page(&self, stretch: &Stretch) -> Result<ListPage, String> {
        let Stretch { link, level, .. } = stretch;
        self.witness.page(&link.id)?;
        let bytes = self.reader.page(&link.id).map_err(|error| error.to_string())?;
        let malformed = |fault| error_chain(&TreeError::Malformed { id: link.id, fault });
        let page = ListPage::decode(&bytes).map_err(malformed)?;
        let (size, pieces) = page.sums().ok_or(PageFault::SizeOverflow).map_err(malformed)?;
        if size != link.size {
            return Err(malformed(PageFault::Size { expected: link.size, actual: size }));
        }
        match level {
            Some(level) if page.level() != *level => {
                Err(malformed(PageFault::Level { expected: *level, actual: page.level() }))
            }
            Some(_) if pieces != link.pieces => {
                Err(malformed(PageFault::Pieces { expected: link.pieces, actual: pieces }))
            }
            _ => Ok(page),
        }
    }

    fn faulty(&self, fault: Fault) -> Soundness {
        self.witness.fault(fault);
        Soundness::Faulty
    }

    fn is_known_sound(&self, key: &[u8; 32]) -> bool {
        self.shard(key).lock().expect("because no holder panics").contains(key)
    }

    /// Whether it was not known before.
    fn remember(&self, key: [u8; 32]) -> bool {
        self.shard(&key).lock().expect("because no holder panics").insert(key)
    }

    fn shard(&self, key: &[u8; 32]) -> &Mutex<HashSet<[u8; 32], BuildHasherDefault<IdHasher>>> {
        &self.sound[usize::from(key[31]) % SHARDS]
    }
}

/// Where in the estate a walk is.
struct Place {
    snapshot: SnapshotId,
    folder: Vec<u8>,
}

impl Place {
    fn whole(&self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() { self.folder.clone() } else { [self.folder.as_slice(), b"/", path].concat() }
    }

    fn fault(&self, path: &[u8], extent: Extent, reason: String) -> Fault {
        Fault { snapshot: self.snapshot, path: self.whole(path), extent, reason }
    }
}

/// What stands above a tree page says of it; a root has no level to keep.
#[derive(Clone, Copy)]
struct Expected<'e> {
    link: &'e PageLink,
    level: Option<u8>,
    end: Option<&'e EntryPath>,
}

/// What stands above a list page says of it, and where its bytes begin.
#[derive(Clone, Copy)]
struct Stretch {
    link: ListLink,
    level: Option<u8>,
    start: u64,
}

/// What a page was met as.
#[derive(Clone, Copy)]
enum Role {
    Tree = 0,
    List = 1,
}

/// What is remembered of a sound page: a hash of its id and of what was said of it above, so that the same page under
/// another claim is looked at again. Whoever writes pages can make claims, but no two of one hash.
fn key_of(role: Role, id: &PageId, totals: &Totals, level: Option<u8>) -> [u8; 32] {
    let mut text = [0; 58];
    text[0] = role as u8;
    text[1] = level.map_or(LEVEL_MAX + 1, |level| level);
    text[2..34].copy_from_slice(&id.0);
    let claims = [totals.entries, totals.files, totals.bytes].map(u64::to_le_bytes);
    text[34..].copy_from_slice(claims.as_flattened());
    digest(&text)
}

fn error_chain(error: &TreeError) -> String {
    crate::operation::backup::error_chain(error)
}
