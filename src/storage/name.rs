//! Names of objects, as FORMAT.md §1 lists them.
//!
//! One constructor and one strict way back for each kind. A name that is valid but none of ours (a stray file) parses
//! as an [`ObjectName`] and answers `None` to every question, so callers pass it over.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::id::{PackId, SegmentId, SessionId};

/// Text that cannot name an object.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{text:?} cannot name an object: {reason}")]
pub struct NameError {
    /// What was given.
    pub text: String,
    /// Which rule it breaks.
    pub reason: &'static str,
}

/// The relative name of an object: one to three parts of `A-Z a-z 0-9 . _ -`, joined by `/`, none beginning with `.`,
/// at most 200 bytes. So it is a safe path in any store, and never that of a temporary file.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(String);

impl ObjectName {
    /// Bytes in the longest name.
    pub const LENGTH_MAX: usize = 200;
    /// Parts in the deepest name.
    pub const PARTS_MAX: usize = 3;

    /// `config`
    pub fn config() -> Self {
        Self("config".to_owned())
    }

    /// `config.copy`
    pub fn config_copy() -> Self {
        Self("config.copy".to_owned())
    }

    /// `reserve`
    pub fn reserve() -> Self {
        Self("reserve".to_owned())
    }

    /// `keys/<slot>`; `slot` is 32 hex digits.
    pub fn key_slot(slot: &str) -> Result<Self, NameError> {
        // A slot is the same 16 bytes of lower-case hex as a session's name.
        let valid = slot.parse::<SessionId>().is_ok();
        let malformed = || NameError { text: slot.to_owned(), reason: "a key slot has 32 hex digits" };
        valid.then(|| Self(format!("keys/{slot}"))).ok_or_else(malformed)
    }

    /// `keys/<slot>.copy`; `slot` is 32 hex digits.
    pub fn key_slot_copy(slot: &str) -> Result<Self, NameError> {
        Ok(Self(format!("{}.copy", Self::key_slot(slot)?)))
    }

    /// `packs/<xx>/<id>`
    pub fn pack(id: &PackId) -> Self {
        let hex = id.to_string();
        Self(format!("packs/{}/{hex}", &hex[..2]))
    }

    /// `s/<sid>`
    pub fn session(id: &SessionId) -> Self {
        Self(format!("s/{id}"))
    }

    /// `s/<sid>.hb.<k>`
    pub fn heartbeat(id: &SessionId, number: u64) -> Self {
        Self(format!("s/{id}.hb.{number}"))
    }

    /// `i/<epoch>/<sid>-<k>`
    pub fn index_delta(epoch: u64, session: &SessionId, number: u64) -> Self {
        Self(format!("i/{epoch}/{session}-{number}"))
    }

    /// `c/<sid>`
    pub fn commit_cell(id: &SessionId) -> Self {
        Self(format!("c/{id}"))
    }

    /// `f/<sid>`
    pub fn forget_mark(id: &SessionId) -> Self {
        Self(format!("f/{id}"))
    }

    /// `g/<n>`
    pub fn prune_intent(generation: u64) -> Self {
        Self(format!("g/{generation}"))
    }

    /// `g/<n>.commit`
    pub fn prune_manifest(generation: u64) -> Self {
        Self(format!("g/{generation}.commit"))
    }

    /// `g/<n>.commit.copy`
    pub fn prune_manifest_copy(generation: u64) -> Self {
        Self(format!("g/{generation}.commit.copy"))
    }

    /// `b/<id>`
    pub fn base_segment(id: &SegmentId) -> Self {
        Self(format!("b/{id}"))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder the object lies in, without a trailing `/` (empty at the top), and its name in there.
    pub fn folder_and_file(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }

    /// The slot, if this is `keys/<slot>`.
    pub fn key_slot_digits(&self) -> Option<&str> {
        let slot = self.0.strip_prefix("keys/")?;
        Self::key_slot(slot).is_ok().then_some(slot)
    }

    /// The slot, if this is `keys/<slot>.copy`.
    pub fn key_slot_copy_digits(&self) -> Option<&str> {
        let slot = self.0.strip_prefix("keys/")?.strip_suffix(".copy")?;
        Self::key_slot(slot).is_ok().then_some(slot)
    }

    /// The pack, if this is `packs/<xx>/<id>`.
    pub fn pack_id(&self) -> Option<PackId> {
        let id = self.0.strip_prefix("packs/")?.split_once('/')?.1.parse().ok()?;
        self.is_written(&Self::pack(&id)).then_some(id)
    }

    /// The session, if this is `s/<sid>`.
    pub fn session_id(&self) -> Option<SessionId> {
        self.0.strip_prefix("s/")?.parse().ok()
    }

    /// The session and the number of the heartbeat, if this is `s/<sid>.hb.<k>`.
    pub fn heartbeat_parts(&self) -> Option<(SessionId, u64)> {
        let (session, number) = self.0.strip_prefix("s/")?.split_once(".hb.")?;
        let parts = (session.parse().ok()?, number.parse().ok()?);
        self.is_written(&Self::heartbeat(&parts.0, parts.1)).then_some(parts)
    }

    /// Epoch, session and number, if this is `i/<epoch>/<sid>-<k>`.
    pub fn index_delta_parts(&self) -> Option<(u64, SessionId, u64)> {
        let (epoch, rest) = self.0.strip_prefix("i/")?.split_once('/')?;
        let (session, number) = rest.split_once('-')?;
        let parts = (epoch.parse().ok()?, session.parse().ok()?, number.parse().ok()?);
        self.is_written(&Self::index_delta(parts.0, &parts.1, parts.2)).then_some(parts)
    }

    /// The session, if this is `c/<sid>`.
    pub fn commit_cell_id(&self) -> Option<SessionId> {
        self.0.strip_prefix("c/")?.parse().ok()
    }

    /// The snapshot, if this is `f/<sid>`.
    pub fn forget_mark_id(&self) -> Option<SessionId> {
        self.0.strip_prefix("f/")?.parse().ok()
    }

    /// The generation, if this is `g/<n>`.
    pub fn prune_intent_number(&self) -> Option<u64> {
        let generation = self.0.strip_prefix("g/")?.parse().ok()?;
        self.is_written(&Self::prune_intent(generation)).then_some(generation)
    }

    /// The generation, if this is `g/<n>.commit`.
    pub fn prune_manifest_number(&self) -> Option<u64> {
        let generation = self.0.strip_prefix("g/")?.strip_suffix(".commit")?.parse().ok()?;
        self.is_written(&Self::prune_manifest(generation)).then_some(generation)
    }

    /// The generation, if this is `g/<n>.commit.copy`.
    pub fn prune_manifest_copy_number(&self) -> Option<u64> {
        let generation = self.0.strip_prefix("g/")?.strip_suffix(".commit.copy")?.parse().ok()?;
        self.is_written(&Self::prune_manifest_copy(generation)).then_some(generation)
    }

    /// The segment, if this is `b/<id>`.
    pub fn base_segment_id(&self) -> Option<SegmentId> {
        self.0.strip_prefix("b/")?.parse().ok()
    }

    /// Numbers have many spellings (`7`, `07`, `+7`), names only one.
    fn is_written(&self, canonical: &ObjectName) -> bool {
        self == canonical
    }
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let reason = if text.len() > Self::LENGTH_MAX {
            "it is longer than 200 bytes"
        } else if text.split('/').count() > Self::PARTS_MAX {
            "it has more than three parts"
        } else if text.split('/').any(str::is_empty) {
            "a part of it is empty"
        } else if text.split('/').any(|part| part.starts_with('.')) {
            "a part of it begins with a dot"
        } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b)) {
            "it has a character other than letters, digits, '.', '_' and '-'"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(NameError { text: text.to_owned(), reason })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a listing covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// `packs/`
    Packs,
    /// `s/`: sessions and their heartbeats.
    Sessions,
    /// `i/`: index deltas of every epoch.
    Index,
    /// `c/`: commit cells.
    Cells,
    /// `f/`: forget marks.
    Forgets,
    /// `g/`: prune intents and manifests.
    Generations,
    /// `b/`: base index segments.
    Base,
    /// `keys/`: key slots and their copies.
    Keys,
    /// Everything, `config` and `reserve` among it.
    All,
}

impl Prefix {
    /// What the names under it begin with: a folder and `/`, or nothing.
    pub fn as_str(self) -> &'static str {
        match self {
            Prefix::Packs => "packs/",
            Prefix::Sessions => "s/",
            Prefix::Index => "i/",
            Prefix::Cells => "c/",
            Prefix::Forgets => "f/",
            Prefix::Generations => "g/",
            Prefix::Base => "b/",
            Prefix::Keys => "keys/",
            Prefix::All => "",
        }
    }

    /// Whether a name lies under it.
    pub fn covers(self, name: &ObjectName) -> bool {
        name.as_str().starts_with(self.as_str())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
