//! Rules of retention against a naive reading of them, in zones of every kind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use snap::id::SnapshotId;
use snap::operation::forget::policy::{Decision, Interval, LastComplete, Reason, Rules, decide};
use snap::operation::selection::Selection;
use snap::repository::snapshot::Snapshot;
use snap::resource::Coverage;

use super::{minute, partial, resource, snapshot};

/// Rules without names of a database: always there. Of Saint John's clocks, which were put back a minute after midnight,
/// so that a day ended, began, and ended again; of Lord Howe's, put back by half an hour; and of common ones.
const ZONES: [&str; 6] = [
    "UTC0",
    "EST5EDT,M3.2.0,M11.1.0",
    "NST3:30NDT,M4.1.0/0:01,M10.5.0/0:01",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "<+0545>-5:45",
    "<-12>12",
];

fn zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(&ZONES[..]).prop_map(|zone| TimeZone::posix(zone).expect("it is a zone"))
}

/// Snapshots that crowd in hours, in days, and over two years, with tags, and some of them incomplete.
fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let minutes = prop_oneof![0_i64..600, 0_i64..30_000, 0_i64..1_000_000];
    let one = (minutes, prop::sample::subsequence(vec!["x", "y"], 0..=2), any::<bool>(), 0_u8..2);
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let make = |(number, (minutes, tags, is_complete, series)): (usize, (i64, Vec<&str>, bool, u8))| {
            let mut one = snapshot(number as u64, minute(minutes));
            one.record.tags = tags.into_iter().map(str::to_owned).collect();
            one.record.series = format!("s{series}");
            if !is_complete {
                one.record.resources = vec![resource("local/a", &[], partial())];
            }
            one
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn interval() -> impl Strategy<Value = Interval> {
    prop::sample::select(&Interval::ALL[..])
}

/// One rule; each alone is a set of rules.
fn rule() -> impl Strategy<Value = Rules> {
    let within = prop::sample::select(&["3h", "2d", "1w", "2m", "1y"][..]);
    prop_oneof![
        4 => (interval(), 1_u32..8).prop_map(|(interval, count)| newest(interval, count)),
        1 => within.prop_map(|text| Rules { within: Some(text.parse().expect("a length")), ..may_go() }),
        1 => Just(Rules { tags: vec!["x".to_owned()], ..may_go() }),
    ]
}

fn newest(interval: Interval, count: u32) -> Rules {
    Rules { newest: BTreeMap::from([(interval, count)]), ..may_go() }
}

/// No rule, and no care for the last complete one.
fn may_go() -> Rules {
    Rules { last_complete: LastComplete::MayGo, ..Rules::default() }
}

fn careful(rules: &Rules) -> Rules {
    Rules { last_complete: LastComplete::Stays, ..rules.clone() }
}

/// The rules of both; of two counts of one interval the larger.
fn both(one: &Rules, other: &Rules) -> Rules {
    let mut rules = one.clone();
    for (interval, count) in &other.newest {
        let own = rules.newest.entry(*interval).or_default();
        *own = (*own).max(*count);
    }
    rules.within = rules.within.or_else(|| other.within.clone());
    rules.tags.extend(other.tags.iter().cloned());
    rules
}

/// After every snapshot that is drawn.
fn later() -> Timestamp {
    minute(1_000_001)
}

fn decide_all<'s>(snapshots: &'s [Snapshot], rules: &Rules, now: Timestamp, zone: &TimeZone) -> Vec<Decision<'s>> {
    decide(snapshots, &Selection::default(), rules, now, zone)
}

fn kept(decisions: &[Decision<'_>]) -> BTreeSet<SnapshotId> {
    decisions.iter().filter(|decision| decision.stays()).map(|decision| decision.snapshot.id).collect()
}

fn kept_by(snapshots: &[Snapshot], rules: &Rules, zone: &TimeZone) -> BTreeSet<SnapshotId> {
    kept(&decide_all(snapshots, rules, later(), zone))
}

/// The newest of each of the last so many intervals of each series, by sorting and grouping.
fn naive(snapshots: &[Snapshot], interval: Interval, count: u32, zone: &TimeZone) -> BTreeSet<SnapshotId> {
    let name = |one: &Snapshot| {
        let local = one.record.time.to_zoned(zone.clone());
        let (date, week) = (local.date(), local.date().iso_week_date());
        let parts: [i64; 4] = match interval {
            Interval::Snapshot => {
                [one.id.0[..8].iter().fold(0, |number, byte| number << 8 | i64::from(*byte)), 0, 0, 0]
            }
            Interval::Hour => {
                [local.offset().seconds().into(), date.year().into(), date.day_of_year().into(), local.hour().into()]
            }
            Interval::Day => [date.year().into(), date.month().into(), date.day().into(), 0],
            Interval::Week => [week.year().into(), week.week().into(), 0, 0],
            Interval::Month => [date.year().into(), date.month().into(), 0, 0],
            Interval::Year => [date.year().into(), 0, 0, 0],
        };
        (one.record.series.clone(), parts)
    };
    let mut groups: BTreeMap<_, (Timestamp, SnapshotId)> = BTreeMap::new();
    for one in snapshots {
        let newest = groups.entry(name(one)).or_insert((one.record.time, one.id));
        *newest = (*newest).max((one.record.time, one.id));
    }
    let mut by_series: BTreeMap<String, Vec<(Timestamp, SnapshotId)>> = BTreeMap::new();
    for ((series, _), newest) in groups {
        by_series.entry(series).or_default().push(newest);
    }
    let last = |mut all: Vec<(Timestamp, SnapshotId)>| {
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.truncate(usize::try_from(count).expect("it is small"));
        all.into_iter().map(|(_, id)| id)
    };
    by_series.into_values().flat_map(last).collect()
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_count_keeps_the_newest_of_each_of_the_last_intervals(
        all in snapshots(), interval in interval(), count in 1_u32..8, zone in zone()
    ) {
        prop_assert_eq!(kept_by(&all, &newest(interval, count), &zone), naive(&all, interval, count, &zone));
    }

    #[test]
    fn rules_together_keep_what_each_keeps_alone(
        all in snapshots(), rules in prop::collection::vec(rule(), 1..4), zone in zone()
    ) {
        let together = rules.iter().fold(may_go(), |sum, rule| both(&sum, rule));
        let alone = rules.iter().flat_map(|rule| kept_by(&all, rule, &zone)).collect::<BTreeSet<_>>();
        if rules.iter().filter(|rule| rule.within.is_some()).count() < 2 {
            prop_assert_eq!(kept_by(&all, &together, &zone), alone);
        }
    }

    #[test]
    fn another_rule_never_drops_more(all in snapshots(), one in rule(), other in rule(), zone in zone()) {
        let (few, many) = (kept_by(&all, &careful(&one), &zone), kept_by(&all, &careful(&both(&one, &other)), &zone));
        prop_assert!(few.is_subset(&many));
    }

    #[test]
    fn the_order_in_which_snapshots_are_listed_does_not_matter(
        (all, shuffled) in snapshots().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        rule in rule(),
        zone in zone()
    ) {
        prop_assert_eq!(
            decide_all(&all, &careful(&rule), later(), &zone),
            decide_all(&shuffled, &careful(&rule), later(), &zone)
        );
    }

    #[test]
    fn no_series_is_emptied_and_its_last_complete_snapshot_stays(all in snapshots(), rule in rule(), zone in zone()) {
        let kept = kept_by(&all, &careful(&rule), &zone);
        for series in ["s0", "s1"] {
            let own = || all.iter().filter(|one| one.record.series == series);
            let complete = own().filter(|one| one.record.resources[0].coverage == Coverage::Complete);
            let newest = |one: &&Snapshot| (one.record.time, one.id);
            if let Some(last) = complete.max_by_key(newest).or_else(|| own().max_by_key(newest)) {
                prop_assert!(kept.contains(&last.id));
            }
        }
    }

    #[test]
    fn a_clock_ten_years_ahead_changes_nothing_and_one_ten_years_behind_drops_nothing(
        all in snapshots(), rule in rule(), zone in zone()
    ) {
        let ahead = later().checked_add((10 * 366 * 24).hours()).expect("it is in the calendar");
        let behind = later().checked_sub((10 * 366 * 24).hours()).expect("it is in the calendar");
        let decided = decide_all(&all, &rule, later(), &zone);
        prop_assert_eq!(decide_all(&all, &rule, ahead, &zone), decided);
        prop_assert_eq!(kept(&decide_all(&all, &rule, behind, &zone)).len(), all.len());
    }

    #[test]
    fn what_is_dated_in_the_future_stays_and_takes_no_ones_place(
        all in snapshots(), late in 0_i64..1_000_000, rule in rule(), zone in zone()
    ) {
        let now = minute(late);
        let (past, future): (Vec<Snapshot>, Vec<Snapshot>) = all.iter().cloned().partition(|one| one.record.time <= now);
        let mut expected = kept(&decide_all(&past, &careful(&rule), now, &zone));
        expected.extend(future.iter().map(|one| one.id));
        let decisions = decide_all(&all, &careful(&rule), now, &zone);
        prop_assert_eq!(kept(&decisions), expected);
        let told = |decision: &Decision<'_>| decision.reasons.contains(&Reason::Future);
        prop_assert!(decisions.iter().all(|one| told(one) == (one.snapshot.record.time > now)));
    }

    #[test]
    fn rules_are_for_the_selection_and_for_each_series_alone(all in snapshots(), rule in rule(), zone in zone()) {
        let selection = Selection { tags: vec!["y".to_owned()], ..Selection::default() };
        let selected = decide(&all, &selection, &rule, later(), &zone);
        let own: Vec<Snapshot> = all.iter().filter(|one| one.record.tags.contains(&"y".to_owned())).cloned().collect();
        prop_assert_eq!(&selected, &decide_all(&own, &rule, later(), &zone));
        let mut by_series = Vec::new();
        for series in ["s0", "s1"] {
            let selection = Selection { series: Some(series.to_owned()), ..Selection::default() };
            by_series.extend(decide(&all, &selection, &rule, later(), &zone));
        }
        prop_assert_eq!(by_series, decide_all(&all, &rule, later(), &zone));
    }
}

#[test]
fn each_that_stays_says_why() {
    let mut all = vec![snapshot(1, minute(0)), snapshot(2, minute(60)), snapshot(3, minute(24 * 60))];
    all[0].record.tags = vec!["keep".to_owned()];
    let rules = Rules {
        newest: BTreeMap::from([(Interval::Snapshot, 1), (Interval::Day, 2)]),
        within: Some("2h".parse().expect("a length")),
        tags: vec!["keep".to_owned()],
        ..Rules::default()
    };
    let reasons: Vec<Vec<Reason>> =
        decide_all(&all, &rules, later(), &TimeZone::UTC).into_iter().map(|decision| decision.reasons).collect();
    let daily = Reason::Newest(Interval::Day);
    assert_eq!(reasons[0], [Reason::Tag("keep".to_owned())]);
    assert_eq!(reasons[1], std::slice::from_ref(&daily));
    assert_eq!(reasons[2], [Reason::Newest(Interval::Snapshot), daily, Reason::Within]);
    let nothing = Rules { tags: vec!["none".to_owned()], ..Rules::default() };
    let decisions = decide_all(&all, &nothing, later(), &TimeZone::UTC);
    assert_eq!(decisions[2].reasons, [Reason::LastComplete]);
    assert!(!decisions[0].stays() && !decisions[1].stays());
}

#[test]
fn an_hour_that_comes_twice_is_two_and_a_day_of_25_hours_is_one() {
    let zone = TimeZone::posix(ZONES[1]).expect("it is a zone");
    let at = |time: &str| time.parse::<Timestamp>().expect("a time");
    // Half past one, half past one, half past two.
    let times = ["2015-11-01T05:30:00Z", "2015-11-01T06:30:00Z", "2015-11-01T07:30:00Z"];
    let all: Vec<Snapshot> = times.iter().zip(1..).map(|(time, number)| snapshot(number, at(time))).collect();
    assert_eq!(kept_by(&all, &newest(Interval::Hour, 9), &zone).len(), 3);
    assert_eq!(kept_by(&all, &newest(Interval::Day, 9), &zone), BTreeSet::from([all[2].id]));
}

#[test]
fn the_week_of_new_year_is_one_and_what_is_exactly_too_old_goes() {
    let at = |time: &str| time.parse::<Timestamp>().expect("a time");
    let all = [snapshot(1, at("2015-12-31T12:00:00Z")), snapshot(2, at("2016-01-03T12:00:00Z"))];
    assert_eq!(kept_by(&all, &newest(Interval::Week, 9), &TimeZone::UTC), BTreeSet::from([all[1].id]));
    let within = |text: &str| Rules { within: Some(text.parse().expect("a length")), ..may_go() };
    assert_eq!(kept_by(&all, &within("3d"), &TimeZone::UTC), BTreeSet::from([all[1].id]));
    assert_eq!(kept_by(&all, &within("3d1h"), &TimeZone::UTC).len(), 2);
}

#[test]
fn a_day_that_begins_twice_is_one() {
    let zone = TimeZone::posix(ZONES[2]).expect("it is a zone");
    // Noon, then half a minute after midnight, half past eleven of the day before, and half past midnight.
    let times = ["2015-10-24T14:30:00Z", "2015-10-25T02:30:30Z", "2015-10-25T03:00:00Z", "2015-10-25T04:00:00Z"];
    let at = |time: &str| time.parse::<Timestamp>().expect("a time");
    let all: Vec<Snapshot> = times.iter().zip(1..).map(|(time, number)| snapshot(number, at(time))).collect();
    assert_eq!(kept_by(&all, &newest(Interval::Day, 9), &zone), BTreeSet::from([all[2].id, all[3].id]));
}
