//! What is particular to S3, and that no store may be trusted to do right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use snap::id::{PackId, SessionId};
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::s3::StorageClasses;
use snap::storage::s3::store::{S3Options, S3Storage};
use snap::storage::{ByteRange, Put, Storage, StorageErrorKind, Writers};

use super::fake::{Fake, Operation, options};
use super::fault::Effect;

pub(super) fn pack() -> ObjectName {
    ObjectName::pack(&PackId([0x5a; 32]))
}

pub(super) fn content() -> Bytes {
    (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn create(store: &dyn Storage, name: &ObjectName) {
    assert_eq!(store.put_if_absent(name, content()).expect("stored"), Put::Created);
}

#[test]
fn a_put_is_one_request_and_so_is_a_read() {
    let fake = Fake::start();
    let store = fake.storage("p");
    create(&store, &pack());
    assert_eq!(store.put_if_absent(&pack(), content()).expect("answered"), Put::Exists);
    for range in [ByteRange::All, ByteRange::From { offset: 7, length: 9 }, ByteRange::Suffix(11)] {
        store.get(&pack(), range).expect("read");
    }
    store.delete(&pack()).expect("deleted");
    let count = |operation| fake.requests(operation);
    assert_eq!((count(Operation::Put), count(Operation::Get), count(Operation::Delete)), (2, 3, 1));
    assert!(fake.violations().is_empty(), "{:?}", fake.violations());
}

#[test]
fn a_listing_is_read_page_by_page() {
    let fake = Fake::start();
    fake.rule(|rules| rules.page_size = 3);
    // A listing escapes what stands in this prefix.
    let store = fake.storage("a=b+c@d,e");
    for number in 0..10 {
        create(&store, &ObjectName::commit_cell(&SessionId([number; 16])));
    }
    // What XML cannot hold, and what is no object, must not hide the others.
    for name in ["c/\u{1}", "c/a b+c", "c/.tmp", "c/x/y/z"] {
        fake.keep(&format!("a=b+c@d,e/{name}"), b"");
    }
    fake.keep("a=b+c@d,f/c/0", b"");
    let listed = store.list(&Prefix::Cells).expect("listed");
    assert_eq!(listed.len(), 10);
    assert!(listed.iter().all(|object| object.size == 100_000));
    assert_eq!(fake.requests(Operation::List), 5);
}

#[test]
fn many_packs_are_listed_in_parts_at_once_and_each_stands_in_one_of_them() {
    let fake = Fake::start();
    fake.rule(|rules| rules.page_size = 3);
    let store = fake.storage("p");
    for number in 0..100_u32 {
        let digest = snap::codec::hash::digest(&number.to_le_bytes());
        fake.keep(&format!("p/{}", ObjectName::pack(&PackId(digest))), b"pack");
    }
    // Names that are no packs, on the borders between the parts too.
    for name in ["packs/0", "packs/1", "packs/8", "packs/f", "packs/zz", "packs/A", "reserve"] {
        fake.keep(&format!("p/{name}"), b"");
    }
    let listed: Vec<String> =
        store.list(&Prefix::Packs).expect("listed").into_iter().map(|object| object.name.to_string()).collect();
    let expected: Vec<String> =
        fake.objects().keys().filter_map(|key| Some(key.strip_prefix("p/")?.to_owned())).collect();
    assert_eq!(listed, &expected[..expected.len() - 1]);
    assert!(listed.len() == 106 && fake.requests(Operation::List) > 16);
}

#[test]
fn a_store_at_the_top_of_a_bucket_works_alike() {
    let fake = Fake::start();
    let address = format!("s3://bucket?endpoint={}", fake.endpoint()).parse().expect("an address");
    let store = S3Storage::open(address, options()).expect("a store");
    create(&store, &pack());
    assert_eq!(store.list(&Prefix::All).expect("listed").len(), 1);
    assert!(fake.objects().contains_key(pack().as_str()));
}

#[test]
fn a_store_that_ignores_the_condition_is_found_out() {
    let fake = Fake::start();
    let store = fake.storage("p");
    create(&store, &ObjectName::config());
    assert_eq!(store.probe(&ObjectName::config(), content()).expect("tried"), Writers::Many);
    fake.rule(|rules| rules.heeds_condition = false);
    assert_eq!(store.probe(&ObjectName::config(), content()).expect("tried"), Writers::One);
    assert_eq!(fake.content("p/config").expect("it is there"), content());
}

#[test]
fn a_store_without_checksums_is_asked_what_it_kept() {
    let fake = Fake::start();
    fake.rule(|rules| rules.knows_checksums = false);
    let store = fake.storage("p");
    create(&store, &pack());
    assert_eq!(fake.requests(Operation::Get), 1);
    fake.plan(Some(Operation::Put), 1, Effect::TruncateUpload);
    let error = store.put_if_absent(&ObjectName::config(), content()).expect_err("half of it was kept");
    assert_eq!(error.kind, StorageErrorKind::Corrupt);
}

#[test]
fn a_store_that_has_no_more_last_bytes_than_there_are_gives_all_of_them() {
    let fake = Fake::start();
    fake.rule(|rules| rules.refuses_long_suffix = true);
    let store = fake.storage("p");
    create(&store, &pack());
    assert_eq!(store.get(&pack(), ByteRange::Suffix(100_001)).expect("all of it"), content());
    assert_eq!(store.get(&pack(), ByteRange::Suffix(100_000)).expect("all of it"), content());
    fake.keep("p/config", b"");
    assert_eq!(store.get(&ObjectName::config(), ByteRange::Suffix(9)).expect("it is empty"), "");
}

#[test]
fn what_lies_damaged_in_the_store_is_damage_and_what_was_damaged_on_its_way_is_read_again() {
    let fake = Fake::start();
    let store = fake.storage("p");
    create(&store, &pack());
    fake.plan(Some(Operation::Get), 1, Effect::FlipBit);
    assert_eq!(store.get(&pack(), ByteRange::All).expect("at the second try"), content());
    for at in [1, 2] {
        fake.plan(Some(Operation::Get), at, Effect::FlipBit);
    }
    assert_eq!(store.get(&pack(), ByteRange::All).expect_err("twice").kind, StorageErrorKind::Corrupt);
}

#[test]
fn a_bucket_that_is_missing_or_not_ours_is_told_from_an_object_that_is_absent() {
    let fake = Fake::start();
    let address = format!("s3://nobucket/p?endpoint={}", fake.endpoint()).parse().expect("an address");
    let store = S3Storage::open(address, options()).expect("a store");
    let error = store.put_if_absent(&pack(), content()).expect_err("no bucket");
    assert_eq!(error.kind, StorageErrorKind::NotFound);
    assert!(error.source.expect("a reason").to_string().contains("NoSuchBucket"));
    fake.plan_forever(Effect::Refuse(403, "AccessDenied"));
    let store = fake.storage("p");
    let denied = [
        store.put_if_absent(&pack(), content()).map(drop),
        store.get(&pack(), ByteRange::All).map(drop),
        store.list(&Prefix::All).map(drop),
        store.delete(&pack()),
    ];
    for answer in denied {
        assert_eq!(answer.expect_err("refused").kind, StorageErrorKind::Denied);
    }
}

#[test]
fn each_kind_of_object_has_its_storage_class() {
    let fake = Fake::start();
    let classes = StorageClasses { packs: Some("STANDARD_IA".to_owned()), rest: None };
    let address = fake.place("p").parse().expect("an address");
    let store = S3Storage::open(address, S3Options { classes, ..options() }).expect("a store");
    create(&store, &pack());
    create(&store, &ObjectName::config());
    let objects = fake.objects();
    assert_eq!(objects[&format!("p/{}", pack())].class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(objects["p/config"].class, None);
}

#[test]
fn a_store_that_asks_for_fewer_requests_gets_fewer() {
    let fake = Fake::start();
    fake.rule(|rules| rules.under_way_max = 2);
    let store = super::matrix::patient(fake.storage("p"));
    std::thread::scope(|scope| {
        for thread in 0..16_u8 {
            let store = &store;
            scope.spawn(move || create(store, &ObjectName::commit_cell(&SessionId([thread; 16]))));
        }
    });
    assert_eq!(fake.objects().len(), 16);
}

/// Credentials that count how often they are asked for.
#[derive(Debug, Default)]
struct Counted(Arc<AtomicU32>);

impl ProvideCredentials for Counted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.fetch_add(1, Ordering::SeqCst);
        future::ProvideCredentials::ready(Ok(Credentials::new("AKIDEXAMPLE", "none", None, None, "test")))
    }
}

/// Credentials that are not there.
#[derive(Debug)]
struct Absent;

impl ProvideCredentials for Absent {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none")))
    }
}

fn open_with(fake: &Fake, provider: impl ProvideCredentials + 'static) -> S3Storage {
    let credentials = Some(SharedCredentialsProvider::new(provider));
    S3Storage::open(fake.place("p").parse().expect("an address"), S3Options { credentials, ..options() })
        .expect("a store")
}

#[test]
fn credentials_that_expire_midway_are_asked_for_again_and_once() {
    let fake = Fake::start();
    let asked = Arc::new(AtomicU32::new(0));
    let store = open_with(&fake, Counted(Arc::clone(&asked)));
    create(&store, &pack());
    let before = asked.load(Ordering::SeqCst);
    fake.plan_forever(Effect::Refuse(400, "ExpiredToken"));
    assert!(store.list(&Prefix::All).expect_err("expired").is_transient(), "fresh ones may help");
    let lasting = store.list(&Prefix::All).expect_err("expired again");
    assert_eq!(lasting.kind, StorageErrorKind::Denied, "they did not");
    assert_eq!(asked.load(Ordering::SeqCst), before + 1);
    fake.recover();
    assert_eq!(store.list(&Prefix::All).expect("good again").len(), 1);
    fake.plan(None, 1, Effect::Refuse(400, "ExpiredToken"));
    assert!(store.list(&Prefix::All).expect_err("expired").is_transient(), "a success earns another try");
    assert_eq!(store.list(&Prefix::All).expect("renewed").len(), 1);
}

#[test]
fn without_credentials_nothing_is_tried_again() {
    let fake = Fake::start();
    let error = open_with(&fake, Absent).list(&Prefix::All).expect_err("no credentials");
    assert_eq!(error.kind, StorageErrorKind::Denied, "{error:?}");
    assert_eq!(fake.requests(Operation::List), 0);
}

#[test]
fn a_port_where_nobody_listens_is_unreachable() {
    let endpoint = Fake::start().endpoint();
    let address = format!("s3://bucket/p?endpoint={endpoint}").parse().expect("an address");
    let error = S3Storage::open(address, options()).expect("a store").list(&Prefix::All).expect_err("it has stopped");
    assert_eq!(error.kind, StorageErrorKind::Unreachable, "{error:?}");
}

#[test]
fn a_line_that_is_slow_but_moves_is_waited_for() {
    let fake = Fake::start();
    let store = fake.storage("p");
    // Far more than the buffers between the two hold, read at a pace at which all of it takes longer than the patience.
    fake.plan(Some(Operation::Put), 1, Effect::SlowUpload);
    let large = Bytes::from(vec![7; 32 << 20]);
    assert_eq!(store.put_if_absent(&pack(), large.clone()).expect("slowly"), Put::Created);
    assert!(fake.content(&format!("p/{}", pack())) == Some(large));
}
