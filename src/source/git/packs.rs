//! The packs of a repository, held open: what is open can be read after its name is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use crate::source::estate::{Problem, Stopped};
use crate::source::git::folder::Folder;
use crate::source::git::objects::is_left_out;
use crate::source::git::outlet::Outlet;
use crate::source::git::pack_index;
use crate::source::local::LocalError;
use crate::source::local::listed::Listed;
use crate::source::local::read::OpenFile;
use crate::source::local::stat::{FileStat, FileType};

/// Descriptors held for the packs of one repository. What is beyond is opened when it is read, and may be gone by then.
const HELD_MAX: usize = 160;
/// How often the folder is listed until nothing is new in it.
const LISTINGS_MAX: usize = 64;

/// The files of `objects/pack/`.
#[derive(Default)]
pub(super) struct Packs {
    folder: Option<Folder>,
    files: BTreeMap<CString, Held>,
}

struct Held {
    listed: Listed,
    /// Not of what is no file, nor where too many are open.
    file: Option<OwnedFd>,
}

impl Packs {
    /// Opens all there are.
    pub(super) fn read(folder: Option<Folder>, refused: &mut dyn FnMut(&LocalError)) -> Result<Self, Problem> {
        let mut packs = Self { folder, files: BTreeMap::new() };
        packs.look_again(refused)?;
        Ok(packs)
    }

    /// Opens what came since, until a listing shows nothing new: a pack appears before those that it replaces go.
    pub(super) fn look_again(&mut self, refused: &mut dyn FnMut(&LocalError)) -> Result<(), Problem> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        for _ in 0..LISTINGS_MAX {
            let mut is_new = false;
            let mut seen = BTreeSet::new();
            for (name, listed) in folder.list(refused) {
                if is_left_out(name.to_bytes()) {
                    continue;
                }
                let is_same = |held: &Held| held.listed.stat.identity == listed.stat.identity;
                if !self.files.get(&name).is_some_and(is_same) {
                    is_new = true;
                    self.hold_file(&folder, &name, listed, refused);
                }
                seen.insert(name);
            }
            if !is_new {
                self.drop_halves(&seen);
                return Ok(());
            }
        }
        Err(Problem {
            action: "list packs".to_owned(),
            code: "Moving".to_owned(),
            reason: "packs come and go faster than they can be listed".to_owned(),
            hint: "try again when nobody packs".to_owned(),
        })
    }

    fn hold_file(&mut self, folder: &Folder, name: &CStr, listed: Listed, refused: &mut dyn FnMut(&LocalError)) {
        let is_held = |held: &&Held| held.file.is_some();
        let mut file = None;
        if listed.file_type() == FileType::File && self.files.values().filter(is_held).count() < HELD_MAX {
            match folder.directory.open(name.to_bytes(), &listed.stat) {
                Ok(opened) => file = Some(opened),
                // It went: what took its place shows in the next listing.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
                // Without a descriptor it is opened when it is read.
                Err(error) if is_exhausted(&error) => {}
                Err(source) => refused(&LocalError::System { action: "open", path: listed.path.clone(), source }),
            }
        }
        self.files.insert(name.to_owned(), Held { listed, file });
    }

    /// Lets go of packs that were going while they were listed: one half is held, the other was gone.
    fn drop_halves(&mut self, seen: &BTreeSet<CString>) {
        let whole: BTreeSet<Vec<u8>> = self
            .files
            .keys()
            .filter_map(|name| name.to_bytes().strip_suffix(b".idx"))
            .filter(|stem| self.files.contains_key(&with_suffix(stem, b".pack")))
            .map(<[u8]>::to_vec)
            .collect();
        self.files.retain(|name, _| seen.contains(name) || whole.contains(stem_of(name.to_bytes())));
    }

    /// Whether one of them holds an object.
    pub(super) fn hold(&self, id: &str) -> bool {
        let Ok(id) = hex::decode(id) else { return false };
        let indexes = self.files.iter().filter(|(name, _)| name.to_bytes().ends_with(b".idx"));
        indexes.into_iter().any(|(name, held)| match &held.file {
            Some(file) => pack_index::holds(file, &id).unwrap_or(false),
            None => self.open(name, held).is_some_and(|file| pack_index::holds(&file, &id).unwrap_or(false)),
        })
    }

    fn open(&self, name: &CStr, held: &Held) -> Option<OwnedFd> {
        self.folder.as_ref()?.directory.open(name.to_bytes(), &held.listed.stat).ok()
    }

    /// Sends all of them, in path order.
    pub(super) fn send(self, outlet: &Outlet) -> Result<(), Stopped> {
        for Held { listed, file } in self.files.into_values() {
            match file {
                Some(file) => {
                    let stat = match rustix::fs::fstat(&file) {
                        Ok(stat) => FileStat::from(stat),
                        Err(_) => listed.stat,
                    };
                    let path = listed.path.clone();
                    outlet.open(&listed, OpenFile::new(path, file, stat))?;
                }
                None => outlet.listed(listed)?,
            }
        }
        Ok(())
    }
}

fn stem_of(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    &name[..end]
}

fn with_suffix(stem: &[u8], suffix: &[u8]) -> CString {
    CString::new([stem, suffix].concat()).unwrap_or_default()
}

fn is_exhausted(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
