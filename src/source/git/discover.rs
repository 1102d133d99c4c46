//! Which repositories there are: those that are named, and those that lie below folders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::resource::{Resource, escape_path};
use crate::source::estate::{Discovery, Problem};
use crate::source::git::layout::Layout;
use crate::source::git::{FOLDER, GitSettings, NAME};
use crate::source::local::absolute;

/// Digits of a hash that tell repositories of one name apart.
const HASH_DIGITS: usize = 8;

/// Looks for all of them.
pub(super) fn discover(settings: &GitSettings) -> Discovery {
    let mut found = Found::default();
    for path in &settings.repositories {
        match absolute(path) {
            Ok(path) if Layout::of(&path).is_some() => found.take(path),
            Ok(path) => {
                let problem = problem("NotARepository", format!("{} is no git repository", path.display()));
                found.unknown.push((path, problem));
            }
            Err(error) => found.unknown.push((path.clone(), problem("Path", error.to_string()))),
        }
    }
    for folder in &settings.find_below {
        if let Err(error) = absolute(folder).and_then(|folder| found.below(folder, settings.depth_max)) {
            found.unlisted.push(format!("{}: {error}", folder.display()));
        }
    }
    found.discovery()
}

#[derive(Default)]
struct Found {
    repositories: Vec<PathBuf>,
    /// Where they really are, each once.
    places: BTreeSet<PathBuf>,
    /// Those that are none.
    unknown: Vec<(PathBuf, Problem)>,
    /// Folders that cannot be looked into.
    unlisted: Vec<String>,
}

impl Found {
    fn take(&mut self, path: PathBuf) {
        let place = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if self.places.insert(place) {
            self.repositories.push(path);
        }
    }

    /// Those below a folder, not looking into those that are found: what lies in a working tree is captured with it.
    fn below(&mut self, folder: PathBuf, depth_max: usize) -> io::Result<()> {
        let mut folders = VecDeque::from([(folder, 0)]);
        while let Some((folder, depth)) = folders.pop_front() {
            if Layout::of(&folder).is_some() {
                self.take(folder);
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if depth == 0 => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.unlisted.push(format!("{}: {error}", folder.display()));
                    continue;
                }
            };
            let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|file_type| file_type.is_dir());
            let mut inner: Vec<PathBuf> =
                entries.flatten().filter(is_folder).map(|entry| entry.path()).filter(|_| depth < depth_max).collect();
            inner.sort();
            folders.extend(inner.into_iter().map(|path| (path, depth + 1)));
        }
        Ok(())
    }

    fn discovery(self) -> Discovery {
        let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for path in self.repositories.iter().chain(self.unknown.iter().map(|(path, _)| path)) {
            *counts.entry(name_of(path)).or_default() += 1;
        }
        let in_folder = |path: &Path| {
            let mut name = name_of(path);
            if counts.get(&name).is_some_and(|count| *count > 1) {
                let hash = blake3::hash(path.as_os_str().as_bytes()).to_hex();
                name.extend_from_slice(format!("@{}", &hash[..HASH_DIGITS]).as_bytes());
            }
            [FOLDER.as_bytes(), b"/", &name].concat()
        };
        let resource = |path: &PathBuf| {
            let attributes = BTreeMap::from([("path".to_owned(), escape_path(path.as_os_str().as_bytes()))]);
            Resource { source: NAME, path: in_folder(path), attributes }
        };
        let resources = self.repositories.iter().map(resource).collect();
        let unknown = self.unknown.iter().map(|(path, problem)| (in_folder(path), problem.clone()));
        let mut unknown: Vec<_> =
            unknown.map(|(path, problem)| (String::from_utf8_lossy(&path).into_owned(), problem)).collect();
        if !self.unlisted.is_empty() {
            unknown.push((FOLDER.to_owned(), problem("Unlisted", self.unlisted.join("; "))));
        }
        Discovery { resources, unknown }
    }
}

/// The last name of a path.
fn name_of(path: &Path) -> Vec<u8> {
    path.file_name().unwrap_or(OsStr::new("root")).as_bytes().to_vec()
}

fn problem(code: &str, reason: String) -> Problem {
    Problem { action: "find repositories".to_owned(), code: code.to_owned(), reason, hint: String::new() }
}
