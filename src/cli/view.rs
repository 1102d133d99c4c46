//! What a query looks at: an open repository, its snapshots and its index.
//!
//! Parts that are damaged though the rest can be read are told on stderr; `check` says what they mean.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::repository;
use crate::id::SnapshotId;
use crate::operation::reference::Reference;
use crate::repository::Repository;
use crate::repository::index::Index;
use crate::repository::reader::Reader;
use crate::repository::snapshot::{Snapshot, Snapshots};
use crate::repository::view::Look;
use crate::resource::{Coverage, SnapshotRecord};

/// A repository as queries see it.
pub struct View {
    /// The repository.
    pub repository: Arc<Repository>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Where its chunks and pages lie.
    pub index: Index,
}

impl View {
    /// Opens the repository that is meant.
    pub fn open(context: &Context) -> Result<Self, Failure> {
        let (repository, glimpse) = repository::open_and_glimpse(context)?;
        let Look { snapshots, index, damaged } = repository.look(glimpse)?;
        let snapshots = readable(context, snapshots);
        for damaged in damaged {
            context.remark(&format!("{damaged}; the packs themselves say what it named"));
        }
        Ok(Self { repository, snapshots, index })
    }

    /// Reads chunks and pages, from any thread.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.repository, &self.index)
    }

    /// The snapshot that is meant.
    pub fn resolve(&self, context: &Context, reference: &Reference) -> Result<&Snapshot, Failure> {
        resolve(context, &self.snapshots, reference)
    }
}

/// The snapshots that can be read, oldest first.
pub fn snapshots(context: &Context, repository: &Repository) -> Result<Vec<Snapshot>, Failure> {
    Ok(readable(context, repository.snapshots()?))
}

/// Those that can be read; the others are remarked on.
pub fn readable(context: &Context, snapshots: Snapshots) -> Vec<Snapshot> {
    for damaged in &snapshots.damaged {
        context.remark(&format!("a snapshot cannot be read: {damaged}"));
    }
    snapshots.valid
}

/// The one of these that is meant.
pub fn resolve<'s>(
    context: &Context,
    snapshots: &'s [Snapshot],
    reference: &Reference,
) -> Result<&'s Snapshot, Failure> {
    let listed: Vec<_> = snapshots.iter().map(|snapshot| (snapshot.id, &snapshot.record)).collect();
    let id = context.resolve(&listed, reference)?;
    Ok(snapshots.iter().find(|snapshot| snapshot.id == id).expect("because it was resolved among these"))
}

/// Fewest digits of an id that are shown.
const DIGITS_MIN: usize = 8;

/// Digits of ids that tell these snapshots apart, at least 8.
pub fn id_digits(snapshots: &[Snapshot]) -> usize {
    let mut ids: Vec<String> = snapshots.iter().map(|snapshot| snapshot.id.to_string()).collect();
    ids.sort();
    let shared = |pair: &[String]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(one, other)| one == other).count();
    ids.windows(2).map(|pair| shared(pair) + 1).max().unwrap_or(0).clamp(DIGITS_MIN, 2 * SnapshotId::SIZE)
}

/// The start of an id.
pub fn short_id(id: SnapshotId, digits: usize) -> String {
    let mut text = id.to_string();
    text.truncate(digits);
    text
}

/// How completely a snapshot was captured, in one word.
pub fn coverage(record: &SnapshotRecord) -> &'static str {
    let worst = record.resources.iter().map(|resource| match resource.coverage {
        Coverage::Complete => (0, "complete"),
        Coverage::Partial { .. } => (1, "partial"),
        Coverage::Failed { .. } => (2, "failed"),
    });
    worst.max().map_or("complete", |(_, word)| word)
}

/// A point in time as people read it: local, to the second.
pub fn local_time(time: jiff::Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, id_digits};
    use crate::id::SessionId;
    use crate::resource::{SnapshotRecord, Summary};

    fn snapshot(id: [u8; 16]) -> Snapshot {
        let record = SnapshotRecord {
            time: jiff::Timestamp::UNIX_EPOCH,
            host: String::new(),
            user: String::new(),
            series: String::new(),
            tags: Vec::new(),
            description: String::new(),
            parent: None,
            amends: None,
            original: None,
            tool: String::new(),
            resources: Vec::new(),
            asked: Vec::new(),
            summary: Summary::default(),
        };
        Snapshot { id: SessionId(id), record }
    }

    #[test]
    fn as_many_digits_are_shown_as_tell_snapshots_apart() {
        assert_eq!(id_digits(&[]), 8);
        assert_eq!(id_digits(&[snapshot([1; 16]), snapshot([2; 16])]), 8);
        let mut near = [1; 16];
        near[5] = 0x12;
        assert_eq!(id_digits(&[snapshot([1; 16]), snapshot(near)]), 11);
        near = [1; 16];
        near[5] = 0x02;
        assert_eq!(id_digits(&[snapshot([1; 16]), snapshot(near), snapshot([9; 16])]), 12);
    }
}
