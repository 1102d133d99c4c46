//! All items of a table, or some: scanned in segments at once, brought in order, sent as lines of JSON.
//!
//! The scan is over before the first line goes out. Pages are few in memory at a time, of all tables together.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use aws_smithy_types::base64;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};

use crate::entry::Metadata;
use crate::source::aws::account::Connection;
use crate::source::aws::call::{Refusal, ask};
use crate::source::aws::dynamodb::calls;
use crate::source::aws::dynamodb::capacity::Capacity;
use crate::source::aws::dynamodb::order::{PrimaryKey, key_members};
use crate::source::aws::dynamodb::sorted::{Sorted, Sorter};
use crate::source::estate::{Problem, Remote, Stopped};

const ACTION: &str = "dynamodb:Scan";
/// A table has one segment for so many bytes.
const SEGMENT_SIZE: u64 = 32 << 20;
const SEGMENTS_MAX: u64 = 8;
/// Pages without items, one after the other, that are taken for no end.
const EMPTY_PAGES_MAX: u32 = 1000;

/// What is scanned, and how.
pub(super) struct Scan {
    connection: Arc<Connection>,
    region: String,
    table: String,
    key: PrimaryKey,
    segments: i32,
    /// No more items than this.
    sample: Option<u64>,
    capacity: Option<Capacity>,
    pages_at_once: Arc<Semaphore>,
}

/// Items that came, and the room that they take until they are sorted.
struct Page {
    items: Vec<Value>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Scan {
    /// Of a table as it is described.
    pub(super) fn new(
        connection: &Arc<Connection>,
        region: &str,
        table: &Value,
        capacity: Option<Capacity>,
        sample: Option<u64>,
        pages_at_once: &Arc<Semaphore>,
    ) -> Self {
        let wanted = 1 + table["TableSizeBytes"].as_u64().unwrap_or_default() / SEGMENT_SIZE;
        let allowed = capacity.as_ref().map_or(SEGMENTS_MAX, Capacity::pages_at_once);
        // A sample is of the first segment; with one segment it is the same again.
        let segments = if sample.is_some() { 1 } else { wanted.min(allowed).clamp(1, SEGMENTS_MAX) };
        Self {
            connection: Arc::clone(connection),
            region: region.to_owned(),
            table: table["TableName"].as_str().unwrap_or_default().to_owned(),
            key: PrimaryKey::of(table),
            segments: i32::try_from(segments).unwrap_or(1),
            sample,
            capacity,
            pages_at_once: Arc::clone(pages_at_once),
        }
    }

    /// Scans all of it; the items in order.
    pub(super) async fn run(self, mut sorter: Sorter) -> Result<Sorted, Problem> {
        let scan = Arc::new(self);
        let (sender, mut pages) = mpsc::channel::<Page>(1);
        let key = scan.key.clone();
        let sorting = spawn_blocking(move || {
            while let Some(page) = pages.blocking_recv() {
                for item in page.items {
                    sorter.push(key.line(item))?;
                }
            }
            sorter.finish()
        });
        let mut segments = JoinSet::new();
        for number in 0..scan.segments {
            segments.spawn(segment(Arc::clone(&scan), number, sender.clone()));
        }
        drop(sender);
        let mut outcome = Ok(());
        while let Some(ended) = segments.join_next().await {
            let ended = ended.unwrap_or_else(|error| Err(problem("Stopped", error.to_string()).into()));
            if ended.is_err() && outcome.is_ok() {
                segments.abort_all();
                outcome = ended;
            }
        }
        // Where sorting failed, segments only know that nobody wants their pages.
        let sorted = sorting.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let sorted = sorted.map_err(|error| problem("CannotSort", error.to_string()))?;
        match outcome {
            Ok(()) => Ok(sorted),
            Err(Stopped::Problem(problem)) => Err(problem),
            Err(Stopped::Unwanted) => Err(problem("Stopped", "the items were not taken".to_owned())),
        }
    }
}

fn problem(code: &str, reason: String) -> Problem {
    Problem { action: ACTION.to_owned(), code: code.to_owned(), reason, hint: String::new() }
}

/// Sends all pages of one segment.
async fn segment(scan: Arc<Scan>, number: i32, pages: mpsc::Sender<Page>) -> Result<(), Stopped> {
    let account = scan.connection.account().await?;
    let (calls, client) = calls(account, &scan.region);
    let mut place = Place::default();
    let mut wanted = scan.sample;
    loop {
        if let Some(capacity) = &scan.capacity {
            capacity.turn().await;
        }
        let room = Arc::clone(&scan.pages_at_once).acquire_owned().await.ok();
        let limits = [wanted, scan.capacity.as_ref().map(Capacity::page_items)];
        let limit = limits.into_iter().flatten().min().map(|items| i32::try_from(items).unwrap_or(i32::MAX));
        let mut request = client
            .scan()
            .table_name(&scan.table)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .set_limit(limit)
            .set_exclusive_start_key(place.key.clone());
        if scan.segments > 1 {
            request = request.segment(number).total_segments(scan.segments);
        }
        let mut page = ask!(calls, "Scan", request).await.map_err(Refusal::into_problem)?;
        if let Some(capacity) = &scan.capacity {
            capacity.spend(page["ConsumedCapacity"]["CapacityUnits"].as_f64());
        }
        let Value::Array(mut items) = page["Items"].take() else {
            return Err(problem("UnreadableAnswer", "a page has no items".to_owned()).into());
        };
        if let Some(wanted) = &mut wanted {
            items.truncate(usize::try_from(*wanted).unwrap_or(usize::MAX));
            *wanted -= items.len() as u64;
        }
        let is_last = !place.go_on(&page["LastEvaluatedKey"], items.is_empty())? || wanted == Some(0);
        pages.send(Page { items, _room: room }).await.map_err(|_| Stopped::Unwanted)?;
        if is_last {
            return Ok(());
        }
    }
}

/// How far a segment is.
#[derive(Default)]
struct Place {
    key: Option<HashMap<String, AttributeValue>>,
    pages: u64,
    empty_pages: u32,
    /// A place where it was before, of the last power of two pages: whoever goes in circles comes by there.
    earlier: Value,
}

impl Place {
    /// Whether there is another page; pages that have no end are a problem.
    fn go_on(&mut self, next: &Value, is_empty: bool) -> Result<bool, Problem> {
        if next.as_object().is_none_or(serde_json::Map::is_empty) {
            return Ok(false);
        }
        self.pages += 1;
        self.empty_pages = if is_empty { self.empty_pages + 1 } else { 0 };
        if *next == self.earlier || self.empty_pages > EMPTY_PAGES_MAX {
            return Err(problem("EndlessPages", "the scan goes in circles".to_owned()));
        }
        if self.pages.is_power_of_two() {
            self.earlier = next.clone();
        }
        self.key = Some(typed(next)?);
        Ok(true)
    }
}

/// A key for the service.
fn typed(key: &Value) -> Result<HashMap<String, AttributeValue>, Problem> {
    let unknown = || problem("UnreadableAnswer", "a page ends at what is no key".to_owned());
    let members = key_members(key).map(|(name, kind, value)| {
        let value = match kind {
            "S" => AttributeValue::S(value.to_owned()),
            "N" => AttributeValue::N(value.to_owned()),
            "B" => AttributeValue::B(Blob::new(base64::decode(value).ok()?)),
            _ => return None,
        };
        Some((name.clone(), value))
    });
    let typed: Option<HashMap<String, AttributeValue>> = members.collect();
    typed.filter(|typed| Some(typed.len()) == key.as_object().map(serde_json::Map::len)).ok_or_else(unknown)
}

/// Sorted items as what is stored.
pub(super) struct Lines {
    size: u64,
    sorted: Option<Sorted>,
}

impl Lines {
    pub(super) fn new(sorted: Sorted) -> Self {
        Self { size: sorted.size(), sorted: Some(sorted) }
    }
}

#[async_trait]
impl Remote for Lines {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        Ok(None)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let early = || problem("CannotSort", "the items ended early".to_owned());
        let mut sorted = self.sorted.take().ok_or_else(early)?;
        let merged = spawn_blocking(move || {
            let part = sorted.part();
            (sorted, part)
        });
        let (sorted, part) = merged.await.map_err(|error| problem("CannotSort", error.to_string()))?;
        self.sorted = Some(sorted);
        part.map_err(|error| problem("CannotSort", error.to_string()))
    }
}
