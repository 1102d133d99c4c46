//! Packs under a check: whether those that the index names are there in full, and reading them byte by byte.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use jiff::Timestamp;

use crate::id::PackId;
use crate::operation::check::CheckRequest;
use crate::operation::check::verified::Verified;
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::Index;
use crate::storage::name::Prefix;

/// The packs of a repository: on storage, in the index, and those that cannot be trusted.
#[derive(Debug, Default)]
pub(super) struct Packs {
    /// Size of each pack on storage.
    pub(super) stored: HashMap<PackId, u64>,
    /// Packs that no index names.
    pub(super) unnamed: Vec<(PackId, u64)>,
    /// Packs that are missing, too short or too long, or damaged inside, and why.
    pub(super) suspects: Vec<(PackId, String)>,
}

impl Packs {
    /// Compares the index with what is on storage.
    pub(super) fn survey(repository: &Repository, index: &Index) -> Result<Self, RepositoryError> {
        let listed = repository.storage().list(&Prefix::Packs)?;
        let stored: HashMap<PackId, u64> =
            listed.iter().filter_map(|object| Some((object.name.pack_id()?, object.size))).collect();
        let mut named = HashSet::new();
        let mut suspects = Vec::new();
        for pack in index.packs() {
            if !named.insert(pack.id) {
                continue;
            }
            match stored.get(&pack.id) {
                Some(size) if *size == u64::from(pack.size) => {}
                Some(size) => suspects.push((pack.id, format!("it has {size} bytes, not {}", pack.size))),
                None => suspects.push((pack.id, "it is missing".to_owned())),
            }
        }
        let mut unnamed: Vec<(PackId, u64)> =
            stored.iter().filter(|(id, _)| !named.contains(id)).map(|(id, size)| (*id, *size)).collect();
        unnamed.sort();
        Ok(Self { stored, unnamed, suspects })
    }

    /// Makes suspects of packs that were read and found damaged, as far as they are still there.
    pub(super) fn distrust(&mut self, damaged: &[(PackId, String)]) {
        for (pack, reason) in damaged.iter().filter(|(pack, _)| self.stored.contains_key(pack)) {
            self.suspects.retain(|(suspect, _)| suspect != pack);
            self.suspects.push((*pack, reason.clone()));
        }
    }

    /// Bytes of all packs on storage.
    pub(super) fn bytes(&self) -> u64 {
        self.stored.values().sum()
    }
}

/// What reading packs came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataRead {
    /// Packs that were read.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs on storage that were never found whole, this time included.
    pub never: u64,
    /// When the pack that was found whole longest ago was so; `None` if some never was or none is known.
    pub oldest: Option<Timestamp>,
}

/// Reads `percent` of the bytes of all packs, those first that were found whole longest ago; returns what is damaged, and why.
pub(super) fn read_data(
    repository: &Repository,
    packs: &Packs,
    request: &CheckRequest,
    percent: f64,
    progress: &dyn Progress,
) -> Result<(DataRead, Vec<(PackId, String)>), RepositoryError> {
    let mut verified = Verified::load(repository.cache().folder());
    verified.retain(|pack| packs.stored.contains_key(pack));
    let chosen = choose(packs, &verified, percent);
    let total: u64 = chosen.iter().map(|(_, size)| size).sum();
    progress.report(Event::Started { agent: "packs".to_owned() });
    let (next, done_bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let results = Mutex::new((0_u64, Vec::new(), Vec::new()));
    let read_packs = || {
        while let Some((pack, size)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            if progress.interrupted() {
                return;
            }
            let result = repository.verify_pack(pack);
            let bytes = done_bytes.fetch_add(*size, Ordering::Relaxed) + size;
            let mut results = results.lock().expect("because no holder panics");
            results.0 += 1;
            match result {
                Ok(_) => results.1.push(*pack),
                Err(error) => results.2.push((*pack, error)),
            }
            progress.report(Event::Advanced {
                agent: "packs".to_owned(),
                items: results.0,
                items_total: chosen.len() as u64,
                bytes,
                bytes_total: total,
                listed: true,
            });
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..request.threads.max(1) {
            scope.spawn(read_packs);
        }
        read_packs();
    });
    progress.report(Event::Finished { agent: "packs".to_owned() });
    let (count, whole, damaged) = results.into_inner().expect("because no holder panicked");
    for pack in whole {
        verified.insert(pack, request.now);
    }
    for (pack, _) in &damaged {
        verified.remove(pack);
    }
    if let Err(error) = verified.store() {
        let message = format!("what was verified cannot be remembered: {error}");
        progress.report(Event::Warning { message });
    }
    let times = packs.stored.keys().map(|pack| verified.time_of(pack));
    let never = times.clone().filter(Option::is_none).count() as u64;
    let oldest = times.min().flatten();
    let damaged = damaged.into_iter().map(|(pack, error)| (pack, reason(error))).collect();
    Ok((DataRead { packs: count, bytes: done_bytes.into_inner(), never, oldest }, damaged))
}

fn reason(error: RepositoryError) -> String {
    match error {
        RepositoryError::PackDamaged { reason, .. } => reason,
        other => other.to_string(),
    }
}

fn choose(packs: &Packs, verified: &Verified, percent: f64) -> Vec<(PackId, u64)> {
    let mut all: Vec<(PackId, u64)> = packs.stored.iter().map(|(id, size)| (*id, *size)).collect();
    // The id decides between packs of one time, so that runs of small percentages come round.
    all.sort_by_key(|(id, _)| (verified.time_of(id), *id));
    let wanted = packs.bytes() as f64 * percent / 100.0;
    let mut taken = 0.0;
    let enough = all.iter().position(|(_, size)| {
        let is_enough = taken >= wanted;
        taken += *size as f64;
        is_enough
    });
    all.truncate(enough.unwrap_or(all.len()));
    all
}

#[cfg(test)]
mod tests {
    use super::{Packs, choose};
    use crate::id::PackId;
    use crate::operation::check::verified::Verified;
    use jiff::Timestamp;

    #[test]
    fn a_part_takes_what_was_verified_longest_ago_first() {
        let pack = |number: u8| PackId([number; 32]);
        let packs = Packs { stored: (0..10).map(|number| (pack(number), 100)).collect(), ..Packs::default() };
        let mut verified = Verified::default();
        for number in 0..10 {
            if number != 4 {
                verified.insert(pack(number), Timestamp::from_second(i64::from(100 - number)).expect("in range"));
            }
        }
        let chosen = |percent| choose(&packs, &verified, percent).iter().map(|(id, _)| id.0[0]).collect::<Vec<_>>();
        assert_eq!(chosen(20.0), [4, 9]);
        assert_eq!(chosen(0.1), [4]);
        assert_eq!(chosen(100.0).len(), 10);
    }
}
