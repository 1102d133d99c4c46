//! The same rules over the same times as restic's: the same snapshots stay, for the same reasons.
//!
//! Needs `restic` and the system's time zones; skipped with a word where they are missing. Hours that come twice are left
//! out: restic takes both for one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use snap::operation::forget::policy::{Interval, LastComplete, Reason, Rules, decide};
use snap::operation::selection::Selection;
use snap::repository::snapshot::Snapshot;

use super::{minute, snapshot};
use crate::query::noise;

const ZONE: &str = "America/New_York";
const SNAPSHOTS: usize = 14;
const RULES: usize = 8;
const SEED: u64 = 20_251_102;

/// Numbers that a seed draws.
struct Random(std::vec::IntoIter<u8>);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        let number = self.0.by_ref().take(4).fold(0, |number, byte| number << 8 | i64::from(byte));
        number % end
    }
}

fn restic(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("restic")
        .args(["--no-cache", "-r", "repository"])
        .args(arguments)
        .current_dir(folder)
        .env("RESTIC_PASSWORD", "x")
        .env("TZ", ZONE)
        .output()
        .ok()?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("it is text"))
}

/// Times that crowd in hours, days and months, to the minute, none of them in an hour that comes twice.
fn times(random: &mut Random, zone: &TimeZone) -> Vec<Timestamp> {
    let mut times = BTreeSet::new();
    while times.len() < SNAPSHOTS {
        let spread = [600, 30_000, 400_000][usize::try_from(random.below(3)).expect("it is small")];
        let time = minute(random.below(spread));
        let local = zone.to_datetime(time);
        if !zone.to_ambiguous_timestamp(local).is_ambiguous() {
            times.insert(time);
        }
    }
    times.into_iter().collect()
}

/// Rules, and the same as restic's arguments.
fn rules(random: &mut Random) -> (Rules, Vec<String>) {
    let mut rules = Rules { last_complete: LastComplete::MayGo, ..Rules::default() };
    let mut arguments = Vec::new();
    for interval in Interval::ALL {
        if random.below(3) == 0 {
            let count = random.below(6) + 1;
            rules.newest.insert(interval, u32::try_from(count).expect("it is small"));
            arguments.extend([format!("--keep-{}", interval.word()), count.to_string()]);
        }
    }
    if random.below(3) == 0 {
        let text = ["5h", "3d", "10d12h", "2m", "1y"][usize::try_from(random.below(5)).expect("it is small")];
        rules.within = Some(text.parse().expect("a length"));
        arguments.extend(["--keep-within".to_owned(), text.to_owned()]);
    }
    if rules.is_empty() || random.below(4) == 0 {
        rules.tags.push("keep".to_owned());
        arguments.extend(["--keep-tag".to_owned(), "keep".to_owned()]);
    }
    (rules, arguments)
}

/// What stays, by time, and why, in restic's words.
fn ours(all: &[Snapshot], rules: &Rules, zone: &TimeZone) -> BTreeMap<Timestamp, BTreeSet<String>> {
    let words = |reason: &Reason| match reason {
        Reason::Newest(interval) => format!("{} snapshot", interval.word()),
        Reason::Within => "within".to_owned(),
        Reason::Tag(_) => "has tags".to_owned(),
        Reason::Future | Reason::LastComplete => "ours".to_owned(),
    };
    decide(all, &Selection::default(), rules, minute(1_000_000), zone)
        .iter()
        .filter(|decision| decision.stays())
        .map(|decision| (decision.snapshot.record.time, decision.reasons.iter().map(words).collect()))
        .collect()
}

fn theirs(said: &str) -> BTreeMap<Timestamp, BTreeSet<String>> {
    let document: Value = serde_json::from_str(said).expect("restic speaks JSON");
    let reasons = document[0]["reasons"].as_array().cloned().unwrap_or_default();
    let word = |said: &Value| {
        let said = said.as_str().expect("a text");
        ["within", "has tags"].into_iter().find(|word| said.starts_with(word)).unwrap_or(said).to_owned()
    };
    let reason = |reason: &Value| {
        let time = reason["snapshot"]["time"].as_str().expect("a time").parse().expect("a time");
        (time, reason["matches"].as_array().expect("a list").iter().map(word).collect())
    };
    reasons.iter().map(reason).collect()
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

#[test]
fn the_same_rules_keep_the_same_snapshots_for_the_same_reasons() {
    let Ok(zone) = TimeZone::get(ZONE) else {
        return skipped("this system has no time zones");
    };
    let folder = tempfile::tempdir().expect("a folder");
    if restic(folder.path(), &["init", "-q"]).is_none() {
        return skipped("there is no restic");
    }
    std::fs::write(folder.path().join("a"), "content").expect("written");
    let mut random = Random(noise(SEED, 64 * (SNAPSHOTS + RULES)).into_iter());
    let mut all = Vec::new();
    for (time, number) in times(&mut random, &zone).into_iter().zip(1..) {
        let mut one = snapshot(number, time);
        let local = time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let mut arguments = vec!["backup", "-q", "--host", "h", "--time", &local, "a"];
        if random.below(4) == 0 {
            one.record.tags.push("keep".to_owned());
            arguments.extend(["--tag", "keep"]);
        }
        restic(folder.path(), &arguments);
        all.push(one);
    }
    for _ in 0..RULES {
        let (rules, arguments) = rules(&mut random);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = restic(folder.path(), &[&["forget", "--dry-run", "--json"], &arguments[..]].concat());
        let said = said.expect("because it ran before");
        assert_eq!(ours(&all, &rules, &zone), theirs(&said), "seed {SEED}: {arguments:?}");
    }
}
