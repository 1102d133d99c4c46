//! The working tree: all that git tracks and all that its rules do not ignore, in path order.
//!
//! Rules are `.gitignore` files, `info/exclude` and the user's own, as gitignore(5) says; what they ignore is left out unless the index names it.
//! Where an index cannot be understood, nothing is left out. A folder with a git directory of its own is a repository with
//! rules of its own; one whose git directory is a submodule's or a linked worktree's of the same resource too.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;

use crate::source::estate::{Problem, Stopped};
use crate::source::git::folder::Folder;
use crate::source::git::index::Tracked;
use crate::source::git::outlet::Outlet;
use crate::source::git::state::GitDirectory;
use crate::source::git::unit::{Known, Unit};
use crate::source::local::LocalError;
use crate::source::local::exclude::Rules;
use crate::source::local::listing::{Name, Names};
use crate::source::local::stat::FileType;

/// Longest ignore file that is read; more is surely none.
const IGNORE_FILE_SIZE_MAX: u64 = 1 << 20;
/// Longest file that says where a git directory is.
const GIT_FILE_SIZE_MAX: u64 = 64 << 10;
const GIT: &CStr = c".git";

/// A working tree to be sent.
pub(super) struct Tree<'t> {
    pub(super) outlet: &'t Outlet,
    /// Where it is.
    pub(super) place: &'t Path,
    /// The user's own rules.
    pub(super) user_rules: &'t [u8],
    /// What is known of the working trees of git directories met so far, by their paths in the resource.
    pub(super) known: BTreeMap<Vec<u8>, Known>,
}

/// How far a folder is sent.
struct Level {
    folder: Folder,
    names: Names,
    next: usize,
    scope: Scope,
    /// The git directory in it, until it is sent.
    unit: Option<Unit>,
    /// Whether its git directory is sent as such, whatever stands there.
    has_unit: bool,
}

/// What is taken of a folder.
#[derive(Clone)]
struct Scope {
    /// What is tracked, and the length of the path of the repository it is in; nothing where all is taken.
    tracked: Option<(Arc<Tracked>, usize)>,
    rules: Option<Arc<Rules>>,
    /// Whether the folder is ignored, and only what is tracked in it is taken.
    is_ignored: bool,
    /// Whether it is part of a working tree, in which other repositories may lie.
    is_tree: bool,
}

impl Scope {
    const ALL: Self = Self { tracked: None, rules: None, is_ignored: false, is_tree: false };

    /// What is taken of something that stands at a path, if anything is.
    fn of(&self, path: &[u8], kind: FileType) -> Option<Self> {
        let Some((tracked, base)) = &self.tracked else { return Some(self.clone()) };
        let is_left_out = || self.rules.as_ref().is_some_and(|rules| rules.leave_out(path, kind));
        if !self.is_ignored && !is_left_out() {
            return Some(self.clone());
        }
        let relative = &path[*base..];
        if tracked.has(relative) {
            return Some(Self { is_ignored: false, ..self.clone() });
        }
        let below = [relative, b"/"].concat();
        (kind == FileType::Directory && tracked.has_below(&below)).then(|| Self { is_ignored: true, ..self.clone() })
    }
}

/// Sends all that lies in a folder.
pub(super) fn send_all(outlet: &Outlet, folder: Folder) -> Result<(), Stopped> {
    let mut tree = Tree { outlet, place: Path::new("/"), user_rules: &[], known: BTreeMap::new() };
    let Some(names) = tree.names(&folder)? else { return Ok(()) };
    tree.run(Level { folder, names, next: 0, scope: Scope::ALL, unit: None, has_unit: false })
}

impl Tree<'_> {
    /// Sends the working tree of a repository with its git directory.
    pub(super) fn send(&mut self, root: Folder, unit: Unit) -> Result<(), Stopped> {
        let Some(names) = self.names(&root)? else { return unit.send(self.outlet) };
        let level = self.repository(root, names, unit);
        self.run(level)
    }

    fn run(&mut self, root: Level) -> Result<(), Stopped> {
        let mut levels = vec![root];
        while let Some(level) = levels.last_mut() {
            let name = (level.next < level.names.len()).then(|| level.names.at(level.next));
            let is_its_turn = |unit: &Unit| name.is_none_or(|name| level.comes_after(name, &unit.path));
            if level.unit.as_ref().is_some_and(is_its_turn)
                && let Some(unit) = level.unit.take()
            {
                unit.send(self.outlet)?;
            }
            let Some(name) = name else {
                levels.pop();
                continue;
            };
            level.next += 1;
            if let Some(inner) = self.name(levels.last().expect("because it is there"), name)? {
                levels.push(inner);
            }
        }
        Ok(())
    }

    /// Sends what stands at a name; a folder is what comes next.
    fn name(&mut self, level: &Level, name: Name) -> Result<Option<Level>, Stopped> {
        let text = level.names.text(name);
        if level.has_unit && text == GIT {
            return Ok(None);
        }
        let kind = if name.is_directory { FileType::Directory } else { FileType::File };
        let path = level.folder.path_of(text, FileType::File);
        let Some(scope) = level.scope.of(path.as_bytes(), kind) else { return Ok(None) };
        let listed = match level.folder.look(text) {
            Ok(Some(listed)) => listed,
            // As if it had gone before the folder was listed.
            Ok(None) => return Ok(None),
            Err(error) => return self.outlet.refused(&error).map(|()| None),
        };
        if (listed.file_type() == FileType::Directory) != name.is_directory {
            return self.outlet.refused(&LocalError::Replaced { path }).map(|()| None);
        }
        let inner = name.is_directory.then(|| level.folder.enter(text, &listed));
        self.outlet.listed(listed)?;
        match inner {
            Some(inner) => self.enter(inner, scope),
            None => Ok(None),
        }
    }

    fn names(&self, folder: &Folder) -> Result<Option<Names>, Stopped> {
        match folder.names() {
            Ok(names) => Ok(Some(names)),
            Err(error) => self.outlet.refused(&error).map(|()| None),
        }
    }

    fn enter(&mut self, folder: Folder, mut scope: Scope) -> Result<Option<Level>, Stopped> {
        let Some(names) = self.names(&folder)? else { return Ok(None) };
        if scope.is_tree && names.find_directory(GIT).is_some() {
            if let Some(git) = git_directory(&folder) {
                let unit = Unit::read(git, self.outlet);
                return Ok(Some(self.repository(folder, names, unit)));
            }
        } else if scope.is_tree && names.find_file(GIT).is_some() {
            scope = self.linked(&folder)?;
        }
        scope.rules = rules_in(&folder, &names, scope.rules);
        Ok(Some(Level { folder, names, next: 0, scope, unit: None, has_unit: false }))
    }

    /// A folder with its git directory.
    fn repository(&mut self, folder: Folder, names: Names, unit: Unit) -> Level {
        self.known.append(&mut unit.known());
        let known = self.known.get(&unit.path).cloned().unwrap_or_default();
        let mut scope = self.scope_of(&folder, &known);
        scope.rules = rules_in(&folder, &names, scope.rules);
        Level { folder, names, next: 0, scope, unit: Some(unit), has_unit: true }
    }

    fn scope_of(&self, folder: &Folder, known: &Known) -> Scope {
        let base = folder.path.len();
        let mut rules = Rules::within(None, base, self.user_rules);
        if let Some(exclude) = &known.exclude {
            rules = Rules::within(rules, base, exclude);
        }
        Scope { tracked: known.tracked.clone().map(|tracked| (tracked, base)), rules, is_ignored: false, is_tree: true }
    }

    /// A folder whose git directory is elsewhere: that of a submodule or of a linked worktree.
    fn linked(&self, folder: &Folder) -> Result<Scope, Stopped> {
        let text = folder.read(GIT, GIT_FILE_SIZE_MAX).unwrap_or_default();
        let target = text.strip_prefix(b"gitdir:").unwrap_or_default().trim_ascii();
        let here = self.place.join(OsStr::from_bytes(&folder.path));
        let target = here.join(OsStr::from_bytes(target));
        let inside = normal(&target).strip_prefix(normal(self.place).as_slice()).map(<[_]>::to_vec);
        if let Some(known) = inside.and_then(|names| self.known.get(&[names.join(&b'/'), b"/".to_vec()].concat())) {
            return Ok(self.scope_of(folder, known));
        }
        let problem = Problem {
            action: "open".to_owned(),
            code: "Elsewhere".to_owned(),
            reason: format!("the git directory of this working tree is {}", target.display()),
            hint: "capture this folder as a repository of its own".to_owned(),
        };
        self.outlet.gap(folder.path_of(GIT, FileType::File).as_bytes(), problem)?;
        Ok(Scope { is_tree: true, ..Scope::ALL })
    }
}

impl Level {
    /// Whether a name comes after a path.
    fn comes_after(&self, name: Name, path: &[u8]) -> bool {
        let kind = if name.is_directory { FileType::Directory } else { FileType::File };
        self.folder.path_of(self.names.text(name), kind).as_bytes() > path
    }
}

/// The rules that hold in a folder.
fn rules_in(folder: &Folder, names: &Names, rules: Option<Arc<Rules>>) -> Option<Arc<Rules>> {
    const IGNORE_FILE: &CStr = c".gitignore";
    if names.find_file(IGNORE_FILE).is_none() {
        return rules;
    }
    match folder.read(IGNORE_FILE, IGNORE_FILE_SIZE_MAX) {
        Some(text) => Rules::within(rules, folder.path.len(), &text),
        None => rules,
    }
}

/// The git directory in a folder, if what has its name is one.
pub(super) fn git_directory(folder: &Folder) -> Option<GitDirectory> {
    let listed = folder.look(GIT).ok().flatten().filter(|listed| listed.file_type() == FileType::Directory)?;
    let common = folder.enter(GIT, &listed);
    let has = |name: &CStr| matches!(common.look(name), Ok(Some(_)));
    let is_one = has(c"HEAD") && has(c"objects");
    is_one.then(|| GitDirectory { stat: listed.stat, common, own: None })
}

/// The names of an absolute path, `..` taken by its text.
fn normal(path: &Path) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.as_bytes().to_vec()),
            Component::ParentDir => drop(names.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    names
}
