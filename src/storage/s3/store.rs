//! The store itself: four verbs as requests.

use std::fmt;
use std::io;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, EncodingType, StorageClass};
use aws_smithy_types::base64;
use bytes::{Bytes, BytesMut};

use crate::storage::name::{ObjectName, Prefix};
use crate::storage::s3::StorageClasses;
use crate::storage::s3::address::S3Address;
use crate::storage::s3::connection::Connection;
use crate::storage::s3::error::Trouble;
use crate::storage::s3::listing::{Listing, Span};
use crate::storage::s3::movement::{Movement, body_of, in_time};
use crate::storage::s3::range::{Brought, Wanted};
use crate::storage::together::{Nearby, each};
use crate::storage::{
    Attempt, ByteRange, Distance, Put, Storage, StorageError, StorageErrorKind, StoredObject, Writers,
};

/// What a store is reached with, beside its address.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// In which classes objects are put.
    pub classes: StorageClasses,
    /// A request in which nothing moves for so long is given up.
    pub patience: Duration,
    /// Credentials other than those of the SDK's chain, for a store that the caller started.
    pub credentials: Option<SharedCredentialsProvider>,
}

impl Default for S3Options {
    fn default() -> Self {
        Self { classes: StorageClasses::default(), patience: Duration::from_secs(60), credentials: None }
    }
}

/// How much of a listing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    One,
    All,
}

/// What becomes of an object that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Kept,
    Replaced,
}

/// Objects below one prefix of a bucket. The bucket exists already: who owns it decides what it is.
#[derive(Debug)]
pub struct S3Storage {
    address: S3Address,
    classes: StorageClasses,
    patience: Duration,
    connection: Connection,
}

impl S3Storage {
    /// Makes ready; whether the bucket is there shows at the first request.
    pub fn open(address: S3Address, options: S3Options) -> Result<Self, StorageError> {
        let S3Options { classes, patience, credentials } = options;
        match Connection::new(address.clone(), credentials) {
            Ok(connection) => Ok(Self { address, classes, patience, connection }),
            Err(source) => Err(StorageError {
                location: address.to_string(),
                name: String::new(),
                attempt: Attempt::Open,
                kind: StorageErrorKind::Other,
                source: Some(source),
            }),
        }
    }

    fn error(&self, attempt: Attempt, name: &str, trouble: Trouble) -> StorageError {
        let Trouble { kind, reason, .. } = trouble;
        let (location, name, source) = (self.to_string(), name.to_owned(), Some(io::Error::other(reason)));
        StorageError { location, name, attempt, kind, source }
    }

    /// Puts an object whatever is under its name: only for trying what credentials allow, with the bytes that are there.
    pub fn replace(&self, name: &ObjectName, content: Bytes) -> Result<(), StorageError> {
        let size = content.len() as u64;
        let put = self.connection.run(size, async |client| self.put(&client, name, content, Existing::Replaced).await);
        put.map(drop).map_err(|trouble| self.error(Attempt::Put, name.as_str(), trouble))
    }

    async fn put(
        &self,
        client: &Client,
        name: &ObjectName,
        content: Bytes,
        existing: Existing,
    ) -> Result<Put, Trouble> {
        let size = content.len() as u64;
        // CRC-32C: every store that knows checksums knows it, processors compute it faster than a line carries the bytes,
        // and it covers all of the object. It guards the way; what guards the content is sealed into it.
        let checksum = base64::encode(crc32c::crc32c(&content).to_be_bytes());
        let movement = Movement::default();
        let request = client
            .put_object()
            .bucket(&self.address.bucket)
            .key(self.address.key(name.as_str()))
            .set_if_none_match((existing == Existing::Kept).then(|| "*".to_owned()))
            .checksum_crc32_c(&checksum)
            .set_storage_class(self.classes.class_of(name).map(StorageClass::from))
            .content_length(
                i64::try_from(size).map_err(|_| Trouble::new(StorageErrorKind::Unsupported, "it is too long"))?,
            )
            .body(body_of(content, &movement))
            .customize()
            // The signature covers the checksum instead of a second, slower one over the same bytes.
            .disable_payload_signing();
        let answer = match in_time(self.patience, &movement, request.send()).await? {
            Ok(answer) => answer,
            Err(error) if is_taken(&error) => return Ok(Put::Exists),
            Err(error) => return Err(Trouble::of(&error)),
        };
        let arrived = match answer.checksum_crc32_c() {
            Some(echo) => echo == checksum,
            // A store that does not know the checksum has not compared it.
            None => match self.size(client, name).await {
                Err(trouble) if trouble.kind == StorageErrorKind::NotFound => false,
                kept => kept? == size,
            },
        };
        let lost = || Trouble::new(StorageErrorKind::Corrupt, "the store acknowledged other bytes than were sent");
        if arrived { Ok(Put::Created) } else { Err(lost()) }
    }

    async fn fetch(&self, client: &Client, name: &ObjectName, range: ByteRange) -> Result<Bytes, Trouble> {
        let (header, mode) = match Wanted::of(range) {
            // Of a part the store knows no checksum.
            Wanted::Part(header) => (Some(header), None),
            Wanted::Whole => (None, Some(ChecksumMode::Enabled)),
            Wanted::Size => {
                let total = self.size(client, name).await?;
                let is_within = range.within(total).is_some_and(|range| range.is_empty());
                let too_short = || Trouble::new(StorageErrorKind::OutOfRange, format!("it has {total} bytes"));
                return if is_within { Ok(Bytes::new()) } else { Err(too_short()) };
            }
        };
        let request = self.request(client, name, header).set_checksum_mode(mode);
        let answer = match in_time(self.patience, &Movement::default(), request.send()).await? {
            Ok(answer) => answer,
            Err(error) => {
                return match (Trouble::of(&error), range) {
                    // An empty object has no last bytes, and some stores have no more of them than there are.
                    (trouble, ByteRange::Suffix(length)) if trouble.kind == StorageErrorKind::OutOfRange => {
                        match self.size(client, name).await? {
                            0 => Ok(Bytes::new()),
                            total if total <= length => Box::pin(self.fetch(client, name, ByteRange::All)).await,
                            _ => Err(trouble),
                        }
                    }
                    (trouble, _) => Err(trouble),
                };
            }
        };
        let brought = brought_by(&answer)?;
        let wanted = brought.find(range)?;
        let content = self.collect(answer, brought.range.end - brought.range.start).await?;
        let position = |at: u64| usize::try_from(at).expect("because it lies within what is in memory");
        Ok(content.slice(position(wanted.start)..position(wanted.end)))
    }

    /// All bytes of an answer, which must be `length`.
    async fn collect(&self, answer: GetObjectOutput, length: u64) -> Result<Bytes, Trouble> {
        let mut body = answer.body;
        let mut content = BytesMut::new();
        loop {
            let frame = match in_time(self.patience, &Movement::default(), body.next()).await? {
                None => break,
                Some(Ok(frame)) => frame,
                // All came, and then it was found to be wrong: that is the checksum's word.
                Some(Err(error)) if content.len() as u64 == length => {
                    return Err(Trouble::new(StorageErrorKind::Corrupt, error.to_string()));
                }
                Some(Err(error)) => return Err(Trouble::no_answer(error.to_string())),
            };
            content.extend_from_slice(&frame);
            if content.len() as u64 > length {
                break;
            }
        }
        if content.len() as u64 != length {
            return Err(Trouble::no_answer(format!("{} bytes came of {length}", content.len())));
        }
        Ok(content.freeze())
    }

    /// Bytes of an object. Asked for by reading one of them, since the answer to `HEAD` has no room for the store's reasons.
    async fn size(&self, client: &Client, name: &ObjectName) -> Result<u64, Trouble> {
        let request = self.request(client, name, Some("bytes=0-0".to_owned()));
        match in_time(self.patience, &Movement::default(), request.send()).await? {
            Ok(answer) => Ok(brought_by(&answer)?.total),
            Err(error) => match Trouble::of(&error) {
                trouble if trouble.kind == StorageErrorKind::OutOfRange => Ok(0),
                trouble => Err(trouble),
            },
        }
    }

    fn request(
        &self,
        client: &Client,
        name: &ObjectName,
        range: Option<String>,
    ) -> aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder {
        client.get_object().bucket(&self.address.bucket).key(self.address.key(name.as_str())).set_range(range)
    }

    /// Lists a span to its end, or one page of it; whether there is more.
    async fn list_span(
        &self,
        client: &Client,
        prefix: &Prefix,
        span: &Span,
        pages: Pages,
    ) -> Result<(Listing, bool), Trouble> {
        let mut listing = Listing::of(span);
        let mut token: Option<String> = None;
        loop {
            let request = client
                .list_objects_v2()
                .bucket(&self.address.bucket)
                .prefix(self.address.key(prefix.as_str()))
                .encoding_type(EncodingType::Url)
                .set_start_after(span.after.clone().filter(|_| token.is_none()))
                .set_continuation_token(token.clone());
            let page = in_time(self.patience, &Movement::default(), request.send()).await?;
            token = listing.take(&self.address, token.as_deref(), &page.map_err(|error| Trouble::of(&error))?)?;
            if token.is_none() || pages == Pages::One {
                return Ok((listing, token.is_some()));
            }
        }
    }

    fn list_some(&self, prefix: &Prefix, span: &Span, pages: Pages) -> Result<(Listing, bool), Trouble> {
        self.connection.run(0, async |client| self.list_span(&client, prefix, span, pages).await)
    }

    /// Lists page by page; of packs, whose names are drawn at random, many parts at once where there are many.
    fn list_all(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, Trouble> {
        if *prefix == Prefix::Packs {
            let (first, is_more) = self.list_some(prefix, &Span::default(), Pages::One)?;
            let Some(last) = first.last_key().filter(|_| is_more) else { return Ok(first.finish()) };
            let parts = Span::parts_after(last, &self.address.key(prefix.as_str()));
            let listed = each(self, Nearby::InTurn, &parts, |part| self.list_some(prefix, part, Pages::All));
            let mut objects = first.finish();
            match listed.into_iter().try_for_each(|part| part.map(|(part, _)| objects.extend(part.finish()))) {
                // A store that does not know how to begin after a key.
                Err(trouble) if trouble.kind == StorageErrorKind::Unsupported => {}
                outcome => return outcome.map(|()| objects),
            }
        }
        Ok(self.list_some(prefix, &Span::default(), Pages::All)?.0.finish())
    }

    async fn remove(&self, client: &Client, name: &ObjectName) -> Result<(), Trouble> {
        let request = client.delete_object().bucket(&self.address.bucket).key(self.address.key(name.as_str()));
        match in_time(self.patience, &Movement::default(), request.send()).await? {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(Trouble::of(&error)),
        }
    }
}

fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    status == Some(412) && error.code() == Some("PreconditionFailed")
}

/// What an answer brings. Every object has an `ETag`: an answer without one is someone else's page.
fn brought_by(answer: &GetObjectOutput) -> Result<Brought, Trouble> {
    if answer.e_tag().is_none() {
        return Err(Trouble::no_answer("the answer is no object"));
    }
    Brought::of(answer.content_range(), answer.content_length())
}

impl fmt::Display for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}

impl Storage for S3Storage {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        let size = content.len() as u64;
        let put = self.connection.run(size, async |client| self.put(&client, name, content, Existing::Kept).await);
        put.map_err(|trouble| self.error(Attempt::Put, name.as_str(), trouble))
    }

    /// What arrives with a wrong checksum is read once more: wrong on its way and wrong on the store's disk look alike.
    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        // Of a suffix nobody knows how much there is; those who ask for one know that it is little.
        let size = match range {
            ByteRange::From { length, .. } => length,
            ByteRange::All | ByteRange::Suffix(_) => 0,
        };
        let fetch = || self.connection.run(size, async |client| self.fetch(&client, name, range).await);
        let content = match fetch() {
            Err(trouble) if trouble.kind == StorageErrorKind::Corrupt => fetch(),
            content => content,
        };
        content.map_err(|trouble| self.error(Attempt::Get, name.as_str(), trouble))
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.list_all(prefix).map_err(|trouble| self.error(Attempt::List, prefix.as_str(), trouble))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        let removed = self.connection.run(0, async |client| self.remove(&client, name).await);
        removed.map_err(|trouble| self.error(Attempt::Delete, name.as_str(), trouble))
    }

    /// Puts the object again, with its own bytes: a store that knows `If-None-Match` says that it is there.
    fn probe(&self, name: &ObjectName, content: Bytes) -> Result<Writers, StorageError> {
        Ok(match self.put_if_absent(name, content)? {
            Put::Exists => Writers::Many,
            Put::Created => Writers::One,
        })
    }

    fn distance(&self) -> Distance {
        Distance::Far
    }
}
