//! What happens to what is there already.

use std::fs;

use snap::operation::restore::{Deletion, RestoreMode, RestoreRequest, extraneous};
use snap::operation::target::{Overwrite, TargetOptions};
use snap::progress::Silent;
use snap::resource::{Coverage, Gap};

use super::{Bench, picture};

fn with(bench: &Bench, overwrite: Overwrite) -> RestoreRequest {
    RestoreRequest { options: TargetOptions { overwrite, ..TargetOptions::default() }, ..bench.request() }
}

fn deleting(bench: &Bench) -> RestoreRequest {
    RestoreRequest { deletion: Deletion::Remove, ..with(bench, Overwrite::IfChanged) }
}

/// A folder captured and restored, then changed where it was restored.
fn changed() -> (Bench, snap::resource::SnapshotRecord) {
    let bench = Bench::new();
    for path in ["a/one", "a/two", "three"] {
        bench.write(path, 700);
    }
    let record = bench.backup();
    bench.restore(&record, &bench.request());
    fs::write(bench.out("a/one"), "mine").unwrap();
    (bench, record)
}

#[test]
fn each_policy_does_what_it_says() {
    let expected = [(Overwrite::Always, 700, 0), (Overwrite::IfChanged, 700, 2), (Overwrite::Never, 4, 3)];
    for (overwrite, size, kept) in expected {
        let (bench, record) = changed();
        let report = bench.restore(&record, &with(&bench, overwrite));
        assert_eq!(fs::metadata(bench.out("a/one")).unwrap().len(), size, "{overwrite:?}");
        assert_eq!(report.kept, kept, "{overwrite:?}");
    }
}

#[test]
fn deleting_makes_the_target_equal_to_the_snapshot() {
    let (bench, record) = changed();
    fs::create_dir_all(bench.out("a/extra/deep")).unwrap();
    fs::write(bench.out("a/extra/deep/file"), "x").unwrap();
    fs::write(bench.out("extra"), "x").unwrap();
    let planned = extraneous(&bench.repository, &record, &deleting(&bench), &Silent).unwrap();
    assert_eq!(planned.listed, [b"a/extra".to_vec(), b"extra".to_vec()]);
    let report = bench.restore(&record, &deleting(&bench));
    assert_eq!(report.deleted, 4);
    assert_eq!(picture(&bench.out("")), picture(&bench.live("")));
}

#[test]
fn a_dry_run_changes_nothing() {
    let (bench, record) = changed();
    fs::write(bench.out("extra"), "x").unwrap();
    let before = picture(&bench.out(""));
    let dry = RestoreRequest { mode: RestoreMode::DryRun, ..deleting(&bench) };
    let report = bench.restore(&record, &dry);
    assert_eq!((report.kept, report.deleted, report.bytes), (2, 1, 700));
    assert_eq!(picture(&bench.out("")), before);
    fs::remove_dir_all(bench.out("")).unwrap();
    assert_eq!(bench.restore(&record, &dry).bytes, 2100);
    assert!(!bench.out("").exists());
}

#[test]
fn what_was_not_captured_is_not_deleted() {
    let (bench, mut record) = changed();
    for path in ["a/secret", "a/other"] {
        fs::create_dir(bench.out(path)).unwrap();
        fs::write(bench.out(path).join("file"), "x").unwrap();
    }
    let gap = |path: &str| Gap {
        path: path.to_owned(),
        action: "open".to_owned(),
        reason: "denied".to_owned(),
        ..Gap::default()
    };
    record.resources[0].coverage = Coverage::Partial { gaps: vec![gap("a/secret/file")], count: 1 };
    bench.restore(&record, &deleting(&bench));
    assert!(bench.out("a/secret/file").exists() && !bench.out("a/other").exists());

    fs::create_dir(bench.out("a/other")).unwrap();
    record.resources[0].coverage = Coverage::Partial { gaps: vec![gap("a/")], count: 1 };
    bench.restore(&record, &deleting(&bench));
    assert!(bench.out("a/other").exists(), "nothing beneath a gap is removed");

    record.resources[0].coverage = Coverage::Partial { gaps: Vec::new(), count: 1 };
    bench.restore(&record, &deleting(&bench));
    assert!(bench.out("a/other").exists(), "gaps that are not listed may be anywhere");

    record.resources[0].coverage = Coverage::Complete;
    record.resources[0].scope = vec!["exclude *.tmp".to_owned()];
    let (outcome, told) = bench.restore_told(&record, &deleting(&bench));
    assert_eq!(outcome.unwrap().deleted, 0);
    assert!(told.warnings()[0].contains("filters"), "{:?}", told.warnings());

    record.resources[0].scope.clear();
    bench.restore(&record, &deleting(&bench));
    assert!(!bench.out("a/other").exists());
}

#[test]
fn what_the_patterns_look_away_from_is_not_deleted() {
    let (bench, record) = changed();
    for path in ["extra.log", "a/extra.log", "a/extra", "extra"] {
        fs::write(bench.out(path), "x").unwrap();
    }
    let request =
        RestoreRequest { include: vec!["/a".to_owned()], exclude: vec!["*.log".to_owned()], ..deleting(&bench) };
    bench.restore(&record, &request);
    let there = |path| bench.out(path).exists();
    assert!(there("extra.log") && there("a/extra.log") && there("extra") && !there("a/extra"));
}
