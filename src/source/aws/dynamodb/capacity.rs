//! The part of a table's own read capacity that a scan takes, shared by its segments.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Units that a page of a megabyte takes, read consistently: one for each 4 KiB.
const PAGE_UNITS: f64 = 256.0;
const UNIT_SIZE: u64 = 4096;
/// So many seconds' units may be taken at once: a table keeps what was not used for five minutes.
const BURST_SECONDS: f64 = 60.0;

/// Read units that come at a rate. A page is paid after it came, so the next one waits.
#[derive(Debug)]
pub(super) struct Capacity {
    /// Units a second.
    rate: f64,
    purse: Mutex<Purse>,
}

#[derive(Debug)]
struct Purse {
    /// May be below nothing: then there is a wait.
    units: f64,
    filled: Instant,
}

impl Capacity {
    /// A share of what a table has; `None` where it has as much as is asked for.
    pub(super) fn of(table: &Value, share: f64) -> Option<Self> {
        let units = table["ProvisionedThroughput"]["ReadCapacityUnits"].as_f64().filter(|units| *units > 0.0)?;
        if table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST" {
            return None;
        }
        let rate = (units * share).max(f64::MIN_POSITIVE);
        let purse = Purse { units: rate * BURST_SECONDS, filled: Instant::now() };
        Some(Self { rate, purse: Mutex::new(purse) })
    }

    /// As many segments as get a page each second.
    pub(super) fn pages_at_once(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number, from 0 on")]
        let pages = (self.rate / PAGE_UNITS) as u64;
        pages.max(1)
    }

    /// Bytes that take a second's units, of a page at most.
    pub(super) fn page_size(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number, from 1 on")]
        let units = self.rate.clamp(1.0, PAGE_UNITS) as u64;
        units * UNIT_SIZE
    }

    /// Waits until what was taken is paid.
    pub(super) async fn turn(&self) {
        let wait = self.wait(Instant::now());
        tokio::time::sleep(wait).await;
    }

    /// Pays for a page; where the service does not say what it took, a whole one.
    pub(super) fn spend(&self, units: Option<f64>) {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner).units -= units.unwrap_or(PAGE_UNITS);
    }

    fn wait(&self, now: Instant) -> Duration {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(purse.filled).as_secs_f64();
        purse.units = (purse.units + passed * self.rate).min(self.rate * BURST_SECONDS);
        purse.filled = now;
        Duration::try_from_secs_f64(-purse.units.min(0.0) / self.rate).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scan_takes_its_share_and_no_more() {
        let table = json!({"ProvisionedThroughput": {"ReadCapacityUnits": 40}});
        let capacity = Capacity::of(&table, 0.25).expect("because the table is provisioned");
        assert_eq!((capacity.page_size(), capacity.pages_at_once()), (40960, 1));
        let start = capacity.purse.lock().expect("because nobody else holds it").filled;
        capacity.spend(Some(600.0));
        assert_eq!(capacity.wait(start).as_millis(), 0);
        capacity.spend(Some(20.0));
        assert_eq!(capacity.wait(start).as_millis(), 2000);
        assert_eq!(capacity.wait(start + Duration::from_secs(1)).as_millis(), 1000);
        capacity.spend(None);
        assert_eq!(capacity.wait(start + Duration::from_secs(3600)).as_millis(), 0);
    }

    #[test]
    fn tables_that_are_paid_by_request_have_no_share() {
        let on_demand = json!({
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 0}
        });
        assert!(Capacity::of(&on_demand, 0.25).is_none());
        assert!(Capacity::of(&json!({}), 0.25).is_none());
    }
}
