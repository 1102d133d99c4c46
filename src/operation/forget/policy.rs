//! Which snapshots of each series stay under rules of retention, and why: a pure function, without I/O or a clock.
//!
//! Rules are applied within each series. A rule as "daily 7" walks from the newest to the oldest snapshot and keeps the
//! newest of each of the first 7 days it meets; days without a snapshot do not count, so time standing still, or a clock
//! ten years off, empties nothing. A snapshot stays if any rule keeps it. What is dated later than `now` stays and is
//! not counted, for some clock was wrong. The last complete snapshot (`complete`) stays unless the rules say otherwise.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::operation::forget::complete::last_complete;
use crate::operation::forget::within::Within;
use crate::operation::selection::Selection;
use crate::repository::snapshot::Snapshot;

/// What rules keep the newest snapshot of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// Each snapshot for itself.
    Snapshot,
    /// An hour; the one that comes twice when clocks are put back is two.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday (ISO 8601).
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// What is kept.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The newest of each of so many intervals.
    pub newest: BTreeMap<Interval, u32>,
    /// All that are at most this much older than the newest.
    pub within: Option<Within>,
    /// All that have one of these tags.
    pub tags: Vec<String>,
    /// What happens to the last complete one where no rule keeps it.
    pub last_complete: LastComplete,
}

/// What happens to the last complete snapshot of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastComplete {
    /// It stays.
    #[default]
    Stays,
    /// It goes like any other.
    MayGo,
}

/// Why a snapshot stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the newest of an interval.
    Newest(Interval),
    /// It is not much older than the newest.
    Within,
    /// It has this tag.
    Tag(String),
    /// It is dated later than now.
    Future,
    /// Without it the series would hold less than it did.
    LastComplete,
}

/// What is decided about one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'s> {
    /// Which.
    pub snapshot: &'s Snapshot,
    /// Why it stays; it goes if there is no reason.
    pub reasons: Vec<Reason>,
}

impl Decision<'_> {
    /// Whether it stays.
    pub fn stays(&self) -> bool {
        !self.reasons.is_empty()
    }
}

impl Rules {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.newest.values().all(|count| *count == 0) && self.within.is_none() && self.tags.is_empty()
    }
}

/// Decides about every snapshot of the selection, by series, the oldest of each first; the others stay and are not counted.
///
/// `snapshots` are all there are, in any order: those outside the selection tell what would be left of a series.
pub fn decide<'s>(
    snapshots: &'s [Snapshot],
    selection: &Selection,
    rules: &Rules,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Decision<'s>> {
    let decide_series = |series: Vec<&'s Snapshot>| {
        let past: Vec<&Snapshot> = series.iter().copied().filter(|snapshot| snapshot.record.time <= now).collect();
        let last = last_complete(&past);
        let selected: Vec<&Snapshot> =
            series.into_iter().filter(|snapshot| selection.includes(&snapshot.record)).collect();
        let mut tally = Tally::new(rules, zone, &selected, now);
        let mut decisions: Vec<Decision<'s>> = selected
            .into_iter()
            .map(|snapshot| {
                let mut reasons = tally.reasons(snapshot);
                let is_last = last.iter().any(|last| last.id == snapshot.id);
                if reasons.is_empty() && is_last && rules.last_complete == LastComplete::Stays {
                    reasons.push(Reason::LastComplete);
                }
                Decision { snapshot, reasons }
            })
            .collect();
        decisions.reverse();
        decisions
    };
    by_series(snapshots).into_values().flat_map(decide_series).collect()
}

/// Snapshots by series, the newest first.
pub(super) fn by_series(snapshots: &[Snapshot]) -> BTreeMap<&str, Vec<&Snapshot>> {
    let mut all: BTreeMap<&str, Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in snapshots {
        all.entry(&snapshot.record.series).or_default().push(snapshot);
    }
    for series in all.values_mut() {
        series.sort_by_key(|snapshot| Reverse((snapshot.record.time, snapshot.id)));
    }
    all
}

/// Walks one series from its newest snapshot to its oldest, and counts what it has kept.
struct Tally<'r> {
    rules: &'r Rules,
    zone: &'r TimeZone,
    now: Timestamp,
    /// What is newer is kept.
    within_start: Option<Timestamp>,
    /// Intervals in which a snapshot was met.
    seen: HashSet<(Interval, String)>,
    /// How many were kept of each.
    kept: BTreeMap<Interval, u32>,
}

impl<'r> Tally<'r> {
    fn new(rules: &'r Rules, zone: &'r TimeZone, newest_first: &[&Snapshot], now: Timestamp) -> Self {
        let newest = newest_first.iter().map(|snapshot| snapshot.record.time).find(|time| *time <= now);
        let within_start = newest.and_then(|newest| Some(rules.within.as_ref()?.before(newest, zone)));
        Self { rules, zone, now, within_start, seen: HashSet::new(), kept: BTreeMap::new() }
    }

    fn reasons(&mut self, snapshot: &Snapshot) -> Vec<Reason> {
        let time = snapshot.record.time;
        let has = |tag: &&String| snapshot.record.tags.contains(tag);
        let tags = self.rules.tags.iter().filter(has).map(|tag| Reason::Tag(tag.clone()));
        if time > self.now {
            return [Reason::Future].into_iter().chain(tags).collect();
        }
        let mut reasons = Vec::new();
        let local = time.to_zoned(self.zone.clone());
        for (interval, count) in &self.rules.newest {
            let kept = self.kept.entry(*interval).or_default();
            let is_newest = self.seen.insert((*interval, interval.of(&local, snapshot)));
            if is_newest && *kept < *count {
                *kept += 1;
                reasons.push(Reason::Newest(*interval));
            }
        }
        if self.within_start.is_some_and(|start| time > start) {
            reasons.push(Reason::Within);
        }
        reasons.extend(tags);
        reasons
    }
}

impl Interval {
    /// All there are, the shortest first.
    pub const ALL: [Self; 6] = [Self::Snapshot, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// What rules and reasons call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "last",
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// The name of the interval that a snapshot was taken in.
    fn of(self, local: &Zoned, snapshot: &Snapshot) -> String {
        let format = match self {
            Self::Snapshot => return snapshot.id.to_string(),
            Self::Hour => "%Y-%m-%d %H %z",
            Self::Day => "%Y-%m-%d",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        local.strftime(format).to_string()
    }
}
