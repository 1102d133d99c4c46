//! The bytes of a tree page (FORMAT.md §10): decoding a whole one, and encoding one item by item as they arrive.
//!
//! Decoding checks all that a page can tell of itself: order, limits of entries, bounded memory. Whether it stands in
//! the right place of a tree is `position`'s to check; where it ends is `boundary`'s to decide.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::codec::encode;
use crate::codec::fields::Fields;
use crate::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, Piece, Timestamp, Xattr};
use crate::id::PageId;
use crate::resource::Totals;
use crate::tree::boundary::{Fill, ITEM_SIZE_MAX, TreeParameters};
use crate::tree::error::{EntryFault, PageFault, TreeError};
use crate::tree::item::{self, LeafItem};
use crate::tree::store::PageSink;

/// Highest level a page may say; pages hold two items and more, so no tree is deeper.
pub const LEVEL_MAX: u8 = 63;

/// A decoded page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Entries in path order.
    Leaf(Vec<Entry>),
    /// Pages one level below, in path order.
    Inner {
        /// At least 1.
        level: u8,
        /// At least one.
        links: Vec<PageLink>,
    },
}

/// What an inner page says of a page below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageLink {
    /// Path of the first entry below.
    pub first: EntryPath,
    /// The page.
    pub id: PageId,
    /// What all entries below add up to.
    pub totals: Totals,
}

impl Page {
    /// Reads a page, checking order, limits and that nothing follows. Memory is bounded by a small multiple of
    /// [`encode::PAGE_SIZE_MAX`], whatever the bytes are.
    pub fn decode(plaintext: &[u8]) -> Result<Self, PageFault> {
        let mut fields = Fields::of(plaintext)?;
        if fields.u32()? == 0 {
            let entries = item::entries(&mut fields)?;
            fields.end()?;
            return Ok(Self::Leaf(entries));
        }
        match encode::decode(plaintext)? {
            EncodedInner::Inner(level @ 1..=LEVEL_MAX, links) if !links.0.is_empty() => {
                Ok(Self::Inner { level, links: links.0 })
            }
            EncodedInner::Leaf | EncodedInner::Inner(1..=LEVEL_MAX, _) => Err(PageFault::Empty),
            EncodedInner::Inner(level, _) => Err(PageFault::Level { expected: LEVEL_MAX, actual: level }),
        }
    }

    /// 0 for a leaf.
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    /// The first and the last path in it (of an inner page: the first of its last page), unless it is empty.
    pub fn path_range(&self) -> Option<(&EntryPath, &EntryPath)> {
        match self {
            Self::Leaf(entries) => Some((&entries.first()?.path, &entries.last()?.path)),
            Self::Inner { links, .. } => Some((&links.first()?.first, &links.last()?.first)),
        }
    }

    /// Whether it may stand where its parent says: at `level`, beginning as `link` says and ending before `end`, the first
    /// path of the page after it.
    pub fn check_place(&self, level: u8, link: &PageLink, end: Option<&EntryPath>) -> Result<(), PageFault> {
        if self.level() != level {
            return Err(PageFault::Level { expected: level, actual: self.level() });
        }
        let Some((first, last)) = self.path_range() else {
            return Err(PageFault::Empty);
        };
        if *first != link.first {
            return Err(PageFault::First { expected: link.first.clone() });
        }
        if end.is_some_and(|end| last >= end) {
            return Err(PageFault::Range { last: last.clone() });
        }
        Ok(())
    }

    /// What it adds up to.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        match self {
            Self::Leaf(entries) => entries.iter().for_each(|entry| totals.add(&totals_of(entry))),
            Self::Inner { links, .. } => links.iter().for_each(|link| totals.add(&link.totals)),
        }
        totals
    }
}

/// What one entry adds to the totals above it.
pub fn totals_of(entry: &Entry) -> Totals {
    let is_file = matches!(entry.kind, EntryKind::File | EntryKind::Object | EntryKind::Document);
    Totals { entries: 1, files: u64::from(is_file), bytes: entry.content.size() }
}

/// A page being filled. Items are encoded as they arrive; the head is put before them when it closes.
#[derive(Debug)]
pub(super) struct OpenPage {
    level: u8,
    fill: Fill,
    first: EntryPath,
    last: Vec<u8>,
    totals: Totals,
    /// [`OpenPage::HEAD_ROOM`] bytes for the head, then the items.
    bytes: Vec<u8>,
}

impl OpenPage {
    /// Enough for kind, level and count.
    const HEAD_ROOM: usize = 16;

    pub(super) fn new(level: u8) -> Self {
        let bytes = vec![0; Self::HEAD_ROOM];
        Self {
            level,
            fill: Fill::default(),
            first: EntryPath::ROOT,
            last: Vec::new(),
            totals: Totals::default(),
            bytes,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fill.items == 0
    }

    /// Whether it ends after its last item.
    pub(super) fn ends(&self, parameters: &TreeParameters) -> bool {
        parameters.ends_page(self.level, self.fill, &self.last)
    }

    /// Bytes of memory it keeps.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.last.capacity()
    }

    /// Appends an entry; the caller keeps the order.
    pub(super) fn push_entry(&mut self, entry: &Entry) -> Result<(), TreeError> {
        check_entry(entry).map_err(|fault| TreeError::Entry { path: entry.path.clone(), fault })?;
        let path = entry.path.as_bytes();
        let shared = if self.is_empty() { 0 } else { shared_prefix(&self.last, path) };
        let item = LeafItem {
            shared: shared as u64,
            suffix: &path[shared..],
            kind: &entry.kind,
            metadata: &entry.metadata,
            token: &entry.token,
            content: &entry.content,
        };
        let start = self.bytes.len();
        encode::encode_into(&item, &mut self.bytes)?;
        let length = self.bytes.len() - start;
        if length > ITEM_SIZE_MAX {
            self.bytes.truncate(start);
            return Err(TreeError::Entry { path: entry.path.clone(), fault: EntryFault::TooLarge { length } });
        }
        self.count(path, shared, &totals_of(entry));
        Ok(())
    }

    /// Appends a page below; the caller keeps the order.
    pub(super) fn push_link(&mut self, link: &PageLink) -> Result<(), TreeError> {
        encode::encode_into(link, &mut self.bytes)?;
        let path = link.first.as_bytes();
        let shared = shared_prefix(&self.last, path);
        self.count(path, shared, &link.totals);
        Ok(())
    }

    fn count(&mut self, path: &[u8], shared: usize, totals: &Totals) {
        if self.is_empty() {
            self.first.0.clear();
            self.first.0.extend_from_slice(path);
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(&path[shared..]);
        self.fill.items += 1;
        self.fill.path_bytes += path.len();
        self.fill.item_bytes = self.bytes.len() - Self::HEAD_ROOM;
        self.totals.add(totals);
    }

    /// Stores the page, empties it for the next one, and says what a page above must say of it.
    pub(super) fn close(&mut self, sink: &mut impl PageSink) -> Result<PageLink, TreeError> {
        let mut head = Vec::with_capacity(Self::HEAD_ROOM);
        match self.level {
            0 => encode::encode_into(&(0_u32, self.fill.items), &mut head)?,
            level => encode::encode_into(&(1_u32, level, self.fill.items), &mut head)?,
        }
        let start = Self::HEAD_ROOM - head.len();
        self.bytes[start..Self::HEAD_ROOM].copy_from_slice(&head);
        let id = sink.put(&self.bytes[start..])?;
        let link = PageLink { first: std::mem::take(&mut self.first), id, totals: self.totals };
        self.fill = Fill::default();
        self.last.clear();
        self.totals = Totals::default();
        self.bytes.truncate(Self::HEAD_ROOM);
        Ok(link)
    }
}

fn shared_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}

/// Checks what the format demands of every entry, on its way in and on its way out.
pub(super) fn check_entry(entry: &Entry) -> Result<(), EntryFault> {
    check_path(&entry.path)?;
    check_content(&entry.content)?;
    match &entry.metadata {
        Metadata::None => {}
        Metadata::Posix(posix) => {
            check_time(posix.modified)?;
            posix.link_to.as_ref().map_or(Ok(()), check_path)?;
            if posix.xattrs.len() > Xattr::COUNT_MAX {
                return Err(EntryFault::TooManyXattrs { count: posix.xattrs.len() });
            }
            posix.xattrs.iter().try_for_each(|xattr| check_content(&xattr.value))?;
        }
        Metadata::Object(object) => check_time(object.modified)?,
    }
    match &entry.token {
        Some(ChangeToken::Posix { changed, .. }) => check_time(*changed),
        Some(ChangeToken::Opaque(_)) | None => Ok(()),
    }
}

fn check_path(path: &EntryPath) -> Result<(), EntryFault> {
    let length = path.0.len();
    if length > EntryPath::LENGTH_MAX { Err(EntryFault::PathTooLong { length }) } else { Ok(()) }
}

fn check_time(time: Timestamp) -> Result<(), EntryFault> {
    let nanoseconds = time.nanoseconds;
    if nanoseconds < 1_000_000_000 { Ok(()) } else { Err(EntryFault::Nanoseconds { nanoseconds }) }
}

fn check_content(content: &Content) -> Result<(), EntryFault> {
    match content {
        Content::Inline(bytes) if bytes.len() > Content::INLINE_MAX => {
            Err(EntryFault::InlineTooLong { length: bytes.len() })
        }
        Content::Pieces { pieces, .. } if pieces.len() > Content::PIECES_MAX => {
            Err(EntryFault::TooManyPieces { count: pieces.len() })
        }
        Content::Pieces { pieces, .. } => check_pieces(pieces).map(|_size| ()),
        Content::Empty | Content::Inline(_) | Content::List { .. } => Ok(()),
    }
}

/// Checks that no piece is empty and their lengths add up; the sum.
pub(super) fn check_pieces(pieces: &[Piece]) -> Result<u64, EntryFault> {
    pieces.iter().try_fold(0_u64, |size, piece| match piece.length() {
        0 => Err(EntryFault::EmptyPiece),
        length => size.checked_add(length).ok_or(EntryFault::SizeOverflow),
    })
}

#[derive(Deserialize)]
enum EncodedInner {
    /// A leaf, which `item` reads.
    Leaf,
    Inner(u8, Links),
}

struct Links(Vec<PageLink>);

impl<'de> Deserialize<'de> for Links {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let links = Vec::<PageLink>::deserialize(deserializer)?;
        if links.windows(2).any(|pair| pair[0].first >= pair[1].first) {
            return Err(de::Error::custom("its pages are not in path order"));
        }
        links.iter().try_for_each(|link| check_path(&link.first)).map_err(de::Error::custom)?;
        Ok(Self(links))
    }
}
