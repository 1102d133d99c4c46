//! How much of each pack is in use, from what is marked.
//!
//! Of a chunk with several copies one is the best: in a sound pack, then in the fullest. Only that counts as used, so that
//! of packs that hold the same the emptier goes.

use std::collections::HashMap;

use crate::id::PackId;
use crate::operation::mark::Marks;
use crate::operation::prune::plan::{PackState, PackUse};
use crate::repository::index::Index;

/// What is in use of every pack that the index names or storage has.
pub fn usage(index: &Index, marks: &Marks, stored: &HashMap<PackId, u64>) -> Vec<PackUse> {
    let mut packs = named(index, stored);
    let unnamed = stored.iter().filter(|(id, _)| !packs.contains_key(*id));
    let unnamed: Vec<PackUse> = unnamed.map(|(id, size)| empty(*id, *size, PackState::Unnamed)).collect();
    for (ordinal, _, location) in index.copies() {
        let Some(pack) = packs.get_mut(&location.pack) else { continue };
        pack.total += u64::from(location.length);
        if marks.contains(ordinal) {
            pack.used += u64::from(location.length);
        }
    }
    let mut better: Vec<(PackId, u64)> = Vec::new();
    for (ordinal, id, location) in index.copies() {
        if !marks.contains(ordinal) || index.ordinals(&id).nth(1).is_none() {
            continue;
        }
        let worth = |ordinal: usize, pack: &PackId| {
            packs.get(pack).map(|pack| (pack.state == PackState::Sound, pack.used, pack.id, std::cmp::Reverse(ordinal)))
        };
        // Copies come in the order of their ordinals, which decide between two in one pack.
        let places = index.ordinals(&id).filter_map(|ordinal| Some((ordinal, index.place(ordinal)?.pack)));
        let best = places.filter_map(|(ordinal, pack)| worth(ordinal, &pack)).max();
        if best != worth(ordinal, &location.pack) {
            better.push((location.pack, u64::from(location.length)));
        }
    }
    for (pack, length) in better {
        if let Some(pack) = packs.get_mut(&pack) {
            pack.used -= length;
            pack.duplicate += length;
        }
    }
    packs.into_values().chain(unnamed).collect()
}

fn named(index: &Index, stored: &HashMap<PackId, u64>) -> HashMap<PackId, PackUse> {
    let state = |id: &PackId, size: u64| match stored.get(id) {
        None => PackState::Missing,
        // One that was cut short is as good as damaged.
        Some(there) if *there != size || index.is_distrusted(id) => PackState::Distrusted,
        Some(_) => PackState::Sound,
    };
    let packs = index.packs().map(|pack| (pack.id, u64::from(pack.size)));
    packs.map(|(id, size)| (id, empty(id, size, state(&id, size)))).collect()
}

fn empty(id: PackId, size: u64, state: PackState) -> PackUse {
    PackUse { id, size, total: 0, used: 0, duplicate: 0, state }
}
