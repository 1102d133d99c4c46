//! `forget` and `undo`: which snapshots stay under which rules, what is never lost, and the way back.
//!
//! The policy is a pure function and is drawn at; the commands are driven through the program.

mod command;
mod complete;
mod policy;
mod restic;
mod undo;

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use snap::id::{PageId, SessionId, SnapshotId};
use snap::repository::snapshot::Snapshot;
use snap::resource::{Coverage, Gap, ResourceRecord, SnapshotRecord, Summary, Totals};

/// The moment from which tests count: in summer time where there is such.
fn start() -> Timestamp {
    "2015-10-20T04:00:00Z".parse().expect("a time")
}

/// Minutes after the start.
fn minute(minutes: i64) -> Timestamp {
    start().checked_add(minutes.minutes()).expect("it is in the calendar")
}

/// A complete snapshot of one folder in the series `s`, whose id says which it is.
fn snapshot(number: u64, time: Timestamp) -> Snapshot {
    let mut id = [0; SnapshotId::SIZE];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let record = SnapshotRecord {
        time,
        host: "h".to_owned(),
        user: String::new(),
        series: "s".to_owned(),
        tags: Vec::new(),
        description: String::new(),
        parent: None,
        amends: None,
        original: None,
        tool: String::new(),
        resources: vec![resource("local/a", &[], Coverage::Complete)],
        asked: Vec::new(),
        summary: Summary::default(),
    };
    Snapshot { id: SessionId(id), record }
}

fn resource(path: &str, scope: &[&str], coverage: Coverage) -> ResourceRecord {
    ResourceRecord {
        source: "local".to_owned(),
        path: path.to_owned(),
        root: PageId([0; 32]),
        totals: Totals::default(),
        coverage,
        scope: scope.iter().map(|filter| (*filter).to_owned()).collect(),
        attributes: BTreeMap::new(),
    }
}

fn partial() -> Coverage {
    let gap = Gap { path: "x".to_owned(), action: "open".to_owned(), reason: "denied".to_owned(), ..Gap::default() };
    Coverage::Partial { gaps: vec![gap], count: 1 }
}

fn failed() -> Coverage {
    Coverage::Failed { reason: "not there".to_owned() }
}
