//! A part of the damage campaign, for every run of the tests: all that can be done to whole objects, some flips and cuts.

use rayon::prelude::*;

use super::campaign::{Damage, draw};
use super::fixture::Fixture;

const SEED: u64 = 20_261_122;
const CASES: u64 = 2000;

#[test]
fn damage_is_never_read_as_truth_and_check_finds_it() {
    sample(&Fixture::make());
}

#[test]
fn damage_of_what_a_prune_left_is_never_read_as_truth_and_check_finds_it() {
    sample(&Fixture::make_pruned());
}

#[test]
fn a_prune_of_a_damaged_repository_stops_or_loses_nothing() {
    for fixture in [Fixture::make(), Fixture::make_pruned()] {
        let whole = fixture.run_prunes(fixture.whole_object_cases().into_par_iter());
        let some = fixture.run_prunes(draw(SEED, CASES / 4, fixture.case_count()).map(|number| fixture.case(number)));
        let tally = whole.add(some);
        assert_eq!(tally.wrong, 0, "{:#?} in {:#?}", tally.examples, fixture.inventory());
        assert!(tally.found > 0 && tally.served > 0, "it always does the same");
    }
}

fn sample(fixture: &Fixture) {
    let whole = fixture.run(fixture.whole_object_cases().into_par_iter());
    let some = fixture.run(draw(SEED, CASES, fixture.case_count()).map(|number| fixture.case(number)));
    let tally = whole.add(some);
    assert_eq!(tally.wrong, 0, "{:#?} in {:#?}", tally.examples, fixture.inventory());
    assert_eq!(tally.found + tally.lawful, tally.cases);
    assert!(tally.served > 0 && tally.served < tally.cases, "every damage looks the same to the test");
}

#[test]
fn every_number_is_a_case_of_its_own() {
    let fixture = Fixture::make();
    let last = fixture.objects.len() - 1;
    let length = fixture.objects[last].1.len();
    assert_eq!(fixture.case(0), Damage::Flip { object: 0, bit: 0 });
    assert_eq!(fixture.case(fixture.case_count() - 1), Damage::Truncate { object: last, length: length - 1 });
}
