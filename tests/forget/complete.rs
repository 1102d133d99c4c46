//! What a series never loses: its last complete snapshot, and those that the last one is narrower than.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::Config;
use snap::operation::forget::complete::{is_complete, is_narrower};
use snap::operation::forget::policy::{Interval, LastComplete, Rules};
use snap::operation::forget::{ForgetError, ForgetPlan};
use snap::operation::selection::Selection;
use snap::repository::snapshot::Snapshot;
use snap::resource::{Coverage, ResourceRecord};

use super::{failed, minute, partial, resource, snapshot};

fn series(all: Vec<Vec<ResourceRecord>>) -> Vec<Snapshot> {
    let make = |(resources, number): (Vec<ResourceRecord>, u32)| {
        let mut one = snapshot(number.into(), minute(number.into()));
        one.record.resources = resources;
        one
    };
    all.into_iter().zip(1..).map(make).collect()
}

fn whole(paths: &[&str]) -> Vec<ResourceRecord> {
    paths.iter().map(|path| resource(path, &[], Coverage::Complete)).collect()
}

/// Which of them stay when only the newest is to, oldest first.
fn stay(all: &[Snapshot]) -> Vec<bool> {
    let rules = Rules { newest: BTreeMap::from([(Interval::Snapshot, 1)]), ..Rules::default() };
    let plan = ForgetPlan::by_rules(all, &Selection::default(), &rules, minute(9999), &TimeZone::UTC);
    assert!(plan.last_complete.is_empty(), "rules alone never take the last complete one");
    plan.decisions.iter().map(|decision| decision.stays()).collect()
}

#[test]
fn a_complete_one_is_not_dropped_for_an_incomplete_one() {
    let lacks = |coverage| vec![resource("local/a", &[], coverage)];
    let all = series(vec![whole(&["local/a"]), whole(&["local/a"]), lacks(partial()), lacks(partial())]);
    assert_eq!(stay(&all), [false, true, false, true]);
    let one_failed = vec![resource("local/a", &[], Coverage::Complete), resource("local/b", &[], failed())];
    assert_eq!(stay(&series(vec![whole(&["local/a", "local/b"]), one_failed])), [true, true]);
}

#[test]
fn a_wide_one_is_not_dropped_for_a_narrower_one() {
    let (wide, narrow) = (&["local/a", "local/b"][..], &["local/a"][..]);
    assert_eq!(stay(&series(vec![whole(wide), whole(wide), whole(narrow), whole(narrow)])), [false, true, false, true]);
    assert_eq!(stay(&series(vec![whole(narrow), whole(wide)])), [false, true]);
    // A folder instead of all above it.
    assert_eq!(stay(&series(vec![whole(&["local/a"]), whole(&["local/a/b"])])), [true, true]);
    assert_eq!(stay(&series(vec![whole(&["local/a/b"]), whole(&["local/a"])])), [false, true]);
    // A filter more.
    let filtered = |filters: &[&str]| vec![resource("local/a", filters, Coverage::Complete)];
    assert_eq!(stay(&series(vec![filtered(&["exclude x"]), filtered(&["exclude x", "exclude y"])])), [true, true]);
    assert_eq!(stay(&series(vec![filtered(&["exclude x", "exclude y"]), filtered(&["exclude x"])])), [false, true]);
    assert_eq!(stay(&series(vec![filtered(&["exclude x"]), filtered(&["exclude y"])])), [true, true]);
}

#[test]
fn other_folders_each_time_do_not_stay_for_ever() {
    let all = series((0..5).map(|n| whole(&[&format!("local/tmp/{n}"), "local/etc"])).collect());
    assert_eq!(stay(&all), [false, false, false, false, true]);
    // The one between is as wide as the first, but it goes itself.
    let all = series(vec![whole(&["local/a", "local/b"]), whole(&["local/b", "local/c"]), whole(&["local/a"])]);
    assert_eq!(stay(&all), [true, false, true]);
}

#[test]
fn where_none_is_complete_the_newest_stays() {
    let lacks = || vec![resource("local/a", &[], partial()), resource("local/b", &[], Coverage::Complete)];
    let worse = vec![resource("local/a", &[], partial()), resource("local/b", &[], failed())];
    assert_eq!(stay(&series(vec![lacks(), lacks(), worse])), [false, true, true]);
}

#[test]
fn the_last_complete_one_is_named_only_with_the_flag() {
    let all = series(vec![whole(&["local/a"]), whole(&["local/a"]), vec![resource("local/a", &[], partial())]]);
    let [old, new, partial] = [0, 1, 2].map(|at: usize| all[at].id);
    let plan = |named: &[_], care| ForgetPlan::by_name(&all, named, care);
    let going = |named: &[_]| plan(named, LastComplete::Stays).map(|plan| plan.going().count());
    assert!(matches!(going(&[new]), Ok(1)), "the older one is as good");
    assert!(matches!(going(&[old, partial]), Ok(2)));
    for named in [&[old, new][..], &[partial, old, new]] {
        let refused = plan(named, LastComplete::Stays).expect_err("it is refused");
        assert!(matches!(refused, ForgetError::LastComplete { id, .. } if id == new), "{refused}");
        let plan = plan(named, LastComplete::MayGo).expect("it was said twice");
        assert_eq!(plan.going().count(), named.len());
        assert_eq!(plan.last_complete, [&all[1]]);
    }
}

fn histories() -> impl Strategy<Value = Vec<Snapshot>> {
    let path = prop::sample::subsequence(vec!["local/a", "local/a/b", "local/c"], 1..=2);
    let scope = prop::sample::subsequence(vec!["exclude x", "exclude y"], 0..=1);
    let coverage = prop::sample::select(vec![Coverage::Complete, Coverage::Complete, partial(), failed()]);
    let one = (path, scope, coverage);
    prop::collection::vec(one, 1..12).prop_map(|all| {
        let resources = |(paths, scope, coverage): (Vec<&str>, Vec<&str>, Coverage)| {
            let mut resources: Vec<_> = paths.iter().map(|path| resource(path, &scope, Coverage::Complete)).collect();
            resources[0].coverage = coverage;
            resources
        };
        series(all.into_iter().map(resources).collect())
    })
}

/// Whether some complete one that stays holds no less, newer than it if that is asked for.
fn is_stood_in_for(lost: &Snapshot, stays: &[&Snapshot], newer: bool) -> bool {
    stays.iter().any(|other| {
        is_complete(&other.record)
            && !is_narrower(&other.record, &lost.record)
            && (!newer || other.record.time > lost.record.time)
    })
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_goes_by_rule_is_held_by_a_newer_complete_one(all in histories(), count in 0_u32..3) {
        let rules = Rules { newest: BTreeMap::from([(Interval::Snapshot, count)]), ..Rules::default() };
        let plan = ForgetPlan::by_rules(&all, &Selection::default(), &rules, minute(9999), &TimeZone::UTC);
        prop_assert!(plan.last_complete.is_empty());
        let stays: Vec<&Snapshot> = plan.decisions.iter().filter(|one| one.stays()).map(|one| one.snapshot).collect();
        prop_assert!(!stays.is_empty());
        for lost in plan.going().filter(|lost| is_complete(&lost.record)) {
            prop_assert!(is_stood_in_for(lost, &stays, true));
        }
    }

    #[test]
    fn what_goes_by_name_is_held_by_a_complete_one_or_refused(all in histories(), named in prop::bits::u16::ANY) {
        let (named, stays): (Vec<&Snapshot>, Vec<&Snapshot>) =
            all.iter().partition(|one| named >> one.id.0[7] & 1 == 1);
        let ids: Vec<_> = named.iter().map(|one| one.id).collect();
        let complete: Vec<&&Snapshot> = named.iter().filter(|one| is_complete(&one.record)).collect();
        let all_held = complete.iter().all(|lost| is_stood_in_for(lost, &stays, false));
        if all.iter().any(|one| is_complete(&one.record)) {
            prop_assert_eq!(ForgetPlan::by_name(&all, &ids, LastComplete::Stays).is_ok(), all_held);
        } else if stays.is_empty() {
            prop_assert!(ForgetPlan::by_name(&all, &ids, LastComplete::Stays).is_err());
        }
    }
}
