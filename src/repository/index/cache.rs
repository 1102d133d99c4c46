//! The local cache: index segments derived from a repository, safe to delete at any moment.
//!
//! A folder for each repository, mode 0700. A file is written whole under another name, then renamed; one that is damaged,
//! foreign or no longer needed is deleted. Everything works, slower, without it.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut};

use crate::codec::hash::digest;
use crate::id::RepositoryId;
use crate::repository::index::segment::{Backing, Segment};
use crate::repository::random::{SystemRandomness, random_bytes};

const SUFFIX: &str = ".segment";
/// A segment of whose packs fewer than this part still count is made anew.
const FRESH_PART_MIN: f64 = 0.75;

/// The cached index segments of one repository.
#[derive(Clone, Debug, Default)]
pub struct IndexCache {
    folder: Option<PathBuf>,
}

impl IndexCache {
    /// No cache: segments live on the heap of this process.
    pub fn none() -> Self {
        Self { folder: None }
    }

    /// The cache for `repository` below `root`; no cache where that cannot be made.
    pub fn below(root: &Path, repository: RepositoryId) -> Self {
        let folder = root.join(repository.to_string()).join("index");
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        Self { folder: made.is_ok().then_some(folder) }
    }

    /// The folder of this repository in the cache, for what else is remembered of it.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref().and_then(Path::parent)
    }

    /// The cached segments of objects among `names`, no object twice, and those that they cover. Of others, which no longer
    /// count, they find nothing; a segment that has too much of these is deleted.
    pub(super) fn load(&self, names: &[String]) -> (Vec<Segment>, HashSet<String>) {
        let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut covered = HashSet::new();
        let mut segments = Vec::new();
        let mut found: Vec<(PathBuf, Segment)> =
            self.files().filter_map(|path| open(&path).map(|s| (path, s))).collect();
        found.sort_by_key(|(_, segment)| std::cmp::Reverse(segment.names().count()));
        for (path, mut segment) in found {
            let is_wanted = |name: &str| wanted.contains(name);
            let is_double = segment.names().any(|name| covered.contains(name));
            if !is_double && segment.retain(is_wanted) >= FRESH_PART_MIN {
                covered.extend(segment.names().filter(|name| is_wanted(name)).map(str::to_owned));
                segments.push(segment);
            } else {
                drop(std::fs::remove_file(path));
            }
        }
        (segments, covered)
    }

    /// Writes the segment of the objects `names` and opens it; `None` where there is no cache or it fails.
    pub(super) fn create(&self, names: &str, size: usize, write: &dyn Fn(&mut [u8]) -> Option<()>) -> Option<Segment> {
        let folder = self.folder.as_ref()?;
        let temporary = folder.join(format!("{}.tmp", hex::encode(random_bytes::<8>(&SystemRandomness).ok()?)));
        let path = folder.join(file_name(names));
        let written = write_file(&temporary, size, write).and_then(|()| std::fs::rename(&temporary, &path));
        if written.is_err() {
            drop(std::fs::remove_file(&temporary));
            return None;
        }
        open(&path)
    }

    /// Deletes the segment of the objects `names`.
    pub(super) fn forget(&self, names: &str) {
        if let Some(folder) = &self.folder {
            drop(std::fs::remove_file(folder.join(file_name(names))));
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        paths.filter(|path| path.to_string_lossy().ends_with(SUFFIX))
    }
}

fn file_name(names: &str) -> String {
    format!("{}{SUFFIX}", hex::encode(&digest(names.as_bytes())[..16]))
}

fn write_file(path: &Path, size: usize, write: &dyn Fn(&mut [u8]) -> Option<()>) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    // Reserve the room first: a mapped file on a full disk would kill the process instead of failing a call.
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size as u64) {
        Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    let mut map = map_for_writing(&file)?;
    write(&mut map).ok_or_else(|| io::Error::other("a part of it is damaged"))
}

#[expect(unsafe_code, reason = "memory-mapping a file is unsafe by nature")]
fn map_for_writing(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file was created by this process under a random name and is not shared until it is renamed.
    unsafe { MmapMut::map_mut(file) }
}

#[expect(unsafe_code, reason = "memory-mapping a file is unsafe by nature")]
fn open(path: &Path) -> Option<Segment> {
    let file = File::open(path).ok()?;
    // SAFETY: a segment file is never changed after its rename, only deleted, which leaves the mapping whole; every
    // block is checked against its checksum before it is believed.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    let segment = Segment::open(Backing::Mapped(map), Some(path.to_owned()));
    if segment.is_none() {
        drop(std::fs::remove_file(path));
    }
    segment
}
