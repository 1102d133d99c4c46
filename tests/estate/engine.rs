//! The engine that captures all sources, with sources made for it: what is fetched, what stays, what becomes a gap.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata, Piece};
use snap::operation::backup::{BackupError, BackupReport, BackupRequest, Rereading, SnapshotLabel, backup};
use snap::operation::check::{CheckRequest, Depth, Verdict, check};
use snap::progress::{Event, Progress, Silent};
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::reader::Reader;
use snap::repository::session::Mode;
use snap::resource::{Coverage, Resource, ResourceRecord};
use snap::source::estate::{Body, Discovery, EntrySink, Problem, Remote, Source, Stopped, resource};
use snap::storage::memory::MemoryStorage;
use snap::tree::cursor::Cursor;
use snap::tree::list::PieceIter;

/// How a thing behaves.
#[derive(Clone)]
struct Thing {
    path: &'static str,
    token: &'static str,
    parts: Vec<Bytes>,
    fails: bool,
}

fn thing(path: &'static str, token: &'static str, content: &[u8]) -> Thing {
    Thing { path, token, parts: vec![Bytes::copy_from_slice(content)], fails: false }
}

/// A source of one resource.
struct Shelf {
    name: &'static str,
    things: Vec<Thing>,
    documents: Vec<(&'static str, serde_json::Value)>,
    ending: Option<Problem>,
    is_large: bool,
    /// Paths of documents that are refused, wholly or in part.
    refused: Vec<&'static str>,
    opened: Arc<AtomicU64>,
    notes: Vec<String>,
}

impl Shelf {
    fn new(name: &'static str, things: Vec<Thing>) -> Self {
        let (documents, notes) = (Vec::new(), Vec::new());
        Self {
            name,
            things,
            documents,
            ending: None,
            is_large: true,
            refused: Vec::new(),
            opened: Arc::default(),
            notes,
        }
    }
}

struct Fetch(Thing, Arc<AtomicU64>);

#[async_trait]
impl Remote for Fetch {
    fn size(&self) -> Option<u64> {
        Some(self.0.parts.iter().map(|part| part.len() as u64).sum())
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        match self.0.parts.is_empty() {
            true if self.0.fails => Err(denied()),
            true => Ok(None),
            false => Ok(Some(self.0.parts.remove(0))),
        }
    }
}

fn denied() -> Problem {
    Problem { action: "test:Get".to_owned(), code: "AccessDenied".to_owned(), ..Problem::default() }
}

#[async_trait]
impl Source for Shelf {
    fn name(&self) -> &'static str {
        self.name
    }

    fn folders(&self) -> Vec<String> {
        vec![self.name.to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let resources = vec![resource(self.name, format!("{}/one", self.name), [("arn", "arn:test")])];
        Ok(Discovery { resources, unknown: Vec::new() })
    }

    fn is_large(&self, _resource: &Resource) -> bool {
        self.is_large
    }

    async fn capture(&self, _resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        for path in &self.refused {
            sink.gap(path, denied()).await?;
        }
        for (path, document) in &self.documents {
            sink.document(path, document).await?;
        }
        for thing in &self.things {
            let entry = Entry {
                path: EntryPath::from(thing.path),
                kind: EntryKind::Object,
                metadata: Metadata::None,
                token: (!thing.token.is_empty()).then(|| ChangeToken::Opaque(thing.token.as_bytes().to_vec())),
                content: Content::Empty,
            };
            sink.found(entry, Body::Remote(Box::new(Fetch(thing.clone(), Arc::clone(&self.opened))))).await?;
        }
        self.ending.clone().map_or(Ok(()), |problem| Err(problem.into()))
    }
}

pub(super) fn repository() -> Arc<Repository> {
    let opener = Opener::Key(Arc::new(FileKey::generate()));
    let storage = Arc::new(MemoryStorage::new());
    Arc::new(Repository::init(storage, &[(opener, "")], Timestamp::UNIX_EPOCH, None).expect("init"))
}

fn request(sources: Vec<Arc<dyn Source>>) -> BackupRequest {
    let label = SnapshotLabel {
        time: Timestamp::now(),
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: Some("estate".to_owned()),
        tags: Vec::new(),
        description: String::new(),
        scope: Vec::new(),
    };
    BackupRequest { roots: Vec::new(), sources, label, rereading: Rereading::Changed, mode: Mode::Write, threads: 2 }
}

fn capture(repository: &Arc<Repository>, sources: Vec<Shelf>) -> BackupReport {
    capture_all(repository, sources.into_iter().map(|source| Arc::new(source) as Arc<dyn Source>).collect())
}

/// Captures these sources; what was stored is sound.
pub(super) fn capture_all(repository: &Arc<Repository>, sources: Vec<Arc<dyn Source>>) -> BackupReport {
    let report = backup(repository, &request(sources), &Silent).expect("a backup");
    let checking = CheckRequest { depth: Depth::Data(100.0), threads: 1, now: Timestamp::now() };
    let checked = check(repository, &checking, &Silent).expect("a check");
    assert_eq!(checked.verdict(), Verdict::Sound, "{checked:?}");
    report
}

pub(super) fn record<'r>(report: &'r BackupReport, path: &str) -> &'r ResourceRecord {
    report.record.resources.iter().find(|resource| resource.path == path).expect("it is there")
}

/// All that a resource holds, by path.
pub(super) fn entries(repository: &Repository, record: &ResourceRecord) -> BTreeMap<String, (Entry, Vec<u8>)> {
    let (index, _) = repository.index().expect("an index");
    let reader = Reader::new(repository, &index);
    let content = |entry: &Entry| match &entry.content {
        Content::Inline(bytes) => bytes.clone(),
        content => PieceIter::new(&reader, content)
            .flat_map(|piece| match piece.expect("a piece") {
                Piece::Chunk { id, .. } => reader.chunk(&id).expect("a chunk").to_vec(),
                Piece::Zeros { length } => vec![0; usize::try_from(length).expect("a length")],
            })
            .collect(),
    };
    let entries = Cursor::new(&reader, record.root).map(|entry| entry.expect("an entry"));
    entries.map(|entry| (entry.path.to_string(), (entry.clone(), content(&entry)))).collect()
}

pub(super) fn gaps(record: &ResourceRecord) -> Vec<(String, String)> {
    match &record.coverage {
        Coverage::Partial { gaps, .. } => gaps.iter().map(|gap| (gap.path.clone(), gap.code.clone())).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_has_the_token_of_the_snapshot_before_is_not_opened() {
    let repository = repository();
    let large = vec![7; 9 << 20];
    let all =
        |second: &'static str| vec![thing("a", "1", b"few"), thing("b", second, &large), thing("c", "", b"always")];
    let first = capture(&repository, vec![Shelf::new("shelf", all("1"))]);
    assert_eq!(record(&first, "shelf/one").totals.files, 3);
    let (same, other) = (Shelf::new("shelf", all("1")), Shelf::new("shelf", all("2")));
    let (of_same, of_other) = (Arc::clone(&same.opened), Arc::clone(&other.opened));
    let second = capture(&repository, vec![same]);
    assert_eq!((of_same.load(Ordering::Relaxed), second.record.summary.unchanged), (1, 3));
    assert_eq!(record(&second, "shelf/one").root, record(&first, "shelf/one").root);
    let third = capture(&repository, vec![other]);
    assert_eq!((of_other.load(Ordering::Relaxed), third.record.summary.changed), (2, 1));
}

#[test]
fn what_fails_is_a_gap_and_stops_nothing_else() {
    let mut failing = thing("b", "1", b"half of it");
    failing.fails = true;
    let mut broken = Shelf::new("broken", vec![thing("a", "1", b"there")]);
    broken.ending = Some(denied());
    let mut empty = Shelf::new("empty", Vec::new());
    empty.ending = Some(denied());
    let shelf = Shelf::new("shelf", vec![thing("a", "1", b"one"), failing, thing("c", "1", b"three")]);
    let report = capture(&repository(), vec![shelf, broken, empty]);
    assert_eq!(gaps(record(&report, "shelf/one")), [("b".to_owned(), "AccessDenied".to_owned())]);
    assert_eq!(record(&report, "shelf/one").totals.files, 2);
    assert_eq!(gaps(record(&report, "broken/one")), [(String::new(), "AccessDenied".to_owned())]);
    assert_eq!(record(&report, "broken/one").totals.files, 1);
    assert!(matches!(record(&report, "empty/one").coverage, Coverage::Failed { .. }));
    assert_eq!(report.gap_count(), 3);
}

#[test]
fn a_list_out_of_order_loses_what_is_out_of_order_and_says_so() {
    let listed = ["b", "a", "b", "c"].map(|path| thing(path, "1", path.as_bytes())).to_vec();
    let report = capture(&repository(), vec![Shelf::new("shelf", listed)]);
    let disorder = |path: &str| (path.to_owned(), "Disorder".to_owned());
    assert_eq!(gaps(record(&report, "shelf/one")), [disorder("a"), disorder("b")]);
    assert_eq!(record(&report, "shelf/one").totals.files, 2);
}

#[test]
fn a_document_that_differs_in_what_changes_by_itself_is_unchanged() {
    let repository = repository();
    let table = |count: u64, name: &str| {
        let mut shelf = Shelf::new("dynamodb", Vec::new());
        shelf.is_large = false;
        shelf.documents =
            vec![("table-schema.json", serde_json::json!({"Table": {"ItemCount": count, "TableName": name}}))];
        shelf
    };
    let first = capture(&repository, vec![table(1, "a")]);
    let second = capture(&repository, vec![table(2, "a")]);
    assert_eq!(record(&second, "dynamodb/one").root, record(&first, "dynamodb/one").root);
    assert_eq!((second.record.summary.unchanged, second.record.summary.changed), (1, 0));
    assert_eq!(capture(&repository, vec![table(2, "b")]).record.summary.changed, 1);
}

#[test]
fn a_document_that_lacked_a_part_is_not_taken_for_a_whole_one() {
    let repository = repository();
    let account = |document: Option<serde_json::Value>, refused: &[&'static str]| {
        let mut shelf = Shelf::new("iam", Vec::new());
        shelf.is_large = false;
        shelf.documents = document.into_iter().map(|document| ("account.json", document)).collect();
        shelf.refused = refused.to_vec();
        shelf
    };
    // The part that is refused changes by itself, so that nothing else tells the two apart.
    let (whole, part) = (serde_json::json!({"A": 1, "SummaryMap": {"Users": 1}}), serde_json::json!({"A": 1}));
    capture(&repository, vec![account(Some(part), &["account.json"])]);
    let still =
        capture(&repository, vec![account(Some(serde_json::json!({"SummaryMap": 2, "A": 1})), &["account.json"])]);
    assert_eq!((still.record.summary.unchanged, still.gap_count()), (1, 1));
    let closed = capture(&repository, vec![account(Some(whole), &[])]);
    assert_eq!((closed.record.summary.changed, closed.gap_count()), (1, 0));
    // All of it is refused: nobody knows that it is gone.
    let refused = capture(&repository, vec![account(None, &["account.json"])]);
    assert_eq!((refused.record.summary.removed, refused.gap_count()), (0, 1));
}

#[test]
fn after_a_snapshot_that_could_not_look_nothing_is_fetched_again() {
    let repository = repository();
    let shelf = || Shelf::new("shelf", vec![thing("a", "1", b"one"), thing("b", "1", b"two")]);
    let first = capture(&repository, vec![shelf()]);
    let mut denying = Shelf::new("shelf", Vec::new());
    denying.ending = Some(denied());
    capture(&repository, vec![denying, Shelf::new("other", vec![thing("c", "1", b"three")])]);
    // Nor after one that was not asked.
    capture(&repository, vec![Shelf::new("other", vec![thing("c", "1", b"three")])]);
    let again = shelf();
    let opened = Arc::clone(&again.opened);
    let last = capture(&repository, vec![again]);
    assert_eq!((opened.load(Ordering::Relaxed), last.record.summary.unchanged), (0, 2));
    assert_eq!(record(&last, "shelf/one").root, record(&first, "shelf/one").root);
}

#[test]
fn more_than_may_be_fetched_ahead_is_fetched_all_the_same() {
    let names: Vec<&'static str> = (0..200).map(|number| &*format!("{number:03}").leak()).collect();
    let content: Vec<u8> = (0..1_500_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let all = |names: &[&'static str]| names.iter().map(|name| thing(name, "1", &content)).collect::<Vec<_>>();
    let sources = ["one", "two", "three"].map(|name| Shelf::new(name, all(&names[..60]))).into_iter().collect();
    let report = capture(&repository(), sources);
    assert_eq!(report.gap_count(), 0);
    assert_eq!(report.record.summary.totals.bytes, 3 * 60 * 1_500_000);
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn report(&self, event: Event) {
        if let Event::Warning { message } = event {
            self.0.lock().expect("no holder panics").push(message);
        }
    }
}

#[test]
fn what_a_source_notes_is_told_once_after_all_was_captured() {
    let noting = |name: &'static str| {
        let mut shelf = Shelf::new(name, vec![thing("a", "1", b"one")]);
        shelf.notes = vec!["answers have more".to_owned()];
        Arc::new(shelf) as Arc<dyn Source>
    };
    let warnings = Warnings::default();
    let report = backup(&repository(), &request(vec![noting("one"), noting("two")]), &warnings).expect("a backup");
    assert_eq!((report.gap_count(), report.record.summary.new), (0, 2));
    assert_eq!(*warnings.0.lock().expect("no holder panics"), ["answers have more"]);
}

/// A source whose service never answers; whoever waits for it wants to stop.
#[derive(Clone, Default)]
struct Stuck {
    is_asked: Arc<AtomicBool>,
}

#[async_trait]
impl Source for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn folders(&self) -> Vec<String> {
        vec!["stuck".to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        Ok(Discovery { resources: vec![resource("stuck", "stuck/one".to_owned(), [])], unknown: Vec::new() })
    }

    async fn capture(&self, _resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        sink.document("a.json", &serde_json::json!(1)).await?;
        self.is_asked.store(true, Ordering::Relaxed);
        std::future::pending().await
    }
}

impl Progress for Stuck {
    fn report(&self, _event: Event) {}

    fn interrupted(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }
}

#[test]
fn a_wish_to_stop_is_noticed_while_nothing_answers() {
    let stuck = Stuck::default();
    let shelf = Shelf::new("shelf", vec![thing("a", "1", b"one")]);
    let outcome = backup(&repository(), &request(vec![Arc::new(stuck.clone()), Arc::new(shelf)]), &stuck);
    assert!(matches!(outcome, Err(BackupError::Interrupted)), "{outcome:?}");
}
