//! Pages of a table's items, as the service gives them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use aws_smithy_types::base64;
use serde_json::{Map, Value};

use crate::source::aws::account::Connection;
use crate::source::aws::call::{Refusal, ask};
use crate::source::aws::dynamodb::calls;
use crate::source::estate::Problem;

/// Whoever has pages of items.
#[async_trait]
pub(super) trait Pages: Send + Sync {
    /// A page: `Items`, where it ended (`LastEvaluatedKey`), what it took (`ConsumedCapacity`).
    async fn page(&self, wanted: Wanted<'_>) -> Result<Value, Problem>;
}

/// Which page.
pub(super) struct Wanted<'w> {
    /// Number of the segment, and how many there are.
    pub(super) segment: (u64, u64),
    /// Where the page before ended.
    pub(super) start: Option<&'w Value>,
    /// No more items than this.
    pub(super) limit: u64,
}

/// A problem of scanning.
pub(super) fn problem(code: &str, reason: String) -> Problem {
    Problem { action: "dynamodb:Scan".to_owned(), code: code.to_owned(), reason, hint: String::new() }
}

/// A table of an account.
pub(super) struct Table {
    pub(super) connection: Arc<Connection>,
    pub(super) region: String,
    pub(super) name: String,
}

#[async_trait]
impl Pages for Table {
    async fn page(&self, wanted: Wanted<'_>) -> Result<Value, Problem> {
        let account = self.connection.account().await?;
        let (calls, client) = calls(account, &self.region);
        let number = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
        let mut request = client
            .scan()
            .table_name(&self.name)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .limit(number(wanted.limit))
            .set_exclusive_start_key(wanted.start.map(typed).transpose()?);
        if let (segment, segments @ 2..) = wanted.segment {
            request = request.segment(number(segment)).total_segments(number(segments));
        }
        Ok(ask!(calls, "Scan", request).await.map_err(Refusal::into_problem)?)
    }
}

/// A key for the service.
fn typed(key: &Value) -> Result<HashMap<String, AttributeValue>, Problem> {
    let members = key.as_object().map(Map::iter).into_iter().flatten();
    let typed = members.map(|(name, typed)| {
        let (kind, value) = typed.as_object()?.iter().next()?;
        let value = match (kind.as_str(), value.as_str()?) {
            ("S", value) => AttributeValue::S(value.to_owned()),
            ("N", value) => AttributeValue::N(value.to_owned()),
            ("B", value) => AttributeValue::B(Blob::new(base64::decode(value).ok()?)),
            _ => return None,
        };
        Some((name.clone(), value))
    });
    let unreadable = || problem("UnreadableAnswer", "a page ends at what is no key".to_owned());
    typed.collect::<Option<_>>().ok_or_else(unreadable)
}
