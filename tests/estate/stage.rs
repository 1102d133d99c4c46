//! An estate behind the front, and captures of it into one repository.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::entry::Entry;
use snap::operation::backup::{BackupReport, BackupRequest, Rereading, SnapshotLabel, backup};
use snap::operation::cat::{CatError, read_content};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::reader::Reader;
use snap::repository::session::Mode;
use snap::resource::{Coverage, Gap, ResourceRecord};
use snap::source::aws::account::{AccountSettings, Connection};
use snap::source::aws::{SERVICES, sources};
use snap::source::estate::Source;
use snap::storage::Storage;
use snap::storage::memory::MemoryStorage;
use snap::tree::cursor::Cursor;

use super::front::Front;

pub(super) const REGION: &str = "us-east-1";

/// So much faster than AWS allows, as no emulator counts.
const SHARE: f64 = 10_000.0;

pub(super) struct Stage {
    pub(super) front: Front,
    repository: Arc<Repository>,
    /// What must not end before it does.
    _behind: Option<Arc<dyn Any + Send + Sync>>,
}

/// Credentials of this name.
pub(super) fn credentials(name: &str) -> Credentials {
    Credentials::new(name, "testing", None, None, "tests")
}

impl Stage {
    /// Before an emulator, whose answers are kept, so that it says the same each time.
    pub(super) fn before(emulator: SocketAddr, behind: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        let stage = Self::on(Arc::new(MemoryStorage::new()), emulator, behind);
        stage.front.keep();
        stage
    }

    /// With a repository in this store.
    pub(super) fn on(
        storage: Arc<dyn Storage>,
        emulator: SocketAddr,
        behind: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Self {
        let front = Front::start(emulator);
        let opener = Opener::Key(Arc::new(FileKey::generate()));
        let repository = Repository::init(storage, &[(opener, "")], Timestamp::UNIX_EPOCH, None).expect("init");
        Self { front, repository: Arc::new(repository), _behind: behind }
    }

    /// Captures all services into a series.
    pub(super) fn capture(&self, series: &str) -> BackupReport {
        self.capture_as(series, SERVICES, SharedCredentialsProvider::new(credentials("testing")))
    }

    /// Captures these services.
    pub(super) fn capture_only(&self, series: &str, services: &[&str]) -> BackupReport {
        self.capture_as(series, services, SharedCredentialsProvider::new(credentials("testing")))
    }

    pub(super) fn capture_as(
        &self,
        series: &str,
        services: &[&str],
        provider: SharedCredentialsProvider,
    ) -> BackupReport {
        let settings = AccountSettings {
            regions: vec![REGION.to_owned()],
            endpoint: Some(self.front.endpoint()),
            share: Some(SHARE),
            ..AccountSettings::default()
        };
        let connection = Arc::new(Connection::with_credentials(settings, provider));
        self.capture_sources(series, sources(&connection, services))
    }

    /// Captures these sources.
    pub(super) fn capture_sources(&self, series: &str, sources: Vec<Arc<dyn Source>>) -> BackupReport {
        let label = SnapshotLabel {
            time: Timestamp::now(),
            host: "host".to_owned(),
            user: "user".to_owned(),
            series: Some(series.to_owned()),
            tags: Vec::new(),
            description: String::new(),
            scope: Vec::new(),
        };
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

    /// Every entry of a resource with its bytes.
    pub(super) fn contents(&self, record: &ResourceRecord) -> BTreeMap<String, (Entry, Vec<u8>)> {
        let (index, _) = self.repository.index().expect("an index");
        let reader = Reader::new(&self.repository, &index);
        let entries: Vec<Entry> = Cursor::new(&reader, record.root).collect::<Result<_, _>>().expect("it can be read");
        let with_bytes = |entry: Entry| {
            let mut bytes = Vec::new();
            let taken = read_content::<CatError>(&reader, &entry.content, b"", |part| {
                bytes.extend_from_slice(part);
                Ok(())
            });
            taken.expect("it can be read");
            (String::from_utf8_lossy(entry.path.as_bytes()).into_owned(), (entry, bytes))
        };
        entries.into_iter().map(with_bytes).collect()
    }
}

/// The gaps of a resource.
pub(super) fn gaps(record: &ResourceRecord) -> &[Gap] {
    match &record.coverage {
        Coverage::Partial { gaps, .. } => gaps,
        _ => &[],
    }
}
