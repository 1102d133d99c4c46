//! A document of several answers: what each says under its name, what could not be had as a gap.

use serde_json::{Map, Value};

use crate::source::aws::call::Refusal;
use crate::source::estate::{EntrySink, Stopped};

/// A document while its parts come.
pub(super) struct Document<'s> {
    sink: &'s EntrySink,
    path: &'s str,
    parts: Map<String, Value>,
}

impl<'s> Document<'s> {
    pub(super) fn new(sink: &'s EntrySink, path: &'s str) -> Self {
        Self { sink, path, parts: Map::new() }
    }

    /// Takes a part, or says why there is none.
    pub(super) async fn part(&mut self, name: &str, answer: Result<Value, Refusal>) -> Result<(), Stopped> {
        match answer {
            Ok(value) => {
                self.parts.insert(name.to_owned(), value);
                Ok(())
            }
            Err(refusal) => self.sink.gap(self.path, refusal.into_problem()).await,
        }
    }

    /// Sends what there is of it; nothing where all of it is missing.
    pub(super) async fn send(self) -> Result<(), Stopped> {
        if self.parts.is_empty() {
            return Ok(());
        }
        self.sink.document(self.path, &Value::Object(self.parts)).await
    }
}
