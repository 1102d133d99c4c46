//! The folder a restore writes into: what it must do, and what nothing may make it do.
//!
//! Every test that depends on system calls runs both ways. A [`Ground`] is a target beside a folder that must not change.

mod beneath;
mod delete;
mod limits;
mod metadata;
mod policy;
mod race;
mod traversal;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use snap::entry::{Metadata, PosixMetadata, Timestamp};
use snap::operation::target::error::{TargetError, TargetWarning};
use snap::operation::target::metadata::Attribute;
use snap::operation::target::{Target, TargetOptions};
use snap::platform::Ways;

const BOTH_WAYS: [Ways; 2] = [Ways::Native, Ways::Portable];

struct Ground {
    folder: tempfile::TempDir,
}

/// What must stay as it is: path, then content, mode, owner, time and number of names.
type Picture = BTreeMap<PathBuf, (Vec<u8>, u32, u32, i64, u64)>;

impl Ground {
    fn new() -> Self {
        Self::within(tempfile::tempdir().expect("a temporary folder"))
    }

    /// One that is fast to change, where there is such a file system.
    fn in_memory() -> Self {
        Self::within(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder"))
    }

    fn within(folder: tempfile::TempDir) -> Self {
        fs::create_dir_all(folder.path().join("outside/folder")).expect("outside");
        fs::create_dir(folder.path().join("target")).expect("target");
        fs::write(folder.path().join("outside/secret"), "secret").expect("a secret");
        fs::write(folder.path().join("outside/folder/inner"), "inner").expect("an inner file");
        Self { folder }
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("target").join(path)
    }

    fn open(&self, options: TargetOptions) -> Target {
        Target::open(&self.at(""), options).expect("a target")
    }

    /// Puts a link to the outside (or into it) into the target.
    fn link_out(&self, inside: &str, name: &str) {
        symlink(self.outside().join(inside), self.at(name)).expect("a link");
    }

    /// Everything beside the target.
    fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        let mut waiting = vec![self.folder.path().to_owned()];
        while let Some(path) = waiting.pop() {
            let status = fs::symlink_metadata(&path).expect("status");
            let mut content = Vec::new();
            if status.is_dir() {
                if path == self.at("").as_path() {
                    continue;
                }
                waiting.extend(fs::read_dir(&path).expect("listing").map(|entry| entry.expect("entry").path()));
            } else if status.is_file() {
                content = fs::read(&path).expect("content");
            }
            picture.insert(path, (content, status.mode(), status.uid(), status.mtime_nsec(), status.nlink()));
        }
        picture
    }
}

fn options(ways: Ways) -> TargetOptions {
    TargetOptions { ways, ..TargetOptions::default() }
}

/// Metadata of a file of whoever runs the test.
fn posix(mode: u32) -> PosixMetadata {
    let modified = Timestamp { seconds: 1_500_000_000, nanoseconds: 123_456_789 };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    PosixMetadata { mode, uid, gid, modified, ..PosixMetadata::default() }
}

fn plain(mode: u32) -> Metadata {
    Metadata::Posix(Box::new(posix(mode)))
}

/// Folder and name of a path, split as a restore splits it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(cut) => (&path[..cut + usize::from(cut == 0)], &path[cut + 1..]),
        None => (b"", path),
    }
}

fn write_file(
    target: &Target,
    path: &[u8],
    content: &[u8],
    metadata: &Metadata,
) -> Result<Vec<TargetWarning>, TargetError> {
    write_file_with(target, path, content, metadata, &[])
}

fn write_file_with(
    target: &Target,
    path: &[u8],
    content: &[u8],
    metadata: &Metadata,
    attributes: &[Attribute<'_>],
) -> Result<Vec<TargetWarning>, TargetError> {
    let (folder, name) = split(path);
    let directory = target.directory(folder)?;
    let file = target.create_file(&directory, name, metadata)?;
    file.reserve(content.len() as u64)?;
    file.write_at(content, 0)?;
    file.finish(metadata, attributes)
}

/// Names left in a folder, which tell whether anything temporary was left behind.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("listing")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// A file system mounted for one test; `None` where that is not allowed.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, mount_options: &str) -> Option<Self> {
        let mounted = is_root()
            && std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", mount_options, "none"])
                .arg(at)
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        if !mounted {
            skipped(&format!("a tmpfs with {mount_options} cannot be mounted here"));
        }
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
