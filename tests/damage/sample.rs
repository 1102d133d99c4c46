//! A part of the damage campaign, for every run of the tests: all that can be done to whole objects, some flips and cuts.

use rayon::prelude::*;

use super::campaign::{Damage, draw};
use super::fixture::Fixture;

const SEED: u64 = 20_261_122;
const CASES: u64 = 2000;

#[test]
fn damage_is_never_read_as_truth_and_check_finds_it() {
    let fixture = Fixture::make();
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
