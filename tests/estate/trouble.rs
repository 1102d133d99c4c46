//! T18: throttling, failures, expired credentials, pages that are short, empty or endless, lists in any order, and what changes
//! or goes while it is captured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use serde_json::Value;
use snap::operation::backup::BackupReport;
use snap::source::aws::SERVICES;

use super::faults::{by_path, lies};
use super::front::alter::{emptied, endless, halved, shuffled, shuffled_xml};
use super::front::answer::Answer;
use super::front::{Call, Effect};
use super::stage::{Stage, credentials, gaps};
use super::untouched;

/// Every resource: its map and what is missing.
fn state(report: &BackupReport) -> BTreeMap<String, String> {
    let of = |record: &snap::resource::ResourceRecord| format!("{} {:?}", record.root, record.coverage);
    report.record.resources.iter().map(|record| (record.path.clone(), of(record))).collect()
}

#[track_caller]
fn assert_same(one: &BackupReport, other: &BackupReport, why: &str) {
    assert_equal(&state(one), &state(other), why);
}

#[track_caller]
fn assert_equal(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>, why: &str) {
    let differ = |path: &&String| one.get(*path) != other.get(*path);
    let paths: Vec<&String> = one.keys().chain(other.keys()).filter(differ).collect();
    let shown: Vec<String> =
        paths.iter().map(|path| format!("{path}: {:?} {:?}", one.get(*path), other.get(*path))).collect();
    assert!(shown.is_empty(), "{why}: {}", shown.join("\n"));
}

#[test]
fn what_goes_wrong_once_loses_nothing() {
    let stage = untouched();
    let clean = stage.capture("clean");
    for (name, effect) in [
        ("throttled", Effect::Throttle),
        ("failing", Effect::Fail(500)),
        ("unavailable", Effect::Fail(503)),
        ("reset", Effect::Reset),
        ("truncated", Effect::Truncate),
    ] {
        stage
            .front
            .play(move |call| if call.number_of_action.is_multiple_of(3) { effect.clone() } else { Effect::Pass });
        assert_same(&stage.capture(name), &clean, name);
    }
}

/// Gives other credentials each time, or the same.
#[derive(Clone, Debug)]
struct Keys {
    asked: Arc<AtomicU64>,
    are_new: bool,
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        future::ProvideCredentials::ready(Ok(credentials(&format!("key-{}", if self.are_new { number } else { 0 }))))
    }
}

fn keys(are_new: bool) -> (SharedCredentialsProvider, Arc<AtomicU64>) {
    let keys = Keys { asked: Arc::default(), are_new };
    let asked = Arc::clone(&keys.asked);
    (SharedCredentialsProvider::new(keys), asked)
}

#[test]
fn credentials_that_expire_are_asked_for_anew_once() {
    let stage = untouched();
    let clean = stage.capture("clean");
    let expire = |call: &Call| match call.access_key == "key-0" && call.number >= 40 {
        true => Effect::Expire,
        false => Effect::Pass,
    };
    stage.front.play(expire);
    let (provider, asked) = keys(true);
    assert_same(&stage.capture_as("renewed", SERVICES, provider), &clean, "renewed");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    stage.front.play(expire);
    let (provider, asked) = keys(false);
    let lost = stage.capture_as("lost", SERVICES, provider);
    assert!(lost.gap_count() > clean.gap_count());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(lies(&stage, &clean, &lost), Vec::<String>::new());
}

#[test]
fn lists_that_have_no_end_end_and_say_so() {
    let stage = untouched();
    let clean = stage.capture("clean");
    let usual = stage.front.take().len();
    stage.front.play(|call| match call.action.as_str() {
        "GetBucketPolicy" | "GetAccount" => Effect::Pass,
        _ => Effect::alter(|answer| endless(answer, "again")),
    });
    let circles = stage.capture("circles");
    assert!(stage.front.take().len() < 5 * usual);
    let coverages = format!("{:?}", state(&circles));
    assert!(coverages.contains("EndlessPages"), "{coverages}");
    assert_eq!(lies(&stage, &clean, &circles), Vec::<String>::new());
    stage.front.play(|call| {
        let token = format!("token-{}", call.number);
        Effect::alter(move |answer| endless(emptied(answer), &token))
    });
    let empty = stage.capture_only("empty", &["lambda", "dynamodb", "acm", "ssm", "sqs", "logs", "events"]);
    let coverages = format!("{:?}", state(&empty));
    assert!(coverages.contains("EndlessPages"), "{coverages}");
    // What belongs to the account itself is no list.
    let is_whole = |(path, of): &(String, String)| !path.contains("@account") && of.contains("Complete");
    assert_eq!(state(&empty).into_iter().filter(is_whole).collect::<Vec<_>>(), Vec::new());
}

/// Lists whose pages can be asked to be short: action, parameter.
const SHORT: &[(&str, &str)] =
    &[("ListObjectsV2", "max-keys=2"), ("ListResourceRecordSets", "maxitems=3"), ("ListFunctions", "MaxItems=1")];
/// Lists that begin with an empty page: action, what it is, the parameter that takes its token.
const EMPTY: &[(&str, &str, &str)] = &[
    ("ListFunctions", r#"{"Functions":[],"NextMarker":"front"}"#, "Marker=front"),
    (
        "ListObjectsV2",
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>front</NextContinuationToken></ListBucketResult>",
        "continuation-token=front",
    ),
    (
        "ListHostedZones",
        "<ListHostedZonesResponse><HostedZones></HostedZones><IsTruncated>true</IsTruncated><NextMarker>front</NextMarker><MaxItems>100</MaxItems></ListHostedZonesResponse>",
        "marker=front",
    ),
];

fn joined(target: &str, parameter: &str) -> String {
    format!("{target}{}{parameter}", if target.contains('?') { '&' } else { '?' })
}

#[test]
fn however_lists_are_cut_into_pages_they_are_the_same() {
    let stage = untouched();
    let clean = stage.capture("clean");
    stage.front.take();
    stage.front.play(|call| {
        match SHORT.iter().find(|(action, _)| *action == call.action && call.service != "cloudfront") {
            Some((_, parameter)) => Effect::Instead(joined(&call.target, parameter)),
            None => Effect::Pass,
        }
    });
    assert_same(&stage.capture("short"), &clean, "short pages");
    let seen = stage.front.take();
    for (action, _) in SHORT {
        assert!(seen.iter().filter(|seen| seen.action == *action).count() > 3, "{action} came in one page");
    }
    stage.front.play(|call| {
        let found = EMPTY.iter().find(|(action, ..)| *action == call.action && call.service != "cloudfront");
        let Some((_, page, parameter)) = found else { return Effect::Pass };
        if call.target.contains(parameter) {
            let target = call.target.replace(&format!("{parameter}&"), "").replace(parameter, "");
            return Effect::Instead(target.trim_end_matches(['&', '?']).to_owned());
        }
        let kind = if page.starts_with('<') { "text/xml" } else { "application/json" };
        Effect::Answer(Answer::new(200, *page).with("content-type", kind))
    });
    assert_same(&stage.capture("empty"), &clean, "empty pages");
}

/// What stands in an order that says something, in XML and JSON; policies, and items of tables, which are data.
const ORDERED: &[&str] =
    &["Contents", "Prefix", "ResourceRecordSet", "ResourceRecord", "CacheBehavior", "CORSRule", "Rule"];
const ORDERED_MEMBERS: &[&str] = &["Items", "KeySchema", "Layers", "Rules"];
const ORDERED_ANSWERS: &[&str] = &["GetBucketPolicy", "DescribeReceiptRuleSet", "DescribeActiveReceiptRuleSet"];

/// Where documents of two captures differ.
fn changed(stage: &Stage, one: &BackupReport, other: &BackupReport) -> Vec<String> {
    let (before, after) = (by_path(one), by_path(other));
    let mut changed = Vec::new();
    for (path, record) in
        before.iter().filter(|(path, record)| after.get(*path).is_none_or(|after| after.root != record.root))
    {
        let (one, two) =
            (stage.contents(record), after.get(path).map(|record| stage.contents(record)).unwrap_or_default());
        for (inside, (_, bytes)) in one.iter().filter(|(inside, one)| two.get(*inside) != Some(*one)) {
            let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
            let other = two.get(inside).map(|(_, bytes)| json(bytes)).unwrap_or_default();
            let mut places = Vec::new();
            differences(&json(bytes), &other, "", &mut places);
            changed.push(format!("{path}/{inside}: {places:?}"));
        }
    }
    changed
}

fn differences(one: &Value, other: &Value, place: &str, places: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in one {
                differences(value, other.get(name).unwrap_or(&Value::Null), &format!("{place}/{name}"), places);
            }
        }
        _ if one == other => {}
        _ => places.push(place.to_owned()),
    }
}

#[test]
fn an_untouched_estate_is_unchanged_in_whatever_order_answers_list_it() {
    let stage = untouched();
    let first = stage.capture("estate");
    for seed in 1..=3 {
        stage.front.play(move |call| {
            let seed = seed * 1000 + call.number;
            if ORDERED_ANSWERS.contains(&call.action.as_str()) {
                return Effect::Pass;
            }
            Effect::alter(move |answer| shuffled_xml(shuffled(answer, ORDERED_MEMBERS, seed), ORDERED, seed))
        });
        let again = stage.capture("estate");
        let summary = &again.record.summary;
        let changed = changed(&stage, &first, &again);
        assert_eq!((summary.new, summary.changed, summary.removed), (0, 0, 0), "seed {seed}: {}", changed.join("\n"));
    }
}

#[test]
fn half_an_answer_is_never_taken_for_all_of_it() {
    let stage = untouched();
    let clean = stage.capture("clean");
    stage.front.play(|call| match (call.number_of_action, call.action.as_str()) {
        // Nothing says how long the code of an edge function is.
        (1, action) if action != "GetFunction" || call.service != "cloudfront" => Effect::alter(halved),
        _ => Effect::Pass,
    });
    let half = stage.capture("half");
    assert_eq!(lies(&stage, &clean, &half), Vec::<String>::new());
}

#[test]
fn what_is_deleted_after_it_was_listed_is_not_there_and_nothing_is_missing() {
    let stage = untouched();
    let clean = stage.capture("clean");
    let first = |folder: &str| -> String {
        let paths = by_path(&clean);
        let path = paths.keys().find(|path| path.starts_with(folder) && !path.contains('@'));
        path.expect("there is one")[folder.len()..].to_owned()
    };
    let (table, function, bucket) = (first("dynamodb-tables/"), first("lambda-functions/"), first("s3-buckets/"));
    let distribution = first("cloudfront-distributions/");
    let gone = [
        format!("dynamodb-tables/{table}"),
        format!("lambda-functions/{function}"),
        format!("s3-buckets/{bucket}"),
        format!("s3-buckets/{bucket}@settings.json"),
        format!("cloudfront-distributions/{distribution}"),
    ];
    stage.front.play(move |call| {
        let is_of = |name: &str| call.target.contains(name) || call.body.contains(name);
        match call.service.as_str() {
            "dynamodb" if is_of(&table) => Effect::Refuse(400, "ResourceNotFoundException"),
            "lambda" if is_of(&function) => Effect::Refuse(404, "ResourceNotFoundException"),
            "s3" if call.target.split(['/', '?']).nth(1) == Some(&bucket) => Effect::Refuse(404, "NoSuchBucket"),
            "cloudfront" if is_of(&distribution) => Effect::Refuse(404, "NoSuchDistribution"),
            _ => Effect::Pass,
        }
    });
    let report = stage.capture("deleted");
    let (mut expected, found) = (state(&clean), state(&report));
    expected.retain(|path, _| !gone.contains(path));
    assert_equal(&found, &expected, "deleted");
}

/// Bytes that tell the version and the place.
fn content(version: u8, size: usize) -> Vec<u8> {
    (0..size).map(|at| version ^ at.to_le_bytes()[0] ^ at.to_le_bytes()[2]).collect()
}

/// Answers for one large object: first as version 1, from the second range on as version 2.
fn large_object(call: &Call, bucket: &str, asked: &Arc<AtomicU64>) -> Effect {
    const SIZES: [usize; 2] = [20 << 20, 18 << 20];
    if call.action == "ListObjectsV2" && call.target.contains(bucket) {
        let page = format!(
            "<ListBucketResult><Contents><Key>large</Key><ETag>\"1\"</ETag><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
            SIZES[0]
        );
        return Effect::Answer(Answer::new(200, page).with("content-type", "text/xml"));
    }
    if !call.target.contains(&format!("{bucket}/large")) {
        return Effect::Pass;
    }
    let number = if call.action == "GetObject" { asked.fetch_add(1, Ordering::SeqCst) } else { 1 };
    let version = if number == 0 { 1 } else { 2 };
    let etag = format!("\"{version}\"");
    if call.headers.get("if-match").is_some_and(|wanted| *wanted != etag) {
        return Effect::Refuse(412, "PreconditionFailed");
    }
    let size = SIZES[usize::from(version - 1)];
    let range = call.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let range = range
        .map_or(0..size, |(begin, end)| begin.parse().expect("a number")..end.parse::<usize>().expect("a number") + 1);
    let is_head = call.action == "HeadObject";
    let body = if is_head { Vec::new() } else { content(version, size)[range].to_vec() };
    let answer = Answer::new(if is_head { 200 } else { 206 }, body).with("etag", &etag);
    let answer = answer.with("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
    Effect::Answer(if is_head { answer.with("content-length", &size.to_string()) } else { answer })
}

#[test]
fn an_object_that_changes_while_it_is_read_is_captured_as_it_is_then() {
    let stage = untouched();
    let clean = stage.capture_only("clean", &["s3"]);
    let refused = Mutex::new(BTreeSet::new());
    stage.front.play(move |call| {
        let is_first = || refused.lock().expect("because no holder panics").insert(call.target.clone());
        match call.action == "GetObject" && call.number_of_action.is_multiple_of(4) && is_first() {
            true => Effect::Refuse(412, "PreconditionFailed"),
            false => Effect::Pass,
        }
    });
    assert_same(&stage.capture_only("small", &["s3"]), &clean, "small objects");
    let path = "s3-buckets/jada-cdn";
    let asked = Arc::default();
    let counted = Arc::clone(&asked);
    stage.front.play(move |call| large_object(call, "jada-cdn", &counted));
    let report = stage.capture_only("large", &["s3"]);
    let record = by_path(&report)[path];
    assert_eq!(gaps(record), []);
    let contents = stage.contents(record);
    let (entry, bytes) = &contents["large"];
    assert!(*bytes == content(2, 18 << 20), "{entry:?}");
}
