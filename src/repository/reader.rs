//! Reading: chunks and pages by id, frames and whole packs by place, every byte proven before it is given out.
//!
//! A chunk that cannot be read from one pack is looked for in every other that has a copy, and where that fails in the index
//! as it is by then: a prune may have moved it. Frames are kept in a small cache, since neighbours are read together.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use crate::codec::hash::{keyed, pack_id};
use crate::id::{ChunkId, PackId, PageId};
use crate::repository::error::RepositoryError;
use crate::repository::frame::FrameOpener;
use crate::repository::index::delta::PackRecord;
use crate::repository::index::segment::{FrameLocation, Location};
use crate::repository::index::{DeltaSource, Index};
use crate::repository::kept::Fetched;
use crate::repository::overlay::Overlay;
use crate::repository::pack::{
    FOOTER_SIZE, HEADER_SIZE, PACK_SIZE_MAX, PackFooter, PackHeader, PackKeys, PackKind, TRAILER_SIZE_MAX, count,
    open_trailer,
};
use crate::repository::{Repository, get_at_most};
use crate::storage::ByteRange;
use crate::storage::name::{ObjectName, Prefix};

/// Bytes of decompressed frames that are kept, unless more are asked for.
const CACHE_SIZE: usize = 12 << 20;
/// How much of a pack's end is read at first when its trailer is wanted.
const TAIL_SIZE: u64 = 64 * 1024;

impl Repository {
    /// Reads a pack's header and directory from storage, as is needed where no index names it.
    pub fn read_directory(&self, pack: &PackId, size: u64) -> Result<PackRecord, RepositoryError> {
        let name = ObjectName::pack(pack);
        let damaged = |reason: String| RepositoryError::PackDamaged { pack: *pack, reason };
        if size > PACK_SIZE_MAX || size < (HEADER_SIZE + FOOTER_SIZE) as u64 {
            return Err(damaged(format!("{size} bytes is no length of a pack")));
        }
        let header = self.storage.get(&name, ByteRange::From { offset: 0, length: HEADER_SIZE as u64 })?;
        let header = PackHeader::decode(&header).map_err(damaged)?;
        let mut tail = self.storage.get(&name, ByteRange::Suffix(TAIL_SIZE.min(size)))?;
        let cut_short = || damaged("it is shorter than storage said".to_owned());
        let footer_at = tail.len().checked_sub(FOOTER_SIZE).ok_or_else(cut_short)?;
        let footer = PackFooter::decode(&tail[footer_at..]).map_err(damaged)?;
        let trailer_length = footer.trailer_length as usize;
        let wanted = trailer_length + FOOTER_SIZE;
        if trailer_length > TRAILER_SIZE_MAX || (wanted + HEADER_SIZE) as u64 > size {
            return Err(damaged("its footer says an impossible length".to_owned()));
        }
        if wanted > tail.len() {
            tail = self.storage.get(&name, ByteRange::Suffix(wanted as u64))?;
        }
        let trailer_at = tail.len().checked_sub(wanted).ok_or_else(cut_short)?;
        let trailer = &tail[trailer_at..tail.len() - FOOTER_SIZE];
        if crc32c::crc32c(trailer) != footer.trailer_checksum {
            return Err(damaged("its directory does not match its checksum".to_owned()));
        }
        let directory = open_trailer(&header.keys(&self.keys, self.config.id), trailer).map_err(damaged)?;
        let stated = directory.frames_end() + u64::from(footer.padding_length) + wanted as u64;
        if stated != size {
            return Err(damaged(format!("it has {size} bytes, its directory says {stated}")));
        }
        Ok(PackRecord { id: *pack, size: count(usize::try_from(size).unwrap_or(usize::MAX)), header, directory })
    }

    /// Reads a whole pack and proves every byte of it: name, directory, each frame, each chunk.
    pub fn verify_pack(&self, pack: &PackId) -> Result<PackRecord, RepositoryError> {
        let damaged = |reason: String| RepositoryError::PackDamaged { pack: *pack, reason };
        let bytes = get_at_most(self.storage.as_ref(), &ObjectName::pack(pack), PACK_SIZE_MAX)?;
        let named = pack_id(&bytes) == *pack;
        let record = self.read_directory(pack, bytes.len() as u64)?;
        let keys = record.header.keys(&self.keys, self.config.id);
        let id_key = record.header.kind.id_key(&self.keys);
        let mut opener = FrameOpener::new()?;
        let (mut at, mut chunk) = (HEADER_SIZE, 0);
        for (number, frame) in record.directory.frames.iter().enumerate() {
            let end = at + usize::try_from(frame.size()).unwrap_or(usize::MAX);
            let stored = bytes.get(at..end).ok_or_else(|| damaged("it ends early".to_owned()))?;
            let chunks = opener.open(&keys, number as u64, frame, stored).map_err(damaged)?;
            let ids = &record.directory.ids[chunk..chunk + frame.chunk_count as usize];
            if !chunks.ids_equal(id_key, ids) {
                return Err(damaged(format!("a chunk in frame {number} is not what its id says")));
            }
            chunk += ids.len();
            at = end;
        }
        if named { Ok(record) } else { Err(damaged("its bytes do not hash to its name".to_owned())) }
    }

    /// The packs on storage and their sizes.
    pub fn stored_packs(&self) -> Result<HashMap<PackId, u64>, RepositoryError> {
        let objects = self.storage.list(&Prefix::Packs)?;
        Ok(objects.iter().filter_map(|object| Some((object.name.pack_id()?, object.size))).collect())
    }

    /// Reads stored bytes of a pack.
    fn read_pack_range(&self, pack: &PackId, offset: u64, length: u64) -> Result<Bytes, RepositoryError> {
        Ok(self.storage.get(&ObjectName::pack(pack), ByteRange::From { offset, length })?)
    }
}

/// One thread's means to open frames: contexts and scratch space, the keys of the pack it was last in.
pub struct FrameReader<'r> {
    repository: &'r Repository,
    opener: FrameOpener,
    keys: Option<(PackId, PackKeys)>,
}

impl<'r> FrameReader<'r> {
    /// A reader for one thread.
    pub fn new(repository: &'r Repository) -> Result<Self, RepositoryError> {
        Ok(Self { repository, opener: FrameOpener::new()?, keys: None })
    }

    /// The content of a frame, chunks one after another; not yet proven chunk by chunk ([`FrameReader::proven`]).
    pub fn read(&mut self, location: &Location) -> Result<&[u8], RepositoryError> {
        let FrameLocation { offset, record, .. } = location.frame;
        let stored = self.repository.read_pack_range(&location.pack, offset, record.size())?;
        self.open(location, &stored)
    }

    /// The content of a frame whose stored bytes were read already.
    pub fn open(&mut self, location: &Location, stored: &[u8]) -> Result<&[u8], RepositoryError> {
        let pack = location.pack;
        if self.keys.as_ref().is_none_or(|(of, _)| *of != pack) {
            let keys = location.header.keys(&self.repository.keys, self.repository.config.id);
            self.keys = Some((pack, keys));
        }
        let (_, keys) = self.keys.as_ref().expect("because they were just made");
        let FrameLocation { number, record, .. } = location.frame;
        match self.opener.open(keys, number, &record, stored) {
            Ok(chunks) => Ok(chunks.content()),
            Err(reason) => Err(RepositoryError::PackDamaged { pack, reason }),
        }
    }

    /// The chunk at `location` in a frame's content, if it is the one of this id.
    pub fn proven<'c>(
        repository: &Repository,
        content: &'c [u8],
        location: &Location,
        id: &[u8; 32],
    ) -> Result<&'c [u8], RepositoryError> {
        let damaged = |reason: &str| RepositoryError::PackDamaged { pack: location.pack, reason: reason.to_owned() };
        let start = location.offset as usize;
        let chunk = content
            .get(start..start + location.length as usize)
            .ok_or_else(|| damaged("a chunk lies outside its frame"))?;
        let id_key = location.header.kind.id_key(repository.keys());
        if keyed(id_key, chunk) == *id { Ok(chunk) } else { Err(damaged("a chunk in it is not what its id says")) }
    }
}

/// Reads chunks and pages by id, from any thread.
pub struct Reader<'r> {
    pub(super) repository: &'r Repository,
    pub(super) index: &'r Index,
    frames: Mutex<FrameCache>,
    decoders: Mutex<Vec<FrameReader<'r>>>,
    /// Packs of pages that were asked for, where there is a cache for them.
    pub(super) fetched: Mutex<HashMap<PackId, Fetched>>,
    later: Mutex<Later>,
    overlay: OnceLock<Arc<dyn Overlay>>,
}

/// What was looked at since the reader began, because something was missed.
#[derive(Default)]
struct Later {
    /// The index as it was then, where it was another.
    index: Option<Arc<Index>>,
    /// What is in the packs that this index does not name; looked at once.
    beside: Option<Arc<Index>>,
    /// Packs that fail though this index is the newest, so that each costs one look.
    settled: HashSet<PackId>,
}

impl<'r> Reader<'r> {
    /// A reader of what `index` knows.
    pub fn new(repository: &'r Repository, index: &'r Index) -> Self {
        Self::with_cache(repository, index, CACHE_SIZE)
    }

    /// A reader that keeps so many bytes of decompressed frames.
    pub fn with_cache(repository: &'r Repository, index: &'r Index, size: usize) -> Self {
        let frames = Mutex::new(FrameCache { size_max: size, ..FrameCache::default() });
        let (decoders, fetched, later) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { repository, index, frames, decoders, fetched, later, overlay: OnceLock::new() }
    }

    /// From now on gives out what is laid over the repository too; what was laid over it before stays.
    pub fn lay_over(&self, overlay: Arc<dyn Overlay>) {
        let _first = self.overlay.set(overlay);
    }

    /// The index it began with.
    pub fn index(&self) -> &'r Index {
        self.index
    }

    /// The repository it reads.
    pub fn repository(&self) -> &'r Repository {
        self.repository
    }

    /// A data chunk.
    pub fn chunk(&self, id: &ChunkId) -> Result<Bytes, RepositoryError> {
        if let Some(made) = self.overlay.get().and_then(|overlay| overlay.chunk(self, id)) {
            return made;
        }
        self.stored(PackKind::Data, &id.0)
    }

    /// A page.
    pub fn page(&self, id: &PageId) -> Result<Bytes, RepositoryError> {
        if let Some(made) = self.overlay.get().and_then(|overlay| overlay.page(self, id)) {
            return made;
        }
        self.stored(PackKind::Pages, &id.0)
    }

    /// Where a chunk is read from first; `None` where no index that was read so far names it.
    pub fn place(&self, id: &ChunkId) -> Option<Location> {
        let later = self.later_index();
        later.as_deref().unwrap_or(self.index).find(&id.0).find(|location| location.header.kind == PackKind::Data)
    }

    /// Opens the frame at `location`, so that what is in it is at hand for a while. What fails here fails again, with a word,
    /// for whoever wants it.
    pub fn warm(&self, location: &Location) {
        drop(self.frame(location));
    }

    /// What was missed so far may be there by now.
    pub fn look_again(&self) {
        self.later.lock().expect("because no holder panics").settled.clear();
    }

    /// A chunk or page by the kind of pack it is in.
    pub fn stored(&self, kind: PackKind, id: &[u8; 32]) -> Result<Bytes, RepositoryError> {
        let mut tried = self.later_index();
        let mut failure = match self.read_by(tried.as_deref().unwrap_or(self.index), kind, id) {
            Ok(chunk) => return Ok(chunk),
            Err(failure) => failure,
        };
        if self.index.is_cache_damaged() {
            let reason = "the local cache of the index was damaged; the next command makes it anew".to_owned();
            return Err(RepositoryError::Missing { kind: kind.member(), id: hex::encode(id), reason });
        }
        if let Some(newer) = self.newer_index(tried.as_ref(), failure.as_ref())? {
            match self.read_by(&newer, kind, id) {
                Ok(chunk) => return Ok(chunk),
                Err(other) => failure = other.or(failure),
            }
            tried = Some(newer);
        }
        match self.read_by(&*self.beside(tried.as_ref())?, kind, id) {
            Ok(chunk) => return Ok(chunk),
            Err(other) => failure = failure.or(other),
        }
        let reason = match failure {
            // It may be there: storage did not answer.
            Some(error) if !error.is_damage() => return Err(error),
            Some(error) => error.to_string(),
            None => "no pack has it".to_owned(),
        };
        Err(RepositoryError::Missing { kind: kind.member(), id: hex::encode(id), reason })
    }

    fn later_index(&self) -> Option<Arc<Index>> {
        self.later.lock().expect("because no holder panics").index.clone()
    }

    /// The index as it is now, if it is another than the one that was `tried` and failed. Readers do not register with
    /// pruners: on a missing object they look once more and go on.
    fn newer_index(
        &self,
        tried: Option<&Arc<Index>>,
        failure: Option<&RepositoryError>,
    ) -> Result<Option<Arc<Index>>, RepositoryError> {
        // Held while reading, so that one thread reads the index and the others take it.
        let mut later = self.later.lock().expect("because no holder panics");
        if let Some(index) = &later.index
            && !tried.is_some_and(|tried| Arc::ptr_eq(tried, index))
        {
            return Ok(Some(Arc::clone(index)));
        }
        let pack = failure.and_then(RepositoryError::pack);
        // A store that does not answer has not moved anything.
        let is_silent = failure.is_some_and(|failure| !failure.is_damage());
        if is_silent || pack.is_some_and(|pack| later.settled.contains(&pack)) {
            return Ok(None);
        }
        match self.repository.index_since(later.index.as_deref().unwrap_or(self.index))? {
            Some(index) => {
                let index = Arc::new(index);
                *later = Later { index: Some(Arc::clone(&index)), ..Later::default() };
                Ok(Some(index))
            }
            None => {
                later.settled.extend(pack);
                Ok(None)
            }
        }
    }

    /// What is in the packs that the index does not name, looked at once for each index and only when something is missed.
    fn beside(&self, tried: Option<&Arc<Index>>) -> Result<Arc<Index>, RepositoryError> {
        let mut later = self.later.lock().expect("because no holder panics");
        if let Some(beside) = &later.beside {
            return Ok(Arc::clone(beside));
        }
        let packs = self.repository.packs_beside(tried.map_or(self.index, |tried| tried))?;
        let mut beside = Index::default();
        if !packs.is_empty() {
            beside.adopt(&packs)?;
        }
        let beside = Arc::new(beside);
        later.beside = Some(Arc::clone(&beside));
        Ok(beside)
    }

    /// The chunk or page by what `index` knows, or why the last place of it does not serve.
    fn read_by(&self, index: &Index, kind: PackKind, id: &[u8; 32]) -> Result<Bytes, Option<RepositoryError>> {
        let mut failure = None;
        for location in index.find(id).filter(|location| location.header.kind == kind) {
            match self.read_at(&location, id) {
                Ok(chunk) => return Ok(chunk),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure)
    }

    fn read_at(&self, location: &Location, id: &[u8; 32]) -> Result<Bytes, RepositoryError> {
        let content = self.frame(location)?;
        let chunk = FrameReader::proven(self.repository, &content, location, id)?;
        Ok(content.slice_ref(chunk))
    }

    /// A frame's content. Threads that want the same frame wait for the first of them instead of opening it too.
    fn frame(&self, location: &Location) -> Result<Bytes, RepositoryError> {
        let place = (location.pack, location.frame.number);
        let slot = self.frames.lock().expect("because no holder panics").slot(place);
        let mut held = slot.lock().expect("because no holder panics");
        if let Some(content) = &*held {
            return Ok(content.clone());
        }
        let free = self.decoders.lock().expect("because no holder panics").pop();
        let mut reader = free.map_or_else(|| FrameReader::new(self.repository), Ok)?;
        let content = self.read_frame(&mut reader, location);
        self.decoders.lock().expect("because no holder panics").push(reader);
        let length = content.as_ref().map_or(0, Bytes::len);
        *held = content.as_ref().ok().cloned();
        self.frames.lock().expect("because no holder panics").note_filled(&place, &slot, length);
        content
    }
}

/// Where a frame's content is, once somebody opened it.
type FrameSlot = Arc<Mutex<Option<Bytes>>>;

/// Decompressed frames, the oldest leaving first.
#[derive(Default)]
struct FrameCache {
    frames: HashMap<(PackId, u64), FrameSlot>,
    order: VecDeque<(PackId, u64)>,
    size: usize,
    size_max: usize,
}

impl FrameCache {
    fn slot(&mut self, place: (PackId, u64)) -> FrameSlot {
        let order = &mut self.order;
        let slot = self.frames.entry(place).or_insert_with(|| {
            order.push_back(place);
            FrameSlot::default()
        });
        Arc::clone(slot)
    }

    /// Notes that a slot, still locked, was filled; lets the oldest go where that is too much. Whoever holds one keeps it.
    fn note_filled(&mut self, place: &(PackId, u64), slot: &FrameSlot, length: usize) {
        if !self.frames.get(place).is_some_and(|kept| Arc::ptr_eq(kept, slot)) {
            return;
        }
        self.size += length;
        while self.size > self.size_max && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("because there is more than one");
            let Some(leaving) = self.frames.remove(&oldest) else { continue };
            self.size -= match leaving.try_lock() {
                Ok(held) => held.as_ref().map_or(0, Bytes::len),
                Err(_) if oldest == *place => length,
                // One that is being filled was not counted yet, and will not be.
                Err(_) => 0,
            };
        }
    }
}
