//! What a long operation tells whoever watches: one method, one enum.
//!
//! A terminal draws events, `--json` serialises them, a test collects them. Nothing here formats or prints.

use serde::Serialize;

use crate::resource::Gap;

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A part of the work began; `agent` names it from now on.
    Started {
        /// Which part (`local/home/me`, `restore`, `check`).
        agent: String,
    },
    /// How far it is. Totals grow while listing goes on.
    Advanced {
        /// Which part.
        agent: String,
        /// Things done.
        items: u64,
        /// Things known of so far.
        items_total: u64,
        /// Bytes done.
        bytes: u64,
        /// Bytes known of so far.
        bytes_total: u64,
        /// Whether the totals are final.
        listed: bool,
    },
    /// Something was done, or would be in a dry run (only where asked for).
    Item {
        /// `new`, `changed`, `unchanged`, `removed`, `restored`, `skipped`, `deleted`, …
        action: &'static str,
        /// Path in the layout, raw bytes.
        #[serde(serialize_with = "path_as_text")]
        path: Vec<u8>,
        /// Bytes of content.
        bytes: u64,
    },
    /// Something the user should know; nothing was lost.
    Warning {
        /// What.
        message: String,
    },
    /// Something failed; the rest goes on.
    Failed {
        /// Path in the layout, raw bytes; empty where it is not about one path.
        #[serde(serialize_with = "path_as_text")]
        path: Vec<u8>,
        /// What failed and why.
        message: String,
    },
    /// Something of the estate could not be had; the rest goes on.
    Missing {
        /// Path in the layout, raw bytes.
        #[serde(serialize_with = "path_as_text")]
        path: Vec<u8>,
        /// What was attempted, why it failed, and the way out.
        gap: Gap,
    },
    /// A part of the work ended.
    Finished {
        /// Which part.
        agent: String,
    },
}

/// Whoever watches. Called from many threads; must be quick.
pub trait Progress: Send + Sync {
    /// Takes an event.
    fn report(&self, event: Event);

    /// Whether [`Event::Item`] is wanted; operations skip building them otherwise.
    fn wants_items(&self) -> bool {
        false
    }

    /// Whether the user asked to stop; operations look at it often, keep what they have and end.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event) {}
}

fn path_as_text<S: serde::Serializer>(path: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&crate::resource::escape_path(path))
}
