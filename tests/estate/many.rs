//! Buckets of many keys, from a synthetic lister: what is unchanged is joined with the snapshot before without a call, and a
//! listing holds no more in memory than there is room for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use snap::source::aws::account::{AccountSettings, Connection};
use snap::source::aws::sources;
use snap::source::estate::{EntrySink, Sent};
use snap::storage::memory::MemoryStorage;

use super::lister::{answer, key, known};
use super::stage::{REGION, Stage, credentials};

/// Where nobody listens: the front answers everything itself.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
/// Keys on a page.
const PAGE: u64 = 1000;

#[test]
fn a_hundred_thousand_keys_are_joined_with_the_snapshot_before_and_none_is_fetched() {
    const COUNT: u64 = 100_000;
    let stage = Stage::on(Arc::new(MemoryStorage::new()), NOBODY, None);
    let first = stage.capture_sources("keys", known(COUNT));
    assert_eq!(first.record.summary.new, COUNT);
    stage.front.play(|call| answer(call, COUNT));
    let second = stage.capture_only("keys", &["s3"]);
    let summary = &second.record.summary;
    assert_eq!((summary.unchanged, summary.changed, summary.removed), (COUNT, 0, 0));
    let seen = stage.front.take();
    let count = |action: &str| seen.iter().filter(|seen| seen.action == action).count() as u64;
    assert_eq!((count("ListObjectsV2"), count("GetObject")), (COUNT / PAGE, 0));
}

#[test]
fn a_listing_runs_no_further_ahead_than_there_is_room() {
    const ROOM: usize = 256;
    const TAKEN: u64 = 4_500;
    let stage = Stage::on(Arc::new(MemoryStorage::new()), NOBODY, None);
    stage.front.play(|call| answer(call, 1_000_000));
    let settings = AccountSettings {
        regions: vec![REGION.to_owned()],
        endpoint: Some(stage.front.endpoint()),
        ..AccountSettings::default()
    };
    let provider = SharedCredentialsProvider::new(credentials("testing"));
    let connection = Arc::new(Connection::with_credentials(settings, provider));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        let mut resources = Vec::new();
        for source in sources(&connection, &["s3"]) {
            let found = source.discover().await.expect("a bucket").resources;
            resources.extend(found.into_iter().map(|resource| (Arc::clone(&source), resource)));
        }
        let (source, bucket) = resources.into_iter().find(|(source, of)| source.is_large(of)).expect("objects");
        let (sink, mut sent) = EntrySink::new(ROOM);
        let listing = tokio::spawn(async move { source.capture(&bucket, &sink).await });
        let mut taken = 0;
        while taken < TAKEN {
            if let Sent::Found(found) = sent.recv().await.expect("there are more") {
                assert_eq!(found.entry.path.as_bytes(), key(taken).as_bytes());
                taken += 1;
            }
        }
        drop(sent);
        assert!(listing.await.expect("it ends").is_err(), "nobody takes more, and it knows");
    });
    let pages = stage.front.take().into_iter().filter(|seen| seen.action == "ListObjectsV2").count() as u64;
    // One that is sent, one that waits, one that is asked for.
    assert!(pages * PAGE <= TAKEN + ROOM as u64 + 4 * PAGE, "{pages} pages");
}
