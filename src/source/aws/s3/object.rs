//! One object: its body, pinned to what the listing saw, and its metadata, from the headers that come with it.
//!
//! Bodies are taken in ranges that are whole before any of their bytes is given on, so what breaks off is fetched again.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata, Timestamp};
use crate::source::aws::account::Connection;
use crate::source::aws::call::{Calls, Refusal, causes};
use crate::source::aws::s3::detail::{self, Known};
use crate::source::aws::s3::{Detail, NAME};
use crate::source::aws::wire::Headers;
use crate::source::estate::{Body, EntrySink, Problem, Remote, Stopped};

/// Up to so many bytes a body comes in one piece, which the SDK compares with the checksum that the service states.
const WHOLE_MAX: u64 = 16 << 20;
/// Bytes of each range of what is larger.
const RANGE: u64 = 8 << 20;
/// How often a range is fetched that breaks off.
const TRIES_MAX: u32 = 5;
/// Before the second try; twice as long before each one after it.
const PAUSE: Duration = Duration::from_millis(200);
/// Silence after which a body is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Classes whose objects must be brought back before they can be read.
const ARCHIVES: &[&str] = &["GLACIER", "DEEP_ARCHIVE"];
/// Headers that tell of the answer, those that have a place of their own, and one that the SDK adds (`expires` once more).
const NO_METADATA: &[&str] = &[
    "accept-ranges",
    "connection",
    "content-length",
    "content-range",
    "date",
    "etag",
    "expiresstring",
    "keep-alive",
    "last-modified",
    "server",
    "transfer-encoding",
    "vary",
    "x-amz-delete-marker",
    "x-amz-id-2",
    "x-amz-request-id",
    "x-amz-tagging-count",
    "x-amz-version-id",
    "x-amzn-requestid",
];
/// What no header is called.
const FIELD_OF_ACL: &str = "acl";
/// What browsers on other sites may do with the answer.
const NO_METADATA_PREFIX: &str = "access-control-";

/// The bucket that objects are in.
pub(super) struct Place {
    pub(super) connection: Arc<Connection>,
    pub(super) client: Client,
    pub(super) region: String,
    pub(super) bucket: String,
    /// What is asked of its objects.
    pub(super) detail: Detail,
    /// Whether its owner owns all of them, so that there are no access control lists.
    pub(super) is_owner_enforced: bool,
    /// One is held while a body comes.
    pub(super) turns: Arc<Semaphore>,
}

/// What a listing says of an object or a version.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) size: u64,
    pub(super) modified: Option<DateTime>,
    pub(super) class: String,
    /// Whether there is a copy of what is archived that can be read now.
    pub(super) is_brought_back: bool,
    /// What was asked of it beside that.
    pub(super) known: Option<Known>,
}

impl Listed {
    /// Sends it as what stands at a path of the resource.
    pub(super) async fn send(self, place: &Arc<Place>, sink: &EntrySink) -> Result<(), Stopped> {
        let entry = Entry {
            path: EntryPath(self.path()),
            kind: EntryKind::Object,
            metadata: Metadata::Object(Box::new(ObjectMetadata {
                modified: self.modified.as_ref().map(timestamp).unwrap_or_default(),
                etag: self.etag.clone(),
                version_id: self.version.clone(),
                ..ObjectMetadata::default()
            })),
            token: Some(self.token()),
            content: Content::Empty,
        };
        let object = Object {
            place: Arc::clone(place),
            listed: self,
            segments: VecDeque::new(),
            received: 0,
            missing: Vec::new(),
            change: Change::None,
        };
        sink.found(entry, Body::Remote(Box::new(object))).await
    }

    /// Its key; versions beside each other by their ids.
    pub(super) fn path(&self) -> Vec<u8> {
        match &self.version {
            Some(version) => format!("{}@{version}", self.key).into_bytes(),
            None => self.key.clone().into_bytes(),
        }
    }

    /// Another token, another object; each part ends where none of its characters can stand.
    fn token(&self) -> ChangeToken {
        let modified = self.modified.as_ref().map(timestamp).unwrap_or_default();
        let etag = self.etag.as_deref().unwrap_or_default();
        let version = self.version.as_deref().unwrap_or_default();
        let Timestamp { seconds, nanoseconds } = modified;
        let token = format!("{etag}\n{}\n{seconds}.{nanoseconds:09}\n{}\n{version}", self.size, self.class);
        let mut token = token.into_bytes();
        token.extend(self.known.iter().flat_map(Known::digest));
        ChangeToken::Opaque(token)
    }

    /// What a gap says of it, as nothing else does.
    fn described(&self) -> String {
        let modified = self.modified.as_ref().map(timestamp).unwrap_or_default().seconds;
        let etag = self.etag.as_deref().unwrap_or("none");
        format!("{} bytes, class {}, etag {etag}, modified {modified}", self.size, self.class)
    }

    fn is_archived(&self) -> bool {
        ARCHIVES.contains(&self.class.as_str()) && !self.is_brought_back
    }
}

/// Seconds and what is beyond them.
pub(super) fn timestamp(time: &DateTime) -> Timestamp {
    Timestamp { seconds: time.secs(), nanoseconds: time.subsec_nanos() }
}

/// An object that is fetched.
struct Object {
    place: Arc<Place>,
    listed: Listed,
    /// What came and was not given on.
    segments: VecDeque<Bytes>,
    /// Bytes that came.
    received: u64,
    missing: Vec<Problem>,
    /// It became another while its ranges came; once it begins anew.
    change: Change,
}

/// Whether an object became another while its ranges came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Seen,
    /// And all of it was asked for again.
    BegunAnew,
}

/// What came of one request.
struct Part {
    headers: Vec<(String, String)>,
    modified: Option<DateTime>,
    segments: VecDeque<Bytes>,
    length: u64,
}

#[async_trait]
impl Remote for Object {
    fn size(&self) -> Option<u64> {
        Some(self.listed.size)
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        if self.listed.is_archived() {
            return Err(self.archived());
        }
        let place = Arc::clone(&self.place);
        let calls = Calls { account: place.connection.account().await?, service: NAME, region: &place.region };
        let first = match self.begin(&calls).await {
            Err(refusal) if is_changed(&refusal) => match self.look_again(&calls).await {
                Ok(()) => self.begin(&calls).await,
                Err(refusal) => Err(refusal),
            },
            first => first,
        };
        let (first, headers) = first.map_err(|refusal| self.problem(refusal))?;
        (self.received, self.segments) = (first.length, first.segments);
        let modified = first.modified.or(self.listed.modified);
        Ok(Some(Metadata::Object(Box::new(self.metadata(&calls, headers, modified).await))))
    }

    fn missing(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.missing)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.segments.is_empty() && self.received < self.listed.size {
            let place = Arc::clone(&self.place);
            let calls = Calls { account: place.connection.account().await?, service: NAME, region: &place.region };
            let part = self.read(&calls).await.map_err(|refusal| {
                if is_changed(&refusal) && self.change == Change::None {
                    self.change = Change::Seen;
                }
                self.problem(refusal)
            })?;
            self.received += part.length;
            self.segments = part.segments;
        }
        Ok(self.segments.pop_front())
    }

    fn begin_anew(&mut self) -> bool {
        let is_changed = self.change == Change::Seen;
        if is_changed {
            self.change = Change::BegunAnew;
            self.received = 0;
            self.segments.clear();
        }
        is_changed
    }
}

impl Object {
    /// The first bytes, and all headers.
    async fn begin(&mut self, calls: &Calls<'_>) -> Result<(Part, BTreeMap<String, String>), Refusal> {
        let mut first = self.read(calls).await?;
        let mut headers: BTreeMap<String, String> = std::mem::take(&mut first.headers).into_iter().collect();
        if self.listed.size > WHOLE_MAX {
            // Ranges come without the checksum of the whole.
            match self.head(calls).await {
                Ok((more, _)) => headers.extend(more),
                Err(refusal) if is_changed(&refusal) => return Err(refusal),
                Err(refusal) => self.missing.push(refusal.into_problem()),
            }
        }
        Ok((first, headers))
    }

    /// Fetches all, or the next range, until it is whole.
    async fn read(&self, calls: &Calls<'_>) -> Result<Part, Refusal> {
        let size = self.listed.size;
        let range = (size > WHOLE_MAX).then(|| self.received..size.min(self.received + RANGE));
        let client = &self.place.client;
        let request = client.get_object().bucket(&self.place.bucket).key(&self.listed.key);
        let request = request.checksum_mode(ChecksumMode::Enabled).set_if_match(self.listed.etag.clone());
        let request = request.set_version_id(self.listed.version.clone()).set_range(range.as_ref().map(as_header));
        let (mut tries, mut pause) = (TRIES_MAX, PAUSE);
        loop {
            let turn = self.place.turns.acquire().await;
            let headers = Headers::default();
            let send = || request.clone().customize().interceptor(headers.clone()).send();
            let answer = calls.typed("GetObject", send).await?;
            let stated = answer.content_length().and_then(|length| u64::try_from(length).ok());
            let expected = range.as_ref().map_or(size, |range| range.end - range.start);
            let modified = answer.last_modified().copied();
            let reason = match stated {
                Some(stated) if stated != expected || expected > WHOLE_MAX => {
                    format!("{stated} bytes are offered instead of {expected}")
                }
                _ => match collect(answer.body, expected).await {
                    Ok(segments) => return Ok(Part { headers: headers.take(), modified, segments, length: expected }),
                    Err(reason) => reason,
                },
            };
            drop(turn);
            tries -= 1;
            if tries == 0 {
                return Err(calls.refusal("GetObject", "Truncated", reason, None));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Headers, and when it was written.
    async fn head(&self, calls: &Calls<'_>) -> Result<(Vec<(String, String)>, Option<DateTime>), Refusal> {
        let request = self.place.client.head_object().bucket(&self.place.bucket).key(&self.listed.key);
        let request = request.checksum_mode(ChecksumMode::Enabled).set_if_match(self.listed.etag.clone());
        let request = request.set_version_id(self.listed.version.clone());
        let headers = Headers::default();
        let send = || request.clone().customize().interceptor(headers.clone()).send();
        let answer = calls.typed("HeadObject", send).await?;
        Ok((headers.take(), answer.last_modified().copied()))
    }

    /// It is another object than the listing saw: takes what is there now instead.
    async fn look_again(&mut self, calls: &Calls<'_>) -> Result<(), Refusal> {
        self.listed.etag = None;
        let (headers, modified) = self.head(calls).await?;
        let of = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        self.listed.etag = of("etag");
        self.listed.size = of("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        self.listed.modified = modified;
        Ok(())
    }

    /// What is known of it beside its bytes.
    async fn metadata(
        &mut self,
        calls: &Calls<'_>,
        mut headers: BTreeMap<String, String>,
        modified: Option<DateTime>,
    ) -> ObjectMetadata {
        let version_id = headers.get("x-amz-version-id").cloned().or_else(|| self.listed.version.clone());
        let has_tags = headers.get("x-amz-tagging-count").is_some_and(|count| count != "0");
        let etag = headers.get("etag").cloned().or_else(|| self.listed.etag.clone());
        headers.retain(|name, _| !NO_METADATA.contains(&name.as_str()) && !name.starts_with(NO_METADATA_PREFIX));
        let known = match self.listed.known.take() {
            Some(known) => known,
            None if has_tags => self.tagged(calls, version_id.as_deref()).await,
            None => Known::default(),
        };
        headers.extend(known.acl.map(|acl| (FIELD_OF_ACL.to_owned(), acl)));
        ObjectMetadata {
            modified: modified.as_ref().map(timestamp).unwrap_or_default(),
            etag,
            version_id,
            fields: headers.into_iter().collect(),
            tags: known.tags,
            delete_marker: false,
        }
    }

    async fn tagged(&mut self, calls: &Calls<'_>, version: Option<&str>) -> Known {
        match detail::tags(&self.place, calls, &self.listed.key, version).await {
            Ok(tags) => Known { tags, acl: None },
            Err(refusal) => {
                self.missing.push(refusal.into_problem());
                Known::default()
            }
        }
    }

    /// Why there is no body, and what the listing said.
    fn problem(&self, refusal: Refusal) -> Problem {
        if refusal.code == "InvalidObjectState" {
            return self.archived();
        }
        let mut problem = refusal.into_problem();
        if problem.reason.contains("kms:Decrypt") {
            problem.hint = "allow kms:Decrypt".to_owned();
        }
        problem.reason = format!("{} ({})", problem.reason, self.listed.described());
        problem
    }

    fn archived(&self) -> Problem {
        Problem {
            action: format!("{NAME}:GetObject"),
            code: "InvalidObjectState".to_owned(),
            reason: format!("it is archived ({})", self.listed.described()),
            hint: "bring it back with aws s3api restore-object".to_owned(),
        }
    }
}

fn is_changed(refusal: &Refusal) -> bool {
    refusal.status == Some(412)
}

fn as_header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}

/// A body of so many bytes; why it is none.
async fn collect(mut body: ByteStream, expected: u64) -> Result<VecDeque<Bytes>, String> {
    let (mut segments, mut received) = (VecDeque::new(), 0);
    loop {
        match tokio::time::timeout(SILENCE_MAX, body.next()).await {
            Ok(Some(Ok(bytes))) => {
                received += bytes.len() as u64;
                segments.push_back(bytes);
            }
            Ok(Some(Err(error))) => return Err(causes(&error)),
            Ok(None) if received == expected => return Ok(segments),
            Ok(None) => return Err(format!("{received} bytes of {expected} came")),
            Err(_) => return Err(format!("nothing came for {} seconds", SILENCE_MAX.as_secs())),
        }
        if received > expected {
            return Err(format!("more than {expected} bytes came"));
        }
    }
}
