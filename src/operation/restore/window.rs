//! A window: as much of the work as is planned, then written, at once. Bounded in memory and open files.
//!
//! Chunks wanted are sorted by the place they lie at, so that each pack is passed once and a chunk that many files want
//! is read once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::entry::Entry;
use crate::id::{ChunkId, PackId};
use crate::operation::target::escape::Last;
use crate::operation::target::file::TargetFile;
use crate::repository::index::Index;
use crate::repository::index::segment::Location;
use crate::repository::pack::PackKind;

/// Most chunks that a window wants.
const WANTED_MAX: usize = 32 * 1024;
/// Most things in a window.
const THINGS_MAX: usize = 32 * 1024;
/// Most files of several pieces, for they are open all at once.
pub(super) const OPEN_MAX: usize = 384;
/// Most bytes of entries in a window.
const BYTES_MAX: usize = 16 << 20;
/// Stored bytes that are read at once.
const READ_SIZE_MAX: u64 = 4 << 20;
/// Bytes that nobody wants but that are read, rather than asking twice.
const READ_GAP_MAX: u64 = 128 << 10;
/// Chunks that the index does not know that one thread takes at once, or as many more as the last file of them has.
const UNKNOWN_BATCH: usize = 64;
/// Things without chunks that one thread takes at once.
const BATCH: usize = 512;

/// An entry that is to be written.
pub(super) struct Planned {
    pub(super) entry: Entry,
    /// Which part of the selection it is of.
    pub(super) part: usize,
    /// How its name is spelled.
    pub(super) spelling: Last,
}

/// Something that needs no chunk.
pub(super) enum Thing<'t> {
    /// A folder, an inline or empty file, a link, a device.
    Small(Planned),
    /// A file all of whose pieces are planned.
    Planned(Arc<SharedFile<'t>>),
}

/// A hard link and where the first of its group goes.
pub(super) struct Link {
    pub(super) planned: Planned,
    pub(super) first: Vec<u8>,
}

/// A file of several pieces, which several threads write and several windows may share.
pub(super) struct SharedFile<'t> {
    pub(super) planned: Planned,
    pub(super) state: RwLock<FileState<'t>>,
    /// Pieces not yet written, and one for the planner until it has planned all.
    left: AtomicU64,
    /// Why it cannot be restored.
    pub(super) loss: Mutex<Option<Loss>>,
}

/// How far a file is.
pub(super) enum FileState<'t> {
    New,
    Open(TargetFile<'t>),
    /// Finished or given up.
    Ended,
}

/// Whether what is missing of a file was stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It was.
    Stored,
    /// It is a view that cannot be made.
    View,
}

/// What of a file is lost.
pub(super) struct Loss {
    pub(super) missing: Missing,
    /// The first place, and why.
    pub(super) first: String,
    /// Further places.
    pub(super) others: u64,
}

impl<'t> SharedFile<'t> {
    pub(super) fn new(planned: Planned) -> Arc<Self> {
        Arc::new(Self { planned, state: RwLock::new(FileState::New), left: AtomicU64::new(1), loss: Mutex::default() })
    }

    /// One piece more is to be written.
    pub(super) fn expect_piece(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// One is done; whether it was the last.
    pub(super) fn piece_done(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Notes that a place of it is lost.
    pub(super) fn lose(&self, missing: Missing, what: String) {
        let mut loss = self.loss.lock().expect("because no holder panics");
        match &mut *loss {
            Some(loss) => loss.others += 1,
            None => *loss = Some(Loss { missing, first: what, others: 0 }),
        }
    }
}

/// A chunk and where it goes.
pub(super) struct Wanted {
    pub(super) id: ChunkId,
    /// Ordinal of its frame in the window; [`NO_FRAME`] where the index knows none.
    frame: u32,
    /// Where it lies in its frame.
    offset: u32,
    pub(super) length: u32,
    pub(super) goes_to: GoesTo,
    /// Where in the file.
    pub(super) at: u64,
}

/// The file that wants a chunk, by its ordinal in the window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum GoesTo {
    /// It is all of the file.
    Whole(u32),
    /// It is a piece of it.
    Shared(u32),
}

impl GoesTo {
    /// A place in the order of files.
    fn order(self) -> u64 {
        match self {
            Self::Whole(number) => u64::from(number),
            Self::Shared(number) => u64::from(u32::MAX) + 1 + u64::from(number),
        }
    }
}

const NO_FRAME: u32 = u32::MAX;

/// A frame that something is wanted of.
struct Frame {
    /// The place of one chunk in it; pack, header and frame are those of all.
    location: Location,
    /// Packs in the order in which they are first wanted.
    pack_order: u32,
}

/// Work that is planned.
#[derive(Default)]
pub(super) struct Window<'t> {
    pub(super) things: Vec<Thing<'t>>,
    pub(super) whole: Vec<Planned>,
    pub(super) shared: Vec<Arc<SharedFile<'t>>>,
    pub(super) links: Vec<Link>,
    wanted: Vec<Wanted>,
    frames: Vec<Frame>,
    packs: HashMap<PackId, u32>,
    frame_ordinals: HashMap<(u32, u64), u32>,
    /// Bytes that the entries take, about.
    bytes: usize,
}

/// What one thread does at once.
pub(super) enum Unit {
    /// Things without chunks.
    Things(Range<usize>),
    /// Frames that lie near one another in a pack: what is wanted of them, and which bytes to read.
    Frames { wanted: Range<usize>, offset: u64, length: u64 },
    /// Chunks that the index does not know.
    Unknown(Range<usize>),
    /// Hard links.
    Links(Range<usize>),
}

impl<'t> Window<'t> {
    pub(super) fn is_full(&self) -> bool {
        self.wanted.len() >= WANTED_MAX
            || self.things.len() + self.whole.len() + self.links.len() >= THINGS_MAX
            || self.shared.len() >= OPEN_MAX
            || self.bytes >= BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.things.is_empty() && self.whole.is_empty() && self.links.is_empty() && self.wanted.is_empty()
    }

    /// Counts the memory that an entry takes.
    pub(super) fn weigh(&mut self, entry: &Entry) {
        let inline = if let crate::entry::Content::Inline(bytes) = &entry.content { bytes.len() } else { 0 };
        self.bytes += size_of::<Planned>() + 128 + entry.path.as_bytes().len() + inline;
    }

    /// Adds a chunk that is wanted.
    pub(super) fn want(&mut self, index: &Index, piece: (ChunkId, u32), goes_to: GoesTo, at: u64) {
        let (id, length) = piece;
        let found = index.find(&id.0).find(|found| found.header.kind == PackKind::Data && found.length == length);
        let (frame, offset) = match found {
            Some(location) => (self.frame_of(&location), location.offset),
            None => (NO_FRAME, 0),
        };
        self.wanted.push(Wanted { id, frame, offset, length, goes_to, at });
    }

    fn frame_of(&mut self, location: &Location) -> u32 {
        // Neighbouring files mostly lie in one frame.
        if let Some(last) = self.wanted.last().filter(|last| last.frame != NO_FRAME) {
            let frame = &self.frames[last.frame as usize].location;
            if frame.pack == location.pack && frame.frame.number == location.frame.number {
                return last.frame;
            }
        }
        let next_pack = ordinal(self.packs.len());
        let pack_order = *self.packs.entry(location.pack).or_insert(next_pack);
        let next_frame = ordinal(self.frames.len());
        let frame = *self.frame_ordinals.entry((pack_order, location.frame.number)).or_insert(next_frame);
        if frame == next_frame {
            self.frames.push(Frame { location: *location, pack_order });
        }
        frame
    }

    /// Sorts what is wanted by where it lies, and cuts the work into units.
    pub(super) fn units(&mut self) -> Vec<Unit> {
        let frames = &self.frames;
        self.wanted.sort_unstable_by_key(|wanted| match frames.get(wanted.frame as usize) {
            Some(frame) => (frame.pack_order, frame.location.frame.offset, wanted.offset, wanted.at),
            // File by file, for what is made is made in order.
            None => (NO_FRAME, wanted.goes_to.order(), 0, wanted.at),
        });
        let mut units = Vec::new();
        let mut start = 0;
        while start < self.wanted.len() {
            let unit = self.unit_from(start);
            start = match &unit {
                Unit::Frames { wanted, .. } | Unit::Unknown(wanted) => wanted.end,
                Unit::Things(_) | Unit::Links(_) => self.wanted.len(),
            };
            units.push(unit);
        }
        units.extend(batches(self.things.len()).map(Unit::Things));
        units
    }

    /// The unit that begins with the chunk `start`.
    fn unit_from(&self, start: usize) -> Unit {
        let Some(first) = self.frames.get(self.wanted[start].frame as usize) else {
            return Unit::Unknown(start..self.unknown_end(start));
        };
        let offset = first.location.frame.offset;
        let mut end = offset + first.location.frame.record.size();
        let mut next = start + 1;
        while let Some(frame) = self.wanted.get(next).and_then(|wanted| self.frames.get(wanted.frame as usize)) {
            let place = &frame.location.frame;
            let frame_end = place.offset + place.record.size();
            let fits = frame_end <= end
                || place.offset.saturating_sub(end) <= READ_GAP_MAX && frame_end - offset <= READ_SIZE_MAX;
            if frame.pack_order != first.pack_order || !fits {
                break;
            }
            end = end.max(frame_end);
            next += 1;
        }
        Unit::Frames { wanted: start..next, offset, length: end - offset }
    }

    /// Where a stretch of unknown chunks ends that one thread looks for: files are not torn apart.
    fn unknown_end(&self, start: usize) -> usize {
        let rest = &self.wanted[start..];
        let files = rest.chunk_by(|one, other| one.goes_to == other.goes_to).map(<[Wanted]>::len);
        let mut length = 0;
        for file in files {
            length += file;
            if length >= UNKNOWN_BATCH {
                break;
            }
        }
        start + length
    }

    /// The hard links, which come when the files of the window are finished.
    pub(super) fn link_units(&self) -> Vec<Unit> {
        batches(self.links.len()).map(Unit::Links).collect()
    }

    pub(super) fn wanted(&self, range: Range<usize>) -> &[Wanted] {
        &self.wanted[range]
    }

    /// Where a chunk lies; `None` where the index does not know it.
    pub(super) fn location(&self, wanted: &Wanted) -> Option<Location> {
        let frame = self.frames.get(wanted.frame as usize)?;
        Some(Location { offset: wanted.offset, length: wanted.length, ..frame.location })
    }
}

fn batches(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(BATCH).map(move |start| start..(start + BATCH).min(count))
}

pub(super) fn ordinal(count: usize) -> u32 {
    u32::try_from(count).expect("because a window holds far fewer than 2^32 of anything")
}

impl Wanted {
    /// Whether both are of one frame.
    pub(super) fn same_frame(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}
