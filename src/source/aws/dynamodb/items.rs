//! All items of a table, or some: scanned in segments at once, brought in order, sent as lines of JSON.
//!
//! The scan is over before the first line goes out. Pages are few in memory at a time, of all tables together.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};

use crate::entry::Metadata;
use crate::source::aws::dynamodb::capacity::Capacity;
use crate::source::aws::dynamodb::order::{Line, PrimaryKey};
use crate::source::aws::dynamodb::pages::{Pages, Wanted, problem};
use crate::source::aws::dynamodb::sorted::{Sorted, Sorter};
use crate::source::estate::{Problem, Remote, Stopped};

/// A table has one segment for so many bytes.
const SEGMENT_SIZE: u64 = 32 << 20;
const SEGMENTS_MAX: u64 = 8;
/// A page is about so large. The service would give a megabyte, and where attributes are many and small, a page takes a
/// hundred times its size while it is read.
const PAGE_SIZE: u64 = 256 << 10;
/// An item of a table whose size is not known yet.
const ITEM_SIZE: u64 = 400;
/// Pages without items, one after the other, that are taken for no end.
const EMPTY_PAGES_MAX: u32 = 1000;

/// What is scanned, and how.
pub(super) struct Scan {
    pages: Box<dyn Pages>,
    key: Arc<PrimaryKey>,
    segments: u64,
    /// No more items than this in all.
    sample: Option<u64>,
    /// No more than this on a page.
    page_items: u64,
    capacity: Option<Capacity>,
    pages_at_once: Arc<Semaphore>,
}

impl Scan {
    /// Of a table as it is described.
    pub(super) fn new(
        pages: Box<dyn Pages>,
        table: &Value,
        capacity: Option<Capacity>,
        sample: Option<u64>,
        pages_at_once: &Arc<Semaphore>,
    ) -> Self {
        let of = |member: &str| table[member].as_u64().unwrap_or_default();
        let item_size = of("TableSizeBytes").checked_div(of("ItemCount")).filter(|size| *size > 0).unwrap_or(ITEM_SIZE);
        let page_size = capacity.as_ref().map_or(PAGE_SIZE, Capacity::page_size).min(PAGE_SIZE);
        let page_items = (page_size / item_size).max(1);
        let wanted = 1 + of("TableSizeBytes") / SEGMENT_SIZE;
        let allowed = capacity.as_ref().map_or(SEGMENTS_MAX, Capacity::pages_at_once);
        // One after the other, a sample is the same again.
        let segments = if sample.is_some() { 1 } else { wanted.min(allowed).clamp(1, SEGMENTS_MAX) };
        let pages_at_once = Arc::clone(pages_at_once);
        Self { pages, key: Arc::new(PrimaryKey::of(table)), segments, sample, page_items, capacity, pages_at_once }
    }

    /// Scans all of it; the items in order.
    pub(super) async fn run(self, mut sorter: Sorter) -> Result<Sorted, Problem> {
        let scan = Arc::new(self);
        let (sender, mut pages) = mpsc::channel::<Vec<Line>>(1);
        let sorting = spawn_blocking(move || {
            while let Some(lines) = pages.blocking_recv() {
                lines.iter().try_for_each(|line| sorter.push(line))?;
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
            Err(Stopped::Problem(problem) | Stopped::Gone(problem)) => Err(problem),
            Err(Stopped::Unwanted) => Err(problem("Stopped", "the items were not taken".to_owned())),
        }
    }
}

/// Sends all pages of one segment.
async fn segment(scan: Arc<Scan>, number: u64, pages: mpsc::Sender<Vec<Line>>) -> Result<(), Stopped> {
    let mut place = Place::default();
    let mut missing = scan.sample;
    while missing != Some(0) {
        if let Some(capacity) = &scan.capacity {
            capacity.turn().await;
        }
        let room = Arc::clone(&scan.pages_at_once).acquire_owned().await.ok();
        let limit = missing.unwrap_or(u64::MAX).min(scan.page_items);
        let wanted = Wanted { segment: (number, scan.segments), start: place.key.as_ref(), limit };
        let mut page = scan.pages.page(wanted).await?;
        if let Some(capacity) = &scan.capacity {
            capacity.spend(page["ConsumedCapacity"]["CapacityUnits"].as_f64());
        }
        let Value::Array(mut items) = page["Items"].take() else {
            return Err(problem("UnreadableAnswer", "a page has no items".to_owned()).into());
        };
        if let Some(missing) = &mut missing {
            items.truncate(usize::try_from(*missing).unwrap_or(usize::MAX));
            *missing -= items.len() as u64;
        }
        let is_last = !place.go_on(page["LastEvaluatedKey"].take(), items.is_empty())?;
        let key = Arc::clone(&scan.key);
        let lines = spawn_blocking(move || items.into_iter().map(|item| key.line(item)).collect());
        let lines = lines.await.map_err(|error| problem("Stopped", error.to_string()))?;
        drop(room);
        pages.send(lines).await.map_err(|_| Stopped::Unwanted)?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// How far a segment is.
#[derive(Default)]
struct Place {
    key: Option<Value>,
    pages: u64,
    empty_pages: u32,
    /// Where it was at the last power of two pages: whoever goes in circles comes by there.
    earlier: Value,
}

impl Place {
    /// Whether there is another page; pages that have no end are a problem.
    fn go_on(&mut self, next: Value, is_empty: bool) -> Result<bool, Problem> {
        if next.as_object().is_none_or(Map::is_empty) {
            return Ok(false);
        }
        self.pages += 1;
        self.empty_pages = if is_empty { self.empty_pages + 1 } else { 0 };
        if next == self.earlier || self.empty_pages > EMPTY_PAGES_MAX {
            return Err(problem("EndlessPages", "the scan goes in circles".to_owned()));
        }
        if self.pages.is_power_of_two() {
            self.earlier.clone_from(&next);
        }
        self.key = Some(next);
        Ok(true)
    }
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
        let unsorted = |reason: String| problem("CannotSort", reason);
        let mut sorted = self.sorted.take().ok_or_else(|| unsorted("the items ended early".to_owned()))?;
        let merged = spawn_blocking(move || {
            let part = sorted.part();
            (sorted, part)
        });
        let (sorted, part) = merged.await.map_err(|error| unsorted(error.to_string()))?;
        self.sorted = Some(sorted);
        part.map_err(|error| unsorted(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;
    use crate::source::aws::dynamodb::sorted::Budget;

    /// A table of so many items, its pages as large as it likes.
    #[derive(Clone, Copy)]
    struct Synthetic {
        items: u64,
        page: u64,
        /// The segment that has no end, and that which is refused.
        endless: Option<u64>,
        refused: Option<u64>,
    }

    impl Synthetic {
        fn of(items: u64, page: u64) -> Self {
            Self { items, page, endless: None, refused: None }
        }

        fn item(number: u64) -> Value {
            // Scattered, as if by a hash.
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_007;
            json!({"k": {"N": key.to_string()}, "text": {"S": format!("the text of {number}")}})
        }
    }

    #[async_trait]
    impl Pages for Synthetic {
        async fn page(&self, wanted: Wanted<'_>) -> Result<Value, Problem> {
            tokio::task::yield_now().await;
            let (segment, segments) = wanted.segment;
            let begun = wanted.start.and_then(|key| key["at"]["N"].as_str()?.parse().ok()).unwrap_or(segment);
            if self.refused == Some(segment) && begun > segments {
                return Err(problem("AccessDeniedException", String::new()));
            }
            let count = wanted.limit.min(self.page);
            let items: Vec<Value> =
                (0..count).map(|at| begun + at * segments).take_while(|at| *at < self.items).map(Self::item).collect();
            let next = begun + count * segments;
            let next = if self.endless == Some(segment) && next >= self.items { segment + segments } else { next };
            Ok(match next < self.items {
                true => json!({"Items": items, "LastEvaluatedKey": {"at": {"N": next.to_string()}}}),
                false => json!({"Items": items}),
            })
        }
    }

    fn scanned(pages: Synthetic, segments: u64, sample: Option<u64>, budget: Budget) -> Result<Vec<u8>, Problem> {
        let folder = tempfile::tempdir().expect("because the system has room for a folder");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let table = json!({
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "TableSizeBytes": (segments - 1) * SEGMENT_SIZE,
        });
        let room = Arc::new(Semaphore::new(3));
        let result = runtime.expect("because threads can be had").block_on(async {
            let scan = Scan::new(Box::new(pages), &table, None, sample, &room);
            let mut lines = Lines::new(scan.run(Sorter::new(budget, folder.path().to_owned())).await?);
            let mut all = Vec::new();
            while let Some(part) = lines.next().await? {
                all.extend_from_slice(&part);
            }
            assert_eq!(lines.size(), Some(all.len() as u64));
            Ok(all)
        });
        assert_eq!(room.available_permits(), 3);
        assert_eq!(std::fs::read_dir(folder.path()).expect("because the folder is there").count(), 0);
        result
    }

    fn enough() -> Budget {
        Budget::new(1 << 20, 1 << 20)
    }

    fn numbers(lines: &[u8]) -> Vec<u64> {
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let key = |line| serde_json::from_slice::<Value>(line).ok()?["k"]["N"].as_str()?.parse().ok();
        lines.map(|line| key(line).expect("because each line is an item with its key")).collect()
    }

    proptest! {
        #[test]
        fn however_a_table_is_cut_its_items_are_the_same_bytes(
            items in 0..300_u64, page in 1..50_u64, segments in 1..=8_u64, step in 1..3000_usize, is_short in any::<bool>(),
        ) {
            let budget = if is_short { Budget::new(0, step) } else { enough() };
            let lines = scanned(Synthetic::of(items, page), segments, None, budget).map_err(|_| ()).unwrap_or_default();
            let keys = numbers(&lines);
            let expected: BTreeSet<u64> = (0..items).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_007).collect();
            prop_assert_eq!(&keys, &expected.into_iter().collect::<Vec<u64>>());
            let whole = scanned(Synthetic::of(items, 1000), 1, None, enough());
            prop_assert!(whole == Ok(lines));
        }
    }

    #[test]
    fn a_sample_has_as_many_items_as_were_asked_for() {
        for (sample, expected) in [(0, 0), (1, 1), (25, 25), (1000, 100)] {
            let lines = scanned(Synthetic::of(100, 10), 8, Some(sample), enough());
            assert_eq!(numbers(&lines.expect("because nothing is refused")).len(), expected);
        }
    }

    #[test]
    fn no_item_goes_out_where_one_segment_cannot_be_had() {
        let refused = Synthetic { refused: Some(2), ..Synthetic::of(100, 3) };
        let problem = scanned(refused, 4, None, enough()).expect_err("because a segment is refused");
        assert_eq!(problem.code, "AccessDeniedException");
    }

    #[test]
    fn a_scan_that_goes_in_circles_ends() {
        let endless = Synthetic { endless: Some(1), ..Synthetic::of(100, 3) };
        let problem = scanned(endless, 3, None, enough()).expect_err("because a segment has no end");
        assert_eq!(problem.code, "EndlessPages");
    }
}
