//! A small repository that holds one of every kind of thing, and the truth about it.
//!
//! Made by a real backup of a temporary folder into memory; what it must say is kept beside it, file contents as they
//! were read from disk. About 70 KiB, so that every bit of it can be flipped.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use snap::codec::key::secret::FileKey;
use snap::entry::{Content, Entry, Piece};
use snap::id::SnapshotId;
use snap::operation::backup::{BackupRequest, Rereading, SnapshotLabel, backup, session_mark};
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::operation::prune::{Patience, PruneError, PruneReport, PruneRequest, prune};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::generation::Intent;
use snap::repository::index::Index;
use snap::repository::keyring::Opener;
use snap::repository::reader::Reader;
use snap::repository::session::Mode;
use snap::resource::SnapshotRecord;
use snap::source::local::LocalRoot;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Put, Storage};
use snap::tree::cursor::Cursor;
use snap::tree::list::PieceIter;

/// The stored objects and what they must say.
pub(crate) struct Fixture {
    /// Every object but `reserve`, whose bytes mean nothing.
    pub(crate) objects: Vec<(ObjectName, Bytes)>,
    pub(crate) opener: Opener,
    snapshots: HashMap<SnapshotId, Truth>,
    /// The content of every chunk that any entry names.
    chunks: HashMap<[u8; 32], Bytes>,
}

/// A snapshot as it was when nothing was damaged.
struct Truth {
    record: SnapshotRecord,
    /// Entries and their pieces, a list for each resource.
    resources: Vec<Vec<(Entry, Vec<Piece>)>>,
}

/// What reading everything back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadBack {
    /// All that was listed is as it was, and nothing was missing.
    Whole,
    /// Some of it could not be had, and that was said.
    Refused,
    /// Something came back that was never stored, or went missing without a word.
    Wrong(String),
}

impl Fixture {
    /// One that was never pruned.
    pub(crate) fn make() -> Self {
        Self::make_with(|_, _| {})
    }

    /// One that was pruned, written to since, and that another prune has begun to prune: a base segment, both copies of a
    /// manifest, an intent that is decided and one that is open, a delta of a later epoch.
    pub(crate) fn make_pruned() -> Self {
        Self::make_with(|repository, folder| {
            let report = pruned(repository).expect("a prune");
            assert!(report.swept.packs > 0 && report.generation == Some(1), "{report:?}");
            fs::write(folder.join("diary"), text(2000)).expect("a file");
            let id = capture(repository, folder, 4);
            let spare = capture(repository, folder, 5);
            repository.forget(spare, jiff::Timestamp::UNIX_EPOCH, "host").expect("a mark");
            let older = repository.snapshots().expect("snapshots").valid;
            let older = older.iter().find(|snapshot| snapshot.id != id).expect("there is an older one");
            repository.forget(older.id, jiff::Timestamp::UNIX_EPOCH, "host").expect("a mark");
            let condemned = repository.stored_packs().expect("packs").into_keys().take(1).collect();
            let put = repository.put_intent(2, &Intent { condemned, distrusted: Vec::new() }).expect("an intent");
            assert_eq!(put, Put::Created);
        })
    }

    /// Makes it; the bytes differ each time, as salts are random, the kinds of objects do not.
    fn make_with(change: impl FnOnce(&Arc<Repository>, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = Arc::new(MemoryStorage::new());
        let opener = Opener::Key(Arc::new(FileKey::generate()));
        let other = Opener::Key(Arc::new(FileKey::generate()));
        let slots = [(opener.clone(), "first"), (other, "second")];
        let repository =
            Repository::init(storage.clone(), &slots, jiff::Timestamp::UNIX_EPOCH, None).expect("a new repository");
        let repository = Arc::new(repository);
        write_tree(folder.path());
        let ids = [1_u8, 2, 3].map(|day| {
            fs::write(folder.path().join("diary"), text(300 * usize::from(day))).expect("a file");
            capture(&repository, folder.path(), i64::from(day))
        });
        repository.forget(ids[0], jiff::Timestamp::UNIX_EPOCH, "host").expect("a mark");
        change(&repository, folder.path());
        let mut fixture = Self { objects: stored(&storage), opener, snapshots: HashMap::new(), chunks: HashMap::new() };
        fixture.learn(&repository, folder.path());
        fixture
    }

    /// Reads the truth while everything is whole, and holds it against the files on disk.
    fn learn(&mut self, repository: &Repository, folder: &Path) {
        let (index, damaged) = repository.index().expect("an index");
        assert!(damaged.is_empty());
        let reader = Reader::new(repository, &index);
        let snapshots = repository.snapshots().expect("snapshots").valid;
        assert!(!snapshots.is_empty());
        let newest = snapshots.last().expect("there is one").id;
        for snapshot in snapshots {
            let mut resources = Vec::new();
            for resource in &snapshot.record.resources {
                let mut entries = Vec::new();
                for entry in Cursor::new(&reader, resource.root) {
                    let entry = entry.expect("an entry");
                    let pieces: Vec<Piece> =
                        PieceIter::new(&reader, &entry.content).map(|p| p.expect("a piece")).collect();
                    let content = self.content(&reader, &entry.content, &pieces);
                    let path = folder.join(String::from_utf8_lossy(entry.path.as_bytes()).as_ref());
                    if snapshot.id == newest && path.is_file() && !path.is_symlink() {
                        assert_eq!(content, fs::read(&path).expect("the file"), "{path:?}");
                    }
                    entries.push((entry, pieces));
                }
                assert!(entries.len() > 10);
                resources.push(entries);
            }
            self.snapshots.insert(snapshot.id, Truth { record: snapshot.record, resources });
        }
        let has_list =
            |truth: &Truth| truth.resources[0].iter().any(|(e, _)| matches!(e.content, Content::List { .. }));
        assert!(self.snapshots.values().all(has_list), "no content is long enough for a list");
    }

    fn content(&mut self, reader: &Reader<'_>, content: &Content, pieces: &[Piece]) -> Vec<u8> {
        let mut bytes = if let Content::Inline(bytes) = content { bytes.clone() } else { Vec::new() };
        for piece in pieces {
            match piece {
                Piece::Chunk { id, .. } => {
                    let chunk = reader.chunk(id).expect("a chunk");
                    bytes.extend_from_slice(&chunk);
                    self.chunks.insert(id.0, chunk);
                }
                Piece::Zeros { length } => bytes.resize(bytes.len() + usize::try_from(*length).expect("it fits"), 0),
            }
        }
        bytes
    }

    /// Reads every snapshot that is listed, every entry and every chunk, and compares.
    pub(crate) fn read_back(&self, repository: &Repository) -> ReadBack {
        let Ok(snapshots) = repository.snapshots() else { return ReadBack::Refused };
        let Ok((index, damaged)) = repository.index() else { return ReadBack::Refused };
        let mut outcome = if snapshots.damaged.is_empty() { ReadBack::Whole } else { ReadBack::Refused };
        for snapshot in &snapshots.valid {
            let Some(truth) = self.snapshots.get(&snapshot.id) else {
                // The one that was forgotten, its mark being gone; its data is as true as any.
                continue;
            };
            if snapshot.record != truth.record {
                return ReadBack::Wrong(format!("the record of {} is another", snapshot.id));
            }
            match self.read_snapshot(repository, &index, truth) {
                ReadBack::Whole => {}
                ReadBack::Refused => outcome = ReadBack::Refused,
                wrong => return wrong,
            }
        }
        drop(damaged);
        outcome
    }

    /// Everything that can be read, by snapshot, path and place.
    pub(crate) fn readable(&self, repository: &Repository) -> BTreeSet<(SnapshotId, Vec<u8>, usize)> {
        let mut readable = BTreeSet::new();
        let (Ok(snapshots), Ok((index, _))) = (repository.snapshots(), repository.whole_index()) else {
            return readable;
        };
        let reader = Reader::new(repository, &index);
        for snapshot in &snapshots.valid {
            for entry in snapshot.record.resources.iter().flat_map(|one| Cursor::new(&reader, one.root)).flatten() {
                let path = entry.path.as_bytes().to_vec();
                for (at, piece) in PieceIter::new(&reader, &entry.content).flatten().enumerate() {
                    let is_there = match piece {
                        Piece::Chunk { id, .. } => reader.chunk(&id).is_ok(),
                        Piece::Zeros { .. } => true,
                    };
                    if is_there {
                        readable.insert((snapshot.id, path.clone(), at));
                    }
                }
                readable.insert((snapshot.id, path, usize::MAX));
            }
        }
        readable
    }

    fn read_snapshot(&self, repository: &Repository, index: &Index, truth: &Truth) -> ReadBack {
        let reader = Reader::new(repository, index);
        let mut outcome = ReadBack::Whole;
        for (resource, entries) in truth.record.resources.iter().zip(&truth.resources) {
            let mut expected = entries.iter();
            let mut failed = false;
            for entry in Cursor::new(&reader, resource.root) {
                let Ok(entry) = entry else {
                    failed = true;
                    continue;
                };
                // After a page that is lost, reading goes on behind it.
                let known = if failed { expected.find(|(e, _)| *e == entry) } else { expected.next() };
                match known {
                    Some((known, pieces)) if *known == entry => match self.read_content(&reader, &entry, pieces) {
                        ReadBack::Whole => {}
                        ReadBack::Refused => outcome = ReadBack::Refused,
                        wrong => return wrong,
                    },
                    _ => return ReadBack::Wrong(format!("{} is not what was stored", entry.path)),
                }
            }
            if failed {
                outcome = ReadBack::Refused;
            } else if let Some((missing, _)) = expected.next() {
                return ReadBack::Wrong(format!("{} is missing without a word", missing.path));
            }
        }
        outcome
    }

    fn read_content(&self, reader: &Reader<'_>, entry: &Entry, pieces: &[Piece]) -> ReadBack {
        let mut expected = pieces.iter();
        for piece in PieceIter::new(reader, &entry.content) {
            let Ok(piece) = piece else { return ReadBack::Refused };
            if expected.next() != Some(&piece) {
                return ReadBack::Wrong(format!("{} has other pieces", entry.path));
            }
            if let Piece::Chunk { id, .. } = piece {
                match reader.chunk(&id) {
                    Ok(chunk) if Some(&chunk) == self.chunks.get(&id.0) => {}
                    Ok(_) => return ReadBack::Wrong(format!("{} has other content", entry.path)),
                    Err(_) => return ReadBack::Refused,
                }
            }
        }
        if expected.next().is_none() {
            ReadBack::Whole
        } else {
            ReadBack::Wrong(format!("{} is cut short", entry.path))
        }
    }
}

/// Prunes, with everybody held for dead who does not answer at once.
pub(crate) fn pruned(repository: &Arc<Repository>) -> Result<PruneReport, PruneError> {
    let request = PruneRequest {
        limits: Limits { max_unused: MaxUnused::Part(0), max_repack: None },
        max_time: None,
        mode: Mode::Write,
        exclusive: false,
        mark: session_mark("host", jiff::Timestamp::UNIX_EPOCH),
        patience: &Hurry,
    };
    prune(repository, &request, &Silent)
}

struct Hurry;

impl Patience for Hurry {
    fn pause(&self) -> bool {
        false
    }
}

/// Captures `folder` as a snapshot of that day.
pub(crate) fn capture(repository: &Arc<Repository>, folder: &Path, day: i64) -> SnapshotId {
    let label = SnapshotLabel {
        time: jiff::Timestamp::from_second(86_400 * day).expect("a day"),
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: Some("series".to_owned()),
        tags: Vec::new(),
        description: String::new(),
        scope: Vec::new(),
    };
    let request = BackupRequest {
        roots: vec![LocalRoot::new(folder)],
        sources: Vec::new(),
        label,
        rereading: Rereading::Changed,
        mode: Mode::Write,
        threads: 1,
    };
    backup(repository, &request, &Silent).expect("a backup").id.expect("it was written")
}

fn stored(storage: &MemoryStorage) -> Vec<(ObjectName, Bytes)> {
    let listed = storage.list(&Prefix::All).expect("a listing");
    let meaningful = listed.into_iter().filter(|object| object.name != ObjectName::reserve());
    meaningful
        .map(|object| (object.name.clone(), storage.get(&object.name, ByteRange::All).expect("it is there")))
        .collect()
}

/// Text that compresses, `lines` long, all of them different.
fn text(lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("{line}: the quick brown fox\n").into_bytes()).collect()
}

fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    snap::codec::hash::fill_keystream(&[seed; 32], b"noise", &mut bytes);
    bytes
}

fn write_tree(root: &Path) {
    let write = |path: &str, content: &[u8]| fs::write(root.join(path), content).expect("a file");
    for folder in ["deep", "deep/er", "hollow"] {
        fs::create_dir(root.join(folder)).expect("a folder");
    }
    write("empty", b"");
    write("inline", &text(10));
    write("deep/text", &text(400));
    write("deep/er/noise", &noise(20_000, 1));
    write("deep/er/noise-too", &noise(36_000, 2));
    // More pieces than an entry holds: an archive is cut at its members.
    let archive = (0..24_u8).flat_map(|member| [b"PK\x03\x04".to_vec(), vec![member + 1; 4200], text(2)].concat());
    write("archive.zip", &archive.collect::<Vec<u8>>());
    let sparse = fs::File::create(root.join("sparse")).expect("a file");
    sparse.set_len(400_000).expect("a length");
    symlink("deep/text", root.join("link")).expect("a symbolic link");
    fs::hard_link(root.join("deep/text"), root.join("second-name")).expect("a hard link");
    let fifo = rustix::fs::CWD;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(fifo, root.join("fifo"), rustix::fs::FileType::Fifo, mode, 0).expect("a fifo");
}
