//! What of a snapshot is a view: made when it is read, of what is stored, and itself stored nowhere.
//!
//! The members of a function's archive (`source/…`), `SNAPSHOT-METADATA.json` and `<bucket>@objects.jsonl`. [`Views::record`] gives a
//! snapshot's resources the roots of trees that have them too; whoever reads these trees reads views without knowing. A tree is made
//! when its root is asked for, and made again if it has left the cache.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::id::{ChunkId, PageId};
use crate::operation::part::folder_of;
use crate::operation::view::inflate::Inflaters;
use crate::operation::view::made::{Made, Making, ROOT, Subject};
use crate::operation::view::objects::path_of_list;
use crate::repository::error::RepositoryError;
use crate::repository::overlay::Overlay;
use crate::repository::random::random_bytes;
use crate::repository::reader::Reader;
use crate::repository::snapshot::Snapshot;
use crate::resource::{Coverage, ResourceRecord, SnapshotRecord, Totals, escape_path};

pub mod archive;
mod content;
mod inflate;
mod made;
pub mod member;
pub mod metadata;
pub mod objects;

/// Folders of the layout whose archives are shown as folders too.
const ARCHIVES: [&[u8]; 2] = [b"lambda-functions/", b"lambda-layers/"];
/// The document about the snapshot itself.
const METADATA: &str = "SNAPSHOT-METADATA.json";
/// Sources of a machine's own files; a snapshot of nothing else is shown as it is.
const SOURCES_LOCAL: [&str; 2] = ["local", "stdin"];
/// The source of what is made here.
const SOURCE: &str = "snapshot";
/// Bytes of trees that are kept.
const WEIGHT_MAX: usize = 64 << 20;

/// Which views there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// The members of archives: for comparing and searching.
    Members,
    /// Those that can be read, and what is known of the snapshot: for a file system.
    Readable,
    /// All, and a list of each bucket's objects: for listing, reading and restoring.
    All,
}

/// Views laid over a reader.
#[derive(Debug)]
pub struct Views {
    /// The ids of all that is made begin with it.
    tag: Tag,
    extent: Extent,
    trees: Mutex<Trees>,
    inflaters: Inflaters,
}

/// What ids of views begin with.
type Tag = [u8; 16];

#[derive(Debug, Default)]
struct Trees {
    known: Vec<Tree>,
    numbers: HashMap<(PageId, Role), u32>,
    /// Trees that are made, the oldest first, and the bytes they take.
    made: Vec<(u32, usize)>,
}

/// A tree, and its pages while they are kept.
#[derive(Clone, Debug)]
struct Tree {
    subject: Subject,
    made: Arc<Mutex<Option<Arc<Made>>>>,
}

/// What a stored tree is the subject of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Archives,
    Objects,
}

impl Views {
    /// Lays views over a reader; nothing is read yet.
    pub fn over(reader: &Reader<'_>, extent: Extent) -> Result<Arc<Self>, RepositoryError> {
        let tag = random_bytes(reader.repository().randomness())?;
        let views = Self { tag, extent, trees: Mutex::default(), inflaters: Inflaters::default() };
        let views = Arc::new(views);
        reader.lay_over(Arc::clone(&views) as Arc<dyn Overlay>);
        Ok(views)
    }

    /// A snapshot with its views.
    pub fn snapshot(&self, snapshot: &Snapshot) -> Snapshot {
        Snapshot { id: snapshot.id, record: self.record(&snapshot.record) }
    }

    /// The record of a snapshot with its views.
    pub fn record(&self, record: &SnapshotRecord) -> SnapshotRecord {
        let mut shown = record.clone();
        for resource in &mut shown.resources {
            let folder = folder_of(resource);
            if ARCHIVES.iter().any(|archives| folder.starts_with(archives)) {
                resource.root = self.root((resource.root, Role::Archives), |root| Subject::Archives { root });
            }
        }
        if self.extent == Extent::All {
            shown.resources.extend(record.resources.iter().filter_map(|resource| self.objects_of(resource)));
        }
        if self.extent >= Extent::Readable && has_more_than_files(record) {
            let content = Bytes::from(metadata::document(record));
            let number = self.trees().number_of(Subject::Document { content, time: record.time });
            shown.resources.push(made_resource(METADATA.to_owned(), self.page_id(number, ROOT)));
        }
        shown.resources.sort_by(|one, other| one.path.cmp(&other.path));
        shown
    }

    /// The list of a bucket's objects.
    fn objects_of(&self, resource: &ResourceRecord) -> Option<ResourceRecord> {
        let path = path_of_list(&folder_of(resource))?;
        if matches!(resource.coverage, Coverage::Failed { .. }) {
            return None;
        }
        let root = self.root((resource.root, Role::Objects), |root| Subject::Objects { root });
        Some(made_resource(escape_path(&path), root))
    }

    /// The root of the tree that is made of a stored one.
    fn root(&self, of: (PageId, Role), subject: impl FnOnce(PageId) -> Subject) -> PageId {
        let mut trees = self.trees();
        let number = match trees.numbers.get(&of) {
            Some(number) => *number,
            None => {
                let number = trees.number_of(subject(of.0));
                trees.numbers.insert(of, number);
                number
            }
        };
        self.page_id(number, ROOT)
    }

    fn page_id(&self, tree: u32, page: u32) -> PageId {
        PageId(made::id(&self.tag, [tree, page, 0, 0]))
    }

    fn trees(&self) -> MutexGuard<'_, Trees> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tree, made if it is not at hand.
    fn made(&self, reader: &Reader<'_>, number: u32) -> Result<Arc<Made>, RepositoryError> {
        let tree = self.trees().known.get(number as usize).cloned().ok_or_else(unknown)?;
        // Held while it is made, so that one thread makes it and the others take it.
        let mut slot = tree.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*slot {
            return Ok(Arc::clone(made));
        }
        let making = Making { reader, tag: &self.tag, number, extent: self.extent };
        let made = Arc::new(making.make(&tree.subject)?);
        *slot = Some(Arc::clone(&made));
        drop(slot);
        self.trees().note_made(number, made.weight());
        Ok(made)
    }
}

impl Trees {
    fn number_of(&mut self, subject: Subject) -> u32 {
        let number = u32::try_from(self.known.len()).expect("because no snapshots have 2^32 resources");
        self.known.push(Tree { subject, made: Arc::default() });
        number
    }

    /// Lets the oldest trees go where there are too many bytes of them.
    fn note_made(&mut self, number: u32, weight: usize) {
        self.made.push((number, weight));
        let mut total: usize = self.made.iter().map(|(_, weight)| weight).sum();
        while total > WEIGHT_MAX && self.made.len() > 1 {
            let (oldest, weight) = self.made.remove(0);
            total -= weight;
            // One that is being made anew stays.
            if let Some(tree) = self.known.get(oldest as usize)
                && let Ok(mut slot) = tree.made.try_lock()
            {
                *slot = None;
            }
        }
    }
}

impl Overlay for Views {
    fn page(&self, reader: &Reader<'_>, id: &PageId) -> Option<Result<Bytes, RepositoryError>> {
        let [tree, page, ..] = made::parts(&self.tag, &id.0)?;
        Some(self.made(reader, tree).and_then(|made| made.page(reader, page)))
    }

    fn chunk(&self, reader: &Reader<'_>, id: &ChunkId) -> Option<Result<Bytes, RepositoryError>> {
        let [tree, item, part, _] = made::parts(&self.tag, &id.0)?;
        let made = self.made(reader, tree);
        Some(made.and_then(|made| made.chunk(reader, &self.inflaters, (tree, item), part)))
    }
}

/// Whether a snapshot is of more than a machine's own files.
fn has_more_than_files(record: &SnapshotRecord) -> bool {
    record.resources.iter().any(|resource| !SOURCES_LOCAL.contains(&resource.source.as_str()))
}

fn made_resource(path: String, root: PageId) -> ResourceRecord {
    ResourceRecord {
        source: SOURCE.to_owned(),
        path,
        root,
        totals: Totals::default(),
        coverage: Coverage::Complete,
        scope: Vec::new(),
        attributes: std::collections::BTreeMap::new(),
    }
}

fn unknown() -> RepositoryError {
    RepositoryError::NoView { reason: "nothing was made under this id".to_owned() }
}
