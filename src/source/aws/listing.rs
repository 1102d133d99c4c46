//! Lists in the order of what identifies their items, and the items of a list asked for one by one where that tells more.

use std::future::Future;

use serde_json::Value;

use crate::source::aws::call::Refusal;
use crate::source::estate::{EntrySink, Stopped};

/// The text at a place in a document, or none.
pub(super) fn at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items in the order of a member of theirs, whatever order they came in.
pub(super) fn in_order(mut items: Vec<Value>, by: &str) -> Vec<Value> {
    items.sort_by(|one, other| at(one, by).cmp(at(other, by)));
    items
}

/// The same as one value.
pub(super) fn sorted(items: Vec<Value>, by: &str) -> Value {
    Value::Array(in_order(items, by))
}

/// Sends a list as a document, or says why there is none.
pub(super) async fn send_list(
    sink: &EntrySink,
    path: &str,
    items: Result<Vec<Value>, Refusal>,
    by: &str,
) -> Result<(), Stopped> {
    match items {
        Ok(items) => sink.document(path, &sorted(items, by)).await,
        Err(refusal) => sink.gap(path, refusal.into_problem()).await,
    }
}

/// Every item of a list as `ask` tells it, which is given what stands at `by`. What is refused is a gap at `path`; nothing
/// where the list itself is.
pub(super) async fn in_full<F>(
    sink: &EntrySink,
    path: &str,
    items: Result<Vec<Value>, Refusal>,
    by: &str,
    ask: impl Fn(String) -> F,
) -> Result<Option<Vec<Value>>, Stopped>
where
    F: Future<Output = Result<Value, Refusal>>,
{
    let items = match items {
        Ok(items) => items,
        Err(refusal) => {
            sink.gap(path, refusal.into_problem()).await?;
            return Ok(None);
        }
    };
    let mut full = Vec::with_capacity(items.len());
    for item in in_order(items, by) {
        match ask(at(&item, by).to_owned()).await {
            Ok(answer) => full.push(answer),
            Err(refusal) => sink.gap(path, refusal.into_problem()).await?,
        }
    }
    Ok(Some(full))
}
