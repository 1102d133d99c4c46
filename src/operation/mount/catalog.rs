//! Which snapshots are shown, under which names, and that new ones appear.
//!
//! A snapshot's name is its time and the start of its id, `2026-11-22T16-26-06Z_4ac1d2ab`: sorted by time, without a
//! character that a shell, `rsync` or another system minds.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::id::SnapshotId;
use crate::operation::part::folder_of;
use crate::operation::selection::Selection;
use crate::operation::view::Views;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::snapshot::Snapshot;
use crate::resource::SnapshotRecord;

/// Digits of the id in a snapshot's name.
const ID_DIGITS: usize = 8;
/// Longest name of a folder, in bytes.
pub(super) const NAME_LENGTH_MAX: usize = 255;

/// How snapshots are grouped beside the folder that has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grouping {
    Tags,
    Series,
    Hosts,
}

impl Grouping {
    pub(super) const ALL: [Self; 3] = [Self::Tags, Self::Series, Self::Hosts];

    /// The name of its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Series => "series",
            Self::Hosts => "hosts",
        }
    }

    fn words(self, record: &SnapshotRecord) -> &[String] {
        match self {
            Self::Tags => &record.tags,
            Self::Series => std::slice::from_ref(&record.series),
            Self::Hosts => std::slice::from_ref(&record.host),
        }
    }
}

/// A snapshot that is shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// The snapshot.
    pub(super) snapshot: Snapshot,
    /// The name of its folder.
    pub(super) name: String,
    /// The folder of each of its resources in the layout.
    pub(super) folders: Vec<Vec<u8>>,
}

impl Shown {
    /// With its views, and without the ids of the stored trees that these are made of.
    fn new(snapshot: &Snapshot, views: &Views) -> Self {
        let snapshot = views.snapshot(snapshot);
        let mut id = snapshot.id.to_string();
        id.truncate(ID_DIGITS);
        let name = format!("{}_{id}", snapshot.record.time.strftime("%Y-%m-%dT%H-%M-%SZ"));
        let folders = snapshot.record.resources.iter().map(folder_of).collect();
        Self { snapshot, name, folders }
    }
}

/// The snapshots that are shown now, oldest first.
pub(super) type Shelf = Arc<Vec<Arc<Shown>>>;

/// The snapshots of a repository, looked at again when somebody asks and a while has passed.
pub(super) struct Catalog<'a> {
    repository: &'a Repository,
    views: Arc<Views>,
    selection: Selection,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shelf: Shelf,
    cells: HashSet<SnapshotId>,
    looked: Option<Instant>,
}

/// What a look at the repository found.
pub(super) enum Look {
    /// It was not long ago.
    Skipped,
    /// Nothing else than before.
    Same,
    /// Snapshots came or went.
    Changed,
    /// The store did not answer, so it is shown as it was; or a snapshot cannot be read.
    Failed(RepositoryError),
}

impl<'a> Catalog<'a> {
    /// The selected snapshots, as nobody has looked yet.
    pub(super) fn new(repository: &'a Repository, views: Arc<Views>, selection: Selection, patience: Duration) -> Self {
        Self { repository, views, selection, patience, state: Mutex::default() }
    }

    /// What is shown.
    pub(super) fn shelf(&self) -> Shelf {
        Arc::clone(&self.state().shelf)
    }

    /// Looks whether snapshots came or went, unless that was done a moment ago.
    pub(super) fn look(&self) -> Look {
        // Held while the store is asked, so that one thread asks and the others wait for what it finds.
        let mut state = self.state();
        if state.looked.is_some_and(|looked| looked.elapsed() < self.patience) {
            return Look::Skipped;
        }
        let changes = match self.repository.snapshots_since(&state.cells) {
            Ok(changes) => changes,
            Err(error) => {
                state.looked = Some(Instant::now());
                return Look::Failed(error);
            }
        };
        let mut look = Look::Same;
        if !changes.new.is_empty() || !changes.gone.is_empty() {
            let gone: HashSet<SnapshotId> = changes.gone.into_iter().collect();
            let kept = state.shelf.iter().filter(|shown| !gone.contains(&shown.snapshot.id)).cloned();
            let new = changes.new.into_iter().filter(|snapshot| self.selection.includes(&snapshot.record));
            let mut shelf: Vec<Arc<Shown>> =
                kept.chain(new.map(|snapshot| Arc::new(Shown::new(&snapshot, &self.views)))).collect();
            shelf.sort_by_key(|shown| (shown.snapshot.record.time, shown.snapshot.id));
            state.shelf = Arc::new(shelf);
            look = Look::Changed;
        }
        state.cells = changes.cells;
        state.looked = Some(Instant::now());
        changes.damaged.into_iter().next().map_or(look, |cell| Look::Failed(cell.error))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of the groups that a grouping makes.
pub(super) fn groups(shelf: &Shelf, grouping: Grouping) -> BTreeSet<String> {
    let words: HashSet<&String> = shelf.iter().flat_map(|shown| grouping.words(&shown.snapshot.record)).collect();
    words.into_iter().map(|word| name_of(word)).collect()
}

/// The snapshots of the group of this name, oldest first.
pub(super) fn members(shelf: &Shelf, grouping: Grouping, name: &str) -> Vec<Arc<Shown>> {
    let is_member =
        |shown: &&Arc<Shown>| grouping.words(&shown.snapshot.record).iter().any(|word| name_of(word) == name);
    shelf.iter().filter(is_member).cloned().collect()
}

/// A word as the name of a folder: slashes and control characters as `%XX`, and `%` itself; cut where it is too long.
fn name_of(word: &str) -> String {
    let mut name = String::with_capacity(word.len());
    let dots = matches!(word, "." | ".." | "");
    for character in word.chars() {
        let escaped = match character {
            '/' | '%' | '\u{0}'..='\u{1f}' | '\u{7f}' => format!("%{:02X}", u32::from(character)),
            '.' if dots => "%2E".to_owned(),
            plain => plain.to_string(),
        };
        if name.len() + escaped.len() > NAME_LENGTH_MAX {
            break;
        }
        name.push_str(&escaped);
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn words_become_names_that_a_folder_holds() {
        let names = ["laptop", "a/b", "..", "", "50%", "a\nb"].map(name_of);
        assert_eq!(names, ["laptop", "a%2Fb", "%2E%2E", "%", "50%25", "a%0Ab"]);
        assert_eq!(name_of(&"ä".repeat(200)).len(), 254);
    }
}
