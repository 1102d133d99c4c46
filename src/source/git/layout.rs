//! What kind of repository stands at a path, and where its git directory is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Longest file that says where a git directory is.
const POINTER_SIZE_MAX: u64 = 64 << 10;

/// Where the git directory of a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The folder is one itself.
    Bare,
    /// It is `.git` in it.
    Embedded,
    /// It is elsewhere: that of a submodule, or one that was made apart.
    Apart(PathBuf),
    /// What a linked worktree has of its own, and what it shares.
    Linked { own: PathBuf, common: PathBuf },
}

impl Layout {
    /// That of a folder; nothing if it is no repository.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let git = folder.join(".git");
        let Ok(found) = fs::symlink_metadata(&git) else {
            return is_git_directory(folder).then_some(Self::Bare);
        };
        if found.is_dir() {
            return is_git_directory(&git).then_some(Self::Embedded);
        }
        let place = match found.is_symlink() {
            true => fs::canonicalize(&git).ok()?,
            false => folder.join(pointer(&git, b"gitdir:")?),
        };
        match pointer(&place.join("commondir"), b"") {
            Some(common) => {
                let common = place.join(common);
                is_git_directory(&common).then_some(Self::Linked { own: place, common })
            }
            None => is_git_directory(&place).then_some(Self::Apart(place)),
        }
    }
}

fn is_git_directory(folder: &Path) -> bool {
    let has_head = fs::symlink_metadata(folder.join("HEAD")).is_ok();
    has_head && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}

/// The path that a file names.
fn pointer(file: &Path, word: &[u8]) -> Option<PathBuf> {
    let found = fs::symlink_metadata(file).ok().filter(|found| found.is_file() && found.len() <= POINTER_SIZE_MAX)?;
    let text = fs::read(file).ok().filter(|text| text.len() as u64 <= found.len())?;
    let path = text.strip_prefix(word)?.trim_ascii();
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
}
