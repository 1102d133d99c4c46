//! Local git clones: `local-repos/<name>/` is the working tree, `local-repos/<name>/.git/` its git directory.
//!
//! **In what order it is read.** Somebody may commit, pack references and collect garbage meanwhile. So all that points at objects (`HEAD` and its
//! like, the index, reflogs, references, packed references last) is read into memory first (`state`), then loose objects are listed, then packs
//! are opened and held (`objects`, `packs`), and it is looked whether each reference has its object (`unit`). Only then is anything sent, in path
//! order; objects that are packed meanwhile are found in packs that came since. `git` itself is never run: a repository can make it run anything.
//!
//! **What is left out.** Of the working tree, what git ignores and does not track (`walk`). Of the git directory: locks and files still being written,
//! `gc.pid`, the commit graph and the index over many packs, which git makes anew. Hard links are files of their own.
//!
//! **Where things are put.** A bare repository is `local-repos/<name>/` itself. A git directory that lies elsewhere (that of a submodule which is
//! captured alone, one made with `--separate-git-dir`) is put in the place of the file that points at it. Of a linked worktree, what it has of its own
//! is put over what it shares, so that it is restored as a clone that stands alone. In both, `core.worktree` and `core.bare` are made comments
//! in the captured configuration. A working tree captured with its submodules and worktrees has everything where it was.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

use crate::entry::{EntryPath, Timestamp};
use crate::resource::{Resource, unescape_path};
use crate::source::estate::{Discovery, EntrySink, Problem, Sent, Source, Stopped};
use crate::source::git::folder::Folder;
use crate::source::git::layout::Layout;
use crate::source::git::outlet::Outlet;
use crate::source::git::state::GitDirectory;
use crate::source::git::unit::Unit;
use crate::source::git::walk::{Tree, git_directory};
use crate::source::local::listed::Listed;

mod body;
mod config;
mod discover;
mod folder;
mod index;
mod layout;
mod objects;
mod outlet;
mod pack_index;
mod packs;
mod state;
mod unit;
mod walk;

const NAME: &str = "git";
const FOLDER: &str = "local-repos";
/// Repositories captured at once; each holds descriptors of its packs.
const AT_ONCE: usize = 2;
/// Longest file of the user's settings that is read.
const USER_FILE_SIZE_MAX: u64 = 1 << 20;

/// Which repositories are captured, and what is known of whoever uses them.
#[derive(Clone, Debug)]
pub struct GitSettings {
    /// Repositories: working trees or bare ones.
    pub repositories: Vec<PathBuf>,
    /// Folders below which repositories are looked for. Links are not followed, and found repositories not looked into.
    pub find_below: Vec<PathBuf>,
    /// How deep is looked below them; 0 is the folder itself.
    pub depth_max: usize,
    /// The user's home folder, where `.gitconfig` is.
    pub home: Option<PathBuf>,
    /// Where `git/config` and `git/ignore` are, if not in `.config` at home (`XDG_CONFIG_HOME`).
    pub config_home: Option<PathBuf>,
    /// What time it is by the clock that files are stamped with.
    pub clock: fn() -> Timestamp,
}

impl Default for GitSettings {
    fn default() -> Self {
        let (repositories, find_below) = (Vec::new(), Vec::new());
        Self { repositories, find_below, depth_max: 6, home: None, config_home: None, clock: system_clock }
    }
}

/// Git clones of this machine.
#[derive(Clone, Debug)]
pub struct Git {
    settings: Arc<GitSettings>,
}

impl Git {
    /// The repositories that the settings name.
    pub fn new(settings: GitSettings) -> Self {
        Self { settings: Arc::new(settings) }
    }
}

#[async_trait]
impl Source for Git {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let settings = Arc::clone(&self.settings);
        let found = tokio::task::spawn_blocking(move || discover::discover(&settings)).await;
        found.map_err(|_| Problem { reason: "a thread stopped early".to_owned(), ..Problem::default() })
    }

    /// What is open must be read while it is sent, so no repository is gathered first.
    fn is_large(&self, _resource: &Resource) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let path = resource.attributes.get("path").and_then(|path| unescape_path(path)).unwrap_or_default();
        let path = PathBuf::from(OsString::from_vec(path));
        let outlet = Outlet::new(sink.clone(), Handle::current(), self.settings.clock);
        let settings = Arc::clone(&self.settings);
        let captured = tokio::task::spawn_blocking(move || Capture { settings: &settings, outlet }.run(&path)).await;
        captured.unwrap_or(Err(Stopped::Unwanted))
    }
}

struct Capture<'c> {
    settings: &'c GitSettings,
    outlet: Outlet,
}

impl Capture<'_> {
    fn run(&self, path: &Path) -> Result<(), Stopped> {
        let refused = |error: std::io::Error| Problem {
            action: "open".to_owned(),
            reason: format!("{}: {error}", path.display()),
            ..Problem::default()
        };
        let place = std::fs::canonicalize(path).map_err(refused)?;
        let gone = || Problem {
            action: "open".to_owned(),
            code: "NotARepository".to_owned(),
            reason: format!("{} is no git repository", path.display()),
            ..Problem::default()
        };
        let layout = Layout::of(&place).ok_or_else(gone)?;
        let (root, stat) = Folder::open(&place, b"").map_err(refused)?;
        if layout == Layout::Bare {
            let unit = Unit::read(GitDirectory { common: root, stat, own: None }, &self.outlet);
            self.describe(&unit)?;
            return unit.send(&self.outlet);
        }
        self.outlet.listed(Listed::new(EntryPath::ROOT, stat, Arc::clone(&root.directory)))?;
        let open = |place: &Path| Folder::open(place, b".git/").map_err(refused);
        let mut unit = match &layout {
            Layout::Apart(place) => {
                let (common, stat) = open(place)?;
                Unit::read(GitDirectory { common, stat, own: None }, &self.outlet)
            }
            Layout::Linked { own, common } => {
                let ((own, stat), (common, _)) = (open(own)?, open(common)?);
                if matches!(common.look(c"reftable"), Ok(Some(_))) {
                    return Err(linked_with_tables().into());
                }
                Unit::read(GitDirectory { common, stat, own: Some(own) }, &self.outlet)
            }
            Layout::Bare | Layout::Embedded => Unit::read(git_directory(&root).ok_or_else(gone)?, &self.outlet),
        };
        let user_rules = self.user_rules(&unit);
        if layout != Layout::Embedded {
            unit.settle();
        }
        self.describe(&unit)?;
        let mut tree = Tree { outlet: &self.outlet, place: &place, user_rules: &user_rules, known: Default::default() };
        tree.send(root, unit)
    }

    /// Says what identifies the repository.
    fn describe(&self, unit: &Unit) -> Result<(), Stopped> {
        let head = String::from_utf8_lossy(unit.own("HEAD").map_or(&[], |head| head.trim_ascii())).into_owned();
        if !head.is_empty() {
            let name = head.strip_prefix("ref:").unwrap_or(&head).trim();
            self.outlet.send(Sent::Attribute("head", name.to_owned()))?;
        }
        let origin = unit.own("config").and_then(|config| config::value(config, "remote \"origin\"", "url"));
        match origin {
            Some(url) => self.outlet.send(Sent::Attribute("origin", config::without_credentials(&url))),
            None => Ok(()),
        }
    }

    /// What the user ignores everywhere (`core.excludesFile`).
    fn user_rules(&self, unit: &Unit) -> Vec<u8> {
        let home = self.settings.home.as_deref();
        let config_home = self.settings.config_home.clone().or_else(|| home.map(|home| home.join(".config")));
        let named = |config: &[u8]| config::value(config, "core", "excludesfile").filter(|path| !path.is_empty());
        let files = [home.map(|home| home.join(".gitconfig")), config_home.as_ref().map(|at| at.join("git/config"))];
        let named = unit
            .own("config")
            .and_then(|config| named(config))
            .or_else(|| files.iter().flatten().find_map(|file| named(&read_small(file).unwrap_or_default())));
        let file = match (named, home) {
            (Some(path), Some(home)) => match path.strip_prefix("~/") {
                Some(rest) => Some(home.join(rest)),
                None => Some(PathBuf::from(path)),
            },
            (Some(path), None) => Some(PathBuf::from(path)),
            (None, _) => config_home.map(|at| at.join("git/ignore")),
        };
        file.and_then(|file| read_small(&file)).unwrap_or_default()
    }
}

/// A regular file of the user's; whatever else a configuration may name is not opened.
fn read_small(file: &Path) -> Option<Vec<u8>> {
    std::fs::metadata(file).ok().filter(|found| found.is_file() && found.len() <= USER_FILE_SIZE_MAX)?;
    std::fs::read(file).ok()
}

fn linked_with_tables() -> Problem {
    Problem {
        action: "read references".to_owned(),
        code: "LinkedTables".to_owned(),
        reason: "the references of this linked worktree stand in tables that cannot be told apart".to_owned(),
        hint: "capture the main repository instead".to_owned(),
    }
}

fn system_clock() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    Timestamp { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}
