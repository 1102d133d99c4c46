//! The life of one repository, a cycle a day: edits, backup, forgetting by rules, prune, check, restore; now and then a crash.
//!
//! What it takes is held against what its snapshots need, which is counted from the files themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use snap::id::SnapshotId;
use snap::operation::check::Verdict;
use snap::operation::forget::ForgetPlan;
use snap::operation::forget::policy::{Interval, LastComplete, Rules};
use snap::operation::selection::Selection;
use snap::progress::Silent;
use snap::repository::Repository;
use snap::storage::faulty::{Effect, Fault, Lasting};
use snap::storage::name::Prefix;

use super::scene::{Files, Scene, noise};

const DAY: u64 = 86_400;
/// Retention, and so the most snapshots there may be.
const RULES: [(Interval, u32); 4] =
    [(Interval::Day, 7), (Interval::Week, 5), (Interval::Month, 12), (Interval::Year, 10)];
/// Files in the tree, at most.
const FILES: u64 = 24;
/// A part of what is stored, in ten thousandths, that may be unused after a prune.
const UNUSED: u16 = 500;

/// What a life came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) cycles: u64,
    pub(crate) crashes: u64,
    pub(crate) packs_deleted: u64,
    pub(crate) bytes_deleted: u64,
    pub(crate) restores: u64,
    /// The most of each at the end of any day.
    pub(crate) snapshots_max: u64,
    pub(crate) pack_bytes_max: u64,
    pub(crate) needed_bytes_max: u64,
    pub(crate) packs_max: u64,
    /// Objects that are neither packs nor of generations, which are never deleted.
    pub(crate) others_max: u64,
    /// At the end.
    pub(crate) generations: u64,
    pub(crate) generation_bytes: u64,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

/// The content of a file: a number that decides it, and its length.
type Drawn = BTreeMap<String, (u64, usize)>;

struct Life {
    scene: Scene,
    random: Random,
    tree: Drawn,
    /// The trees of the snapshots that count.
    known: BTreeMap<SnapshotId, Drawn>,
    /// Sessions whose writer died: their marks and cells stay.
    dead: u64,
    counts: Counts,
}

/// Lives so many cycles; says what went wrong, and when.
pub(crate) fn live(cycles: u64, seed: u64) -> Result<Counts, String> {
    let (scene, random) = (Scene::new(), Random(seed.wrapping_mul(0xa076_1d64_78bd_642f)));
    let (tree, known) = (Drawn::new(), BTreeMap::new());
    let mut life = Life { scene, random, tree, known, dead: 0, counts: Counts::default() };
    for cycle in 0..cycles {
        life.cycle(cycle).map_err(|failure| format!("seed {seed}, day {cycle}: {failure}"))?;
    }
    Ok(life.counts)
}

fn said<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what} fails: {error}")
}

impl Life {
    fn cycle(&mut self, cycle: u64) -> Result<(), String> {
        self.scene.pass(DAY);
        self.edit();
        let files: Files = self.tree.iter().map(|(name, (seed, size))| (name.clone(), noise(*size, *seed))).collect();
        self.scene.show(&files);
        if self.random.below(10) == 0 {
            self.crash(30, Self::back_up);
            // Its writer may have died without hearing that it had committed.
            for snapshot in self.scene.another().snapshots().map_err(said("reading the snapshots"))?.valid {
                let tree = &self.tree;
                self.known.entry(snapshot.id).or_insert_with(|| tree.clone());
            }
        }
        self.back_up(&self.scene.another())?;
        self.forget()?;
        if self.random.below(10) == 0 {
            self.crash(60, Self::prune);
        }
        self.prune(&self.scene.another())?;
        self.restore_one()?;
        if cycle % 5 == 4 {
            let report = self.scene.check();
            if report.verdict() != Verdict::Sound {
                return Err(format!("the check says {report:?}"));
            }
        }
        self.counts.cycles += 1;
        self.measure()
    }

    fn edit(&mut self) {
        for _ in 0..=self.random.below(4) {
            let name = format!("file{}", self.random.below(FILES));
            match self.random.below(8) {
                0 => drop(self.tree.remove(&name)),
                // The content of another, or one that was there long ago.
                1 => {
                    let other = format!("file{}", self.random.below(FILES));
                    let old = self.known.values().next().and_then(|tree| tree.get(&other)).copied();
                    if let Some(content) = old {
                        self.tree.insert(name, content);
                    }
                }
                _ => {
                    let size = 1000 + usize::try_from(self.random.below(40_000)).expect("it is small");
                    self.tree.insert(name, (self.random.below(u64::MAX), size));
                }
            }
        }
    }

    fn back_up(&mut self, repository: &Arc<Repository>) -> Result<(), String> {
        let id = self.scene.try_back_up(repository).map_err(said("the backup"))?;
        self.known.insert(id, self.tree.clone());
        Ok(())
    }

    /// The process dies at one of the next calls, or ends before.
    fn crash(&mut self, calls: u64, act: impl FnOnce(&mut Self, &Arc<Repository>) -> Result<(), String>) {
        let repository = self.scene.another();
        let at = self.scene.storage.calls_total() + 1 + self.random.below(calls);
        self.scene.storage.plan(Fault { attempt: None, at, lasting: Lasting::Forever, effect: Effect::Crash });
        let is_dead = act(self, &repository).is_err();
        self.scene.storage.recover();
        self.dead += u64::from(is_dead);
        self.counts.crashes += u64::from(is_dead);
        // Whoever gives no sign so long is held for dead.
        self.scene.sleep_long();
    }

    fn forget(&mut self) -> Result<(), String> {
        let repository = self.scene.another();
        let snapshots = repository.snapshots().map_err(said("reading the snapshots"))?.valid;
        let rules = Rules {
            newest: RULES.into_iter().collect(),
            within: None,
            tags: Vec::new(),
            last_complete: LastComplete::Stays,
        };
        let now = self.scene.now();
        let plan = ForgetPlan::by_rules(&snapshots, &Selection::default(), &rules, now, &TimeZone::UTC);
        for snapshot in plan.going() {
            if self.known.remove(&snapshot.id).is_none() {
                return Err(format!("{} goes, and nobody knows it", snapshot.id));
            }
        }
        plan.carry_out(&repository, now, "host", &Silent).map_err(said("forgetting"))?;
        let most: u32 = RULES.iter().map(|(_, count)| count).sum();
        let ids: BTreeSet<SnapshotId> = repository
            .snapshots()
            .map_err(said("reading the snapshots"))?
            .valid
            .iter()
            .map(|snapshot| snapshot.id)
            .collect();
        if !ids.iter().eq(self.known.keys()) || ids.len() > usize::try_from(most).expect("it is small") {
            return Err(format!("{ids:?} count, not {:?}", self.known.keys()));
        }
        Ok(())
    }

    fn prune(&mut self, repository: &Arc<Repository>) -> Result<(), String> {
        let report = self.scene.prune_with(repository, UNUSED).map_err(said("the prune"))?;
        self.counts.packs_deleted += report.swept.packs;
        self.counts.bytes_deleted += report.swept.bytes;
        if report.waits_for.is_empty() { Ok(()) } else { Err(format!("the prune waits for {:?}", report.waits_for)) }
    }

    fn restore_one(&mut self) -> Result<(), String> {
        let at = self.random.below(self.known.len() as u64);
        let (id, tree) = self.known.iter().nth(usize::try_from(at).expect("it is small")).expect("it is an index");
        let restored = self.scene.restored(&self.scene.another(), *id)?;
        let wanted: Files = tree.iter().map(|(name, (seed, size))| (name.clone(), noise(*size, *seed))).collect();
        self.counts.restores += 1;
        if restored == wanted { Ok(()) } else { Err(format!("{id} restores {:?}", restored.keys())) }
    }

    /// What there is stays within what the snapshots need.
    fn measure(&mut self) -> Result<(), String> {
        let contents: BTreeSet<(u64, usize)> = self.known.values().flat_map(|tree| tree.values().copied()).collect();
        let needed: u64 = contents.iter().map(|(_, size)| *size as u64).sum();
        let snapshots = self.known.len() as u64;
        let (bytes, packs) = (self.scene.bytes(Prefix::Packs), self.scene.names(Prefix::Packs).len() as u64);
        let others: u64 = [Prefix::Sessions, Prefix::Cells, Prefix::Forgets, Prefix::Index, Prefix::Base]
            .map(|prefix| self.scene.names(prefix).len() as u64)
            .iter()
            .sum();
        let counts = &mut self.counts;
        counts.snapshots_max = counts.snapshots_max.max(snapshots);
        counts.pack_bytes_max = counts.pack_bytes_max.max(bytes);
        counts.needed_bytes_max = counts.needed_bytes_max.max(needed);
        counts.packs_max = counts.packs_max.max(packs);
        counts.others_max = counts.others_max.max(others);
        counts.generations = self.scene.names(Prefix::Generations).len() as u64;
        counts.generation_bytes = self.scene.bytes(Prefix::Generations);
        // Beside the contents: pages, frames and padding of each snapshot, and what may be unused.
        let bytes_max = (needed + snapshots * 24_000) * 112 / 100 + 200_000;
        // Each holds something that is needed.
        let packs_max = contents.len() as u64 + 3 * snapshots + 60;
        // A dead session leaves its mark and its cell; the deltas are those since the last generation.
        let others_max = snapshots + 2 * self.dead + 3 * 64 + 40;
        if bytes > bytes_max || packs > packs_max || others > others_max {
            return Err(format!(
                "{bytes} bytes in {packs} packs and {others} others for {snapshots} snapshots that need {needed}"
            ));
        }
        Ok(())
    }
}
