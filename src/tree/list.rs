//! Where the bytes of one entry are: building its list of pieces, and walking it from any offset.
//!
//! Few pieces stand in the entry itself, many in pages of their own (FORMAT.md §10). Both directions hold one page a
//! level, so a file of any size passes in constant memory.

use std::vec;

use crate::entry::{Content, Piece, Profile};
use crate::id::PageId;
use crate::tree::error::{EntryFault, PageFault, TreeError};
use crate::tree::list_page::{ListLink, ListPage, OpenListPage};
use crate::tree::store::{PageSink, PageSource};

/// Builds the content of one entry from its pieces.
pub struct ListBuilder<S> {
    sink: S,
    profile: Profile,
    /// The pieces so far, while they are few enough to stand in the entry.
    few: Vec<Piece>,
    levels: Vec<Level>,
    /// Length of the run of zeros that the next piece may continue.
    zeros: u64,
    size: u64,
}

struct Level {
    page: OpenListPage,
    ended: u64,
    latest: Option<ListLink>,
}

impl<S: PageSink> ListBuilder<S> {
    /// A builder of content that is empty so far, cut by `profile`.
    pub fn new(sink: S, profile: Profile) -> Self {
        Self { sink, profile, few: Vec::new(), levels: Vec::new(), zeros: 0, size: 0 }
    }

    /// Bytes of the pieces so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next piece. Runs of zeros one after another become one; a piece of no bytes is left out.
    pub fn push(&mut self, piece: Piece) -> Result<(), TreeError> {
        let overflow = TreeError::Content { fault: EntryFault::SizeOverflow };
        self.size = self.size.checked_add(piece.length()).ok_or(overflow)?;
        match piece {
            Piece::Zeros { length } => self.zeros += length,
            Piece::Chunk { length: 0, .. } => {}
            Piece::Chunk { .. } => {
                self.end_zeros()?;
                self.add(piece)?;
            }
        }
        Ok(())
    }

    /// The content. [`Content::Inline`] is never made here: whoever has few bytes keeps them without cutting.
    pub fn finish(mut self) -> Result<Content, TreeError> {
        self.end_zeros()?;
        let (profile, size) = (self.profile, self.size);
        if self.levels.is_empty() {
            let pieces = self.few;
            return Ok(if pieces.is_empty() { Content::Empty } else { Content::Pieces { profile, pieces } });
        }
        let mut level = 0;
        loop {
            let open = self.level(level);
            if let Level { ended: 1, latest: Some(link), .. } = open
                && open.page.is_empty()
            {
                return Ok(Content::List { profile, size, root: link.id });
            }
            if !open.page.is_empty() {
                let link = self.close(level)?;
                if self.levels[level].ended == 1 {
                    return Ok(Content::List { profile, size, root: link.id });
                }
                self.level(level + 1).page.push_link(&link)?;
            }
            level += 1;
        }
    }

    fn end_zeros(&mut self) -> Result<(), TreeError> {
        match std::mem::take(&mut self.zeros) {
            0 => Ok(()),
            length => self.add(Piece::Zeros { length }),
        }
    }

    fn add(&mut self, piece: Piece) -> Result<(), TreeError> {
        if self.levels.is_empty() && self.few.len() < Content::PIECES_MAX {
            self.few.push(piece);
            return Ok(());
        }
        for early in std::mem::take(&mut self.few) {
            self.add_to_page(&early)?;
        }
        self.add_to_page(&piece)
    }

    fn add_to_page(&mut self, piece: &Piece) -> Result<(), TreeError> {
        self.level(0).page.push_piece(piece)?;
        let mut level = 0;
        while self.level(level).page.ends() {
            let link = self.close(level)?;
            level += 1;
            self.level(level).page.push_link(&link)?;
        }
        Ok(())
    }

    fn close(&mut self, level: usize) -> Result<ListLink, TreeError> {
        let open = &mut self.levels[level];
        let link = open.page.close(&mut self.sink)?;
        open.ended += 1;
        open.latest = Some(link);
        Ok(link)
    }

    fn level(&mut self, level: usize) -> &mut Level {
        while self.levels.len() <= level {
            let number = u8::try_from(self.levels.len()).expect("because each level has at most half the pages below");
            self.levels.push(Level { page: OpenListPage::new(number), ended: 0, latest: None });
        }
        &mut self.levels[level]
    }
}

/// The pieces of one content in order. After an error it goes on behind the page that failed.
pub struct PieceIter<S> {
    source: S,
    start: Start,
    /// The root of a list, until it is read.
    unread: Option<ListLink>,
    frames: Vec<Frame>,
    leaf: vec::IntoIter<Piece>,
    offset: u64,
}

/// Where all pieces are.
enum Start {
    Pieces(Vec<Piece>),
    List { root: PageId, size: u64 },
}

struct Frame {
    level: u8,
    links: vec::IntoIter<ListLink>,
}

impl<S: PageSource> PieceIter<S> {
    /// Before the first piece; reads nothing yet. Content that is empty or inline has no pieces.
    pub fn new(source: S, content: &Content) -> Self {
        let start = match content {
            Content::Empty | Content::Inline(_) => Start::Pieces(Vec::new()),
            Content::Pieces { pieces, .. } => Start::Pieces(pieces.clone()),
            Content::List { size, root, .. } => Start::List { root: *root, size: *size },
        };
        let leaf = Vec::new().into_iter();
        let mut pieces = Self { source, start, unread: None, frames: Vec::new(), leaf, offset: 0 };
        pieces.restart();
        pieces
    }

    /// Where the next piece begins in the content.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to the piece that holds the byte at `offset`, or to the end; [`PieceIter::offset`] then tells where that
    /// piece begins. Forward it reads only pages it has not read, back it starts from the root: at most one page a level.
    pub fn seek(&mut self, offset: u64) -> Result<(), TreeError> {
        if offset < self.offset {
            self.restart();
        }
        loop {
            if let Some(piece) = self.leaf.as_slice().first() {
                if offset - self.offset < piece.length() {
                    return Ok(());
                }
                self.offset += piece.length();
                self.leaf.next();
            } else {
                match self.ahead() {
                    None => return Ok(()),
                    Some((link, _)) if offset - self.offset >= link.size => self.step_over(),
                    Some(_) => self.expand()?,
                }
            }
        }
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.frames.clear();
        self.leaf = Vec::new().into_iter();
        match &self.start {
            Start::Pieces(pieces) => self.leaf = pieces.clone().into_iter(),
            Start::List { root, size } => self.unread = Some(ListLink { id: *root, size: *size, pieces: 0 }),
        }
    }

    /// The page ahead, and its level if a parent tells.
    fn ahead(&mut self) -> Option<(ListLink, Option<u8>)> {
        if let Some(root) = self.unread {
            return Some((root, None));
        }
        while self.frames.last().is_some_and(|frame| frame.links.as_slice().is_empty()) {
            self.frames.pop();
        }
        let frame = self.frames.last()?;
        frame.links.as_slice().first().map(|link| (*link, Some(frame.level - 1)))
    }

    /// Goes past the page ahead without its bytes being passed.
    fn leave(&mut self) {
        if self.unread.take().is_none()
            && let Some(frame) = self.frames.last_mut()
        {
            frame.links.next();
        }
    }

    fn step_over(&mut self) {
        if let Some((link, _)) = self.ahead() {
            self.leave();
            self.offset = self.offset.saturating_add(link.size);
        }
    }

    /// Reads the page ahead and stands before its first item. If that fails, stands behind the page.
    fn expand(&mut self) -> Result<(), TreeError> {
        let Some((link, level)) = self.ahead() else {
            return Ok(());
        };
        match read(&self.source, &link, level) {
            Ok(page) => {
                self.leave();
                match page {
                    ListPage::Leaf(pieces) => self.leaf = pieces.into_iter(),
                    ListPage::Inner { level, links } => self.frames.push(Frame { level, links: links.into_iter() }),
                }
                Ok(())
            }
            Err(error) => {
                self.step_over();
                Err(error)
            }
        }
    }
}

/// Reads a list page and checks it against what stands above it; a root has no level to check and no count of pieces.
fn read(source: &impl PageSource, link: &ListLink, level: Option<u8>) -> Result<ListPage, TreeError> {
    let plaintext = source.page(&link.id)?;
    let malformed = |fault| TreeError::Malformed { id: link.id, fault };
    let page = ListPage::decode(&plaintext).map_err(malformed)?;
    let (size, pieces) = page.sums().ok_or(PageFault::SizeOverflow).map_err(malformed)?;
    if size != link.size {
        return Err(malformed(PageFault::Size { expected: link.size, actual: size }));
    }
    if let Some(expected) = level {
        if page.level() != expected {
            return Err(malformed(PageFault::Level { expected, actual: page.level() }));
        }
        if pieces != link.pieces {
            return Err(malformed(PageFault::Pieces { expected: link.pieces, actual: pieces }));
        }
    }
    Ok(page)
}

impl<S: PageSource> Iterator for PieceIter<S> {
    type Item = Result<Piece, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(piece) = self.leaf.next() {
                self.offset = self.offset.saturating_add(piece.length());
                return Some(Ok(piece));
            }
            self.ahead()?;
            if let Err(error) = self.expand() {
                return Some(Err(error));
            }
        }
    }
}
