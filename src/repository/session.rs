//! A writing session: announced, filled with chunks and pages from any number of threads, committed by one cell.
//!
//! The order is the protocol's (FORMAT.md §7–9): the session's mark before anything is read, packs before the delta that
//! names them, deltas before the cell. Whatever interrupts it leaves only objects that nothing refers to, and the next
//! session finds through the deltas what need not be sent again.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::hash::{HashKey, keyed};
use crate::id::{IdHasher, PackId, SessionId, SnapshotId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::frame::Effort;
use crate::repository::generation::{Access, Generation};
use crate::repository::index::Index;
use crate::repository::pack::PackKind;
use crate::repository::pack_writer::{ClosedPack, PackWriter};
use crate::repository::random::random_bytes;
use crate::repository::snapshot::{CommitCell, Snapshots};
use crate::repository::upload::Uploads;
use crate::resource::SnapshotRecord;
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::both;
use crate::storage::{Distance, Storage, Writers};

/// How often a session shows that it lives, well within the six hours a pruner waits.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3600);
const CLAIM_SHARDS: usize = 64;

/// Whether a session writes, or only finds out what it would write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Objects are put.
    Write,
    /// Nothing is put; sizes are as they would be.
    DryRun,
}

/// What bytes to be stored are part of, which decides how they are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A small file among others, or a page.
    Small,
    /// A stretch of a large file.
    Large,
}

/// What a session says of whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMark {
    /// When it began.
    pub time: jiff::Timestamp,
    /// Machine.
    pub host: String,
    /// Boot of that machine, where the system tells.
    pub boot: Option<String>,
    /// Process-id namespace, where the system has such.
    pub pid_namespace: Option<String>,
    /// Process id.
    pub pid: u32,
    /// When the process started, in the system's ticks since boot, so that a reused id is told apart.
    pub started: Option<u64>,
    /// Program and version.
    pub tool: String,
}

/// How much a session took in and put out, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Chunks and pages that the repository did not have.
    pub new: u64,
    /// Written for them: packs and index.
    pub written: u64,
}

/// A session under way.
pub struct Session {
    repository: Arc<Repository>,
    id: SessionId,
    epoch: u64,
    mode: Mode,
    index: Index,
    damaged: Vec<RepositoryError>,
    writers: Option<Writers>,
    claims: Vec<Mutex<Claims>>,
    uploads: Uploads,
    new_bytes: AtomicU64,
    /// Writers that were not flushed; what they hold is not stored.
    unflushed: AtomicU64,
    heartbeats: Mutex<Heartbeats>,
}

struct Heartbeats {
    last: std::time::Instant,
    count: u64,
}

type Claims = HashSet<[u8; 32], BuildHasherDefault<IdHasher>>;

/// The index as a writer may count on it, less the packs that are not there, of which it tells.
fn whole_index(repository: &Repository) -> Result<(Generation, Index, Vec<RepositoryError>), RepositoryError> {
    let storage = repository.storage().as_ref();
    let (opened, stored) = both(storage, || repository.index_of(Access::Write), || repository.stored_packs());
    let (generation, mut index, mut damaged) = opened?;
    let mut stored = stored?;
    if storage.distance() == Distance::Far && index.lacks_any(&stored) {
        // What was stored after one listing and named before the other is not lost.
        stored = repository.stored_packs()?;
    }
    // A lost pack heals where its content still is: whoever has that sends it again.
    let lost = index.set_lost_packs_aside(&stored);
    damaged.extend(lost.into_iter().map(|pack| RepositoryError::PackDamaged {
        pack,
        reason: "it is not there, or not as long as it was".to_owned(),
    }));
    Ok((generation, index, damaged))
}

impl Session {
    /// Announces the session, then opens the index.
    pub fn begin(repository: Arc<Repository>, mark: &SessionMark, mode: Mode) -> Result<Self, RepositoryError> {
        Self::start(repository, mark, mode, |_| Ok(())).map(|(session, _, ())| session)
    }

    /// Announces the session, then opens the index and reads the snapshots beside it. Also does the upkeep that is due.
    pub fn begin_with_snapshots(
        repository: Arc<Repository>,
        mark: &SessionMark,
        mode: Mode,
    ) -> Result<(Self, Snapshots), RepositoryError> {
        let (session, generation, cells) = Self::start(repository, mark, mode, Repository::unforgotten_cells)?;
        let snapshots = session.repository.counting(&generation, cells)?;
        Ok((session, snapshots))
    }

    /// Announces the session, then opens the index, and reads something `beside` it.
    fn start<T: Send>(
        repository: Arc<Repository>,
        mark: &SessionMark,
        mode: Mode,
        beside: impl FnOnce(&Repository) -> Result<T, RepositoryError> + Send,
    ) -> Result<(Self, Generation, T), RepositoryError> {
        let id = SessionId(random_bytes(repository.randomness())?);
        repository.config().writable()?;
        let (name, storage) = (ObjectName::session(&id), repository.storage());
        let document = serde_json::to_vec(mark).expect("because a mark is plain data");
        let announcement = repository.seal(&name, &document)?.bytes();
        if mode == Mode::Write {
            let _created = storage.put_if_absent(&name, announcement.clone())?;
        }
        let upkeep = || if mode == Mode::Write { repository.upkeep(&name, announcement) } else { None };
        let (writers, opened) = both(storage.as_ref(), upkeep, || {
            if mode == Mode::Write {
                // What is deduplicated against must not be lost in a power cut that our own packs survive.
                storage.settle(&Prefix::Index)?;
            }
            // W1 before W2 and W3: whoever prunes from now on sees the mark and waits, or was seen by us.
            let (index, beside) = both(storage.as_ref(), || whole_index(&repository), || beside(&repository));
            Ok::<_, RepositoryError>((index?, beside?))
        });
        let ((generation, index, damaged), beside) = opened?;
        let epoch = generation.epoch();
        let session = Self {
            uploads: Uploads::start(Arc::clone(&repository), id, epoch, mode),
            repository,
            id,
            epoch,
            mode,
            index,
            damaged,
            writers,
            claims: (0..CLAIM_SHARDS).map(|_| Mutex::default()).collect(),
            new_bytes: AtomicU64::new(0),
            unflushed: AtomicU64::new(0),
            heartbeats: Mutex::new(Heartbeats { last: std::time::Instant::now(), count: 0 }),
        };
        Ok((session, generation, beside))
    }

    /// How many may write to the store, if that was asked when the session began.
    pub fn writers(&self) -> Option<Writers> {
        self.writers
    }

    /// Counts on these packs no longer: what is in them and asked for is stored again.
    pub fn set_aside(&mut self, packs: &HashSet<PackId>) {
        self.index.forbid(packs);
    }

    /// Its id, which the snapshot will have.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether it writes, or only finds out what it would write.
    pub fn writes(&self) -> bool {
        self.mode == Mode::Write
    }

    /// The repository it writes to.
    pub fn repository(&self) -> &Arc<Repository> {
        &self.repository
    }

    /// What was there when it began.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Parts of the index that are damaged and were set aside.
    pub fn damaged(&self) -> &[RepositoryError] {
        &self.damaged
    }

    /// A writer for one thread.
    pub fn writer(&self, kind: PackKind) -> Result<ChunkWriter<'_>, RepositoryError> {
        let repository = &self.repository;
        let (keys, config) = (repository.keys(), repository.config());
        let packs =
            PackWriter::new(keys, config.id, kind, repository.cipher(), config.sizes(), repository.randomness())?;
        self.unflushed.fetch_add(1, Ordering::Relaxed);
        Ok(ChunkWriter { session: self, id_key: kind.id_key(keys), packs })
    }

    /// Shows that the session lives, if it is time to; cheap enough to be called often.
    pub fn keep_alive(&self) -> Result<(), RepositoryError> {
        let mut heartbeats = self.heartbeats.lock().expect("because no holder panics");
        if self.mode == Mode::DryRun || heartbeats.last.elapsed() < HEARTBEAT_INTERVAL {
            return Ok(());
        }
        heartbeats.count += 1;
        heartbeats.last = std::time::Instant::now();
        let _created = self.repository.put_object(&ObjectName::heartbeat(&self.id, heartbeats.count), b"{}")?;
        Ok(())
    }

    /// Waits until everything is durable; returns what was stored. All writers must have been flushed.
    pub fn settle(&self) -> Result<Stored, RepositoryError> {
        if self.unflushed.load(Ordering::Relaxed) != 0 {
            return Err(RepositoryError::WriterNotFlushed);
        }
        let written = self.uploads.finish()?;
        Ok(Stored { new: self.new_bytes.load(Ordering::Relaxed), written })
    }

    /// Commits the snapshot, after [`Session::settle`].
    pub fn commit(&self, record: SnapshotRecord) -> Result<SnapshotId, RepositoryError> {
        self.settle()?;
        let cell = CommitCell::Snapshot { epoch: self.epoch, snapshot: Box::new(record) };
        if self.mode == Mode::Write {
            self.repository.decide_cell(self.id, &cell)?;
        }
        Ok(self.id)
    }

    /// Ends without a snapshot; what was stored stays for the next session.
    pub fn close(&self) -> Result<(), RepositoryError> {
        self.uploads.finish()?;
        match self.mode {
            Mode::Write => self.repository.decide_cell(self.id, &CommitCell::Closed { epoch: self.epoch }),
            Mode::DryRun => Ok(()),
        }
    }

    /// Whether the id is neither in the index nor claimed by any writer of this session; it is claimed now.
    fn claim(&self, id: &[u8; 32]) -> bool {
        if self.index.contains(id) {
            return false;
        }
        let shard = &self.claims[usize::from(id[31]) % CLAIM_SHARDS];
        shard.lock().expect("because no holder panics").insert(*id)
    }
}

/// Stores chunks or pages for one thread.
pub struct ChunkWriter<'s> {
    session: &'s Session,
    id_key: &'s HashKey,
    packs: PackWriter<'s>,
}

impl ChunkWriter<'_> {
    /// Stores bytes unless they are there already; returns their id.
    pub fn store(&mut self, plaintext: &[u8], origin: Origin) -> Result<[u8; 32], RepositoryError> {
        let id = keyed(self.id_key, plaintext);
        if self.session.claim(&id) {
            self.session.new_bytes.fetch_add(plaintext.len() as u64, Ordering::Relaxed);
            let effort = match origin {
                Origin::Small => Effort::Dense,
                Origin::Large => Effort::Fast,
            };
            if let Some(pack) = self.packs.push(id, plaintext, effort)? {
                self.put(pack)?;
            }
        }
        Ok(id)
    }

    /// Closes the pack being filled. A session with a writer that was not flushed cannot be committed.
    pub fn flush(mut self) -> Result<(), RepositoryError> {
        for pack in self.packs.finish()? {
            self.put(pack)?;
        }
        self.session.unflushed.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    fn put(&mut self, pack: ClosedPack) -> Result<(), RepositoryError> {
        self.session.keep_alive()?;
        if let Some(buffer) = self.session.uploads.put(pack)? {
            self.packs.recycle(buffer);
        }
        Ok(())
    }
}
