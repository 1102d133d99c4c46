//! What a command costs across a network: requests, and round trips that wait for one another.

use std::time::Duration;

use crate::cli::harness::Machine;

use super::fake::Fake;
use super::program::Scene;
use super::proxy::{Proxy, Seen, waves};

/// Long enough that requests which are sent together are seen together on a busy machine too.
const DELAY: Duration = Duration::from_millis(250);

/// A repository behind a slow line.
struct Line {
    _fake: Fake,
    proxy: Proxy,
    scene: Scene,
}

/// What one command cost.
struct Cost {
    command: String,
    seen: Vec<Seen>,
}

impl Line {
    fn new() -> Self {
        let fake = Fake::start();
        let proxy = Proxy::start(fake.address(), DELAY);
        let scene = Scene::new(proxy.place("p"));
        Self { _fake: fake, proxy, scene }
    }

    fn cost(&self, arguments: &[&str]) -> Cost {
        self.proxy.take();
        self.scene.snap(arguments).expect_code(0);
        Cost { command: arguments.join(" "), seen: self.proxy.take() }
    }

    fn forget_cache(&self) {
        std::fs::remove_dir_all(self.scene.machine.home(".cache")).expect("there is a cache");
    }
}

impl Cost {
    /// At most so many round trips one after the other, and so many requests.
    #[track_caller]
    fn is_at_most(&self, trips: usize, requests: usize) {
        let (waited, made) = (waves(&self.seen), self.seen.len());
        let within = waited <= trips && made <= requests;
        assert!(within, "{}: {made} requests of {requests}, {waited} trips of {trips}\n{}", self.command, self.story());
    }

    /// What was asked, and when.
    fn story(&self) -> String {
        let first = self.seen.iter().map(|seen| seen.begin).min();
        let line = |seen: &Seen| {
            let since = first.map_or(0, |first| (seen.begin - first).as_millis());
            format!("{since:6} {}\n", seen.what)
        };
        self.seen.iter().map(line).collect()
    }

    /// Requests of a session beside the packs that it stores: not those of opening, and of finding the parent.
    fn of_session(&self) -> usize {
        let session =
            ["PUT /bucket/p/s/", "PUT /bucket/p/i/", "PUT /bucket/p/c/", "p%2Fg%2F", "p%2Fi%2F", "p%2Fpacks%2F"];
        self.seen.iter().filter(|seen| session.iter().any(|part| seen.what.contains(part))).count()
    }
}

#[test]
fn a_question_takes_few_round_trips() {
    let line = Line::new();
    line.cost(&["init"]).is_at_most(8, 11);
    line.cost(&["backup", "source"]);
    Machine::write(&line.scene.machine.work("source/b/new"), "new\n");
    line.cost(&["backup", "source"]);
    // Right after a backup on the same machine, only the newest cell is new to the cache.
    for (question, requests) in [(&["ls", "latest"][..], 10), (&["diff", "latest~1", "latest"], 8), (&["snapshots"], 6)]
    {
        line.cost(question).is_at_most(3, requests);
    }
    for (question, trips, requests) in
        [(&["snapshots"][..], 3, 8), (&["ls", "latest"], 6, 14), (&["diff", "latest~1", "latest"], 6, 14)]
    {
        line.forget_cache();
        line.cost(question).is_at_most(trips, requests);
        line.cost(question).is_at_most(3, 8);
    }
}

#[test]
fn a_session_adds_few_requests_to_what_it_stores() {
    let line = Line::new();
    line.cost(&["init"]);
    // Once a week it does more.
    line.cost(&["backup", "source"]).is_at_most(10, 21);
    let unchanged = line.cost(&["backup", "source"]);
    unchanged.is_at_most(7, 11);
    assert!(unchanged.of_session() <= 5, "{}", unchanged.story());
    Machine::write(&line.scene.machine.work("source/b/new"), "new\n");
    let changed = line.cost(&["backup", "source"]);
    changed.is_at_most(9, 15);
    assert!(changed.of_session() <= 6, "{}", changed.story());
}

#[test]
fn a_restore_and_a_prune_ask_at_once_what_they_can() {
    let line = Line::new();
    line.cost(&["init"]);
    for number in 0..6 {
        Machine::write(&line.scene.machine.work("source/b/new"), &format!("new {number}\n"));
        line.cost(&["backup", "source"]);
    }
    line.cost(&["restore", "latest", "--target", "out"]).is_at_most(6, 16);
    line.cost(&["forget", "--keep-last", "1", "--yes"]).is_at_most(12, 30);
    line.cost(&["prune"]).is_at_most(40, 90);
}
