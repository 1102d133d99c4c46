//! Putting packs: a few threads between the writers of a session and storage, and the index deltas that follow.
//!
//! Several packs are in flight at once, since one after another they would wait for the disk; a bounded channel keeps
//! memory bounded. A delta is put for packs that are durable, at least every [`DELTA_INTERVAL_BYTES`] and every five minutes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::id::SessionId;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::delta::{PackRecord, encode_delta};
use crate::repository::index::remember;
use crate::repository::pack::{PackKind, count};
use crate::repository::pack_writer::ClosedPack;
use crate::repository::session::Mode;
use crate::storage::Put;
use crate::storage::name::ObjectName;

/// Buffers kept for the next packs.
const BUFFERS_KEPT: usize = 2;
const DELTA_INTERVAL_BYTES: u64 = 256 << 20;
const DELTA_INTERVAL: Duration = Duration::from_secs(300);

/// The upload side of a session.
pub(super) struct Uploads {
    shared: Arc<Shared>,
    sender: Mutex<Option<Sender<ClosedPack>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    repository: Arc<Repository>,
    session: SessionId,
    epoch: u64,
    mode: Mode,
    durable: Mutex<Durable>,
    failure: Mutex<Option<RepositoryError>>,
    failed: AtomicBool,
    written: AtomicU64,
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// Packs that are durable but in no delta yet.
struct Durable {
    packs: Vec<PackRecord>,
    bytes: u64,
    last_delta: Instant,
    delta_count: u64,
}

impl Uploads {
    pub(super) fn start(repository: Arc<Repository>, session: SessionId, epoch: u64, mode: Mode) -> Self {
        let durable = Durable { packs: Vec::new(), bytes: 0, last_delta: Instant::now(), delta_count: 0 };
        let shared = Arc::new(Shared {
            repository,
            session,
            epoch,
            mode,
            durable: Mutex::new(durable),
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            buffers: Mutex::default(),
        });
        // No place in the channel: with those in flight and those being filled, memory stays within a few packs.
        let (sender, receiver) = bounded(0);
        let threads = (0..shared.repository.upload_threads().get()).map(|_| {
            let (shared, receiver) = (Arc::clone(&shared), receiver.clone());
            std::thread::spawn(move || shared.run(&receiver))
        });
        Self { threads: Mutex::new(threads.collect()), sender: Mutex::new(Some(sender)), shared }
    }

    /// Hands a pack over; waits while too many are in flight. May return a buffer to fill next.
    pub(super) fn put(&self, pack: ClosedPack) -> Result<Option<Vec<u8>>, RepositoryError> {
        self.shared.check()?;
        let sender = self.sender.lock().expect("because no holder panics").clone();
        sender.and_then(|sender| sender.send(pack).ok()).ok_or(RepositoryError::UploadStopped)?;
        Ok(self.shared.buffers.lock().expect("because no holder panics").pop())
    }

    /// Waits for every pack and puts the last delta; returns the bytes written in all. May be called again.
    pub(super) fn finish(&self) -> Result<u64, RepositoryError> {
        drop(self.sender.lock().expect("because no holder panics").take());
        for thread in self.threads.lock().expect("because no holder panics").drain(..) {
            thread.join().map_err(|_| RepositoryError::UploadStopped)?;
        }
        self.shared.check()?;
        let mut durable = self.shared.durable.lock().expect("because no holder panics");
        self.shared.put_delta(&mut durable)?;
        Ok(self.shared.written.load(Ordering::Relaxed))
    }
}

impl Drop for Uploads {
    /// Without [`Uploads::finish`] the threads end by themselves once the channel is closed; they are waited for, so
    /// that nothing is written after the session is gone.
    fn drop(&mut self) {
        if let Ok(mut sender) = self.sender.lock() {
            drop(sender.take());
        }
        if let Ok(mut threads) = self.threads.lock() {
            for thread in threads.drain(..) {
                drop(thread.join());
            }
        }
    }
}

impl Shared {
    fn run(&self, receiver: &Receiver<ClosedPack>) {
        for pack in receiver {
            if self.failed.load(Ordering::Relaxed) {
                continue;
            }
            if let Err(error) = self.put_pack(pack) {
                self.failure.lock().expect("because no holder panics").get_or_insert(error);
                self.failed.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The failure of an upload, given out once; afterwards only that there was one.
    fn check(&self) -> Result<(), RepositoryError> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let failure = self.failure.lock().expect("because no holder panics").take();
        Err(failure.unwrap_or(RepositoryError::UploadStopped))
    }

    fn put_pack(&self, pack: ClosedPack) -> Result<(), RepositoryError> {
        let ClosedPack { id, header, directory, sealed } = pack;
        let bytes = sealed.bytes();
        let size = count(bytes.len());
        if self.mode == Mode::Write {
            // A taken name means that an earlier try of these very bytes arrived: the salt makes names unique.
            let (Put::Created | Put::Exists) =
                self.repository.storage().put_if_absent(&ObjectName::pack(&id), bytes.clone())?;
            if header.kind == PackKind::Pages {
                self.repository.objects.keep_pack(&id, &bytes);
            }
        }
        drop(bytes);
        self.written.fetch_add(u64::from(size), Ordering::Relaxed);
        let mut buffers = self.buffers.lock().expect("because no holder panics");
        if buffers.len() < BUFFERS_KEPT {
            buffers.extend(sealed.reclaim());
        }
        drop(buffers);
        let mut durable = self.durable.lock().expect("because no holder panics");
        durable.packs.push(PackRecord { id, size, header, directory });
        durable.bytes += u64::from(size);
        if durable.bytes >= DELTA_INTERVAL_BYTES || durable.last_delta.elapsed() >= DELTA_INTERVAL {
            self.put_delta(&mut durable)?;
        }
        Ok(())
    }

    fn put_delta(&self, durable: &mut Durable) -> Result<(), RepositoryError> {
        if durable.packs.is_empty() {
            return Ok(());
        }
        let name = ObjectName::index_delta(self.epoch, &self.session, durable.delta_count);
        if self.mode == Mode::Write {
            let written = self.repository.put_object_counted(&name, &encode_delta(&durable.packs))?;
            self.written.fetch_add(written, Ordering::Relaxed);
            remember(name.as_str(), &durable.packs, self.repository.cache());
        }
        durable.packs.clear();
        durable.bytes = 0;
        durable.delta_count += 1;
        durable.last_delta = Instant::now();
        Ok(())
    }
}
