//! The local cache of a repository far away: page packs and small objects as they are stored, sealed.
//!
//! Only what never changes under its name is kept, and whatever comes from here is opened and proven like what comes from
//! the store; a file that fails is deleted and the store is asked. Whether an object is there is never asked here: small
//! objects are found by the line of a listing. Everything works, slower, without it, and any file may go at any moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::id::{PackId, RepositoryId};
use crate::repository::random::{SystemRandomness, random_bytes};
use crate::storage::StoredObject;

/// Bytes that are kept unless the user says otherwise.
pub(super) const CACHE_SIZE_DEFAULT: u64 = 1 << 30;
/// How often a use is noted: what is used daily does not go first.
const NOTED_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Where another process was killed while it wrote, its file goes after this.
const UNFINISHED_AGE: Duration = Duration::from_secs(3600);
const UNFINISHED: &str = ".tmp";

/// What is kept of one repository.
#[derive(Debug, Default)]
pub(super) struct ObjectCache {
    folder: Option<PathBuf>,
    size_max: u64,
    /// Bytes kept, once they were counted.
    held: Mutex<Option<u64>>,
}

impl ObjectCache {
    /// No cache.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// The cache for `repository` below `root`; no cache where that cannot be made.
    pub(super) fn below(root: &Path, repository: RepositoryId, size_max: u64) -> Self {
        let folder = root.join(repository.to_string()).join("objects");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        Self { folder: made.is_ok().then_some(folder).filter(|_| size_max > 0), size_max, held: Mutex::default() }
    }

    /// Whether anything is kept at all.
    pub(super) fn is_there(&self) -> bool {
        self.folder.is_some()
    }

    /// With another bound.
    pub(super) fn with_size_max(self, size_max: u64) -> Self {
        Self { folder: self.folder.filter(|_| size_max > 0), size_max, held: Mutex::default() }
    }

    /// The object as it was when it was listed so.
    pub(super) fn object(&self, listed: &StoredObject) -> Option<Bytes> {
        let content = fs::read(self.used(&object_file(listed))?).ok()?;
        (content.len() as u64 == listed.size).then(|| content.into())
    }

    /// Keeps what was read under the name that was listed.
    pub(super) fn keep_object(&self, listed: &StoredObject, content: &[u8]) {
        if content.len() as u64 == listed.size {
            self.keep(&object_file(listed), content);
        }
    }

    /// Forgets what turned out to be damaged.
    pub(super) fn forget_object(&self, listed: &StoredObject) {
        self.forget(&object_file(listed));
    }

    /// Stored bytes of a pack.
    pub(super) fn pack_range(&self, pack: &PackId, offset: u64, length: u64) -> Option<Bytes> {
        let file = File::open(self.used(&pack_file(pack))?).ok()?;
        let mut content = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut content, offset).ok()?;
        Some(content.into())
    }

    /// Whether the pack is kept.
    pub(super) fn has_pack(&self, pack: &PackId) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.join(pack_file(pack)).exists())
    }

    /// Keeps a whole pack.
    pub(super) fn keep_pack(&self, pack: &PackId, content: &[u8]) {
        self.keep(&pack_file(pack), content);
    }

    /// Forgets a pack that turned out to be damaged here.
    pub(super) fn forget_pack(&self, pack: &PackId) {
        self.forget(&pack_file(pack));
    }

    /// The path of a file that is about to be used, which is noted.
    fn used(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.as_ref()?.join(name);
        let used = fs::metadata(&path).ok()?.modified().ok()?;
        let now = SystemTime::now();
        if now.duration_since(used).is_ok_and(|age| age > NOTED_EVERY) {
            // Best effort: what is not noted only goes earlier.
            drop(File::options().write(true).open(&path).and_then(|file| file.set_modified(now)));
        }
        Some(path)
    }

    /// Best effort: what cannot be kept is asked for again.
    fn keep(&self, name: &str, content: &[u8]) {
        let Some(folder) = &self.folder else { return };
        let size = content.len() as u64;
        if size > self.size_max || self.make_room(folder, size).is_err() {
            return;
        }
        let Ok(random) = random_bytes::<8>(&SystemRandomness) else { return };
        let temporary = folder.join(format!("{}{UNFINISHED}", hex::encode(random)));
        let written = write_file(&temporary, content).and_then(|()| fs::rename(&temporary, folder.join(name)));
        if written.is_err() {
            drop(fs::remove_file(&temporary));
        }
    }

    fn forget(&self, name: &str) {
        if let Some(folder) = &self.folder {
            drop(fs::remove_file(folder.join(name)));
        }
    }

    /// Counts what is kept, once, and lets the longest unused go where `size` more would be too much.
    fn make_room(&self, folder: &Path, size: u64) -> io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match *held {
            Some(known) => known,
            None => files(folder)?.iter().map(|file| file.size).sum(),
        };
        if known + size <= self.size_max {
            *held = Some(known + size);
            return Ok(());
        }
        // Others may have kept and deleted too; and an eighth more goes, so that this is rare.
        let mut files = files(folder)?;
        files.sort_by_key(|file| file.used);
        let mut left: u64 = files.iter().map(|file| file.size).sum();
        let wanted = (self.size_max - self.size_max / 8).saturating_sub(size);
        for file in files {
            if left <= wanted {
                break;
            }
            drop(fs::remove_file(&file.path));
            left -= file.size;
        }
        *held = Some(left + size);
        Ok(())
    }
}

struct Kept {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// What is kept; files that a killed process left unfinished are deleted on the way.
fn files(folder: &Path) -> io::Result<Vec<Kept>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let (path, used) = (entry.path(), metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        if path.to_string_lossy().ends_with(UNFINISHED) {
            if used.elapsed().is_ok_and(|age| age > UNFINISHED_AGE) {
                drop(fs::remove_file(path));
            }
        } else {
            files.push(Kept { path, size: metadata.len(), used });
        }
    }
    Ok(files)
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

/// An object that came back under its name, in a store that was put back from a copy, has another time.
fn object_file(listed: &StoredObject) -> String {
    let modified = listed.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}@{}", listed.name.as_str().replace('/', "_"), modified.as_millis())
}

fn pack_file(pack: &PackId) -> String {
    format!("pack_{pack}")
}
