//! A tree that is made: its pages in memory, and what its chunks are made of.
//!
//! Ids say what they stand for: the tree, and the page in it, or the member and the part of it. So nothing has to be kept to find
//! them again, and a tree that is made a second time has the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata, Piece, Profile, Timestamp};
use crate::id::{ChunkId, PageId};
use crate::operation::backup::{error_chain, tree_parameters};
use crate::operation::view::archive::{Body, Member, members};
use crate::operation::view::inflate::{Inflaters, PART_SIZE};
use crate::operation::view::objects::{Listing, part_of};
use crate::operation::view::{Extent, Tag, unknown};
use crate::repository::error::RepositoryError;
use crate::repository::reader::Reader;
use crate::tree::builder::TreeBuilder;
use crate::tree::cursor::Cursor;
use crate::tree::error::TreeError;
use crate::tree::list::ListBuilder;
use crate::tree::store::{PageError, PageSink};

/// Stands for the root in an id, whichever page that is.
pub(super) const ROOT: u32 = u32::MAX;
/// What the name of an archive is that is shown as a folder, and what that is called.
const ARCHIVE: &[u8] = b"function.zip";
const ARCHIVE_FOLDER: &[u8] = b"source/";
/// What other archives end in; their folders are called as they are without it.
const ARCHIVE_SUFFIX: &[u8] = b".zip";
/// Most stored entries of a resource whose archives are shown.
const ENTRIES_MAX: usize = 100_000;

/// An id of a view.
pub(super) fn id(tag: &Tag, parts: [u32; 4]) -> [u8; 32] {
    let mut id = [0; 32];
    id[..16].copy_from_slice(tag);
    id[16..].copy_from_slice(parts.map(u32::to_be_bytes).as_flattened());
    id
}

/// What an id stands for, if it is one of a view.
pub(super) fn parts(tag: &Tag, id: &[u8; 32]) -> Option<[u32; 4]> {
    let rest = id.strip_prefix(tag)?;
    let word = |at: usize| u32::from_be_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
    Some([0, 4, 8, 12].map(word))
}

/// What a tree is made of.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A stored tree, with the members of its archives.
    Archives { root: PageId },
    /// The objects of a bucket, a line each.
    Objects { root: PageId },
    /// A document that is at hand.
    Document { content: Bytes, time: jiff::Timestamp },
}

/// A tree in the making.
pub(super) struct Making<'m, 'r> {
    pub(super) reader: &'m Reader<'r>,
    pub(super) tag: &'m Tag,
    pub(super) number: u32,
    pub(super) extent: Extent,
}

/// A tree that is made.
#[derive(Debug)]
pub(super) enum Made {
    /// There is nothing to add to a stored tree.
    AsStored { root: PageId },
    /// Pages of its own.
    Pages { pages: Vec<Bytes>, root: u32, chunks: Chunks },
}

/// What the chunks of a tree are made of.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Members by number: the archive and where they lie in it.
    Members { archives: Vec<Content>, bodies: Vec<(u32, Body)> },
    /// The lines of a bucket's objects, by part.
    Lines { root: PageId, listing: Listing },
    /// The bytes themselves.
    Bytes(Bytes),
}

impl Made {
    /// A page by number.
    pub(super) fn page(&self, reader: &Reader<'_>, page: u32) -> Result<Bytes, RepositoryError> {
        match self {
            Self::AsStored { root } => reader.page(root),
            Self::Pages { pages, root, .. } => {
                let page = if page == ROOT { *root } else { page };
                pages.get(page as usize).cloned().ok_or_else(unknown)
            }
        }
    }

    /// A part of what stands in it.
    pub(super) fn chunk(
        &self,
        reader: &Reader<'_>,
        inflaters: &Inflaters,
        (tree, item): (u32, u32),
        part: u32,
    ) -> Result<Bytes, RepositoryError> {
        let Self::Pages { chunks, .. } = self else { return Err(unknown()) };
        match chunks {
            Chunks::Members { archives, bodies } => {
                let (archive, body) = bodies.get(item as usize).ok_or_else(unknown)?;
                let archive = archives.get(*archive as usize).ok_or_else(unknown)?;
                inflaters.part(reader, archive, ((tree, item), body), part)
            }
            Chunks::Lines { root, listing } => listing.part(reader, *root, part).map_err(|error| no_view(&error)),
            Chunks::Bytes(bytes) => Ok(part_of(bytes, part)),
        }
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        let Self::Pages { pages, chunks, .. } = self else { return 0 };
        let chunks = match chunks {
            Chunks::Members { bodies, .. } => bodies.len() * size_of::<(u32, Body)>(),
            Chunks::Lines { listing, .. } => listing.weight(),
            Chunks::Bytes(_) => 0,
        };
        chunks + pages.iter().map(Bytes::len).sum::<usize>()
    }
}

impl Making<'_, '_> {
    pub(super) fn make(&self, subject: &Subject) -> Result<Made, RepositoryError> {
        let made = match subject {
            Subject::Document { content, time } => {
                let pieces = parts_of(content.len() as u64);
                let chunks = Chunks::Bytes(content.clone());
                self.document(&pieces, timestamp(*time), chunks)
            }
            Subject::Objects { root } => Listing::of(self.reader, *root).and_then(|listing| {
                let (lengths, newest) = (listing.lengths(), listing.newest());
                self.document(&lengths, newest, Chunks::Lines { root: *root, listing })
            }),
            // Where a page or an archive is damaged, what is stored is shown as it is.
            Subject::Archives { root } => Ok(match self.archives(*root) {
                Ok(Some(made)) => made,
                Ok(None) | Err(_) => Made::AsStored { root: *root },
            }),
        };
        made.map_err(|error| no_view(&error))
    }

    /// A tree of one document.
    fn document(&self, parts: &[u32], modified: Timestamp, chunks: Chunks) -> Result<Made, TreeError> {
        let pages = Pages::new(self);
        let content = self.content(&pages, 0, parts, Profile::Bulk)?;
        let metadata = Metadata::Object(Box::new(ObjectMetadata { modified, ..ObjectMetadata::default() }));
        let entry = Entry { path: EntryPath::ROOT, kind: EntryKind::Document, metadata, token: None, content };
        let mut builder = TreeBuilder::new(tree_parameters(self.reader.repository()), &pages);
        builder.push(&entry)?;
        let root = builder.finish()?.id;
        Ok(pages.finish(root, chunks))
    }

    /// A stored tree with the members of its archives; `None` where it has none.
    fn archives(&self, root: PageId) -> Result<Option<Made>, TreeError> {
        let mut entries = Cursor::new(self.reader, root).take(ENTRIES_MAX + 1).collect::<Result<Vec<_>, _>>()?;
        if entries.len() > ENTRIES_MAX {
            return Ok(None);
        }
        let (mut archives, mut bodies) = (Vec::new(), Vec::new());
        let pages = Pages::new(self);
        let mut added = Vec::new();
        for entry in &entries {
            let Some(folder) = folder_of_archive(entry) else { continue };
            // What is stored there is shown, whatever an archive says.
            if entries.iter().any(|other| other.path.as_bytes().starts_with(&folder)) {
                continue;
            }
            let archive = u32::try_from(archives.len()).expect("because there are few entries");
            for member in members(self.reader, &entry.content).unwrap_or_default() {
                if self.extent == Extent::Readable && member.told.withheld.is_some() {
                    continue;
                }
                let number = u32::try_from(bodies.len()).expect("because members are counted");
                added.push(self.member(&pages, &folder, number, &member)?);
                bodies.push((archive, member.body));
            }
            archives.push(entry.content.clone());
        }
        if added.is_empty() {
            return Ok(None);
        }
        entries.append(&mut added);
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let mut builder = TreeBuilder::new(tree_parameters(self.reader.repository()), &pages);
        entries.iter().try_for_each(|entry| builder.push(entry))?;
        let root = builder.finish()?.id;
        Ok(Some(pages.finish(root, Chunks::Members { archives, bodies })))
    }

    fn member(&self, pages: &Pages<'_>, folder: &[u8], number: u32, member: &Member) -> Result<Entry, TreeError> {
        let content = match member.kind {
            EntryKind::File => self.content(pages, number, &parts_of(member.body.size), Profile::Zip)?,
            _ => Content::Empty,
        };
        let path = EntryPath([folder, &member.path].concat());
        Ok(Entry { path, kind: member.kind.clone(), metadata: member.told.metadata(), token: None, content })
    }

    /// Content of parts of these lengths.
    fn content(&self, pages: &Pages<'_>, item: u32, lengths: &[u32], profile: Profile) -> Result<Content, TreeError> {
        let mut list = ListBuilder::new(pages, profile);
        for (part, length) in lengths.iter().enumerate() {
            let part = u32::try_from(part).expect("because there are few parts");
            list.push(Piece::Chunk { id: ChunkId(id(self.tag, [self.number, item, part, 0])), length: *length })?;
        }
        list.finish()
    }
}

/// The folder that an archive is shown as; `None` for what is no archive.
fn folder_of_archive(entry: &Entry) -> Option<Vec<u8>> {
    let has_bytes = matches!(entry.kind, EntryKind::Object | EntryKind::Document | EntryKind::File);
    let path = entry.path.as_bytes();
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = path.split_at(start);
    match name {
        _ if !has_bytes => None,
        ARCHIVE => Some([above, ARCHIVE_FOLDER].concat()),
        _ => {
            let stem = name.strip_suffix(ARCHIVE_SUFFIX).filter(|stem| !stem.is_empty())?;
            Some([above, stem, b"/"].concat())
        }
    }
}

/// The lengths of the parts of so many bytes.
fn parts_of(size: u64) -> Vec<u32> {
    let whole = usize::try_from(size / u64::from(PART_SIZE)).unwrap_or(usize::MAX);
    let rest = u32::try_from(size % u64::from(PART_SIZE)).expect("because it is less than a part");
    std::iter::repeat_n(PART_SIZE, whole).chain((rest > 0).then_some(rest)).collect()
}

fn timestamp(time: jiff::Timestamp) -> Timestamp {
    let nanoseconds = u32::try_from(time.subsec_nanosecond()).unwrap_or(0);
    Timestamp { seconds: time.as_second(), nanoseconds }
}

fn no_view(error: &dyn std::error::Error) -> RepositoryError {
    RepositoryError::NoView { reason: error_chain(error) }
}

/// Pages that are made, by number.
struct Pages<'p> {
    tag: &'p Tag,
    number: u32,
    pages: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pages: Vec<Bytes>,
    numbers: HashMap<Bytes, u32>,
}

impl<'p> Pages<'p> {
    fn new(making: &'p Making<'_, '_>) -> Self {
        Self { tag: making.tag, number: making.number, pages: Mutex::default() }
    }

    fn finish(self, root: PageId, chunks: Chunks) -> Made {
        let root = parts(self.tag, &root.0).map_or(0, |parts| parts[1]);
        let kept = self.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        Made::Pages { pages: kept.pages, root, chunks }
    }
}

impl PageSink for &Pages<'_> {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        let mut kept = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(kept.pages.len()).expect("because members are counted");
        let number = match kept.numbers.get(plaintext) {
            Some(number) => *number,
            None => {
                let page = Bytes::copy_from_slice(plaintext);
                kept.pages.push(page.clone());
                kept.numbers.insert(page, next);
                next
            }
        };
        Ok(PageId(id(self.tag, [self.number, number, 0, 0])))
    }
}
