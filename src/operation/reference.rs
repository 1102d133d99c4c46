//! How people name a snapshot, and which one they mean: `latest~2`, `@2026-11-01`, `4ac1d2`, `tag:prod`, `series:laptop`.
//!
//! A pure parser and a pure resolver: the snapshots, the host and the time zone are arguments. Where the name leaves a
//! choice, the answer carries a notice of what was chosen; where a choice would be a guess, it is an error.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use thiserror::Error;

use crate::id::SnapshotId;
use crate::resource::SnapshotRecord;

/// Fewest hex digits that name a snapshot.
pub const PREFIX_DIGITS_MIN: usize = 4;

/// A snapshot as named by a person, and a path inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where to begin.
    pub base: Base,
    /// How many snapshots of the same series to go back from there.
    pub back: u32,
    /// Path in the layout, raw bytes without a leading `/`; `None` where no `:` was given.
    pub path: Option<Vec<u8>>,
}

/// What a reference begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// The newest.
    Latest,
    /// The newest at or before a point in time.
    At(When),
    /// The one whose id begins so (lower-case hex).
    Id(String),
    /// The newest with this tag.
    Tag(String),
    /// The newest of this series.
    Series(String),
}

/// A point in time as people give it; a day, a minute or a second means the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A local day.
    Day(Date),
    /// A local minute.
    Minute(DateTime),
    /// A local second.
    Second(DateTime),
    /// A second with its offset from UTC.
    Instant(Timestamp),
}

/// Which snapshots a reference without a series may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of one series.
    Series(String),
    /// Those of one host, or all if it has none (a new machine).
    Host(String),
    /// All.
    Any,
}

/// The snapshot that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Its id.
    pub id: SnapshotId,
    /// What the user should know about the choice.
    pub notice: Option<Notice>,
}

/// What was chosen where the name left a choice. Shown as text by `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Several series qualified.
    SeriesChosen {
        /// The series of the snapshot that was chosen.
        series: String,
        /// The others.
        others: Vec<String>,
    },
    /// The host has no snapshot here, so that of another was taken.
    OtherHost {
        /// The host that was asked for.
        host: String,
        /// The host whose snapshot was chosen.
        chosen: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeriesChosen { series, others } => {
                write!(f, "took the series {series}; there is also {}", others.join(", "))
            }
            Self::OtherHost { host, chosen } => {
                write!(f, "nothing was captured on {host}; took a snapshot of {chosen}")
            }
        }
    }
}

/// A snapshot as an error names it: the start of its id, its time and series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate(String);

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reference that names no snapshot, or more than one.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ReferenceError {
    /// The text is no reference.
    #[error("{text:?} does not name a snapshot: {reason}")]
    Malformed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The repository has no snapshots.
    #[error("the repository holds no snapshots")]
    Empty,
    /// Nothing matches.
    #[error("no snapshot matches {reference}")]
    NotFound {
        /// What was looked for.
        reference: String,
    },
    /// There are not that many before it.
    #[error("{reference} goes back {back}, but only {available} snapshots of its series are older")]
    TooFarBack {
        /// What was looked for.
        reference: String,
        /// How far back it goes.
        back: u32,
        /// How many there are.
        available: usize,
    },
    /// An id prefix that several snapshots share.
    #[error("{prefix} is the start of {} snapshots: {}", candidates.len(), list(candidates))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// The snapshots that begin so.
        candidates: Vec<Candidate>,
    },
}

fn list(candidates: &[Candidate]) -> String {
    candidates.iter().map(Candidate::to_string).collect::<Vec<_>>().join(", ")
}

impl Reference {
    /// Reads a reference with an optional `:path`. A time takes as many of the following `:` parts as make a time.
    pub fn parse(text: &[u8]) -> Result<Self, ReferenceError> {
        let malformed = |reason| ReferenceError::Malformed { text: String::from_utf8_lossy(text).into_owned(), reason };
        if text.starts_with(b"@") {
            return Self::parse_time(text).ok_or_else(|| malformed("after `@` stands a day or a time, as 2026-11-01"));
        }
        let name_starts = [&b"tag:"[..], b"series:"].into_iter().find(|p| text.starts_with(p)).map_or(0, <[u8]>::len);
        let (head, path) = match text[name_starts..].iter().position(|&b| b == b':') {
            Some(at) => (&text[..name_starts + at], Some(&text[name_starts + at + 1..])),
            None => (text, None),
        };
        let head = std::str::from_utf8(head).map_err(|_| malformed("it is not UTF-8"))?;
        let (name, back) = split_back(head).ok_or_else(|| malformed("after `~` stands a number"))?;
        let base = if let Some(tag) = name.strip_prefix("tag:") {
            Base::Tag(tag.to_owned())
        } else if let Some(series) = name.strip_prefix("series:") {
            Base::Series(series.to_owned())
        } else if name == "latest" {
            Base::Latest
        } else {
            Base::Id(parse_prefix(name).map_err(malformed)?)
        };
        if matches!(&base, Base::Tag(name) | Base::Series(name) if name.is_empty()) {
            return Err(malformed("the name after `:` is missing"));
        }
        Ok(Self { base, back, path: path.map(inside) })
    }

    fn parse_time(text: &[u8]) -> Option<Self> {
        let ends = text.iter().enumerate().filter(|(_, b)| **b == b':').map(|(at, _)| at).chain([text.len()]);
        let mut ends: Vec<usize> = ends.collect();
        ends.reverse();
        ends.into_iter().find_map(|end| {
            let (head, back) = split_back(std::str::from_utf8(&text[1..end]).ok()?)?;
            let path = text.get(end + 1..).map(inside);
            Some(Self { base: Base::At(When::parse(head)?), back, path })
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Latest => f.write_str("latest")?,
            Base::At(When::Day(day)) => write!(f, "@{day}")?,
            Base::At(When::Minute(time)) => write!(f, "@{}", time.strftime("%Y-%m-%dT%H:%M"))?,
            Base::At(When::Second(time)) => write!(f, "@{}", time.strftime("%Y-%m-%dT%H:%M:%S"))?,
            Base::At(When::Instant(instant)) => write!(f, "@{instant}")?,
            Base::Id(prefix) => f.write_str(prefix)?,
            Base::Tag(tag) => write!(f, "tag:{tag}")?,
            Base::Series(series) => write!(f, "series:{series}")?,
        }
        if self.back > 0 {
            write!(f, "~{}", self.back)?;
        }
        match &self.path {
            Some(path) => write!(f, ":{}", String::from_utf8_lossy(path)),
            None => Ok(()),
        }
    }
}

impl When {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Some(Self::Instant(instant));
        }
        let time = || text.parse::<DateTime>().ok().filter(|time| time.subsec_nanosecond() == 0);
        match text.len() {
            10 => text.parse().ok().map(Self::Day),
            16 => time().map(Self::Minute),
            19 => time().map(Self::Second),
            _ => None,
        }
    }

    /// The first moment after it.
    fn end(self, zone: &TimeZone) -> Option<Timestamp> {
        let end = match self {
            Self::Day(day) => day.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight()),
            Self::Minute(time) => time.checked_add(1.minute()).ok()?,
            Self::Second(time) => time.checked_add(1.second()).ok()?,
            Self::Instant(instant) => return instant.checked_add(1.second()).ok(),
        };
        Some(end.to_zoned(zone.clone()).ok()?.timestamp())
    }
}

fn split_back(head: &str) -> Option<(&str, u32)> {
    match head.rsplit_once('~') {
        None => Some((head, 0)),
        Some((name, "")) => Some((name, 1)),
        Some((name, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => Some((name, digits.parse().ok()?)),
        Some(_) => None,
    }
}

fn parse_prefix(name: &str) -> Result<String, &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if !name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("it is neither `latest`, `@time`, `tag:NAME`, `series:NAME` nor hex digits of an id");
    }
    match name.len() {
        0..PREFIX_DIGITS_MIN => Err("an id needs at least 4 of its hex digits"),
        length if length > 2 * SnapshotId::SIZE => Err("it is longer than an id"),
        _ => Ok(name.to_ascii_lowercase()),
    }
}

/// Paths in the layout are relative; a leading `/` is what people type.
fn inside(path: &[u8]) -> Vec<u8> {
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    path[start..].to_vec()
}

/// The snapshots that a reference is looked up in.
#[derive(Clone, Debug)]
pub struct Snapshots<'a> {
    sorted: Vec<(SnapshotId, &'a SnapshotRecord)>,
    scope: &'a Scope,
    zone: &'a TimeZone,
}

impl<'a> Snapshots<'a> {
    /// All valid snapshots in any order, what a reference without a series means, and the zone of local times.
    pub fn new(snapshots: &[(SnapshotId, &'a SnapshotRecord)], scope: &'a Scope, zone: &'a TimeZone) -> Self {
        let mut sorted = snapshots.to_vec();
        sorted.sort_by_key(|(id, record)| (record.time, *id));
        Self { sorted, scope, zone }
    }

    /// The one snapshot that the reference means.
    pub fn resolve(&self, reference: &Reference) -> Result<Resolved, ReferenceError> {
        if self.sorted.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (base, notice) = match &reference.base {
            Base::Id(prefix) => (self.by_prefix(prefix)?, None),
            Base::Series(series) => (self.newest(reference, |_, record| record.series == *series)?, None),
            Base::Tag(tag) => self.newest_in_scope(reference, |_, record| record.tags.contains(tag))?,
            Base::Latest => self.newest_in_scope(reference, |_, _| true)?,
            Base::At(when) => {
                let end = when.end(self.zone).unwrap_or(Timestamp::MAX);
                self.newest_in_scope(reference, |_, record| record.time < end)?
            }
        };
        Ok(Resolved { id: self.step_back(reference, base)?, notice })
    }

    fn by_prefix(&self, prefix: &str) -> Result<SnapshotId, ReferenceError> {
        let found: Vec<_> = self.sorted.iter().filter(|(id, _)| id.to_string().starts_with(prefix)).collect();
        match found.as_slice() {
            [] => Err(ReferenceError::NotFound { reference: prefix.to_owned() }),
            [(id, _)] => Ok(*id),
            many => Err(ReferenceError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: many.iter().map(|(id, record)| self.candidate(*id, record)).collect(),
            }),
        }
    }

    fn candidate(&self, id: SnapshotId, record: &SnapshotRecord) -> Candidate {
        let time = record.time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M");
        Candidate(format!("{} ({time}, {})", &id.to_string()[..12], record.series))
    }

    fn newest(
        &self,
        reference: &Reference,
        qualifies: impl Fn(SnapshotId, &SnapshotRecord) -> bool,
    ) -> Result<SnapshotId, ReferenceError> {
        let newest = self.sorted.iter().rev().find(|(id, record)| qualifies(*id, record));
        newest
            .map(|(id, _)| *id)
            .ok_or_else(|| ReferenceError::NotFound { reference: reference.without_path().to_string() })
    }

    /// The newest of those that qualify and are in scope, and what to say where series or hosts were chosen among.
    fn newest_in_scope(
        &self,
        reference: &Reference,
        qualifies: impl Fn(SnapshotId, &SnapshotRecord) -> bool,
    ) -> Result<(SnapshotId, Option<Notice>), ReferenceError> {
        let is_in_scope = |record: &SnapshotRecord| match self.scope {
            Scope::Series(series) => record.series == *series,
            Scope::Host(host) => record.host == *host,
            Scope::Any => true,
        };
        let host_is_here = self.sorted.iter().any(|(_, record)| is_in_scope(record));
        let anywhere = matches!(self.scope, Scope::Host(_)) && !host_is_here;
        let found = |id, record: &SnapshotRecord| (anywhere || is_in_scope(record)) && qualifies(id, record);
        let chosen = self.newest(reference, found)?;
        let record = self.record(chosen);
        if let (Scope::Host(host), true) = (self.scope, anywhere) {
            let notice = Notice::OtherHost { host: host.clone(), chosen: record.host.clone() };
            return Ok((chosen, Some(notice)));
        }
        let mut others: Vec<String> = self
            .sorted
            .iter()
            .filter(|(id, other)| found(*id, other) && other.series != record.series)
            .map(|(_, other)| other.series.clone())
            .collect();
        others.sort();
        others.dedup();
        let notice = (!others.is_empty()).then(|| Notice::SeriesChosen { series: record.series.clone(), others });
        Ok((chosen, notice))
    }

    fn step_back(&self, reference: &Reference, base: SnapshotId) -> Result<SnapshotId, ReferenceError> {
        let series = &self.record(base).series;
        let same = self.sorted.iter().filter(|(_, record)| record.series == *series).map(|(id, _)| *id);
        let older: Vec<SnapshotId> = same.take_while(|id| *id != base).collect();
        match reference.back as usize {
            0 => Ok(base),
            back if back <= older.len() => Ok(older[older.len() - back]),
            _ => Err(ReferenceError::TooFarBack {
                reference: reference.without_path().to_string(),
                back: reference.back,
                available: older.len(),
            }),
        }
    }

    fn record(&self, id: SnapshotId) -> &'a SnapshotRecord {
        self.sorted.iter().find(|(other, _)| *other == id).expect("because the id came from this list").1
    }
}

impl Reference {
    fn without_path(&self) -> Self {
        Self { path: None, ..self.clone() }
    }
}
