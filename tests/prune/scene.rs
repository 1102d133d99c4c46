//! A repository in memory, a folder that is backed up into it, and what its snapshots must restore.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::id::SnapshotId;
use snap::operation::backup::{BackupError, BackupRequest, Rereading, SnapshotLabel, backup, session_mark};
use snap::operation::check::{CheckReport, CheckRequest, Depth, check};
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::operation::prune::{Patience, PruneError, PruneReport, PruneRequest, prune};
use snap::operation::restore::{Deletion, RestoreMode, RestoreRequest, restore};
use snap::operation::target::TargetOptions;
use snap::progress::{Progress, Silent};
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::session::{Mode, Session};
use snap::resource::unescape_path;
use snap::source::local::LocalRoot;
use snap::storage::faulty::FaultyStorage;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Storage};

/// What stands in a folder.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) storage: Arc<FaultyStorage<MemoryStorage>>,
    opener: Opener,
    pub(crate) repository: Arc<Repository>,
    /// What each snapshot must restore.
    pub(crate) known: BTreeMap<SnapshotId, Files>,
    time: AtomicU64,
}

/// Gives up at once.
pub(crate) struct Hurry;

impl Patience for Hurry {
    fn pause(&self) -> bool {
        false
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::over(MemoryStorage::new())
    }

    /// One whose store is treated as if a network lay between.
    pub(crate) fn far() -> Self {
        Self::over(MemoryStorage::far())
    }

    fn over(store: MemoryStorage) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        std::fs::create_dir(folder.path().join("tree")).expect("a tree");
        let storage = Arc::new(FaultyStorage::scripted(store, Vec::new()));
        let opener = Opener::Key(Arc::new(FileKey::generate()));
        let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
        let repository = Repository::init(shared, &[(opener.clone(), "")], Timestamp::UNIX_EPOCH, None).expect("init");
        let repository = Arc::new(repository);
        Self { folder, storage, opener, repository, known: BTreeMap::new(), time: AtomicU64::new(0) }
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    /// Opens it again, as another process.
    pub(crate) fn another(&self) -> Arc<Repository> {
        let shared: Arc<dyn Storage> = Arc::clone(&self.storage) as _;
        Arc::new(Repository::open(shared, &self.opener, None).expect("it opens"))
    }

    /// Opens it through another store before this one.
    pub(crate) fn through(&self, storage: Arc<dyn Storage>) -> Arc<Repository> {
        Arc::new(Repository::open(storage, &self.opener, None).expect("it opens"))
    }

    /// Opens it as a process of a machine that keeps its cache there.
    pub(crate) fn with_cache(&self, cache: &Path) -> Repository {
        let shared: Arc<dyn Storage> = Arc::clone(&self.storage) as _;
        Repository::open(shared, &self.opener, Some(cache.to_owned())).expect("it opens")
    }

    /// Everything that is stored.
    pub(crate) fn objects(&self) -> Vec<(ObjectName, Bytes)> {
        let listed = self.storage.inner().list(&Prefix::All).expect("a listing");
        let read = |name: &ObjectName| self.storage.inner().get(name, ByteRange::All).expect("it is there");
        listed.into_iter().map(|object| (object.name.clone(), read(&object.name))).collect()
    }

    /// Makes the store hold these objects and no others.
    pub(crate) fn put_back(&self, objects: &[(ObjectName, Bytes)]) {
        for object in self.storage.inner().list(&Prefix::All).expect("a listing") {
            self.storage.inner().delete(&object.name).expect("deleted");
        }
        for (name, content) in objects {
            self.storage.inner().tamper(name, content.clone());
        }
    }

    /// Lets so many seconds pass, by its clock and by the store's.
    pub(crate) fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::Relaxed);
        self.storage.inner().advance(Duration::from_secs(seconds));
    }

    pub(crate) fn now(&self) -> Timestamp {
        let second = self.time.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_second(i64::try_from(second).expect("it is small")).expect("it is soon after the epoch")
    }

    /// Makes the folder hold these files and nothing else.
    pub(crate) fn show(&self, files: &Files) {
        std::fs::remove_dir_all(self.tree()).expect("the old tree goes");
        std::fs::create_dir(self.tree()).expect("a tree");
        for (name, content) in files {
            std::fs::write(self.tree().join(name), content).expect("a file");
        }
    }

    pub(crate) fn try_back_up(&self, repository: &Arc<Repository>) -> Result<SnapshotId, BackupError> {
        self.back_up_into(repository, &Silent)
    }

    pub(crate) fn back_up_watched(&self, progress: &dyn Progress) -> Result<SnapshotId, BackupError> {
        self.back_up_into(&self.repository, progress)
    }

    fn back_up_into(&self, repository: &Arc<Repository>, progress: &dyn Progress) -> Result<SnapshotId, BackupError> {
        let label = SnapshotLabel {
            time: self.now(),
            host: "host".to_owned(),
            user: "user".to_owned(),
            series: None,
            tags: Vec::new(),
            description: String::new(),
            scope: Vec::new(),
        };
        let roots = vec![LocalRoot::new(self.tree())];
        let request = BackupRequest {
            roots,
            sources: Vec::new(),
            label,
            rereading: Rereading::Changed,
            mode: Mode::Write,
            threads: 2,
        };
        Ok(backup(repository, &request, progress)?.id.expect("it was written"))
    }

    pub(crate) fn back_up(&mut self, files: &Files) -> SnapshotId {
        self.show(files);
        let id = self.try_back_up(&self.repository).expect("a backup");
        self.known.insert(id, files.clone());
        id
    }

    pub(crate) fn forget(&mut self, id: SnapshotId) {
        self.repository.forget(id, self.now(), "host").expect("forgotten");
        self.known.remove(&id);
    }

    pub(crate) fn begin(&self) -> Session {
        let mark = session_mark("host", self.now());
        Session::begin(Arc::clone(&self.repository), &mark, Mode::Write).expect("a session")
    }

    pub(crate) fn prune_with(&self, repository: &Arc<Repository>, part: u16) -> Result<PruneReport, PruneError> {
        let limits = Limits { max_unused: MaxUnused::Part(part), max_repack: None };
        let mark = session_mark("host", self.now());
        let request =
            PruneRequest { limits, max_time: None, mode: Mode::Write, exclusive: false, mark, patience: &Hurry };
        prune(repository, &request, &Silent)
    }

    pub(crate) fn prune(&self) -> PruneReport {
        self.prune_with(&self.repository, 0).expect("a prune")
    }

    /// Lets everyone who is under way seem asleep for so long that a prune holds them for dead.
    pub(crate) fn sleep_long(&self) {
        self.storage.inner().advance(Duration::from_secs(7 * 3600));
    }

    pub(crate) fn check(&self) -> CheckReport {
        self.check_with(&self.another())
    }

    pub(crate) fn check_with(&self, repository: &Repository) -> CheckReport {
        let request = CheckRequest { depth: Depth::Data(100.0), threads: 1, now: self.now() };
        check(repository, &request, &Silent).expect("a check")
    }

    /// Every snapshot that is known restores what it must, and there is no other.
    pub(crate) fn all_restore(&self) {
        self.restores(&self.another());
    }

    /// As [`Scene::all_restore`], through a store of choice.
    pub(crate) fn restores(&self, repository: &Repository) {
        let snapshots = repository.snapshots().expect("snapshots");
        assert!(snapshots.damaged.is_empty(), "{:?}", snapshots.damaged);
        let ids: Vec<_> = snapshots.valid.iter().map(|snapshot| snapshot.id).collect();
        assert!(self.known.keys().all(|id| ids.contains(id)), "a snapshot is gone: {ids:?} of {:?}", self.known.keys());
        assert_eq!(ids.len(), self.known.len(), "a snapshot that nobody made");
        for snapshot in &snapshots.valid {
            let restored = self.restored(repository, snapshot.id).expect("it is there");
            assert!(restored == self.known[&snapshot.id], "{} restores something else", snapshot.id);
        }
    }

    /// What a snapshot restores.
    pub(crate) fn restored(&self, repository: &Repository, id: SnapshotId) -> Result<Files, String> {
        let snapshots = repository.snapshots().map_err(|error| error.to_string())?.valid;
        let snapshot = snapshots.iter().find(|one| one.id == id).ok_or_else(|| format!("{id} is gone"))?;
        let target = self.folder.path().join("out");
        let request = RestoreRequest {
            target: target.clone(),
            inside: unescape_path(&snapshot.record.resources[0].path),
            include: Vec::new(),
            exclude: Vec::new(),
            options: TargetOptions::default(),
            deletion: Deletion::Keep,
            mode: RestoreMode::Write,
            threads: NonZeroUsize::MIN,
        };
        let report = restore(repository, &snapshot.record, &request, &Silent).map_err(|error| error.to_string())?;
        if report.lost > 0 {
            return Err(format!("something of {id} is lost"));
        }
        let read = std::fs::read_dir(&target).expect("a folder").map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a plain name");
            (name, std::fs::read(entry.path()).expect("a file"))
        });
        let files = read.collect();
        std::fs::remove_dir_all(&target).expect("the copy goes");
        Ok(files)
    }

    pub(crate) fn names(&self, prefix: Prefix) -> Vec<String> {
        let listed = self.storage.inner().list(&prefix).expect("a listing");
        listed.into_iter().map(|object| object.name.to_string()).collect()
    }

    pub(crate) fn bytes(&self, prefix: Prefix) -> u64 {
        self.storage.inner().list(&prefix).expect("a listing").iter().map(|object| object.size).sum()
    }
}

/// Bytes that nothing compresses, other ones for each seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Files `a`, `b`, … of these seeds, 40 kB each.
pub(crate) fn files(seeds: &[u64]) -> Files {
    seeds.iter().map(|seed| (format!("file{seed}"), noise(40_000, *seed))).collect()
}
