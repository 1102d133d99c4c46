//! The bytes of a chunk-list page (FORMAT.md §10): decoding a whole one, encoding one piece by piece, and where it ends.
//!
//! Which pieces a file has and how they are walked is `list`'s.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::encode;
use crate::entry::Piece;
use crate::id::PageId;
use crate::tree::boundary::leading_u64;
use crate::tree::error::{PageFault, TreeError};
use crate::tree::page::{LEVEL_MAX, check_pieces};
use crate::tree::store::PageSink;

/// Most items of a list page.
pub const LIST_ITEMS_MAX: usize = 2048;
/// Fewest items of a list page that others follow.
const LIST_ITEMS_MIN: usize = 2;
/// An id that is a multiple of this ends the page.
const LIST_ITEMS_MEAN: u64 = 512;

/// A decoded chunk-list page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListPage {
    /// Pieces in order.
    Leaf(Vec<Piece>),
    /// Pages one level below, in order.
    Inner {
        /// At least 1.
        level: u8,
        /// At least one.
        links: Vec<ListLink>,
    },
}

/// What an inner list page says of a page below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListLink {
    /// The page.
    pub id: PageId,
    /// Bytes that the pieces below stand for.
    pub size: u64,
    /// How many pieces are below.
    pub pieces: u64,
}

impl ListPage {
    /// Reads a page; it has at least one and at most [`LIST_ITEMS_MAX`] items, none of them empty.
    pub fn decode(plaintext: &[u8]) -> Result<Self, PageFault> {
        match encode::decode(plaintext)? {
            EncodedListPage::Leaf(pieces) if !pieces.0.is_empty() => Ok(Self::Leaf(pieces.0)),
            EncodedListPage::Inner(level @ 1..=LEVEL_MAX, links) if !links.0.is_empty() => {
                Ok(Self::Inner { level, links: links.0 })
            }
            EncodedListPage::Leaf(_) | EncodedListPage::Inner(1..=LEVEL_MAX, _) => Err(PageFault::Empty),
            EncodedListPage::Inner(level, _) => Err(PageFault::Level { expected: LEVEL_MAX, actual: level }),
        }
    }

    /// 0 for a leaf.
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    /// Bytes and pieces in all; `None` if they do not fit in 64 bits.
    pub fn sums(&self) -> Option<(u64, u64)> {
        match self {
            Self::Leaf(pieces) => Some((check_pieces(pieces).ok()?, pieces.len() as u64)),
            Self::Inner { links, .. } => links.iter().try_fold((0_u64, 0_u64), |(size, pieces), link| {
                Some((size.checked_add(link.size)?, pieces.checked_add(link.pieces)?))
            }),
        }
    }
}

#[derive(Deserialize)]
enum EncodedListPage {
    Leaf(Items<Piece>),
    Inner(u8, Items<ListLink>),
}

/// At most [`LIST_ITEMS_MAX`] items.
struct Items<T>(Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ItemsVisitor<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {LIST_ITEMS_MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Items<T>, A::Error> {
        let mut items = Vec::with_capacity(sequence.size_hint().unwrap_or(0).min(LIST_ITEMS_MAX));
        while let Some(item) = sequence.next_element()? {
            if items.len() == LIST_ITEMS_MAX {
                return Err(de::Error::custom("it has more items than a list page may"));
            }
            items.push(item);
        }
        Ok(Items(items))
    }
}

/// A list page being filled.
pub(super) struct OpenListPage {
    level: u8,
    items: usize,
    size: u64,
    pieces: u64,
    /// Whether the last item's id says that the page ends.
    hit: bool,
    /// [`OpenListPage::HEAD_ROOM`] bytes for the head, then the items.
    bytes: Vec<u8>,
}

impl OpenListPage {
    const HEAD_ROOM: usize = 16;

    pub(super) fn new(level: u8) -> Self {
        Self { level, items: 0, size: 0, pieces: 0, hit: false, bytes: vec![0; Self::HEAD_ROOM] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Whether it ends after its last item.
    pub(super) fn ends(&self) -> bool {
        self.items >= LIST_ITEMS_MAX || (self.items >= LIST_ITEMS_MIN && self.hit)
    }

    pub(super) fn push_piece(&mut self, piece: &Piece) -> Result<(), TreeError> {
        encode::encode_into(piece, &mut self.bytes)?;
        self.hit = match piece {
            Piece::Chunk { id, .. } => is_hit(id.as_bytes()),
            Piece::Zeros { .. } => false,
        };
        self.items += 1;
        self.size += piece.length();
        self.pieces += 1;
        Ok(())
    }

    pub(super) fn push_link(&mut self, link: &ListLink) -> Result<(), TreeError> {
        encode::encode_into(link, &mut self.bytes)?;
        self.hit = is_hit(link.id.as_bytes());
        self.items += 1;
        self.size += link.size;
        self.pieces += link.pieces;
        Ok(())
    }

    /// Stores the page, empties it for the next one, and says what a page above must say of it.
    pub(super) fn close(&mut self, sink: &mut impl PageSink) -> Result<ListLink, TreeError> {
        let mut head = Vec::with_capacity(Self::HEAD_ROOM);
        match self.level {
            0 => encode::encode_into(&(0_u32, self.items as u64), &mut head)?,
            level => encode::encode_into(&(1_u32, level, self.items as u64), &mut head)?,
        }
        let start = Self::HEAD_ROOM - head.len();
        self.bytes[start..Self::HEAD_ROOM].copy_from_slice(&head);
        let id = sink.put(&self.bytes[start..])?;
        let link = ListLink { id, size: self.size, pieces: self.pieces };
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(Self::HEAD_ROOM);
        *self = Self { bytes, ..Self::new(self.level) };
        Ok(link)
    }
}

fn is_hit(id: &[u8; 32]) -> bool {
    leading_u64(id).is_multiple_of(LIST_ITEMS_MEAN)
}
