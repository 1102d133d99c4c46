//! T19: years of daily backups, forgetting and pruning by a simulated clock; what there is stays within what is kept.
//!
//! Here a month; `cargo bench --bench years -- CYCLES SEED` lives longer.

use crate::prune::scene;

mod life;

#[test]
fn a_month_of_backups_keeps_what_the_rules_keep_and_no_more() {
    let counts = life::live(30, 20_261_122).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(counts.crashes > 0 && counts.packs_deleted > 0, "nothing happened: {counts:?}");
}
