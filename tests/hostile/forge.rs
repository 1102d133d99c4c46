//! A co-writer who holds the keys: makes pages, packs, deltas and documents that no honest writer would make.
//!
//! Pages and chunks go through a session, which stores any bytes; what the library would not write is sealed here, from
//! FORMAT.md. The folder has a secret beside the restore's target, so that whatever leaves the target is seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp as Time;
use serde::Serialize;
use snap::codec::encode;
use snap::codec::hash::{digest, keyed};
use snap::codec::key::Keys;
use snap::codec::key::secret::FileKey;
use snap::codec::key::slot::{KeySlot, SlotSecretSource};
use snap::codec::seal::{Cipher, NonceCounter, SealKey};
use snap::entry::{Content, Entry, EntryKind, EntryPath, Metadata, PosixMetadata, Timestamp};
use snap::id::{PageId, SessionId};
use snap::platform::Ways;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::pack::{PackDirectory, PackHeader, PackKind};
use snap::repository::session::{Mode, Origin, Session, SessionMark};
use snap::resource::{Coverage, ResourceRecord, SnapshotRecord, Summary, Totals};
use snap::storage::local::LocalStorage;
use tempfile::TempDir;

pub(super) struct Forge {
    folder: TempDir,
    pub(super) repository: Arc<Repository>,
    pub(super) keys: Keys,
    key: Arc<FileKey>,
}

impl Forge {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let storage = LocalStorage::create(&folder.path().join("repository"), Ways::Native).expect("a repository");
        let key = Arc::new(FileKey::generate());
        let opener = Opener::Key(Arc::clone(&key));
        let repository =
            Repository::init(Arc::new(storage), &[(opener, "test")], Time::UNIX_EPOCH, None).expect("initialised");
        let forge = Self {
            keys: Keys::derive(&root_of(&repository, &folder, &key)),
            folder,
            key,
            repository: Arc::new(repository),
        };
        fs::create_dir_all(forge.path("outside/folder")).expect("outside");
        fs::write(forge.path("outside/secret"), "secret").expect("a secret");
        let text = forge.key.to_file_text();
        fs::write(forge.path("key"), text.as_bytes()).expect("a key file");
        let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(forge.path("key"), only_mine).expect("its mode");
        forge
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stores what goes into packs, through the library.
    pub(super) fn store(&self, kind: PackKind, all: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let session = self.session();
        let mut writer = session.writer(kind).expect("a writer");
        let ids = all.iter().map(|bytes| writer.store(bytes, Origin::Small).expect("stored")).collect();
        writer.flush().expect("flushed");
        session.close().expect("closed");
        ids
    }

    pub(super) fn page(&self, bytes: Vec<u8>) -> PageId {
        PageId(self.store(PackKind::Pages, &[bytes])[0])
    }

    fn session(&self) -> Session {
        let mark = SessionMark {
            time: Time::UNIX_EPOCH,
            host: String::new(),
            boot: None,
            pid_namespace: None,
            pid: 1,
            started: None,
            tool: String::new(),
        };
        Session::begin(Arc::clone(&self.repository), &mark, Mode::Write).expect("a session")
    }

    /// Commits a snapshot of one resource, `local/x`, with this root.
    pub(super) fn commit_root(&self, root: PageId, totals: Totals) {
        self.commit(vec![resource("local/x", root, totals)]);
    }

    pub(super) fn commit(&self, resources: Vec<ResourceRecord>) {
        self.session().commit(record(resources)).expect("committed");
    }

    /// Commits a snapshot whose one page holds these entries, in any order and with any paths.
    pub(super) fn commit_entries(&self, entries: &[Entry]) {
        let totals = entries.iter().map(snap::tree::page::totals_of).fold(Totals::default(), |mut sum, one| {
            sum.add(&one);
            sum
        });
        self.commit_root(self.page(leaf(entries)), totals);
    }

    /// Writes bytes under an object's name, over what stands there.
    pub(super) fn put_raw(&self, name: &str, bytes: &[u8]) {
        let path = self.path("repository").join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("its folder");
        let _absent_or_removed = fs::remove_file(&path);
        fs::write(path, bytes).expect("written");
    }

    /// Seals an object by FORMAT.md §6: `stored` is its body, `header` may change what the 64 bytes say.
    pub(super) fn put_sealed(&self, name: &str, stored: &[u8], header: impl FnOnce(&mut [u8])) {
        let mut bytes = vec![0; 64];
        bytes[..8].copy_from_slice(b"SNAPSEAL");
        bytes[8] = 1;
        bytes[10] = 1;
        bytes[16..24].copy_from_slice(&(stored.len() as u64).to_le_bytes());
        bytes[32..64].copy_from_slice(&digest(name.as_bytes()));
        header(&mut bytes);
        let associated = [&self.repository.config().id.0[..], &bytes, name.as_bytes()].concat();
        let key = SealKey::new(Cipher::Aes256Gcm, &keyed(&self.keys.objects, &bytes[32..64]));
        bytes.extend_from_slice(stored);
        key.seal_in_place(NonceCounter::ONLY, &associated, &mut bytes, 64);
        self.put_raw(name, &bytes);
    }

    /// A commit cell with this text.
    pub(super) fn put_cell(&self, text: &[u8]) {
        self.put_sealed(&format!("c/{}", SessionId([9; 16])), text, |_| {});
    }

    /// A delta with this plaintext.
    pub(super) fn put_delta(&self, plain: &[u8]) {
        self.put_sealed(&format!("i/0/{}-0", SessionId([9; 16])), plain, |_| {});
    }

    /// Puts a hand-made pack and returns its id and bytes.
    pub(super) fn put_pack(&self, pack: &PackForge) -> ([u8; 32], Vec<u8>) {
        let bytes = pack.bytes(self);
        let id = digest(&bytes);
        let hex = hex::encode(id);
        self.put_raw(&format!("packs/{}/{hex}", &hex[..2]), &bytes);
        (id, bytes)
    }
}

/// A folder may have been filled deeper than recursion goes.
impl Drop for Forge {
    fn drop(&mut self) {
        let _removed = std::process::Command::new("rm").arg("-rf").arg(self.path("target")).status();
    }
}

fn root_of(repository: &Repository, folder: &TempDir, key: &FileKey) -> snap::codec::key::RootSecret {
    let slot = repository.key_slots().expect("slots")[0].id;
    let document = fs::read(folder.path().join(format!("repository/keys/{slot}"))).expect("a slot");
    let slot_document = KeySlot::parse_document(&document).expect("it is whole");
    let roots = slot_document.unlock(&slot, &repository.config().id, SlotSecretSource::KeyFile(key));
    roots.expect("it opens").remove(0)
}

/// A pack as FORMAT.md §5 draws it, every number of which may lie.
pub(super) struct PackForge {
    pub(super) kind: PackKind,
    pub(super) directory: PackDirectory,
    /// For each frame: body as stored, and method, stored length and plain length as its header says.
    pub(super) frames: Vec<(Vec<u8>, [u32; 3])>,
    /// The trailer's plaintext where it is not that of `directory`.
    pub(super) trailer: Option<Vec<u8>>,
    /// Added to the trailer length and the padding length of the footer.
    pub(super) footer: [u32; 2],
    pub(super) magic: [u8; 4],
}

impl PackForge {
    /// A pack with one raw frame of these chunks, whose ids the caller says.
    pub(super) fn of_chunks(kind: PackKind, chunks: &[&[u8]], ids: &[[u8; 32]]) -> Self {
        let lengths: Vec<u32> = chunks.iter().map(|chunk| number(chunk.len())).collect();
        let mut body = chunks.concat();
        body.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        body.extend(number(chunks.len()).to_le_bytes());
        let frame = snap::repository::pack::FrameRecord {
            stored_length: number(body.len()),
            plain_length: number(body.len()),
            chunk_count: number(chunks.len()),
            method: snap::codec::compress::Method::Raw,
        };
        let said = [0, frame.stored_length, frame.plain_length];
        Self {
            kind,
            directory: PackDirectory { frames: vec![frame], ids: ids.to_vec(), lengths },
            frames: vec![(body, said)],
            trailer: None,
            footer: [0; 2],
            magic: *b"SNPT",
        }
    }

    pub(super) fn header(&self) -> PackHeader {
        PackHeader { kind: self.kind, cipher: Cipher::Aes256Gcm, salt: [7; 32] }
    }

    fn bytes(&self, forge: &Forge) -> Vec<u8> {
        let header = self.header().encode();
        let base = if self.kind == PackKind::Data { &forge.keys.data_packs } else { &forge.keys.page_packs };
        let key = keyed(base, &[7; 32]);
        let seal = SealKey::new(Cipher::Aes256Gcm, &key);
        let associated = [&forge.repository.config().id.0[..], &header].concat();
        let mut bytes = header.to_vec();
        for (at, (body, said)) in self.frames.iter().enumerate() {
            let number = at as u64;
            bytes.extend_from_slice(&keyed(&key, &[&b"sync"[..], &number.to_le_bytes()].concat())[..8]);
            let start = bytes.len();
            bytes.extend(said.iter().flat_map(|word| word.to_le_bytes()));
            seal.seal_in_place(NonceCounter { number, part: 0 }, &associated, &mut bytes, start);
            let start = bytes.len();
            bytes.extend_from_slice(body);
            seal.seal_in_place(NonceCounter { number, part: 1 }, &associated, &mut bytes, start);
        }
        let start = bytes.len();
        bytes.extend_from_slice(&self.trailer.clone().unwrap_or_else(|| self.directory.encode()));
        seal.seal_in_place(NonceCounter { number: NonceCounter::TRAILER, part: 0 }, &associated, &mut bytes, start);
        let sealed_length = number(bytes.len() - start);
        let checksum = crc32c::crc32c(&bytes[start..]);
        bytes.extend(sealed_length.wrapping_add(self.footer[0]).to_le_bytes());
        bytes.extend(self.footer[1].to_le_bytes());
        bytes.extend(checksum.to_le_bytes());
        bytes.extend_from_slice(&self.magic);
        bytes
    }

    /// This pack as a delta names it.
    pub(super) fn delta_row(&self, id: [u8; 32], size: usize) -> Vec<u8> {
        let trailer = self.trailer.clone().unwrap_or_else(|| self.directory.encode());
        let mut row = id.to_vec();
        row.extend(number(size).to_le_bytes());
        row.extend_from_slice(&self.header().encode());
        row.extend(number(trailer.len()).to_le_bytes());
        row.extend_from_slice(&trailer);
        row
    }
}

pub(super) fn number(length: usize) -> u32 {
    u32::try_from(length).expect("it is small")
}

pub(super) fn delta(rows: &[Vec<u8>]) -> Vec<u8> {
    [&b"SNAPIDX1"[..], &number(rows.len()).to_le_bytes(), &rows.concat()].concat()
}

pub(super) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::encode_into(value, &mut bytes).expect("it is small");
    bytes
}

/// A leaf page of these entries as they come; no path shares bytes with the one before it.
pub(super) fn leaf(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = encoded(&(0_u32, entries.len() as u64));
    for Entry { path, kind, metadata, token, content } in entries {
        let item = (0_u64, path.0.clone(), kind, metadata, token, content);
        encode::encode_into(&item, &mut bytes).expect("it is small");
    }
    bytes
}

pub(super) fn posix(mode: u32) -> PosixMetadata {
    let modified = Timestamp { seconds: 1_500_000_000, nanoseconds: 5 };
    PosixMetadata { mode, modified, ..PosixMetadata::default() }
}

pub(super) fn entry(path: &[u8], kind: EntryKind, content: Content) -> Entry {
    let metadata = Metadata::Posix(Box::new(posix(0o755)));
    Entry { path: EntryPath(path.to_vec()), kind, metadata, token: None, content }
}

pub(super) fn file(path: &[u8]) -> Entry {
    entry(path, EntryKind::File, Content::Inline(b"evil".to_vec()))
}

pub(super) fn folder(path: &[u8]) -> Entry {
    entry(path, EntryKind::Directory, Content::Empty)
}

pub(super) fn symlink(path: &[u8], target: &[u8]) -> Entry {
    entry(path, EntryKind::Symlink(target.to_vec()), Content::Empty)
}

pub(super) fn with_metadata(mut entry: Entry, change: impl FnOnce(&mut PosixMetadata)) -> Entry {
    if let Metadata::Posix(metadata) = &mut entry.metadata {
        change(metadata);
    }
    entry
}

pub(super) fn resource(path: &str, root: PageId, totals: Totals) -> ResourceRecord {
    ResourceRecord {
        source: "local".to_owned(),
        path: path.to_owned(),
        root,
        totals,
        coverage: Coverage::Complete,
        scope: Vec::new(),
        attributes: BTreeMap::new(),
    }
}

pub(super) fn record(resources: Vec<ResourceRecord>) -> SnapshotRecord {
    SnapshotRecord {
        time: Time::UNIX_EPOCH,
        host: "host".to_owned(),
        user: "user".to_owned(),
        series: "series".to_owned(),
        tags: Vec::new(),
        description: String::new(),
        parent: None,
        amends: None,
        original: None,
        tool: "evil".to_owned(),
        resources,
        asked: Vec::new(),
        summary: Summary::default(),
    }
}

/// Everything beneath a folder, with content and mode; links are not followed.
pub(super) fn picture(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, u64)> {
    use std::os::unix::fs::MetadataExt;
    let mut picture = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let status = fs::symlink_metadata(&path).expect("status");
        let content =
            if status.is_file() && status.len() < 1 << 26 { fs::read(&path).expect("content") } else { Vec::new() };
        if status.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("listing").map(|entry| entry.expect("entry").path()));
        }
        picture.insert(path, (content, status.mode(), status.nlink()));
    }
    picture
}
