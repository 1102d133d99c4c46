//! Every way to damage one object of a repository, numbered, and what must then be true.
//!
//! Whatever is done to an object: nothing panics, nothing comes back that was not stored, and `check` does not call the
//! repository sound. `benches/damage.rs` runs all of it, `sample` in this folder a part.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;
use snap::operation::check::{CheckRequest, Depth, Verdict, check};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::storage::Storage;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};

use super::fixture::{Fixture, ReadBack, pruned};

/// What is done to the object of an ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Flip { object: usize, bit: usize },
    Truncate { object: usize, length: usize },
    Delete { object: usize },
    Zero { object: usize },
    Append { object: usize },
    Swap { object: usize, other: usize },
}

/// What came of some cases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    /// Cases in which check found the damage.
    pub(crate) found: u64,
    /// Cases that need not be found, the object's absence being a state like any other.
    pub(crate) lawful: u64,
    /// Cases in which everything could be read all the same.
    pub(crate) served: u64,
    /// Cases in which a promise was broken.
    pub(crate) wrong: u64,
    /// The first of those.
    pub(crate) examples: Vec<String>,
}

impl Tally {
    const EXAMPLES_MAX: usize = 20;

    pub(crate) fn add(mut self, other: Self) -> Self {
        self.cases += other.cases;
        self.found += other.found;
        self.lawful += other.lawful;
        self.served += other.served;
        self.wrong += other.wrong;
        self.examples.extend(other.examples);
        self.examples.truncate(Self::EXAMPLES_MAX);
        self
    }
}

impl Fixture {
    /// How many bits, lengths and other damages there are.
    pub(crate) fn case_count(&self) -> u64 {
        let bytes: usize = self.objects.iter().map(|(_, content)| content.len()).sum();
        9 * bytes as u64
    }

    /// The bit flip or truncation of this number.
    pub(crate) fn case(&self, number: u64) -> Damage {
        let mut rest = usize::try_from(number).expect("it is below the count");
        for (object, (_, content)) in self.objects.iter().enumerate() {
            let bits = 8 * content.len();
            if rest < bits {
                return Damage::Flip { object, bit: rest };
            }
            rest -= bits;
            if rest < content.len() {
                return Damage::Truncate { object, length: rest };
            }
            rest -= content.len();
        }
        unreachable!("there is no case {number}")
    }

    /// All that can be done to whole objects.
    pub(crate) fn whole_object_cases(&self) -> Vec<Damage> {
        let mut cases = Vec::new();
        for object in 0..self.objects.len() {
            cases.extend([Damage::Delete { object }, Damage::Zero { object }, Damage::Append { object }]);
            let kind = |object: usize| self.objects[object].0.folder_and_file().0.split('/').next().map(str::to_owned);
            let others = (0..object).filter(|&other| kind(other) == kind(object));
            let differ = |other: &usize| self.objects[*other].1 != self.objects[object].1;
            cases.extend(others.filter(differ).map(|other| Damage::Swap { object, other }));
        }
        cases
    }

    /// Prunes after each of these damages: what could be read before can be read after.
    pub(crate) fn run_prunes(&self, cases: impl ParallelIterator<Item = Damage>) -> Tally {
        cases.map(|damage| self.suffer_by(damage, Self::judge_prune)).reduce(Tally::default, Tally::add)
    }

    /// A prune stops, or it loses nothing. *Found* are the damages at which it stops, *served* those at which it does not.
    fn judge_prune(&self, damage: Damage) -> Tally {
        let storage = self.damaged(damage);
        let stops = Tally { found: 1, ..Tally::default() };
        let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
        let Ok(repository) = Repository::open(shared, &self.opener, None) else { return stops };
        let repository = Arc::new(repository);
        let before = self.readable(&repository);
        storage.advance(std::time::Duration::from_secs(7 * 3600));
        let outcome = pruned(&repository);
        let after = Repository::open(storage, &self.opener, None).map(|repository| self.readable(&repository));
        let after = after.unwrap_or_default();
        match before.difference(&after).next() {
            Some(lost) => {
                Tally { wrong: 1, examples: vec![format!("{lost:?} is lost: {outcome:?}")], ..Tally::default() }
            }
            None if outcome.is_err() => stops,
            None => Tally { served: 1, ..Tally::default() },
        }
    }

    /// Does damages, one by one, each to a fresh copy; on all processors.
    pub(crate) fn run(&self, cases: impl ParallelIterator<Item = Damage>) -> Tally {
        cases.map(|damage| self.suffer(damage)).reduce(Tally::default, Tally::add)
    }

    fn suffer(&self, damage: Damage) -> Tally {
        self.suffer_by(damage, Self::judge)
    }

    fn suffer_by(&self, damage: Damage, judge: fn(&Self, Damage) -> Tally) -> Tally {
        let verdict = catch_unwind(AssertUnwindSafe(|| judge(self, damage)));
        let mut tally = verdict.unwrap_or_else(|_| Tally {
            wrong: 1,
            examples: vec!["something panicked".to_owned()],
            ..Tally::default()
        });
        tally.cases = 1;
        let (name, _) = &self.objects[damage.object()];
        tally.examples.iter_mut().for_each(|example| *example = format!("{damage:?} of {name}: {example}"));
        tally
    }

    fn judge(&self, damage: Damage) -> Tally {
        let storage = self.damaged(damage);
        let found = Tally { found: 1, ..Tally::default() };
        let wrong = |example: String| Tally { wrong: 1, examples: vec![example], ..Tally::default() };
        let Ok(repository) = Repository::open(storage, &self.opener, None) else { return found };
        let read = self.read_back(&repository);
        if let ReadBack::Wrong(what) = read {
            return wrong(what);
        }
        let request = CheckRequest { depth: Depth::Data(100.0), threads: 1, now: jiff::Timestamp::UNIX_EPOCH };
        let Ok(report) = check(&repository, &request, &Silent) else { return found };
        if report.verdict() == Verdict::Recoverable && read == ReadBack::Refused {
            return wrong(format!("check calls it recoverable, reading failed: {:?}", report.damaged));
        }
        let served = u64::from(read == ReadBack::Whole);
        let is_noticed = report.verdict() != Verdict::Sound
            || !repository.notices().is_empty()
            || self.means_nothing(damage) && report.unfinished_sessions + report.unnamed_packs > 0;
        if is_noticed {
            Tally { served, ..found }
        } else if self.means_nothing(damage) && served == 1 {
            Tally { lawful: 1, served, ..Tally::default() }
        } else {
            wrong(format!("check calls it sound, reading is {read:?}"))
        }
    }

    /// A session mark, a forget mark, a cell, an intent that was not decided and the last manifest's copy may be absent by right;
    /// nothing that is left depends on them. The intent of what is decided says nothing any more, whatever becomes of it.
    fn means_nothing(&self, damage: Damage) -> bool {
        let (name, _) = &self.objects[damage.object()];
        if name.prune_intent_number() == Some(1) {
            return true;
        }
        let may_be_absent = [Prefix::Sessions, Prefix::Forgets, Prefix::Cells, Prefix::Index];
        let is_last = name.prune_intent_number() == Some(2) || name.prune_manifest_copy_number() == Some(1);
        let may_be_absent = is_last || may_be_absent.iter().any(|prefix| prefix.covers(name));
        matches!(damage, Damage::Delete { .. }) && may_be_absent
    }

    fn damaged(&self, damage: Damage) -> Arc<MemoryStorage> {
        let storage = Arc::new(MemoryStorage::new());
        for (name, content) in &self.objects {
            storage.tamper(name, content.clone());
        }
        let put = |object: usize, content: Bytes| storage.tamper(&self.objects[object].0, content);
        let content = |object: usize| &self.objects[object].1;
        match damage {
            Damage::Flip { object, bit } => {
                let mut bytes = content(object).to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                put(object, bytes.into());
            }
            Damage::Truncate { object, length } => put(object, content(object).slice(..length)),
            Damage::Delete { object } => storage.delete(&self.objects[object].0).expect("memory deletes"),
            Damage::Zero { object } => put(object, vec![0; content(object).len()].into()),
            Damage::Append { object } => put(object, [content(object), &[0][..]].concat().into()),
            Damage::Swap { object, other } => {
                put(object, content(other).clone());
                put(other, content(object).clone());
            }
        }
        storage
    }

    /// How many bytes of every kind there are, a line each.
    pub(crate) fn inventory(&self) -> Vec<String> {
        self.objects
            .iter()
            .map(|(name, content): &(ObjectName, Bytes)| format!("{:>7} {name}", content.len()))
            .collect()
    }
}

impl Damage {
    fn object(self) -> usize {
        match self {
            Self::Flip { object, .. }
            | Self::Truncate { object, .. }
            | Self::Delete { object }
            | Self::Zero { object }
            | Self::Append { object }
            | Self::Swap { object, .. } => object,
        }
    }
}

/// The numbers below `bound` that a seed draws (SplitMix64).
pub(crate) fn draw(seed: u64, count: u64, bound: u64) -> impl ParallelIterator<Item = u64> {
    (0..count).into_par_iter().map(move |at| {
        let mut bits = seed.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    })
}
