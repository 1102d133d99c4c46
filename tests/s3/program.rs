//! The program itself on a repository in the fake: every command, and the word for what goes wrong.

use std::process::Command;

use crate::cli::harness::{Machine, Ran};
use crate::restore::picture;

use super::fake::{Fake, Operation};
use super::fault::Effect;

/// A home, a folder to save, and where the repository is.
pub(super) struct Scene {
    pub(super) machine: Machine,
    pub(super) place: String,
}

impl Scene {
    pub(super) fn new(place: String) -> Self {
        let machine = Machine::new();
        for number in 0..40 {
            Machine::write(&machine.work(&format!("source/a/{number}")), &format!("file {number}\n").repeat(50));
        }
        Machine::write(&machine.work("source/large"), &"0123456789abcdef".repeat(200_000));
        Self { machine, place }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(arguments);
        command.env("SNAP_REPOSITORY", &self.place).env("SNAP_PASSWORD", "open");
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
        command
    }

    pub(super) fn snap(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().expect("it starts"))
    }

    /// Every command once, and the same bytes back.
    pub(super) fn run_all(&self) {
        self.snap(&["init"]).expect_code(0);
        self.snap(&["init"]).expect_code(11);
        self.snap(&["backup", "source"]).expect_code(0);
        Machine::write(&self.machine.work("source/b/new"), "new\n");
        self.snap(&["backup", "source"]).expect_code(0);
        assert_eq!(
            self.snap(&["snapshots", "--json"]).expect_code(0).document()["snapshots"].as_array().map(Vec::len),
            Some(2)
        );
        assert!(self.snap(&["ls", "latest"]).expect_code(0).stdout.contains("source"));
        assert!(self.snap(&["diff", "latest~1", "latest"]).expect_code(0).stdout.contains("new"));
        self.snap(&["stats"]).expect_code(0);
        self.snap(&["find", "new"]).expect_code(0);
        self.snap(&["key", "list"]).expect_code(0);
        self.snap(&["tag", "latest", "--add", "kept"]).expect_code(0);
        self.snap(&["check", "--read-data"]).expect_code(0);
        self.restore();
    }

    /// The same bytes come back.
    pub(super) fn restore(&self) {
        let source = self.machine.work("source");
        let inside = format!("latest:local{}", source.display());
        self.snap(&["restore", &inside, "--target", "out"]).expect_code(0);
        assert_eq!(picture(&self.machine.work("out")), picture(&source));
    }
}

#[test]
fn every_command_works_on_a_repository_in_s3() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("deep/er"));
    scene.run_all();
    assert!(fake.violations().is_empty(), "{:?}", fake.violations());
    assert!(fake.objects().keys().all(|key| key.starts_with("deep/er/")));
}

#[test]
fn the_endpoint_may_come_from_the_variables_of_the_aws_tools() {
    let fake = Fake::start();
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
        let scene = Scene::new(format!("s3://bucket/{}", variable.to_lowercase()));
        let mut command = scene.command(&["init"]);
        Ran::of(&command.env(variable, fake.endpoint()).output().expect("it starts")).expect_code(0);
    }
    assert!(fake.objects().contains_key("aws_endpoint_url_s3/config"));
}

#[test]
fn a_question_costs_few_requests() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    scene.snap(&["init"]).expect_code(0);
    scene.snap(&["backup", "source"]).expect_code(0);
    let total =
        || [Operation::Put, Operation::Get, Operation::List].map(|kind| fake.requests(kind)).iter().sum::<u64>();
    for line in [&["snapshots"][..], &["ls", "latest"]] {
        let before = total();
        scene.snap(line).expect_code(0);
        let made = total() - before;
        assert!(made <= 10, "{line:?} made {made} requests");
    }
}

#[test]
fn a_backup_goes_on_through_a_store_that_fails_now_and_then() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    scene.snap(&["init"]).expect_code(0);
    for (at, effect) in [
        (2, Effect::LoseReply),
        (5, Effect::Refuse(503, "SlowDown")),
        (8, Effect::Reset),
        (9, Effect::CutAnswer),
        (12, Effect::Refuse(500, "InternalError")),
    ] {
        fake.plan(None, at, effect);
    }
    for at in 1..4 {
        fake.plan(Some(Operation::Put), at, Effect::LoseReply);
    }
    scene.snap(&["backup", "source"]).expect_code(0);
    scene.snap(&["check", "--read-data"]).expect_code(0);
    scene.restore();
}

#[test]
fn what_goes_wrong_has_its_status_and_its_way_out() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    let ran = scene.snap(&["snapshots"]).expect_code(10);
    assert!(
        ran.stderr.contains("there is no repository at s3://bucket/p") && ran.stderr.contains("\nhint: "),
        "{ran:?}"
    );
    let missing = Scene::new(format!("s3://nobucket/p?endpoint={}", fake.endpoint()));
    let ran = missing.snap(&["init"]).expect_code(13);
    assert!(ran.stderr.contains("NoSuchBucket") && ran.stderr.contains("hint: make the bucket first"), "{ran:?}");
    scene.snap(&["init"]).expect_code(0);
    fake.plan_forever(Effect::Refuse(403, "AccessDenied"));
    for line in [&["snapshots"][..], &["backup", "source"], &["init"], &["check"]] {
        let ran = scene.snap(line).expect_code(13);
        assert!(ran.stderr.contains("AccessDenied") && ran.stderr.contains("hint: check credentials"), "{ran:?}");
        assert!(!ran.stderr.contains("not-a-secret"), "{ran:?}");
    }
    let place = fake.place("p");
    drop(fake);
    let ran = Scene::new(place).snap(&["snapshots"]).expect_code(13);
    assert!(ran.stderr.contains("does not answer") && ran.stderr.contains("hint: check the network"), "{ran:?}");
}

#[test]
fn without_credentials_it_says_so_at_once() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    let mut command = scene.command(&["snapshots"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let ran = Ran::of(&command.output().expect("it starts")).expect_code(13);
    assert!(ran.stderr.contains("hint: check credentials"), "{ran:?}");
}

#[test]
fn a_store_for_one_writer_only_is_told_when_it_is_made() {
    let fake = Fake::start();
    fake.rule(|rules| rules.heeds_condition = false);
    let scene = Scene::new(fake.place("p"));
    let ran = scene.snap(&["init"]).expect_code(0);
    assert!(ran.stderr.contains("never write to it from two machines"), "{ran:?}");
    scene.snap(&["backup", "source"]).expect_code(0);
}

#[test]
fn storage_classes_come_from_the_configuration() {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("p"));
    Machine::write(&scene.machine.home(".config/snap/snap.toml"), "s3.packs-class = 'STANDARD_IA'\n");
    scene.snap(&["init"]).expect_code(0);
    scene.snap(&["backup", "source"]).expect_code(0);
    for (key, kept) in fake.objects() {
        let wanted = key.starts_with("p/packs/").then_some("STANDARD_IA");
        assert_eq!(kept.class.as_deref(), wanted, "{key}");
    }
    Machine::write(&scene.machine.home(".config/snap/snap.toml"), "s3.packs-class = 'DEEP_ARCHIVE'\n");
    let ran = scene.snap(&["snapshots"]).expect_code(2);
    assert!(ran.stderr.contains("STANDARD_IA"), "{ran:?}");
}
