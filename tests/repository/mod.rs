//! A repository as operations see it, over storage that is whole, faulty or damaged.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use snap::codec::key::secret::FileKey;
use snap::id::SnapshotId;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::keyring::Opener;
use snap::repository::pack::PackKind;
use snap::repository::session::{Mode, Origin, Session, SessionMark};
use snap::resource::{SnapshotRecord, Summary};
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Storage};

mod index;
mod interruption;
mod object_cache;
mod open;
mod order;
mod pack;
mod session;

fn key() -> Opener {
    Opener::Key(Arc::new(FileKey::generate()))
}

fn epoch() -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH
}

fn mark() -> SessionMark {
    let tool = "test".to_owned();
    SessionMark { time: epoch(), host: "host".to_owned(), boot: None, pid_namespace: None, pid: 1, started: None, tool }
}

fn record(time: jiff::Timestamp) -> SnapshotRecord {
    SnapshotRecord {
        time,
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: "series".to_owned(),
        tags: Vec::new(),
        description: String::new(),
        parent: None,
        amends: None,
        original: None,
        tool: "test".to_owned(),
        resources: Vec::new(),
        asked: Vec::new(),
        summary: Summary::default(),
    }
}

/// A new repository over `storage`, and what opens it.
fn fresh(storage: Arc<dyn Storage>) -> (Arc<Repository>, Opener) {
    let opener = key();
    let repository = Repository::init(storage, &[(opener.clone(), "key")], epoch(), None).expect("a new repository");
    (Arc::new(repository), opener)
}

fn begin(repository: &Arc<Repository>) -> Session {
    Session::begin(Arc::clone(repository), &mark(), Mode::Write).expect("a session")
}

/// Stores chunks in one session and commits it; returns the snapshot and the ids.
fn store(repository: &Arc<Repository>, chunks: &[Vec<u8>]) -> Result<(SnapshotId, Vec<[u8; 32]>), RepositoryError> {
    let session = Session::begin(Arc::clone(repository), &mark(), Mode::Write)?;
    let mut writer = session.writer(PackKind::Data)?;
    let ids = chunks.iter().map(|chunk| writer.store(chunk, Origin::Small)).collect::<Result<_, _>>()?;
    writer.flush()?;
    Ok((session.commit(record(epoch()))?, ids))
}

fn text(length: usize, seed: u64) -> Vec<u8> {
    (0..).flat_map(|line: u64| format!("{seed}: line {line}\n").into_bytes()).take(length).collect()
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    snap::codec::hash::fill_keystream(&key, b"noise", &mut bytes);
    bytes
}

fn names(storage: &dyn Storage, prefix: Prefix) -> Vec<ObjectName> {
    storage.list(&prefix).expect("a listing").into_iter().map(|object| object.name).collect()
}

fn content(storage: &dyn Storage, name: &ObjectName) -> Bytes {
    storage.get(name, ByteRange::All).expect("it is there")
}

/// Flips the lowest bit of one byte of an object.
fn flip(storage: &MemoryStorage, name: &ObjectName, at: usize) {
    let mut bytes = content(storage, name).to_vec();
    bytes[at] ^= 1;
    storage.tamper(name, bytes.into());
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
