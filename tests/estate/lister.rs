//! A bucket of as many keys as one likes, listed by a synthetic service; and a source that has the same keys, so that a
//! snapshot of them need not fetch each.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use snap::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata, Timestamp};
use snap::resource::Resource;
use snap::source::estate::{Body, Discovery, EntrySink, Problem, Remote, Source, Stopped, resource};

use super::front::answer::Answer;
use super::front::{Call, Effect};

pub(super) const BUCKET: &str = "many";
const PAGE: u64 = 1000;
/// 2026-01-01.
const WRITTEN: i64 = 1_767_225_600;

/// The key of a number, in the order of numbers.
pub(super) fn key(number: u64) -> String {
    format!("photos/{:05}/{:04}.jpg", number / 10_000, number % 10_000)
}

/// The first number whose key comes after this text.
fn after(text: &str, count: u64) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if key(middle).as_str() <= text { low = middle + 1 } else { high = middle }
    }
    low
}

/// Answers as an account with one bucket of so many keys.
pub(super) fn answer(call: &Call, count: u64) -> Effect {
    let xml = |text: String| Effect::Answer(Answer::new(200, text).with("content-type", "text/xml"));
    match call.action.as_str() {
        "GetCallerIdentity" => xml(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:root</Arn><UserId>1</UserId>\
             <Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                .to_owned(),
        ),
        "ListBuckets" => xml(format!(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>{BUCKET}</Name>\
             <CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"
        )),
        "GetBucketLocation" => xml("<LocationConstraint/>".to_owned()),
        "ListObjectsV2" => xml(page(&call.target, count)),
        _ => Effect::Refuse(404, "NoSuchConfiguration"),
    }
}

fn page(target: &str, count: u64) -> String {
    let parameter = |name: &str| {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            .map(|text| text.replace("%2F", "/"))
    };
    let token = parameter("continuation-token").and_then(|token| token.parse().ok());
    let begin = token.unwrap_or_else(|| parameter("start-after").map_or(0, |text| after(&text, count)));
    let most = parameter("max-keys").and_then(|most| most.parse().ok()).unwrap_or(PAGE).min(PAGE);
    let end = count.min(begin + most);
    let mut text = String::with_capacity(256 * 1024);
    text.push_str("<ListBucketResult>");
    for number in begin..end {
        text.push_str("<Contents><Key>");
        text.push_str(&key(number));
        text.push_str("</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;");
        text.push_str("</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>");
    }
    if end < count {
        text.push_str(&format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"));
    } else {
        text.push_str("<IsTruncated>false</IsTruncated>");
    }
    text.push_str("</ListBucketResult>");
    text
}

/// The same bucket, as S3's source would have found it.
pub(super) struct Known {
    pub(super) count: u64,
}

struct Nothing;

#[async_trait]
impl Remote for Nothing {
    fn size(&self) -> Option<u64> {
        Some(0)
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        Ok(None)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        Ok(None)
    }
}

#[async_trait]
impl Source for Known {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn folders(&self) -> Vec<String> {
        vec!["s3-buckets".to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let bucket = resource("s3", format!("s3-buckets/{BUCKET}"), [("name", BUCKET)]);
        Ok(Discovery { resources: vec![bucket], unknown: Vec::new() })
    }

    fn is_large(&self, _resource: &Resource) -> bool {
        true
    }

    async fn capture(&self, _resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let etag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
        let token = format!("{etag}\n0\n{WRITTEN}.000000000\nSTANDARD\n");
        for number in 0..self.count {
            let entry = Entry {
                path: EntryPath(key(number).into_bytes()),
                kind: EntryKind::Object,
                metadata: Metadata::Object(Box::new(ObjectMetadata {
                    modified: Timestamp { seconds: WRITTEN, nanoseconds: 0 },
                    etag: Some(etag.to_owned()),
                    ..ObjectMetadata::default()
                })),
                token: Some(ChangeToken::Opaque(token.clone().into_bytes())),
                content: Content::Empty,
            };
            sink.found(entry, Body::Remote(Box::new(Nothing))).await?;
        }
        Ok(())
    }
}

/// It, as a source.
pub(super) fn known(count: u64) -> Vec<Arc<dyn Source>> {
    vec![Arc::new(Known { count })]
}
