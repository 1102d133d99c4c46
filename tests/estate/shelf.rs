//! An estate that a test writes down: resources by path, each with its entries; captured, listed, read and restored.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::entry::{Content, Entry, EntryKind, EntryPath, Metadata};
use snap::operation::backup::{BackupReport, BackupRequest, Rereading, SnapshotLabel, backup};
use snap::operation::cat::{CatError, find_file, read_content};
use snap::operation::list::{Listed, Render, list};
use snap::operation::mount::attributes::Owner;
use snap::operation::mount::{FileSystem, Loss, Options};
use snap::operation::part::{IsFolder, append_layout_path, parts};
use snap::operation::read_ahead::ReadAhead;
use snap::operation::restore::{Deletion, RestoreMode, RestoreReport, RestoreRequest, restore};
use snap::operation::selection::Selection;
use snap::operation::target::TargetOptions;
use snap::operation::view::member::withheld;
use snap::operation::view::{Extent, Views};
use snap::progress::{Event, Progress, Silent};
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::reader::Reader;
use snap::repository::session::Mode;
use snap::resource::{Resource, SnapshotRecord};
use snap::source::estate::{Body, Discovery, EntrySink, Problem, Source, Stopped, resource};
use snap::storage::memory::MemoryStorage;

/// A thing of a resource: its path there, what is known of it, its bytes.
#[derive(Clone)]
pub(super) struct Thing {
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryKind,
    pub(super) metadata: Metadata,
    pub(super) body: Vec<u8>,
}

pub(super) fn object(path: &[u8], body: &[u8]) -> Thing {
    Thing { path: path.to_vec(), kind: EntryKind::Object, metadata: Metadata::None, body: body.to_vec() }
}

/// One source with all that the test wrote down.
#[derive(Clone, Default)]
pub(super) struct Estate {
    pub(super) resources: BTreeMap<String, Vec<Thing>>,
    /// What cannot be had, by resource.
    pub(super) gaps: BTreeMap<String, Problem>,
}

impl Estate {
    pub(super) fn of<const N: usize>(resources: [(&str, Vec<Thing>); N]) -> Self {
        let resources = resources.into_iter().map(|(path, things)| (path.to_owned(), things)).collect();
        Self { resources, gaps: BTreeMap::new() }
    }
}

#[async_trait]
impl Source for Estate {
    fn name(&self) -> &'static str {
        "shelf"
    }

    fn folders(&self) -> Vec<String> {
        vec!["lambda-functions".to_owned(), "s3-buckets".to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let known = [("account", "123456789012"), ("region", "eu-central-1")];
        let resources = self.resources.keys().map(|path| resource("shelf", path.clone(), known)).collect();
        Ok(Discovery { resources, unknown: Vec::new() })
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let path = String::from_utf8(resource.path.clone()).expect("UTF-8");
        let mut things = self.resources[&path].clone();
        things.sort_by(|one, other| one.path.cmp(&other.path));
        for Thing { path, kind, metadata, body } in things {
            let entry = Entry { path: EntryPath(path), kind, metadata, token: None, content: Content::Empty };
            sink.found(entry, Body::Bytes(Bytes::from(body))).await?;
        }
        self.gaps.get(&path).map_or(Ok(()), |problem| Err(problem.clone().into()))
    }
}

/// A repository in memory and a folder to restore into.
pub(super) struct Bench {
    pub(super) repository: Arc<Repository>,
    folder: PathBuf,
    _own: Option<tempfile::TempDir>,
}

/// Collects what is told.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn report(&self, event: Event) {
        if let Event::Warning { message } | Event::Failed { message, .. } = event {
            self.0.lock().expect("no holder panics").push(message);
        }
    }
}

impl Told {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no holder panics").clone()
    }
}

/// Paths in the layout, with the reason where only listed.
struct Lines;

impl Render for Lines {
    fn render(&self, folder: &[u8], entry: &Entry, target: &mut Vec<u8>) {
        append_layout_path(folder, entry.path.as_bytes(), IsFolder::of(entry), target);
        if let Some(why) = withheld(entry) {
            target.extend(format!(" ({why})").as_bytes());
        }
        target.push(b'\n');
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let bench = Self::within(own.path());
        Self { _own: Some(own), ..bench }
    }

    /// Restores into a folder of this one.
    pub(super) fn within(folder: &Path) -> Self {
        let opener = Opener::Key(Arc::new(FileKey::generate()));
        let storage = Arc::new(MemoryStorage::new());
        let repository = Repository::init(storage, &[(opener, "")], Timestamp::UNIX_EPOCH, None).expect("init");
        Self { repository: Arc::new(repository), folder: folder.to_path_buf(), _own: None }
    }

    pub(super) fn capture(&self, estate: &Estate) -> BackupReport {
        let label = SnapshotLabel {
            time: Timestamp::from_second(1_700_000_000).expect("a time"),
            host: "host".to_owned(),
            user: "user".to_owned(),
            series: Some("estate".to_owned()),
            tags: vec!["nightly".to_owned()],
            description: String::new(),
            scope: Vec::new(),
        };
        let sources = vec![Arc::new(estate.clone()) as Arc<dyn Source>];
        let request = BackupRequest {
            roots: Vec::new(),
            sources,
            label,
            rereading: Rereading::Changed,
            mode: Mode::Write,
            threads: 2,
        };
        backup(&self.repository, &request, &Silent).expect("a backup")
    }

    /// Does something with a reader that has views over it.
    pub(super) fn read<T>(&self, extent: Extent, work: impl FnOnce(&Reader<'_>, &Views) -> T) -> T {
        let (index, _) = self.repository.whole_index().expect("an index");
        let reader = Reader::new(&self.repository, &index);
        let views = Views::over(&reader, extent).expect("views");
        work(&reader, &views)
    }

    /// Does something with the snapshots as a file system, and with what it tells as lost.
    pub(super) fn mounted<T>(&self, work: impl FnOnce(&FileSystem<'_, '_>, &dyn Fn() -> Vec<String>) -> T) -> T {
        let (index, _) = self.repository.whole_index().expect("an index");
        let reader = Reader::new(&self.repository, &index);
        let views = Views::over(&reader, Extent::Readable).expect("views");
        let losses = Mutex::new(Vec::new());
        let told = |loss: Loss| losses.lock().expect("no holder panics").push(loss.message);
        let owner = Owner { uid: 7, gid: 8 };
        let options = Options { views, selection: Selection::default(), owner, patience: Duration::ZERO };
        ReadAhead::during(&reader, 1, |read_ahead| {
            let system = FileSystem::new(&reader, read_ahead, options, &told);
            work(&system, &|| losses.lock().expect("no holder panics").clone())
        })
    }

    /// What `ls` lists at a path.
    pub(super) fn list(&self, record: &SnapshotRecord, path: &str) -> Vec<String> {
        self.read(Extent::All, |reader, views| {
            let mut bytes = Vec::new();
            for part in parts(&views.record(record), path.as_bytes()) {
                let taken = list(reader, &part, &Lines, |listed| match listed {
                    Listed::Bytes(listed) => {
                        bytes.extend_from_slice(listed);
                        Ok(())
                    }
                    Listed::Hole(error) => Err(error.to_string()),
                });
                taken.expect("no hole");
            }
            String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
        })
    }

    /// What `cat` gives of a path.
    pub(super) fn cat(&self, record: &SnapshotRecord, path: &[u8]) -> Result<Vec<u8>, CatError> {
        self.read(Extent::All, |reader, views| {
            let entry = find_file(reader, &views.record(record), path)?;
            let mut all = Vec::new();
            read_content::<CatError>(reader, &entry.content, path, |bytes| {
                all.extend_from_slice(bytes);
                Ok(())
            })?;
            assert_eq!(all.len() as u64, entry.content.size(), "the size that is listed");
            Ok(all)
        })
    }

    pub(super) fn out(&self, path: &str) -> PathBuf {
        self.folder.join("out").join(path)
    }

    pub(super) fn request(&self) -> RestoreRequest {
        RestoreRequest {
            target: self.out(""),
            inside: None,
            include: Vec::new(),
            exclude: Vec::new(),
            options: TargetOptions::default(),
            deletion: Deletion::Keep,
            mode: RestoreMode::Write,
            threads: NonZeroUsize::new(2).expect("2 is not 0"),
        }
    }

    pub(super) fn restore(&self, record: &SnapshotRecord, request: &RestoreRequest) -> (RestoreReport, Vec<String>) {
        let told = Told::default();
        let report = restore(&self.repository, record, request, &told).expect("a restore");
        (report, told.all())
    }
}

/// Every file beneath a folder by its path there; a link with where it leads.
pub(super) fn files(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("beneath").as_os_str().as_encoded_bytes().to_vec();
            let status = path.symlink_metadata().expect("status");
            if status.is_dir() {
                folders.push(path);
            } else if status.is_symlink() {
                let target = fs::read_link(&path).expect("a link");
                found.insert(name, [b"-> ", target.as_os_str().as_encoded_bytes()].concat());
            } else {
                found.insert(name, fs::read(&path).expect("content"));
            }
        }
    }
    found
}
