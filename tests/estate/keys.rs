//! Objects under any keys: restored without loss, each under a path of its own that tells its key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;
use snap::entry::{Metadata, ObjectMetadata, Timestamp};
use snap::operation::target::escape::unspell;
use snap::operation::target::{Overwrite, TargetOptions};
use snap::resource::SnapshotRecord;
use snap::source::estate::Problem;

use crate::estate::shelf::{Bench, Estate, Thing, files, object};

const BUCKET: &str = "s3-buckets/data";
const LIST: &str = "s3-buckets/data@objects.jsonl";

fn bucket(keys: &BTreeSet<Vec<u8>>) -> Estate {
    // Content tells the key, so that no object can be taken for another.
    let body = |key: &[u8]| [b"body of ", key, &[b'.'; 600][..key.len() % 600]].concat();
    Estate::of([(BUCKET, keys.iter().map(|key| object(key, &body(key))).collect())])
}

/// The lines of a list by key.
fn lines(text: &[u8]) -> BTreeMap<Vec<u8>, (Vec<u8>, Value)> {
    let parsed = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let line: Value = serde_json::from_slice(line).expect("JSON");
        let of = |name: &str| match line.get(format!("{name}_hex")) {
            Some(hex) => hex::decode(hex.as_str().expect("a string")).expect("hex"),
            None => line[name].as_str().expect("a string").as_bytes().to_vec(),
        };
        (of("key"), (of("path"), line.clone()))
    });
    let all: Vec<_> = parsed.collect();
    let count = all.len();
    let by_key: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(by_key.len(), count, "a line for each key");
    by_key
}

/// Restores and compares: every object is there once, where its line says, and its path tells its key.
fn restored_without_loss(bench: &Bench, record: &SnapshotRecord, keys: &BTreeSet<Vec<u8>>) -> Result<(), String> {
    let estate = bucket(keys);
    let (report, told) = bench.restore(record, &bench.request());
    if (report.lost, report.skipped) != (0, 0) {
        return Err(format!("{report:?}: {told:?}"));
    }
    let restored = files(&bench.out(BUCKET));
    let list = std::fs::read(bench.out(LIST)).map_err(|error| error.to_string())?;
    let lines = lines(&list);
    // Where names fold, another run may spell others than the last, whose files stay.
    if restored.len() < keys.len() || told.is_empty() && restored.len() > keys.len() || lines.len() != keys.len() {
        return Err(format!("{} files, {} lines: {told:?}", restored.len(), lines.len()));
    }
    for thing in &estate.resources[BUCKET] {
        let (path, _) = lines.get(&thing.path).ok_or("no line")?;
        let shown = String::from_utf8_lossy(path).into_owned();
        if restored.get(path) != Some(&thing.body) {
            return Err(format!("{:?} is not at {shown}", String::from_utf8_lossy(&thing.path)));
        }
        if unspell(path).as_ref() != Some(&thing.path) {
            return Err(format!("{shown} does not tell {:?}", String::from_utf8_lossy(&thing.path)));
        }
    }
    Ok(())
}

fn keys_of(keys: &[&str]) -> BTreeSet<Vec<u8>> {
    keys.iter().map(|key| key.as_bytes().to_vec()).collect()
}

#[test]
fn keys_that_no_file_system_takes_or_that_meet_each_other_are_restored_under_their_spellings() {
    let long = "l".repeat(300);
    let cases: [(&str, &str); 20] = [
        ("plain", "plain"),
        ("a", "a%~"),
        ("a/b", "a/b"),
        ("a!", "a!"),
        ("dir/", "dir/%-"),
        ("dir//", "dir/%~/%~"),
        ("dir//b", "dir/%~/b"),
        ("only/", "only/%~"),
        ("/lead", "%~/lead"),
        ("x/../y", "x/%2E%2E%~/y"),
        ("x/..", "x/%2E%2E%-"),
        ("x/.", "x/%2E%~"),
        ("nul\0", "nul%00%~"),
        ("a%~", "a%25~%~"),
        ("folder/sub", "folder/sub%~"),
        ("folder/sub/x", "folder/sub/x"),
        ("README", "README"),
        ("readme", "readme"),
        ("caf\u{e9}", "caf\u{e9}"),
        ("/", "%~/%~"),
    ];
    let mut keys = keys_of(&cases.map(|(key, _)| key));
    keys.insert(long.clone().into_bytes());
    keys.insert(format!("{long}/x").into_bytes());
    let bench = Bench::new();
    let record = bench.capture(&bucket(&keys)).record;
    restored_without_loss(&bench, &record, &keys).expect("all are restored");
    let lines = lines(&bench.cat(&record, LIST.as_bytes()).expect("the list"));
    for (key, path) in cases {
        assert_eq!(String::from_utf8_lossy(&lines[key.as_bytes()].0), path, "{key:?}");
    }
    for thing in &bucket(&keys).resources[BUCKET] {
        let path = [BUCKET.as_bytes(), b"/", &thing.path].concat();
        assert_eq!(bench.cat(&record, &path).expect("its bytes"), thing.body, "{:?}", thing.path);
    }
}

#[test]
fn an_object_yields_to_a_folder_that_is_not_selected() {
    let bench = Bench::new();
    let record = bench.capture(&bucket(&keys_of(&["a", "a/b"]))).record;
    let mut request = bench.request();
    request.include = vec![format!("{BUCKET}/a")];
    request.exclude = vec![format!("{BUCKET}/a/b")];
    bench.restore(&record, &request);
    assert_eq!(files(&bench.out("")).into_keys().collect::<Vec<_>>(), [b"s3-buckets/data/a%~"]);
}

/// Keys of few names, so that they meet each other often.
fn any_keys() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
    let name = prop_oneof![
        6 => prop::sample::select(vec!["a", "A", "b", "", ".", "..", "a%~", "%~", "a%", "%2E", "a%=", "A%-", "x%+", "\u{e9}", "e\u{301}", "\u{c9}"])
            .prop_map(|name| name.as_bytes().to_vec()),
        1 => (230_usize..270).prop_map(|length| vec![b'n'; length]),
        1 => (230_usize..270).prop_map(|length| vec![b'N'; length]),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let key = prop::collection::vec(name, 1..4).prop_map(|names| names.join(&b'/'));
    let key = prop_oneof![8 => key, 1 => Just(b"/".to_vec())];
    prop::collection::btree_set(key.prop_filter("a key has a byte", |key| !key.is_empty()), 1..24)
}

fn any_keys_are_restored(cases: u32, make: impl Fn() -> Bench) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_keys(), |keys| {
        let bench = make();
        let record = bench.capture(&bucket(&keys)).record;
        restored_without_loss(&bench, &record, &keys).map_err(TestCaseError::fail)?;
        // Over what is there: nothing is taken for another then either.
        restored_without_loss(&bench, &record, &keys).map_err(TestCaseError::fail)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn any_keys_are_restored_without_loss_and_told_by_their_paths() {
    any_keys_are_restored(48, Bench::new);
}

/// A file system in memory that takes `a` and `A` for one; `None` where this system has none.
struct Folding(tempfile::TempDir);

impl Folding {
    fn mounted() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let run = |program: &str, arguments: &[&str], at: &Path| {
            let status = Command::new(program).args(arguments).arg(at).stderr(std::process::Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let is_mounted = run("mount", &["-t", "tmpfs", "-o", "size=64m,casefold", "tmpfs"], folder.path());
        let mounted = is_mounted.then(|| Self(folder))?;
        let folded = mounted.0.path().join("folded");
        std::fs::create_dir(&folded).ok()?;
        run("chattr", &["+F"], &folded).then_some(mounted)
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).status();
    }
}

#[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
fn skipped() {
    eprintln!("skipped: no file system here folds names");
}

#[test]
fn any_keys_are_restored_where_names_fold() {
    let Some(folding) = Folding::mounted() else {
        return skipped();
    };
    let number = std::cell::Cell::new(0);
    any_keys_are_restored(48, || {
        number.set(number.get() + 1);
        Bench::within(&folding.0.path().join("folded").join(number.get().to_string()))
    });
}

#[test]
fn names_that_fold_into_one_are_written_beside_each_other_again_and_again() {
    let Some(folding) = Folding::mounted() else {
        return skipped();
    };
    let keys = keys_of(&["A", "a/b", "Folder/x", "folder/x", "folder/y", "README", "readme", "ReadMe"]);
    let bench = Bench::within(&folding.0.path().join("folded"));
    let record = bench.capture(&bucket(&keys)).record;
    let mut request = bench.request();
    for overwrite in [Overwrite::Always, Overwrite::Always, Overwrite::IfChanged] {
        request.options = TargetOptions { overwrite, ..TargetOptions::default() };
        restored_without_loss(&bench, &record, &keys).expect("all are restored");
        let (report, told) = bench.restore(&record, &request);
        assert_eq!((report.lost, report.skipped), (0, 0), "{told:?}");
    }
    restored_without_loss(&bench, &record, &keys).expect("all are there still");
}

#[test]
fn what_is_known_of_objects_is_in_their_list_and_in_extended_attributes() {
    let bench = Bench::new();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let metadata = Metadata::Object(Box::new(ObjectMetadata {
        modified: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
        etag: Some("\"0cc1\"".to_owned()),
        version_id: Some("v1".to_owned()),
        fields: vec![pair("cache-control", "no-cache"), pair("content-type", "text/html"), pair("x-amz-meta-a", "1")],
        tags: vec![pair("team", "web")],
        delete_marker: false,
    }));
    let page = Thing { metadata, ..object(b"index.html", b"<p>") };
    let record = bench.capture(&Estate::of([(BUCKET, vec![page, object(b"z", b"")])])).record;
    bench.restore(&record, &bench.request());
    let list = std::fs::read_to_string(bench.out(LIST)).expect("the list");
    let expected = concat!(
        r#"{"key":"index.html","path":"index.html","size":3,"modified":"2023-11-14T22:13:20Z","etag":"\"0cc1\"","#,
        r#""version":"v1","metadata":{"cache-control":"no-cache","content-type":"text/html","x-amz-meta-a":"1"},"#,
        r#""tags":{"team":"web"}}"#,
        "\n",
        r#"{"key":"z","path":"z","size":0}"#,
        "\n"
    );
    assert_eq!(list, expected);
    let file = bench.out("s3-buckets/data/index.html");
    if !xattr::SUPPORTED_PLATFORM || xattr::set(bench.out(LIST), "user.probe", b"1").is_err() {
        return;
    }
    let of = |name: &str| {
        xattr::get(&file, name).expect("attributes").map(|value| String::from_utf8_lossy(&value).into_owned())
    };
    let names = ["content-type", "cache-control", "x-amz-meta-a", "tag.team", "etag", "version-id"];
    let values = names.map(|name| of(&format!("user.s3.{name}")).unwrap_or_default());
    assert_eq!(values, ["text/html", "no-cache", "1", "web", "\"0cc1\"", "v1"]);
    let modified = std::fs::metadata(&file).expect("status").modified().expect("a time");
    assert_eq!(modified.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs(), 1_700_000_000);
}

#[test]
fn a_list_of_many_objects_is_had_whole_and_in_parts() {
    let bench = Bench::new();
    let keys: BTreeSet<Vec<u8>> = (0..30_000).map(|at| format!("{:05}/{}", at, "k".repeat(60)).into_bytes()).collect();
    let things = keys.iter().map(|key| object(key, b"")).collect();
    let record = bench.capture(&Estate::of([(BUCKET, things)])).record;
    let whole = bench.cat(&record, LIST.as_bytes()).expect("the list");
    assert!(whole.len() > 4 << 20, "several parts");
    assert!(lines(&whole).into_keys().eq(keys));
    let (report, _) = bench.restore(&record, &bench.request());
    assert_eq!(report.lost, 0);
    assert!(std::fs::read(bench.out(LIST)).expect("the list") == whole);
}

#[test]
fn what_is_known_of_a_snapshot_stands_at_its_top() {
    let bench = Bench::new();
    let mut estate = bucket(&keys_of(&["a", "b"]));
    estate.resources.insert("lambda-functions/f".to_owned(), vec![object(b"config.json", b"{}")]);
    estate.resources.insert("lambda-functions/g".to_owned(), Vec::new());
    let denied = Problem {
        action: "lambda:GetPolicy".to_owned(),
        code: "AccessDenied".to_owned(),
        reason: "no".to_owned(),
        ..Problem::default()
    };
    for path in ["lambda-functions/f", "lambda-functions/g"] {
        estate.gaps.insert(path.to_owned(), denied.clone());
    }
    let record = bench.capture(&estate).record;
    let text = bench.cat(&record, b"SNAPSHOT-METADATA.json").expect("the document");
    assert_eq!(text, bench.cat(&record, b"SNAPSHOT-METADATA.json").expect("the document once more"));
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    let said = |path: &str| document.pointer(path).unwrap_or_else(|| panic!("{path} in {document:#}")).clone();
    assert_eq!(said("/schema"), 1);
    assert_eq!(said("/time"), "2023-11-14T22:13:20Z");
    assert_eq!((said("/host"), said("/user"), said("/series")), ("host".into(), "user".into(), "estate".into()));
    assert_eq!(said("/tags"), serde_json::json!(["nightly"]));
    assert_eq!(said("/accounts"), serde_json::json!(["123456789012"]));
    assert_eq!(said("/regions"), serde_json::json!(["eu-central-1"]));
    assert_eq!((said("/coverage"), said("/gaps")), ("partial".into(), 1.into()));
    let counts = ["resources", "complete", "partial", "failed", "gaps", "denied"]
        .map(|name| said(&format!("/sources/shelf/{name}")));
    assert_eq!(counts, [3, 1, 1, 1, 1, 1].map(Value::from));
    assert_eq!(said("/totals/files"), 3);
    assert_eq!(
        (said("/resources/0/path"), said("/resources/0/coverage")),
        ("lambda-functions/f".into(), "partial".into())
    );
    assert_eq!(said("/resources/0/gaps/0/action"), "lambda:GetPolicy");
    assert_eq!(said("/resources/1/coverage"), "failed");
    assert!(said("/resources/1/reason").as_str().is_some_and(|reason| reason.contains("no")), "{document:#}");
    let listed = bench.list(&record, "");
    assert_eq!(listed.first().map(String::as_str), Some("SNAPSHOT-METADATA.json"));
    assert!(listed.iter().any(|line| line == LIST), "{listed:?}");
    bench.restore(&record, &bench.request());
    assert_eq!(std::fs::read(bench.out("SNAPSHOT-METADATA.json")).expect("the document"), text);
}
