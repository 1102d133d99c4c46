//! Restoring what was backed up: exactly, in part, over what is there, and from a repository that lost something.
//!
//! A [`Bench`] is a folder to capture, a repository in memory that can be tampered with, and a folder to restore into.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command;
mod damage;
mod exact;
mod policy;
mod select;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use snap::codec::key::secret::FileKey;
use snap::operation::backup::{BackupRequest, Rereading, SnapshotLabel, backup};
use snap::operation::restore::{Deletion, RestoreError, RestoreMode, RestoreReport, RestoreRequest, restore};
use snap::operation::target::TargetOptions;
use snap::progress::{Event, Progress, Silent};
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::session::Mode;
use snap::resource::SnapshotRecord;
use snap::source::local::LocalRoot;
use snap::storage::Storage;
use snap::storage::memory::MemoryStorage;

struct Bench {
    folder: tempfile::TempDir,
    storage: Arc<MemoryStorage>,
    repository: Arc<Repository>,
}

/// Collects what is told.
#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Progress for Told {
    fn report(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn wants_items(&self) -> bool {
        true
    }
}

impl Told {
    /// Path in the layout and message of each failure.
    fn failures(&self) -> Vec<(String, String)> {
        let failure = |event: &Event| match event {
            Event::Failed { path, message } => Some((String::from_utf8_lossy(path).into_owned(), message.clone())),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(failure).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let warning = |event: &Event| match event {
            Event::Warning { message } => Some(message.clone()),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(warning).collect()
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("live")).unwrap();
        let storage = Arc::new(MemoryStorage::new());
        let key = Opener::Key(Arc::new(FileKey::generate()));
        let kept: Arc<dyn Storage> = storage.clone();
        let repository = Repository::init(kept, &[(key, "")], jiff::Timestamp::UNIX_EPOCH, None).unwrap();
        Self { folder, storage, repository: Arc::new(repository) }
    }

    /// A path in the folder that is captured.
    fn live(&self, path: &str) -> PathBuf {
        self.folder.path().join("live").join(path)
    }

    /// A path in the folder that is restored into.
    fn out(&self, path: &str) -> PathBuf {
        self.folder.path().join("out").join(path)
    }

    /// The captured folder in the layout.
    fn layout(&self) -> String {
        format!("local{}", self.folder.path().join("live").display())
    }

    /// A file with content that does not compress, its seed being its name.
    fn write(&self, path: &str, size: usize) {
        let path = self.live(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, noise(path.file_name().unwrap().as_encoded_bytes(), size)).unwrap();
    }

    fn backup(&self) -> SnapshotRecord {
        self.backup_root(LocalRoot::new(self.live("")), &[])
    }

    fn backup_root(&self, root: LocalRoot, scope: &[&str]) -> SnapshotRecord {
        let label = SnapshotLabel {
            time: jiff::Timestamp::UNIX_EPOCH,
            host: "host".to_owned(),
            user: "user".to_owned(),
            series: None,
            tags: Vec::new(),
            description: String::new(),
            scope: scope.iter().map(|&filter| filter.to_owned()).collect(),
        };
        let request = BackupRequest {
            roots: vec![root],
            sources: Vec::new(),
            label,
            rereading: Rereading::Everything,
            mode: Mode::Write,
            threads: 2,
        };
        backup(&self.repository, &request, &Silent).unwrap().record
    }

    /// A request for the captured folder, whose content goes directly into `out`.
    fn request(&self) -> RestoreRequest {
        RestoreRequest {
            target: self.out(""),
            inside: Some(self.layout().into_bytes()),
            include: Vec::new(),
            exclude: Vec::new(),
            options: TargetOptions::default(),
            deletion: Deletion::Keep,
            mode: RestoreMode::Write,
            threads: NonZeroUsize::new(2).unwrap(),
        }
    }

    fn restore(&self, record: &SnapshotRecord, request: &RestoreRequest) -> RestoreReport {
        restore(&self.repository, record, request, &Silent).unwrap()
    }

    fn restore_told(
        &self,
        record: &SnapshotRecord,
        request: &RestoreRequest,
    ) -> (Result<RestoreReport, RestoreError>, Told) {
        let told = Told::default();
        (restore(&self.repository, record, request, &told), told)
    }

    /// Paths in the folder that is restored into, sorted.
    fn out_paths(&self) -> Vec<String> {
        picture(&self.out("")).into_keys().map(|path| path.to_string_lossy().into_owned()).collect()
    }
}

/// Type, mode, owner, time, names and content of a thing.
type Seen = (u32, u32, u32, i64, i64, u64, Vec<u8>);

/// All that stands in a folder, itself included.
pub(crate) fn picture(folder: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut picture = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let status = fs::symlink_metadata(&path).unwrap();
        let content = if status.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if status.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if status.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let links = if status.is_dir() { 0 } else { status.nlink() };
        let seen = (status.mode(), status.uid(), status.gid(), status.mtime(), status.mtime_nsec(), links, content);
        picture.insert(path.strip_prefix(folder).unwrap().to_owned(), seen);
    }
    picture
}

/// Bytes that do not compress, different for each seed.
fn noise(seed: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    snap::codec::hash::fill_keystream(&snap::codec::hash::digest(seed), b"noise", &mut bytes);
    bytes
}
