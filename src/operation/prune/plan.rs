//! What a prune would do: a pure function of how much of each pack is in use.
//!
//! Packs that hold nothing of use go. Of those that hold some, the emptiest are repacked until what stays unused is within
//! the limit; bytes that are not worth it are left.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::id::PackId;

/// Most packs that go in one run; the others go in the next. An intent and a manifest name each, and these are bounded.
pub const CONDEMNED_MAX: usize = 1 << 18;

/// How much of a pack is in use. Bytes are those of its chunks before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackUse {
    /// Which pack.
    pub id: PackId,
    /// Bytes it has on storage.
    pub size: u64,
    /// Bytes of all chunks in it; 0 where no index names it.
    pub total: u64,
    /// Bytes of those that are in use and have no better copy.
    pub used: u64,
    /// Bytes of those that are in use and have a better copy in another pack.
    pub duplicate: u64,
    /// What else is known of it.
    pub state: PackState,
}

/// What is known of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackState {
    /// An index names it, and it is there.
    Sound,
    /// A check found it damaged.
    Distrusted,
    /// It is there and no index names it: an interrupted run left it behind, or one under way has just put it.
    Unnamed,
    /// An index names it and it is not there.
    Missing,
}

/// Why a pack goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No snapshot refers to anything in it.
    Unreachable,
    /// All that is in use of it has a better copy.
    Duplicate,
    /// No index names it.
    Unnamed,
    /// It is damaged, and all that is in use of it has an intact copy.
    Damaged,
    /// What is in use of it is written to another pack first.
    Repacked,
}

impl Reason {
    /// The word for it in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Duplicate => "duplicate",
            Self::Unnamed => "unnamed",
            Self::Damaged => "damaged",
            Self::Repacked => "repacked",
        }
    }
}

/// What a prune may leave and how much it may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What may stay unused.
    pub max_unused: MaxUnused,
    /// Most bytes on storage of packs that are repacked in one run; no limit where there is none.
    pub max_repack: Option<u64>,
}

/// What may stay unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxUnused {
    /// This part of all that stays, in hundredths of a percent.
    Part(u16),
    /// This many bytes on storage.
    Bytes(u64),
    /// Any amount: nothing is repacked.
    Unlimited,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_unused: MaxUnused::Part(500), max_repack: None }
    }
}

/// What a prune would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Packs that go, and why, in the order of their ids; those that are repacked among them.
    pub condemned: Vec<(PackId, Reason)>,
    /// Of each reason: packs, and their bytes on storage.
    pub reasons: BTreeMap<Reason, (u64, u64)>,
    /// Bytes on storage that what is repacked will take again, as far as can be foretold.
    pub rewritten: u64,
    /// Packs that stay.
    pub kept: u64,
    /// Their bytes on storage.
    pub kept_bytes: u64,
    /// Of those, bytes that nothing refers to.
    pub unused_bytes: u64,
}

impl Plan {
    /// Packs that are to be repacked.
    pub fn repacked(&self) -> impl Iterator<Item = &PackId> {
        self.condemned.iter().filter(|(_, reason)| *reason == Reason::Repacked).map(|(pack, _)| pack)
    }

    /// Bytes on storage that come back, as far as can be foretold.
    pub fn freed(&self) -> u64 {
        self.reasons.values().map(|(_, bytes)| bytes).sum::<u64>().saturating_sub(self.rewritten)
    }

    fn keep(&mut self, pack: &PackUse) {
        self.kept += 1;
        self.kept_bytes += pack.size;
        self.unused_bytes += pack.unused();
    }

    fn condemn(&mut self, pack: &PackUse, reason: Reason) {
        self.condemned.push((pack.id, reason));
        let (packs, bytes) = self.reasons.entry(reason).or_default();
        *packs += 1;
        *bytes += pack.size;
    }
}

impl PackUse {
    /// Bytes on storage that hold nothing of use, as if all chunks of the pack were compressed alike.
    fn unused(&self) -> u64 {
        self.size - self.stored(self.used)
    }

    /// Bytes on storage of a part of its chunks.
    fn stored(&self, part: u64) -> u64 {
        let stored = u128::from(self.size) * u128::from(part.min(self.total)) / u128::from(self.total.max(1));
        u64::try_from(stored).unwrap_or(self.size)
    }

    /// Why it can go as it is.
    fn reason(&self) -> Option<Reason> {
        match self.state {
            PackState::Missing => None,
            PackState::Unnamed => Some(Reason::Unnamed),
            _ if self.used > 0 => None,
            PackState::Distrusted if self.duplicate > 0 => Some(Reason::Damaged),
            _ if self.duplicate > 0 => Some(Reason::Duplicate),
            _ => Some(Reason::Unreachable),
        }
    }
}

/// Plans a prune. The order of the packs does not matter.
pub fn plan(packs: &[PackUse], limits: Limits) -> Plan {
    let mut plan = Plan::default();
    let mut partly: Vec<&PackUse> = Vec::new();
    let mut going: Vec<(&PackUse, Reason)> = Vec::new();
    for pack in packs.iter().filter(|pack| pack.state != PackState::Missing) {
        match pack.reason() {
            Some(reason) => going.push((pack, reason)),
            None => {
                plan.keep(pack);
                // What is damaged cannot be read to be written elsewhere.
                if pack.state == PackState::Sound && pack.unused() > 0 {
                    partly.push(pack);
                }
            }
        }
    }
    going.sort_by_key(|(pack, _)| (Reverse(pack.size), pack.id));
    for (pack, reason) in going {
        if plan.condemned.len() < CONDEMNED_MAX { plan.condemn(pack, reason) } else { plan.keep(pack) }
    }
    repack(&mut plan, partly, limits);
    plan.condemned.sort();
    plan
}

/// Chooses what to repack: where most comes back for what is written.
fn repack(plan: &mut Plan, mut partly: Vec<&PackUse>, limits: Limits) {
    let ratio = |pack: &PackUse| pack.unused() as f64 / pack.size.max(1) as f64;
    partly.sort_by(|one, other| ratio(other).total_cmp(&ratio(one)).then(one.id.cmp(&other.id)));
    let mut budget = limits.max_repack.unwrap_or(u64::MAX);
    for pack in partly {
        let allowed = match limits.max_unused {
            MaxUnused::Unlimited => u64::MAX,
            MaxUnused::Bytes(bytes) => bytes,
            MaxUnused::Part(part) => plan.kept_bytes / 10_000 * u64::from(part),
        };
        if plan.unused_bytes <= allowed || plan.condemned.len() >= CONDEMNED_MAX {
            return;
        }
        if pack.size > budget {
            continue;
        }
        budget -= pack.size;
        plan.condemn(pack, Reason::Repacked);
        let rewritten = pack.stored(pack.used);
        plan.rewritten += rewritten;
        plan.kept -= 1;
        plan.kept_bytes = plan.kept_bytes - pack.size + rewritten;
        plan.unused_bytes -= pack.unused();
    }
}
