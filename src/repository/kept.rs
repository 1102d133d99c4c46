//! Packs of pages in the local cache of a store that is far: fetched whole, read frame by frame.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::codec::hash::pack_id;
use crate::id::PageId;
use crate::repository::error::RepositoryError;
use crate::repository::get_at_most;
use crate::repository::index::segment::{FrameLocation, Location};
use crate::repository::pack::PackKind;
use crate::repository::reader::{FrameReader, Reader};
use crate::storage::name::ObjectName;
use crate::storage::together::{Nearby, each};

/// Largest pack of pages that is kept in the local cache; packs have half as much.
pub(super) const KEPT_PACK_SIZE_MAX: u64 = 16 << 20;
/// Packs of pages that are fetched at once: each is in memory until it is kept.
const FETCHED_AT_ONCE: usize = 8;

/// A pack of pages that is being had: whether it was fetched whole already.
pub(super) type Fetched = Arc<Mutex<bool>>;

impl Reader<'_> {
    /// A frame's content: from the local cache, if it is of pages and opens there, else from storage.
    pub(super) fn read_frame(
        &self,
        reader: &mut FrameReader<'_>,
        location: &Location,
    ) -> Result<Bytes, RepositoryError> {
        let objects = &self.repository.objects;
        if location.header.kind == PackKind::Pages
            && objects.is_there()
            && let Some(kept) = self.kept_frame(location)
        {
            match reader.open(location, &kept) {
                Ok(content) => return Ok(Bytes::copy_from_slice(content)),
                Err(_) => objects.forget_pack(&location.pack),
            }
        }
        reader.read(location).map(Bytes::copy_from_slice)
    }

    /// Stored bytes of a frame in the cache, into which its whole pack is fetched first: who wants one page mostly wants
    /// those beside it, and a pack is one round trip as a frame is.
    fn kept_frame(&self, location: &Location) -> Option<Bytes> {
        let (objects, pack) = (&self.repository.objects, &location.pack);
        let FrameLocation { offset, record, .. } = location.frame;
        let fetched = Arc::clone(self.fetched.lock().expect("because no holder panics").entry(*pack).or_default());
        let mut fetched = fetched.lock().expect("because no holder panics");
        if *fetched || objects.has_pack(pack) {
            return objects.pack_range(pack, offset, record.size());
        }
        *fetched = true;
        let stored = get_at_most(self.repository.storage.as_ref(), &ObjectName::pack(pack), KEPT_PACK_SIZE_MAX).ok()?;
        if pack_id(&stored) != *pack {
            return None;
        }
        objects.keep_pack(pack, &stored);
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(record.size()).ok()?)?;
        (end <= stored.len()).then(|| stored.slice(start..end))
    }

    /// Fetches the packs that hold these pages into the cache, all at once; without a cache, or near, nothing is done.
    pub fn fetch_pages(&self, ids: &mut dyn Iterator<Item = &PageId>) {
        if !self.repository.objects.is_there() {
            return;
        }
        let mut places: Vec<Location> = Vec::new();
        for id in ids {
            let place = self.index.find(&id.0).find(|location| location.header.kind == PackKind::Pages);
            places.extend(place.filter(|place| !places.iter().any(|known| known.pack == place.pack)));
        }
        places.retain(|place| !self.repository.objects.has_pack(&place.pack));
        if places.len() > 1 {
            // What cannot be had is told by whoever reads it.
            for places in places.chunks(FETCHED_AT_ONCE) {
                let _ = each(self.repository.storage.as_ref(), Nearby::InTurn, places, |place| self.kept_frame(place));
            }
        }
    }
}
