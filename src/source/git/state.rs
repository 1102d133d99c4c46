//! What of a git directory points at objects, read into memory before any object is looked at.
//!
//! First `HEAD` and its like, the index, reflogs, loose references (of linked worktrees too), then packed references: whoever packs them
//! writes the packed ones before the loose ones go. A table of references (reftable) is read from its list on. Large files are held open instead;
//! git replaces them, so what is open stays as it is.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};

use bytes::Bytes;

use crate::entry::{Entry, EntryKind};
use crate::source::estate::Problem;
use crate::source::git::body::problem_of;
use crate::source::git::folder::{Folder, open, read_whole};
use crate::source::git::objects::Objects;
use crate::source::git::outlet::Outlet;
use crate::source::local::LocalError;
use crate::source::local::listed::Listed;
use crate::source::local::read::OpenFile;
use crate::source::local::stat::{FileStat, FileType};

/// The largest file that is kept in memory.
const FILE_SIZE_MAX: u64 = 32 << 20;
/// What is kept in memory of one repository, its submodules among it.
const MEMORY_MAX: u64 = 64 << 20;
/// Files held open where that is not enough.
const HELD_MAX: usize = 32;
/// How often a list of tables is read until all it names are there.
const TABLES_READS_MAX: usize = 16;
/// Folders whose files are read before the objects.
const MOVING: [&[u8]; 8] =
    [b"info", b"logs", b"rebase-apply", b"rebase-merge", b"refs", b"reftable", b"sequencer", b"worktrees"];
/// References and reflogs that a linked worktree has of its own.
const OWN_OF_WORKTREES: [&[u8]; 4] = [b"logs/HEAD", b"refs/bisect/", b"refs/rewritten/", b"refs/worktree/"];
/// Files of the common directory that linked worktrees share.
const SHARED_FILES: [&[u8]; 3] = [b"config", b"description", b"shallow"];

/// Where a git directory is.
#[derive(Clone)]
pub(super) struct GitDirectory {
    /// With the references and objects.
    pub(super) common: Folder,
    /// As the system told of it.
    pub(super) stat: FileStat,
    /// With what a linked worktree has of its own, where that is what is captured.
    pub(super) own: Option<Folder>,
}

/// One thing of a git directory.
pub(super) enum Item {
    /// What is made, not found.
    Made(Entry),
    Listed(Listed),
    Kept(Entry, Bytes),
    Held(Listed, OpenFile),
    /// A folder whose files have no part in the order of reading.
    Folder(Listed, Folder),
    Objects(Listed, Objects),
}

/// What was read of a git directory.
#[derive(Default)]
pub(super) struct State {
    pub(super) items: BTreeMap<Vec<u8>, Item>,
    pub(super) gaps: Vec<(Vec<u8>, Problem)>,
    /// Where references stand, and the ids they have.
    pub(super) tips: Vec<(Vec<u8>, String)>,
    /// Git directories of submodules.
    pub(super) modules: Vec<GitDirectory>,
    pub(super) objects: Option<(Listed, Folder)>,
}

/// What may be kept.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    bytes: u64,
    descriptors: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MEMORY_MAX, descriptors: HELD_MAX }
    }
}

/// Which part of a git directory is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    All,
    /// What linked worktrees share.
    Shared,
    /// What one of them has of its own.
    Own,
}

/// Reads all but the objects.
pub(super) fn read(git: &GitDirectory, outlet: &Outlet, budget: &mut Budget) -> State {
    let path = git.common.path.clone();
    let entry = outlet.entry(crate::entry::EntryPath(path.clone()), EntryKind::Directory, &git.stat);
    let mut state = State::default();
    state.items.insert(path.clone(), Item::Made(entry));
    let mut reader = Reader { state, outlet, budget, path };
    match &git.own {
        None => reader.directory(&git.common, Share::All),
        Some(own) => {
            reader.directory(own, Share::Own);
            reader.directory(&git.common, Share::Shared);
        }
    }
    reader.packed(&git.common);
    reader.state
}

struct Reader<'r> {
    state: State,
    outlet: &'r Outlet,
    budget: &'r mut Budget,
    /// The path of the git directory.
    path: Vec<u8>,
}

impl Reader<'_> {
    fn list(&mut self, folder: &Folder) -> Vec<(CString, Listed)> {
        folder.list(&mut |error| self.state.gaps.push(gap_of(error)))
    }

    fn directory(&mut self, folder: &Folder, share: Share) {
        let (folders, others): (Vec<_>, Vec<_>) =
            self.list(folder).into_iter().partition(|(_, listed)| listed.file_type() == FileType::Directory);
        for (name, listed) in others {
            let is_taken = match share {
                Share::All => true,
                Share::Shared => SHARED_FILES.contains(&name.to_bytes()),
                Share::Own => !matches!(name.to_bytes(), b"commondir" | b"gitdir" | b"locked"),
            };
            if is_taken && name.as_c_str() != PACKED {
                self.take(listed);
            }
        }
        // References last, so that whatever points at one finds it.
        let (late, early): (Vec<_>, Vec<_>) =
            folders.into_iter().partition(|(name, _)| matches!(name.to_bytes(), b"refs" | b"reftable"));
        for (name, listed) in early.into_iter().chain(late) {
            let inner = folder.enter(&name, &listed);
            match name.to_bytes() {
                b"objects" if share != Share::Own => self.state.objects = Some((listed, inner)),
                b"modules" | b"worktrees" | b"sequencer" | b"rebase-apply" | b"rebase-merge"
                    if share == Share::Shared => {}
                b"modules" => self.modules(listed, inner),
                name if MOVING.contains(&name) => self.moving(listed, inner, share),
                _ => self.insert(Item::Folder(listed, inner)),
            }
        }
    }

    /// Puts a thing where nothing stands yet.
    fn insert(&mut self, item: Item) {
        let path = match &item {
            Item::Made(entry) | Item::Kept(entry, _) => entry.path.as_bytes(),
            Item::Listed(listed) | Item::Held(listed, _) => listed.path.as_bytes(),
            Item::Folder(listed, _) | Item::Objects(listed, _) => listed.path.as_bytes(),
        };
        self.state.items.entry(path.to_vec()).or_insert(item);
    }

    /// A folder whose files are all read now.
    fn moving(&mut self, listed: Listed, folder: Folder, share: Share) {
        let mut folders = vec![(listed, folder)];
        while let Some((listed, folder)) = folders.pop() {
            if folder.path.ends_with(b"reftable/") && self.tables(&folder) {
                self.insert(Item::Listed(listed));
                continue;
            }
            self.insert(Item::Listed(listed));
            for (name, listed) in self.list(&folder) {
                let relative = &listed.path.as_bytes()[self.path.len()..];
                if share == Share::Shared && OWN_OF_WORKTREES.contains(&relative) {
                    continue;
                }
                match listed.file_type() {
                    FileType::Directory => {
                        let inner = folder.enter(&name, &listed);
                        match relative.starts_with(b"worktrees/") && name.as_c_str() == c"modules" {
                            true => self.modules(listed, inner),
                            false => folders.push((listed, inner)),
                        }
                    }
                    _ => self.take(listed),
                }
            }
        }
    }

    /// Packed references, which are read when all loose ones are.
    fn packed(&mut self, folder: &Folder) {
        match folder.look(PACKED) {
            Ok(Some(listed)) => self.take(listed),
            Ok(None) => {}
            Err(error) => self.state.gaps.push(gap_of(&error)),
        }
    }

    /// Keeps what stands there.
    fn take(&mut self, listed: Listed) {
        let relative = &listed.path.as_bytes()[self.path.len()..];
        if relative.ends_with(b".lock") || relative == b"gc.pid" {
            return;
        }
        match listed.file_type() {
            FileType::File => match self.keep(listed) {
                Ok(Some(item)) => {
                    self.note_tips(&item);
                    self.insert(item);
                }
                // As if it had gone before anyone looked; what was packed is read later.
                Ok(None) | Err(LocalError::Vanished { .. }) => {}
                Err(error) => self.state.gaps.push(gap_of(&error)),
            },
            _ => self.insert(Item::Listed(listed)),
        }
    }

    fn keep(&mut self, mut listed: Listed) -> Result<Option<Item>, LocalError> {
        let mut file = open(&mut listed)?;
        let size = file.stat().size;
        if size <= FILE_SIZE_MAX && size <= self.budget.bytes {
            let (entry, problems) = self.outlet.entry_of(listed.path.clone(), &file);
            let bytes = read_whole(&mut file)?;
            self.budget.bytes -= size;
            let path = listed.path.as_bytes();
            self.state.gaps.extend(problems.into_iter().map(|problem| (path.to_vec(), problem)));
            return Ok(Some(Item::Kept(entry, bytes.into())));
        }
        if self.budget.descriptors > 0 {
            self.budget.descriptors -= 1;
            listed.stat = *file.stat();
            return Ok(Some(Item::Held(listed, file)));
        }
        let problem = Problem {
            action: "read".to_owned(),
            code: "TooMuch".to_owned(),
            reason: format!("references and their like are more than {} MiB", MEMORY_MAX >> 20),
            hint: "`git pack-refs --all` and `git reflog expire` make them less".to_owned(),
        };
        self.state.gaps.push((listed.path.0, problem));
        Ok(None)
    }

    /// Remembers the ids of references.
    fn note_tips(&mut self, item: &Item) {
        let Item::Kept(entry, bytes) = item else { return };
        let path = entry.path.as_bytes();
        let relative = &path[self.path.len()..];
        let is_reference = relative == b"HEAD" || relative.starts_with(b"refs/");
        let is_of_worktree = relative.starts_with(b"worktrees/") && relative.ends_with(b"/HEAD");
        if relative == PACKED.to_bytes() {
            let lines = bytes.split(|byte| *byte == b'\n');
            let ids = lines.filter_map(|line| id_in(line.split(|byte| *byte == b' ').next()?));
            self.state.tips.extend(ids.map(|id| (path.to_vec(), id)));
        } else if is_reference || is_of_worktree {
            self.state.tips.extend(id_in(bytes.trim_ascii()).map(|id| (path.to_vec(), id)));
        }
    }

    /// The tables of references, none of which may be missing that the list names.
    fn tables(&mut self, folder: &Folder) -> bool {
        for _ in 0..TABLES_READS_MAX {
            let Ok(Some(list)) = folder.look(c"tables.list") else { return false };
            let Ok(Some(Item::Kept(entry, names))) = self.keep(list) else { return false };
            let mut found = Vec::new();
            let is_whole = names.split(|byte| *byte == b'\n').filter(|name| !name.is_empty()).all(|name| {
                let table = CString::new(name).ok().and_then(|name| folder.look(&name).ok().flatten());
                let table = table.and_then(|table| self.keep(table).ok().flatten());
                table.map(|table| found.push(table)).is_some()
            });
            if is_whole {
                self.insert(Item::Kept(entry, names));
                found.into_iter().for_each(|table| self.insert(table));
                return true;
            }
        }
        false
    }

    /// Git directories of submodules, however deep their names are.
    fn modules(&mut self, listed: Listed, folder: Folder) {
        let mut folders = vec![(listed, folder)];
        while let Some((listed, folder)) = folders.pop() {
            let found = self.list(&folder);
            let has = |wanted: &CStr| found.iter().any(|(name, _)| name.as_c_str() == wanted);
            if has(c"HEAD") && has(c"objects") {
                self.state.modules.push(GitDirectory { common: folder, stat: listed.stat, own: None });
                continue;
            }
            self.insert(Item::Listed(listed));
            for (name, listed) in found {
                match listed.file_type() {
                    FileType::Directory => {
                        let inner = folder.enter(&name, &listed);
                        folders.push((listed, inner));
                    }
                    _ => self.insert(Item::Listed(listed)),
                }
            }
        }
    }
}

const PACKED: &CStr = c"packed-refs";

/// An id of SHA-1 or SHA-256, if that is what it says.
fn id_in(text: &[u8]) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit);
    // The id of nothing.
    let is_none = text.iter().all(|digit| *digit == b'0');
    (is_id && !is_none).then(|| String::from_utf8_lossy(text).to_ascii_lowercase())
}

fn gap_of(error: &LocalError) -> (Vec<u8>, Problem) {
    let gap = error.gap();
    let path = crate::resource::unescape_path(&gap.path).unwrap_or_default();
    (path, problem_of(error))
}
