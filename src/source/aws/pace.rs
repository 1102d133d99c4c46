//! How fast a service may be asked: a bucket of tokens for each account, region, service and class of actions, shared by
//! all that ask, halved when the service says that it is too much, restored slowly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Requests a second and at once, of actions of a service.
struct Class {
    service: &'static str,
    /// The actions it is for; all others of the service where there are none.
    actions: &'static [&'static str],
    rate: f64,
    burst: f64,
}

const fn class(service: &'static str, actions: &'static [&'static str], rate: f64, burst: f64) -> Class {
    Class { service, actions, rate, burst }
}

/// What AWS allows, or is known to bear, to begin with; the first that fits.
const CLASSES: &[Class] = &[
    class("lambda", &["GetFunction"], 100.0, 100.0),
    class("lambda", &["GetPolicy"], 15.0, 15.0),
    class("lambda", &[], 15.0, 15.0),
    class("route53", &[], 10.0, 50.0),
    class("cloudfront", &[], 5.0, 10.0),
    class("iam", &[], 10.0, 20.0),
    class("apigateway", &["GetResources"], 2.5, 5.0),
    class("apigateway", &[], 10.0, 40.0),
    class("ses", &[], 1.0, 1.0),
    class("acm", &[], 8.0, 10.0),
    class("logs", &[], 5.0, 5.0),
    class("ssm", &[], 3.0, 5.0),
    class("states", &["ListTagsForResource"], 1.0, 100.0),
    class("wafv2", &["ListResourcesForWebACL"], 1.0, 1.0),
    class("wafv2", &[], 5.0, 5.0),
    class(
        "s3",
        &["GetObject", "HeadObject", "ListObjectsV2", "ListObjectVersions", "GetObjectTagging", "GetObjectAcl"],
        3000.0,
        500.0,
    ),
    class("s3", &[], 15.0, 30.0),
    class("dynamodb", &["Scan"], 1000.0, 100.0),
    class("dynamodb", &["ListBackups"], 5.0, 5.0),
    class("dynamodb", &["ListTagsOfResource"], 10.0, 10.0),
    class("dynamodb", &["DescribeContinuousBackups"], 10.0, 10.0),
    class("dynamodb", &[], 100.0, 100.0),
];

/// Services that nothing is known of.
const UNKNOWN: Class = class("", &[], 10.0, 20.0);
/// However often a service complains, it is asked so often a second.
const RATE_MIN: f64 = 0.2;
/// The part of its first rate that a bucket regains with each answer that is no complaint.
const REGAINED: f64 = 0.01;

/// Region, service and class.
type Place = (String, String, usize);

/// All buckets of one account.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The part of what AWS allows that is taken, of 1.
    share: Option<f64>,
    buckets: Mutex<HashMap<Place, Arc<Mutex<Bucket>>>>,
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    rate_max: f64,
    burst: f64,
    /// May be below nothing: then so many wait.
    tokens: f64,
    filled: Instant,
    /// When it was halved last.
    halved: Option<Instant>,
}

impl Pace {
    /// Buckets that take this part of what is allowed.
    pub(super) fn with_share(share: f64) -> Self {
        Self { share: Some(share), ..Self::default() }
    }

    /// Waits for the turn of a request; when it came.
    pub(super) async fn wait(&self, region: &str, service: &str, action: &str) -> Instant {
        let bucket = self.bucket(region, service, action);
        let delay = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        tokio::time::sleep(delay).await;
        Instant::now()
    }

    /// The service said of a request made then that it was too much. Those that were on their way together are one
    /// complaint, or a few of them would bring everything to a halt.
    pub(super) fn slow_down(&self, region: &str, service: &str, action: &str, made: Instant) {
        let bucket = self.bucket(region, service, action);
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.halve(made, Instant::now());
    }

    /// The service answered.
    pub(super) fn go_on(&self, region: &str, service: &str, action: &str) {
        let bucket = self.bucket(region, service, action);
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.rate = (bucket.rate + bucket.rate_max * REGAINED).min(bucket.rate_max);
    }

    fn bucket(&self, region: &str, service: &str, action: &str) -> Arc<Mutex<Bucket>> {
        let (at, class) = class_of(service, action);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry((region.to_owned(), service.to_owned(), at)).or_insert_with(|| {
            let share = self.share.unwrap_or(1.0);
            let (rate, burst) = (class.rate * share, (class.burst * share).max(1.0));
            Arc::new(Mutex::new(Bucket {
                rate,
                rate_max: rate,
                burst,
                tokens: burst,
                filled: Instant::now(),
                halved: None,
            }))
        });
        Arc::clone(bucket)
    }
}

/// The first class that fits, and its number.
fn class_of(service: &str, action: &str) -> (usize, &'static Class) {
    let fits =
        |class: &Class| class.service == service && (class.actions.is_empty() || class.actions.contains(&action));
    let at = CLASSES.iter().position(fits).unwrap_or(CLASSES.len());
    (at, CLASSES.get(at).unwrap_or(&UNKNOWN))
}

/// Which class of actions this one is in, and how many of them are asked in a second.
pub(super) fn rate_of(service: &str, action: &str) -> (usize, f64) {
    let (at, class) = class_of(service, action);
    (at, class.rate)
}

impl Bucket {
    fn halve(&mut self, made: Instant, now: Instant) {
        if self.halved.is_none_or(|halved| halved < made) {
            self.rate = (self.rate / 2.0).max(RATE_MIN);
            self.halved = Some(now);
        }
    }

    /// Takes one token; how long until it is there.
    fn take(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst) - 1.0;
        self.filled = now;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.rate) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_at_the_rate_and_no_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket { rate: 10.0, rate_max: 10.0, burst: 2.0, tokens: 2.0, filled: start, halved: None };
        let waits: Vec<u128> = (0..4).map(|_| bucket.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200]);
        let later = start + Duration::from_secs(60);
        let waits: Vec<u128> = (0..3).map(|_| bucket.take(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100]);
    }

    #[test]
    fn complaints_about_requests_made_together_are_one() {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut bucket = Bucket { rate: 16.0, rate_max: 16.0, burst: 2.0, tokens: 2.0, filled: start, halved: None };
        for made in [0, 1, 2] {
            bucket.halve(at(made), at(10));
        }
        assert!((bucket.rate - 8.0).abs() < f64::EPSILON, "{bucket:?}");
        bucket.halve(at(11), at(20));
        assert!((bucket.rate - 4.0).abs() < f64::EPSILON, "{bucket:?}");
    }
}
