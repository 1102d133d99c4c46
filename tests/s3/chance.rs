//! T6, whole commands: whatever a store does wrong by chance, what was acknowledged is there, and nothing fails without a word.

use std::collections::BTreeMap;

use crate::cli::harness::Machine;
use crate::restore::picture;

use super::fake::{Fake, Operation};
use super::fault::Effect;
use super::program::Scene;

const SEEDS: u64 = 6;
/// Faults planned before each command.
const FAULTS: u64 = 4;

const EFFECTS: [Effect; 16] = [
    Effect::Refuse(500, "InternalError"),
    Effect::Refuse(503, "SlowDown"),
    Effect::Refuse(409, "ConditionalRequestConflict"),
    Effect::Refuse(412, ""),
    Effect::Refuse(404, ""),
    Effect::Refuse(403, "AccessDenied"),
    Effect::LoseReply,
    Effect::Reset,
    Effect::ResetUpload,
    Effect::CutAnswer,
    Effect::LongLength,
    Effect::SuccessWithError,
    Effect::WrongEcho,
    Effect::LoopListing,
    Effect::LoseKey,
    Effect::Garbage,
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

fn plan(fake: &Fake, random: &mut Random) -> Vec<String> {
    let operations = [None, Some(Operation::Put), Some(Operation::Get), Some(Operation::List)];
    let fault = |random: &mut Random| {
        let effect = EFFECTS[usize::try_from(random.below(EFFECTS.len() as u64)).expect("an index")];
        let operation = operations[usize::try_from(random.below(4)).expect("an index")];
        let at = 1 + random.below(if operation.is_none() { 40 } else { 8 });
        fake.plan(operation, at, effect);
        format!("{effect:?} at {at} of {operation:?}")
    };
    (0..FAULTS).map(|_| fault(random)).collect()
}

#[test]
fn whatever_a_store_does_wrong_no_snapshot_that_was_acknowledged_is_lost() {
    for seed in 0..SEEDS {
        let (fake, mut random) = (Fake::start(), Random(seed));
        let scene = Scene::new(fake.place("p"));
        scene.snap(&["init"]).expect_code(0);
        let mut known = BTreeMap::new();
        let commands: [&[&str]; 7] = [
            &["backup", "source", "--json"],
            &["backup", "source", "--json"],
            &["forget", "--keep-last", "1"],
            &["prune", "--max-unused", "0", "--wait", "0s"],
            &["backup", "source", "--json"],
            &["tag", "latest", "--add", "kept"],
            &["check", "--read-data"],
        ];
        for (number, line) in commands.into_iter().enumerate() {
            Machine::write(&scene.machine.work(&format!("source/a/{number}")), &format!("{seed} and {number}\n"));
            let planned = plan(&fake, &mut random);
            let ran = scene.snap(line);
            fake.recover();
            let has_said = !ran.stderr.is_empty() || ran.stdout.contains("\"error\"") || line[0] == "check";
            assert!(ran.code == 0 || has_said, "seed {seed}, {planned:?}: {line:?} fails without a word: {ran:?}");
            if line[0] == "backup" && ran.code == 0 {
                known.insert(number, picture(&scene.machine.work("source")));
            }
        }
        // No fault of these leaves anything damaged behind; one that keeps half an upload does, and says so (`matrix`).
        scene.snap(&["backup", "source"]).expect_code(0);
        let ran = scene.snap(&["check", "--read-data"]);
        assert_eq!(ran.code, 0, "seed {seed}: {ran:?}");
        scene.restore();
        if known.contains_key(&4) {
            let inside = format!("latest~1:local{}", scene.machine.work("source").display());
            scene.snap(&["restore", &inside, "--target", "earlier"]).expect_code(0);
            assert_eq!(Some(&picture(&scene.machine.work("earlier"))), known.get(&4), "seed {seed}");
        }
        assert!(fake.violations().is_empty(), "{:?}", fake.violations());
    }
}
