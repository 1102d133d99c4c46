//! AWS's own limits: a bucket of tokens for each account, region, service and class of actions.

use std::collections::HashMap;
use std::time::Instant;

use super::{Call, Seen};

/// A class of actions, all others of the service where none is named: requests a second, and at once.
pub(crate) struct Limit {
    pub(crate) service: &'static str,
    actions: &'static [&'static str],
    pub(crate) rate: f64,
    pub(crate) burst: f64,
}

const fn limit(service: &'static str, actions: &'static [&'static str], rate: f64, burst: f64) -> Limit {
    Limit { service, actions, rate, burst }
}

/// As the design has them; the first that fits.
pub(crate) const LIMITS: &[Limit] = &[
    limit("lambda", &["GetFunction"], 100.0, 100.0),
    limit("lambda", &["GetPolicy"], 15.0, 15.0),
    limit("lambda", &[], 15.0, 15.0),
    limit("route53", &[], 10.0, 50.0),
    limit("cloudfront", &[], 5.0, 10.0),
    limit("iam", &[], 10.0, 20.0),
    limit("apigateway", &["GetResources"], 2.5, 5.0),
    limit("apigateway", &[], 10.0, 40.0),
    limit("ses", &[], 1.0, 1.0),
    limit(
        "s3",
        &["GetObject", "HeadObject", "ListObjectsV2", "ListObjectVersions", "GetObjectTagging", "GetObjectAcl"],
        3000.0,
        500.0,
    ),
    limit("s3", &[], 15.0, 30.0),
    limit("dynamodb", &["Scan"], 1000.0, 100.0),
    limit("dynamodb", &["ListBackups"], 5.0, 5.0),
    limit("dynamodb", &["ListTagsOfResource"], 10.0, 10.0),
    limit("dynamodb", &["DescribeContinuousBackups"], 10.0, 10.0),
    limit("dynamodb", &[], 100.0, 100.0),
    limit("", &[], 10.0, 20.0),
];
/// Clocks of two processes agree no better.
const GRACE: f64 = 1.0;

/// Buckets, full at first.
#[derive(Default)]
pub(crate) struct Limits {
    buckets: HashMap<(String, String, usize), Bucket>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// The class of an action; downloads have none.
pub(crate) fn class_of(service: &str, action: &str) -> Option<usize> {
    let fits = |limit: &Limit| {
        (limit.service == service && (limit.actions.is_empty() || limit.actions.contains(&action)))
            || limit.service.is_empty()
    };
    LIMITS.iter().position(fits).filter(|_| !service.is_empty())
}

impl Limits {
    /// Whether there is room for it.
    pub(super) fn take(&mut self, call: &Call) -> bool {
        let Some(class) = class_of(&call.service, &call.action) else { return true };
        let limit = &LIMITS[class];
        let most = limit.burst + GRACE;
        let key = (call.region.clone(), call.service.clone(), class);
        let bucket = self.buckets.entry(key).or_insert_with(|| Bucket { tokens: most, filled: Instant::now() });
        let now = Instant::now();
        bucket.tokens = (bucket.tokens + (now - bucket.filled).as_secs_f64() * limit.rate).min(most);
        bucket.filled = now;
        let has_room = bucket.tokens >= 1.0;
        if has_room {
            bucket.tokens -= 1.0;
        }
        has_room
    }
}

/// The seconds that each class needs at least for what was asked, without one answer's delay: the service, how many, how long.
pub(crate) fn bounds<'s>(seen: impl IntoIterator<Item = &'s Seen>) -> Vec<(String, u32, f64)> {
    let mut counts: HashMap<(String, usize), u32> = HashMap::new();
    // What was refused was asked again.
    for seen in seen.into_iter().filter(|seen| !seen.is_throttled) {
        if let Some(class) = class_of(&seen.service, &seen.action) {
            *counts.entry((seen.service.clone(), class)).or_default() += 1;
        }
    }
    let mut bounds: Vec<(String, u32, f64)> = counts
        .into_iter()
        .map(|((service, class), count)| {
            let limit = &LIMITS[class];
            let of = limit.actions.first().map_or(service.clone(), |action| format!("{service}:{action}"));
            (of, count, ((f64::from(count) - limit.burst) / limit.rate).max(0.0))
        })
        .collect();
    bounds.sort_by(|one, other| other.2.total_cmp(&one.2));
    bounds
}
