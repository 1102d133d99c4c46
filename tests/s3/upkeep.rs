//! Every seventh day of writing, a store is asked again whether it keeps what it has.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::fake::{Fake, Operation};
use super::program::Scene;

const DAY: u64 = 24 * 3600;
const WORD: &str = "never write to it from two machines at once";

/// Where it is remembered when it was last done.
fn remembered(scene: &Scene) -> PathBuf {
    let folders = fs::read_dir(scene.machine.home(".cache/snap")).expect("a cache");
    folders.map(|entry| entry.expect("a folder").path().join("upkeep")).find(|file| file.exists()).expect("remembered")
}

fn since_the_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later")
}

/// Puts that a backup of nothing new makes, and what it said.
fn back_up(fake: &Fake, scene: &Scene) -> (u64, String) {
    let before = fake.requests(Operation::Put);
    let ran = scene.snap(&["backup", "source"]).expect_code(0);
    (fake.requests(Operation::Put) - before, ran.stderr)
}

#[test]
fn a_store_that_begins_to_ignore_the_condition_is_found_out_within_a_week_of_writing() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    scene.snap(&["init"]).expect_code(0);
    scene.snap(&["backup", "source"]).expect_code(0);
    let place = remembered(&scene);
    fake.rule(|rules| rules.heeds_condition = false);
    let (puts, said) = back_up(&fake, &scene);
    assert_eq!((puts, said.contains(WORD)), (2, false), "it was asked today: mark and cell only");
    let now = since_the_epoch().as_secs();
    for (then, is_due) in [(now - 6 * DAY, false), (now - 7 * DAY - 1, true), (now + 30 * DAY, true)] {
        fs::write(&place, format!("{then}\n")).expect("written");
        let (puts, said) = back_up(&fake, &scene);
        assert_eq!((puts, said.contains(WORD)), (2 + u64::from(is_due), is_due), "{said}");
        assert!(!is_due || said.contains("--exclusive"), "{said}");
    }
    assert!(fs::read_to_string(&place).expect("remembered").trim().parse::<u64>().expect("seconds") >= now);
    fs::write(&place, "0\n").expect("written");
    fake.rule(|rules| rules.heeds_condition = true);
    let (puts, said) = back_up(&fake, &scene);
    assert_eq!((puts, said.contains(WORD)), (3, false));
    assert!(fake.violations().is_empty(), "{:?}", fake.violations());
}

#[test]
fn the_half_of_a_pair_that_is_missing_comes_back_with_it() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    scene.snap(&["init"]).expect_code(0);
    let slots = || fake.objects().into_keys().filter(|key| key.starts_with("p/keys/")).collect::<Vec<_>>();
    let lost = [slots()[1].clone(), "p/config.copy".to_owned()];
    let whole = fake.objects();
    lost.iter().for_each(|key| fake.lose(key));
    scene.snap(&["backup", "source"]).expect_code(0);
    for key in &lost {
        assert_eq!(fake.content(key).as_ref(), Some(&whole[key].content), "{key}");
    }
}
