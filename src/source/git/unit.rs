//! A git directory as it is captured: what points at objects, then the objects, then whether they are there.
//!
//! Somebody may rewrite history and collect garbage between the two. Then a reference has no object, and both are read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::source::estate::{Problem, Stopped};
use crate::source::git::body::problem_of;
use crate::source::git::config;
use crate::source::git::index::Tracked;
use crate::source::git::objects::Objects;
use crate::source::git::outlet::Outlet;
use crate::source::git::state::{Budget, GitDirectory, Item, State, read};
use crate::source::git::walk::send_all;

/// How often a git directory is read until each reference has its object.
const READS_MAX: usize = 4;
/// References without objects that are named one by one.
const MISSING_MAX: usize = 16;

/// A git directory, with those of submodules in it.
pub(super) struct Unit {
    /// Its path in the resource.
    pub(super) path: Vec<u8>,
    items: BTreeMap<Vec<u8>, Item>,
    gaps: Vec<(Vec<u8>, Problem)>,
    directories: Vec<Vec<u8>>,
}

/// What git knows of a working tree.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// What is tracked; where nothing is known of that, everything is taken for tracked.
    pub(super) tracked: Option<Arc<Tracked>>,
    /// What `info/exclude` says.
    pub(super) exclude: Option<Bytes>,
}

impl Unit {
    /// Reads all of it but the bytes of objects.
    pub(super) fn read(git: GitDirectory, outlet: &Outlet) -> Self {
        let mut unit =
            Self { path: git.common.path.clone(), items: BTreeMap::new(), gaps: Vec::new(), directories: Vec::new() };
        let mut budget = Budget::default();
        let mut directories = vec![git];
        while let Some(git) = directories.pop() {
            unit.directories.push(git.common.path.clone());
            let mut state = read_whole(&git, outlet, &mut budget);
            directories.append(&mut state.modules);
            unit.items.append(&mut state.items);
            unit.gaps.append(&mut state.gaps);
        }
        unit
    }

    /// What a small file of it says, by its path in the resource.
    pub(super) fn bytes(&self, path: &[u8]) -> Option<&Bytes> {
        match self.items.get(path)? {
            Item::Kept(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// What a small file of the outermost git directory says.
    pub(super) fn own(&self, name: &str) -> Option<&Bytes> {
        self.bytes(&[self.path.as_slice(), name.as_bytes()].concat())
    }

    /// Takes settings out of force that would be wrong where it is restored: where the working tree is, that there is none.
    pub(super) fn settle(&mut self) {
        for name in ["config", "config.worktree"] {
            let path = [self.path.as_slice(), name.as_bytes()].concat();
            if let Some(Item::Kept(_, bytes)) = self.items.get_mut(&path) {
                *bytes = config::without(bytes, "core", &["worktree", "bare"]).into();
            }
        }
    }

    /// What git knows of the working trees that belong to it, by the paths of their git directories.
    pub(super) fn known(&self) -> BTreeMap<Vec<u8>, Known> {
        let mut all = BTreeMap::new();
        for directory in &self.directories {
            let at = |name: &str| [directory.as_slice(), name.as_bytes()].concat();
            let config = self.bytes(&at("config")).cloned().unwrap_or_default();
            let is_sha256 = config::value(&config, "extensions", "objectformat").is_some_and(|name| name == "sha256");
            let id_size = if is_sha256 { 32 } else { 20 };
            let exclude = self.bytes(&at("info/exclude")).cloned();
            all.insert(
                directory.clone(),
                Known { tracked: self.tracked(directory, id_size), exclude: exclude.clone() },
            );
            let worktrees = at("worktrees/");
            let below = self.items.range(worktrees.clone()..).take_while(|(path, _)| path.starts_with(&worktrees));
            for (path, _) in below {
                let depth = path[worktrees.len()..].iter().filter(|byte| **byte == b'/').count();
                if depth == 1 && path.ends_with(b"/") {
                    let known = Known { tracked: self.tracked(path, id_size), exclude: exclude.clone() };
                    all.insert(path.clone(), known);
                }
            }
        }
        all
    }

    /// The paths in the index of a git directory; nothing where it cannot be understood.
    fn tracked(&self, directory: &[u8], id_size: usize) -> Option<Arc<Tracked>> {
        let path = [directory, b"index"].concat();
        if !self.items.contains_key(&path) {
            return Some(Arc::default());
        }
        let mut tracked = Tracked::parse(self.bytes(&path)?, id_size)?;
        if let Some(shared) = tracked.shared.take() {
            let path = [directory, b"sharedindex.", shared.as_bytes()].concat();
            tracked.add(Tracked::parse(self.bytes(&path)?, id_size)?);
        }
        Some(Arc::new(tracked))
    }

    /// Sends all of it, in path order.
    pub(super) fn send(self, outlet: &Outlet) -> Result<(), Stopped> {
        for (path, problem) in self.gaps {
            outlet.gap(&path, problem)?;
        }
        for item in self.items.into_values() {
            match item {
                Item::Made(entry) => outlet.made(entry)?,
                Item::Listed(listed) => outlet.listed(listed)?,
                Item::Kept(entry, bytes) => outlet.kept(entry, bytes)?,
                Item::Held(listed, file) => outlet.open(&listed, file)?,
                Item::Folder(listed, folder) => {
                    outlet.listed(listed)?;
                    send_all(outlet, folder)?;
                }
                Item::Objects(listed, objects) => {
                    outlet.listed(listed)?;
                    objects.send(outlet)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads one git directory until each reference has its object, or as often as is reasonable.
fn read_whole(git: &GitDirectory, outlet: &Outlet, budget: &mut Budget) -> State {
    let mut read_count = 0;
    loop {
        read_count += 1;
        let mut left = *budget;
        let mut state = read(git, outlet, &mut left);
        let Some((listed, folder)) = state.objects.take() else {
            state.gaps.push((git.common.path.clone(), without_objects()));
            return state;
        };
        let mut refusals = Vec::new();
        let refused = &mut |error: &_| refusals.push((folder.path.clone(), problem_of(error)));
        match Objects::read(&folder, refused) {
            Ok(objects) => {
                let missing = missing(&state, &objects);
                if !missing.is_empty() && read_count < READS_MAX {
                    continue;
                }
                state.gaps.extend(missing);
                state.items.insert(listed.path.as_bytes().to_vec(), Item::Objects(listed, objects));
            }
            Err(_) if read_count < READS_MAX => continue,
            Err(problem) => state.gaps.push((folder.path.clone(), problem)),
        }
        state.gaps.append(&mut refusals);
        *budget = left;
        return state;
    }
}

/// References whose objects are not there. What lies in another repository is not looked for.
fn missing(state: &State, objects: &Objects) -> Vec<(Vec<u8>, Problem)> {
    if objects.is_borrowing {
        return Vec::new();
    }
    let problem = |id: &str| Problem {
        action: "look for objects".to_owned(),
        code: "MissingObject".to_owned(),
        reason: format!("the object {id} is not there"),
        hint: "`git fsck` says what is damaged".to_owned(),
    };
    let mut tips = state.tips.clone();
    tips.sort_by(|one, other| one.1.cmp(&other.1));
    tips.dedup_by(|one, other| one.1 == other.1);
    let gone = tips.into_iter().filter(|(_, id)| !objects.holds(id)).take(MISSING_MAX);
    gone.map(|(path, id)| (path, problem(&id))).collect()
}

fn without_objects() -> Problem {
    Problem {
        action: "list objects".to_owned(),
        code: "NoObjects".to_owned(),
        reason: "there is no folder of objects in it".to_owned(),
        hint: "where `objects` is a link, capture the repository that it leads to".to_owned(),
    }
}
