//! Looking for files of variables below a folder, and reading one: bounded, and nothing that is no file is opened.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::resource::escape_path;
use crate::source::estate::Problem;

/// A file that is longer is none of variables.
const SIZE_MAX: u64 = 1 << 20;
/// Folders that hold what others wrote, or versions of what is elsewhere.
const PASSED_OVER: &[&str] = &[".git", ".venv", "node_modules", "venv"];

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Folders below each other.
    pub depth_max: usize,
    /// Names looked at in all, in each folder that is configured.
    pub entries_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { depth_max: 8, entries_max: 500_000 }
    }
}

/// Adds the files of variables below a folder; what of it was not looked at.
pub(super) fn search(folder: &Path, bounds: Bounds, found: &mut Vec<PathBuf>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = waiting.pop() {
        let listed =
            fs::read_dir(&folder).and_then(|all| all.take(bounds.entries_max + 1).collect::<io::Result<Vec<_>>>());
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                problems.push(problem(&folder, "Unreadable", &error.to_string()));
                continue;
            }
        };
        seen += listed.len();
        if seen > bounds.entries_max {
            problems.push(problem(&folder, "TooMany", "there is more below it than is looked at"));
            return problems;
        }
        for entry in listed {
            let (name, path) = (entry.file_name(), entry.path());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder {
                if is_of_variables(name.as_encoded_bytes()) && fs::metadata(&path).is_ok_and(|stat| stat.is_file()) {
                    found.push(path);
                }
            } else if PASSED_OVER.iter().any(|passed_over| name == *passed_over) {
            } else if depth < bounds.depth_max {
                waiting.push((path, depth + 1));
            } else {
                problems.push(problem(&path, "TooDeep", "it lies deeper than is looked at"));
            }
        }
    }
    problems
}

fn is_of_variables(name: &[u8]) -> bool {
    name.starts_with(b".env") && name != b".envrc"
}

fn problem(path: &Path, code: &str, reason: &str) -> Problem {
    let shown = escape_path(path.as_os_str().as_encoded_bytes());
    let hint = if code == "Unreadable" { "" } else { "name the folders that matter one by one" };
    let (action, code, hint) = ("list".to_owned(), code.to_owned(), hint.to_owned());
    Problem { action, code, reason: format!("{shown}: {reason}"), hint }
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Whatever stands there by now, nothing waits for a writer of it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let stat = file.metadata()?;
    if !stat.is_file() || stat.len() > SIZE_MAX {
        return Err(io::Error::other("it is no file, or too long for one of variables"));
    }
    // Room for all of it at once, so that no copy of it stays behind.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(SIZE_MAX).unwrap_or_default() + 1));
    file.take(SIZE_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > SIZE_MAX {
        return Err(io::Error::other("it became too long for a file of variables"));
    }
    Ok(content)
}
