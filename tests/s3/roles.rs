//! Credentials that may do less: the policies that the program prints, enforced by the fake.

use bytes::Bytes;
use serde_json::Value;
use snap::id::SessionId;
use snap::storage::name::ObjectName;
use snap::storage::{Storage, StorageErrorKind};

use crate::cli::harness::Machine;

use super::fake::Fake;
use super::program::Scene;

/// A repository that its owner made and backed up into.
fn owned() -> (Fake, Scene) {
    let fake = Fake::start();
    let scene = Scene::new(fake.place("deep/er"));
    scene.snap(&["init"]).expect_code(0);
    scene.snap(&["backup", "source"]).expect_code(0);
    Machine::write(&scene.machine.work("source/b/new"), "new\n");
    scene.snap(&["backup", "source"]).expect_code(0);
    (fake, scene)
}

fn policy(scene: &Scene, role: &str) -> Value {
    let printed = scene.snap(&["aws", "policy", "--role", role]).expect_code(0);
    let json = scene.snap(&["aws", "policy", "--role", role, "--json"]).expect_code(0).document();
    let policy: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!((&json["policy"], &json["role"]), (&policy, &Value::from(role)));
    policy
}

fn session() -> SessionId {
    SessionId([0x77; 16])
}

/// A name below each prefix.
fn names() -> Vec<ObjectName> {
    let stray = |name: &str| name.parse().expect("a name");
    let mut names = vec![
        super::behaviour::pack(),
        ObjectName::session(&session()),
        ObjectName::index_delta(0, &session(), 0),
        ObjectName::commit_cell(&session()),
        ObjectName::forget_mark(&session()),
        ObjectName::prune_intent(1),
        ObjectName::prune_manifest(1),
        ObjectName::config(),
        ObjectName::config_copy(),
        ObjectName::reserve(),
    ];
    names.extend(["b/test", "keys/test", "other"].map(stray));
    names
}

/// What is refused of creating, replacing and deleting, by name.
fn refused(fake: &Fake) -> Vec<String> {
    let store = fake.storage("deep/er");
    let mut refused = Vec::new();
    for name in names() {
        let outcomes = [
            ("create", store.put_if_absent(&name, Bytes::from_static(b"x")).map(drop)),
            ("replace", store.replace(&name, Bytes::from_static(b"x"))),
            ("delete", store.delete(&name)),
        ];
        for (verb, outcome) in outcomes {
            if let Err(error) = outcome {
                assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
                refused.push(format!("{verb} {}", name.as_str().split_inclusive('/').next().expect("one")));
            }
        }
    }
    refused.dedup();
    refused
}

/// All of these verbs on all of these places.
fn all(verbs: &[&str], places: &[&str]) -> Vec<String> {
    places.iter().flat_map(|place| verbs.iter().map(move |verb| format!("{verb} {place}"))).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines.dedup();
    lines
}

const EVERYWHERE: [&str; 12] =
    ["packs/", "s/", "i/", "c/", "f/", "g/", "b/", "keys/", "config", "config.copy", "reserve", "other"];

#[test]
fn a_writer_adds_snapshots_and_takes_nothing_away() {
    let (fake, scene) = owned();
    fake.allow_only(Some(policy(&scene, "writer")));
    Machine::write(&scene.machine.work("source/c/newer"), "newer\n");
    scene.snap(&["backup", "source"]).expect_code(0);
    scene.snap(&["snapshots"]).expect_code(0);
    scene.snap(&["check"]).expect_code(0);
    scene.restore();
    assert_eq!(fake.denied(), [""; 0], "it asked for more than it may");
    for line in [&["forget", "latest", "--yes", "--even-last-complete"][..], &["prune"]] {
        let ran = scene.snap(line).expect_code(13);
        assert!(ran.stderr.contains("hint: these credentials may not forget or prune"), "{ran:?}");
    }
    let before = fake.objects().len();
    let mut expected = all(&["replace", "delete"], &EVERYWHERE);
    expected.extend(all(&["create"], &["f/", "g/", "b/", "keys/", "config", "config.copy", "reserve", "other"]));
    assert_eq!(sorted(refused(&fake)), sorted(expected));
    assert_eq!(fake.objects().len(), before + 4);
    let other = scene.snap(&["init", "-r", &fake.place("deep/other")]).expect_code(13);
    assert!(other.stderr.contains("AccessDenied"), "{other:?}");
}

#[test]
fn a_reader_reads() {
    let (fake, scene) = owned();
    fake.allow_only(Some(policy(&scene, "reader")));
    for line in [&["snapshots"][..], &["ls", "latest"], &["diff", "latest~1", "latest"], &["check", "--read-data"]] {
        scene.snap(line).expect_code(0);
    }
    scene.restore();
    assert_eq!(fake.denied(), [""; 0], "it asked for more than it may");
    let ran = scene.snap(&["backup", "source"]).expect_code(13);
    assert!(ran.stderr.contains("hint: these credentials may not write"), "{ran:?}");
    assert_eq!(sorted(refused(&fake)), sorted(all(&["create", "replace", "delete"], &EVERYWHERE)));
}

#[test]
fn a_pruner_forgets_and_prunes() {
    let (fake, scene) = owned();
    fake.allow_only(Some(policy(&scene, "pruner")));
    scene.snap(&["forget", "--keep-last", "1", "--yes"]).expect_code(0);
    scene.snap(&["prune", "--max-unused", "0"]).expect_code(0);
    scene.snap(&["backup", "source"]).expect_code(0);
    scene.snap(&["check", "--read-data"]).expect_code(0);
    scene.restore();
    assert_eq!(fake.denied(), [""; 0], "it asked for more than it may");
    let mut expected = all(&["replace"], &EVERYWHERE);
    expected.extend(all(&["create"], &["keys/", "config.copy", "other"]));
    expected.extend(all(&["delete"], &["g/", "keys/", "config", "config.copy", "other"]));
    assert_eq!(sorted(refused(&fake)), sorted(expected));
}

fn tested(scene: &Scene, line: &[&str]) -> Value {
    scene.snap(&[&["repository", "test", "--json"], line].concat()).expect_code(0).document()
}

/// The prefixes at which something may be done.
fn may(tested: &Value, verb: &str) -> Vec<String> {
    let places = tested["places"].as_array().expect("places").iter();
    let allowed = places.filter(|place| place[verb] == true).map(|place| place["prefix"].as_str().expect("a text"));
    sorted(allowed.map(str::to_owned).collect())
}

#[test]
fn the_test_says_what_the_credentials_can_do_and_does_no_harm() {
    let (fake, scene) = owned();
    let before = fake.objects();
    fake.rule(|rules| rules.demands_condition = false);
    let owner = tested(&scene, &[]);
    assert_eq!(owner["append_only"], false);
    assert_eq!(may(&owner, "replace"), ["b/", "c/", "config", "f/", "i/", "keys/", "packs/", "s/"]);
    assert_eq!(may(&owner, "delete"), ["b/", "c/", "f/", "g/", "i/", "keys/", "packs/", "s/"]);
    let ran = scene.snap(&["repository", "test", "--expect", "append-only"]).expect_code(1);
    assert!(ran.stdout.contains("not append-only") && ran.stderr.contains("hint: `snap aws policy"), "{ran:?}");
    fake.allow_only(Some(policy(&scene, "writer")));
    let writer = tested(&scene, &["--expect", "append-only"]);
    assert_eq!((&writer["append_only"], &writer["many_writers"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(may(&writer, "create"), ["c/", "i/", "packs/", "s/"]);
    assert!(may(&writer, "replace").is_empty() && may(&writer, "delete").is_empty(), "{writer}");
    fake.allow_only(Some(policy(&scene, "reader")));
    let reader = tested(&scene, &[]);
    assert!(["create", "replace", "delete"].iter().all(|verb| may(&reader, verb).is_empty()), "{reader}");
    assert_eq!(reader["append_only"], false);
    fake.allow_only(Some(policy(&scene, "pruner")));
    let pruner = tested(&scene, &[]);
    assert_eq!(may(&pruner, "create"), ["b/", "c/", "config", "f/", "i/", "packs/", "s/"]);
    assert!(may(&pruner, "replace").is_empty(), "{pruner}");
    assert_eq!(may(&pruner, "delete"), ["b/", "c/", "f/", "i/", "packs/", "s/"]);
    fake.allow_only(None);
    let after = fake.objects();
    for (key, kept) in &before {
        assert_eq!(after.get(key).map(|kept| &kept.content), Some(&kept.content), "{key}");
    }
    scene.snap(&["check", "--read-data"]).expect_code(0);
    // What the tests left are sessions that ended: two prunes take away all of it.
    for _ in 0..2 {
        scene.snap(&["prune", "--max-unused", "0"]).expect_code(0);
        scene.snap(&["backup", "source"]).expect_code(0);
    }
    scene.snap(&["check", "--read-data"]).expect_code(0);
    scene.restore();
    let left = fake.objects().keys().filter(|key| key.contains("/f/") || key.contains("test-")).count();
    assert_eq!(left, 0, "{:?}", fake.objects().keys());
}

#[test]
fn a_policy_that_forgets_the_condition_is_found_out() {
    let (fake, scene) = owned();
    let mut careless = policy(&scene, "writer");
    let statements = careless["Statement"].as_array_mut().expect("statements");
    statements.retain(|statement| statement["Sid"] != "NeverReplace");
    for statement in statements.iter_mut().filter(|statement| statement["Sid"] == "Create") {
        statement.as_object_mut().expect("a statement").remove("Condition");
    }
    fake.allow_only(Some(careless));
    let tested = tested(&scene, &[]);
    assert_eq!(tested["append_only"], false);
    assert_eq!(may(&tested, "replace"), ["c/", "i/", "packs/", "s/"]);
}

#[test]
fn a_folder_has_no_policy() {
    let machine = Machine::new();
    let ran = machine.snap(&["aws", "policy", "--role", "writer", "--repository", "file:///srv/backup"]).expect_code(2);
    assert!(ran.stderr.contains("no repository in S3"), "{ran:?}");
    let ran = machine.snap_with(&["repository", "test", "-r", "/srv/backup"], &[("SNAP_PASSWORD", "x")]).expect_code(2);
    assert!(ran.stderr.contains("is a folder"), "{ran:?}");
}
