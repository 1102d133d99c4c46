//! The processes of a simulation: writers, pruners, forgetters. Their code is the program's own; only what they store is
//! made up: entries whose content is one of a few chunks, so that everybody deduplicates against everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use snap::entry::{Content, Entry, EntryKind, EntryPath, Metadata, Piece, Profile};
use snap::id::{ChunkId, PageId, SnapshotId};
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::operation::prune::{Patience, PruneRequest, prune};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::keyring::Opener;
use snap::repository::pack::PackKind;
use snap::repository::session::{ChunkWriter, Mode, Origin, Session, SessionMark};
use snap::resource::{Coverage, ResourceRecord, SnapshotRecord, Summary};
use snap::storage::retry::{Budget, Clock, RetryStorage};
use snap::storage::{Storage, StorageErrorKind};
use snap::tree::boundary::TreeParameters;
use snap::tree::builder::TreeBuilder;
use snap::tree::error::TreeError;
use snap::tree::store::{PageError, PageSink};

use super::world::{Dice, SeededRandomness, Seen, World};

/// What everybody knows of snapshots.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// The contents of each that was acknowledged.
    acknowledged: BTreeMap<SnapshotId, Vec<usize>>,
    /// Those that somebody asked to forget; one may be forgotten before its writer hears that it is there.
    forgotten: BTreeSet<SnapshotId>,
}

impl Knowledge {
    /// What must be there.
    pub(crate) fn counted(&self) -> BTreeMap<SnapshotId, Vec<usize>> {
        let counted = self.acknowledged.iter().filter(|(id, _)| !self.forgotten.contains(*id));
        counted.map(|(id, contents)| (*id, contents.clone())).collect()
    }
}

/// Shared by all processes.
pub(crate) type Known = Arc<Mutex<Knowledge>>;

/// One process of the simulation.
pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    pub(crate) opener: Opener,
    pub(crate) dice: Dice,
    pub(crate) known: Known,
    /// How many contents there are.
    pub(crate) contents: usize,
}

#[derive(Debug)]
struct NoTime(Mutex<Duration>);

impl Clock for NoTime {
    fn now(&self) -> Duration {
        *self.0.lock().expect("no holder panics")
    }

    fn sleep(&self, duration: Duration) {
        *self.0.lock().expect("no holder panics") += duration;
    }

    fn draw(&self) -> u64 {
        0
    }
}

/// Looks again a few times; meanwhile others run.
struct Looks(Mutex<u32>);

impl Patience for Looks {
    fn pause(&self) -> bool {
        let mut left = self.0.lock().expect("no holder panics");
        *left = left.saturating_sub(1);
        *left > 0
    }
}

impl Process {
    /// A new process: it opens the repository, and with some luck repeats what gets no answer.
    fn start(&mut self) -> Result<Arc<Repository>, RepositoryError> {
        let seen = Seen { world: Arc::clone(&self.world), process: self.number };
        let storage: Arc<dyn Storage> = if self.dice.one_in(2) {
            let budget = Budget { attempts_max: 4, ..Budget::default() };
            Arc::new(RetryStorage::new(seen, Arc::new(NoTime(Mutex::default())), budget))
        } else {
            Arc::new(seen)
        };
        let randomness = Arc::new(SeededRandomness(Mutex::new(Dice::new(self.dice.next()))));
        let repository = Repository::open(storage, &self.opener, None)?;
        Ok(Arc::new(repository.with_randomness(randomness).with_upload_threads(NonZeroUsize::MIN)))
    }

    fn mark(&self) -> SessionMark {
        let (host, tool) = (format!("host{}", self.number), "simulation".to_owned());
        SessionMark { time: Timestamp::UNIX_EPOCH, host, boot: None, pid_namespace: None, pid: 1, started: None, tool }
    }

    /// Backs up so many times, each time from a new process if the last one died.
    pub(crate) fn write(mut self, backups: u32) -> Result<(), String> {
        for _ in 0..backups {
            let wanted: Vec<usize> = (0..self.contents).filter(|_| self.dice.one_in(3)).collect();
            let Ok(repository) = self.start() else { continue };
            // W8: revoked, it begins again; whatever else ends it, it died.
            let mut outcome = self.back_up(&repository, &wanted);
            for _ in 0..3 {
                if !matches!(outcome, Err(RepositoryError::Revoked)) {
                    break;
                }
                outcome = self.back_up(&repository, &wanted);
            }
            match outcome {
                Ok(id) => drop(self.known.lock().expect("no holder panics").acknowledged.insert(id, wanted)),
                Err(error) => is_lawful(&error)?,
            }
        }
        self.world.end(self.number);
        Ok(())
    }

    fn back_up(&self, repository: &Arc<Repository>, wanted: &[usize]) -> Result<SnapshotId, RepositoryError> {
        let session = Session::begin(Arc::clone(repository), &self.mark(), Mode::Write)?;
        let mut data = session.writer(PackKind::Data)?;
        let mut pages = Pages(session.writer(PackKind::Pages)?);
        let parameters =
            TreeParameters { page_boundary: *repository.cutting_keys().page_boundary, page_entries: NonZeroU32::MIN };
        let mut builder = TreeBuilder::new(parameters, &mut pages);
        for content in wanted {
            let bytes = bytes_of(*content);
            let id = ChunkId(data.store(&bytes, Origin::Small)?);
            let length = u32::try_from(bytes.len()).expect("it is small");
            let pieces = vec![Piece::Chunk { id, length }];
            let entry = Entry {
                path: EntryPath(format!("file{content}").into_bytes()),
                kind: EntryKind::File,
                metadata: Metadata::None,
                token: None,
                content: Content::Pieces { profile: Profile::Bulk, pieces },
            };
            builder.push(&entry).map_err(|error| failed(&error))?;
        }
        let root = builder.finish().map_err(|error| failed(&error))?;
        data.flush()?;
        pages.0.flush()?;
        session.commit(record(root.id, root.totals))
    }

    /// Prunes so many times.
    pub(crate) fn prune(mut self, prunes: u32) -> Result<(), String> {
        for _ in 0..prunes {
            let Ok(repository) = self.start() else { continue };
            let part = [0, 1_000, 5_000][self.dice.below(3)];
            let request = PruneRequest {
                limits: Limits { max_unused: MaxUnused::Part(part), max_repack: None },
                max_time: None,
                mode: Mode::Write,
                exclusive: false,
                mark: self.mark(),
                patience: &Looks(Mutex::new(4)),
            };
            if let Err(error) = prune(&repository, &request, &Silent) {
                // A prune may give up at any time, but not because it believes that something is damaged.
                let text = error.to_string();
                if text.contains("nothing is pruned while") && !text.contains("does not answer") {
                    return Err(format!("process {} stops: {text}", self.number));
                }
            }
        }
        self.world.end(self.number);
        Ok(())
    }

    /// Forgets snapshots, one now and then.
    pub(crate) fn forget(mut self, times: u32) -> Result<(), String> {
        for _ in 0..times {
            let Ok(repository) = self.start() else { continue };
            // Looking is a call, at which the others run.
            let Ok(snapshots) = repository.snapshots() else { continue };
            let Some(chosen) = snapshots.valid.get(self.dice.below(snapshots.valid.len())) else { continue };
            // Whether the mark arrives or not, nobody counts on the snapshot any more.
            self.known.lock().expect("no holder panics").forgotten.insert(chosen.id);
            drop(repository.forget(chosen.id, Timestamp::UNIX_EPOCH, "host"));
        }
        self.world.end(self.number);
        Ok(())
    }
}

/// A process may die of storage that does not answer, or be told that it was revoked; nothing else.
fn is_lawful(error: &RepositoryError) -> Result<(), String> {
    match error {
        RepositoryError::Revoked | RepositoryError::UploadStopped => Ok(()),
        RepositoryError::Storage(error) if error.kind == StorageErrorKind::Unreachable => Ok(()),
        RepositoryError::Missing { reason, .. } if reason.contains("does not answer") => Ok(()),
        other => Err(format!("a writer fails: {other}")),
    }
}

fn failed(error: &TreeError) -> RepositoryError {
    RepositoryError::Missing { kind: "page", id: String::new(), reason: format!("{error:?} does not answer") }
}

struct Pages<'s>(ChunkWriter<'s>);

impl PageSink for Pages<'_> {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        let stored = self.0.store(plaintext, Origin::Small);
        stored.map(PageId).map_err(|error| PageError::NotStored { length: plaintext.len(), source: Box::new(error) })
    }
}

/// The bytes of a content.
pub(crate) fn bytes_of(content: usize) -> Vec<u8> {
    let mut dice = Dice::new(content as u64 + 1);
    (0..60 + 40 * content).map(|_| dice.next().to_le_bytes()[0]).collect()
}

fn record(root: PageId, totals: snap::resource::Totals) -> SnapshotRecord {
    let resource = ResourceRecord {
        source: "local".to_owned(),
        path: "local/x".to_owned(),
        root,
        totals,
        coverage: Coverage::Complete,
        scope: Vec::new(),
        attributes: BTreeMap::new(),
    };
    SnapshotRecord {
        time: Timestamp::UNIX_EPOCH,
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: "series".to_owned(),
        tags: Vec::new(),
        description: String::new(),
        parent: None,
        amends: None,
        original: None,
        tool: "simulation".to_owned(),
        resources: vec![resource],
        asked: Vec::new(),
        summary: Summary::default(),
    }
}
