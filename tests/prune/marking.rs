//! Marking many snapshots that share nearly all: how often pages are read, counted at the store.

use std::fmt::{Display, Formatter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::entry::{Content, Entry, EntryKind, EntryPath, Metadata};
use snap::id::PageId;
use snap::operation::backup::session_mark;
use snap::operation::mark::mark;
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::pack::PackKind;
use snap::repository::session::{ChunkWriter, Mode, Origin, Session};
use snap::resource::{Coverage, ResourceRecord, SnapshotRecord, Summary};
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Put, Storage, StorageError, StoredObject};
use snap::tree::boundary::TreeParameters;
use snap::tree::builder::{Root, TreeBuilder};
use snap::tree::store::{PageError, PageSink};

/// Counts what is read of packs.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryStorage,
    bytes: AtomicU64,
}

impl Display for Counting {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Storage for Counting {
    fn put_if_absent(&self, name: &ObjectName, content: Bytes) -> Result<Put, StorageError> {
        self.inner.put_if_absent(name, content)
    }

    fn get(&self, name: &ObjectName, range: ByteRange) -> Result<Bytes, StorageError> {
        let content = self.inner.get(name, range)?;
        if name.pack_id().is_some() {
            self.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        }
        Ok(content)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<StoredObject>, StorageError> {
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.inner.delete(name)
    }
}

struct Pages<'s>(ChunkWriter<'s>);

impl PageSink for Pages<'_> {
    fn put(&mut self, plaintext: &[u8]) -> Result<PageId, PageError> {
        Ok(PageId(self.0.store(plaintext, Origin::Small).expect("stored")))
    }
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Different pages that are stored.
    pub(crate) pages: u64,
    /// Pages that marking read.
    pub(crate) read: u64,
    /// Bytes of packs.
    pub(crate) bytes: u64,
    /// Bytes of packs that marking read.
    pub(crate) bytes_read: u64,
    /// How long marking took.
    pub(crate) time: Duration,
}

fn entry(number: u64, content: u64) -> Entry {
    Entry {
        path: EntryPath::from(format!("project{:05}/source/module_{number:09}.rs", number / 100).as_str()),
        kind: EntryKind::Object,
        metadata: Metadata::None,
        token: None,
        content: Content::Inline(content.to_le_bytes().to_vec()),
    }
}

/// Marks so many snapshots of so many entries, of which each differs from the one before in so many.
pub(crate) fn mark_many(snapshots: u64, entries: u64, changes: u64) -> Figures {
    let storage = Arc::new(Counting::default());
    let opener = Opener::Key(Arc::new(FileKey::generate()));
    let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
    let repository = Repository::init(shared, &[(opener, "")], Timestamp::UNIX_EPOCH, None).expect("init");
    let repository = Arc::new(repository);
    let mut contents = vec![0_u64; usize::try_from(entries).expect("it fits")];
    for snapshot in 0..snapshots {
        for change in 0..changes {
            let at = (snapshot * changes + change).wrapping_mul(0x9e37_79b9_7f4a_7c15) % entries;
            contents[usize::try_from(at).expect("it fits")] = snapshot;
        }
        commit(&repository, &contents, snapshot);
    }
    let (index, damaged) = repository.index().expect("an index");
    assert!(damaged.is_empty());
    let all = repository.snapshots().expect("snapshots").valid;
    assert_eq!(all.len() as u64, snapshots);
    let pages = index.chunks().count() as u64;
    let bytes = storage.list(&Prefix::Packs).expect("a listing").iter().map(|object| object.size).sum();
    storage.bytes.store(0, Ordering::Relaxed);
    let started = Instant::now();
    let (_, reached) = mark(&repository, &index, &all, &Silent).expect("all is there");
    let time = started.elapsed();
    Figures { pages, read: reached.tree_pages, bytes, bytes_read: storage.bytes.load(Ordering::Relaxed), time }
}

fn commit(repository: &Arc<Repository>, contents: &[u64], number: u64) {
    let time = Timestamp::from_second(i64::try_from(number).expect("it is small")).expect("it is soon after the epoch");
    let mark = session_mark("host", time);
    let session = Session::begin(Arc::clone(repository), &mark, Mode::Write).expect("a session");
    let mut pages = Pages(session.writer(PackKind::Pages).expect("a writer"));
    let page_entries = NonZeroU32::new(repository.config().page_entries).expect("it is not zero");
    let parameters = TreeParameters { page_boundary: *repository.cutting_keys().page_boundary, page_entries };
    let mut builder = TreeBuilder::new(parameters, &mut pages);
    for (number, content) in contents.iter().enumerate() {
        builder.push(&entry(number as u64, *content)).expect("they are in order");
    }
    let Root { id, totals, .. } = builder.finish().expect("a root");
    pages.0.flush().expect("flushed");
    session.settle().expect("settled");
    let resource = ResourceRecord {
        source: "local".to_owned(),
        path: "local/shared".to_owned(),
        root: id,
        totals,
        coverage: Coverage::Complete,
        scope: Vec::new(),
        attributes: Default::default(),
    };
    let record = SnapshotRecord {
        time,
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: "shared".to_owned(),
        tags: Vec::new(),
        description: String::new(),
        parent: None,
        amends: None,
        original: None,
        tool: "test".to_owned(),
        resources: vec![resource],
        asked: Vec::new(),
        summary: Summary::default(),
    };
    session.commit(record).expect("committed");
}

#[test]
fn each_shared_page_is_read_once() {
    let Figures { pages, read, bytes, bytes_read, time } = mark_many(30, 20_000, 5);
    assert_eq!(read, pages);
    assert!(pages > 150, "snapshots differ: {pages}");
    assert!(bytes_read <= bytes, "{bytes_read} bytes of {bytes} in {time:?}");
}
