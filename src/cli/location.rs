//! Which repository is meant, and what may be made where there is none.
//!
//! A repository that is named must exist, or `--init` be given; the embedded default comes into being on first use, with
//! a random key beside it. Opening and creating are `repository`'s business.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cli::config::Settings;
use crate::cli::config::value::Value;
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::codec::key::secret::FileKey;
use crate::platform::Ways;
use crate::platform::durable::{Publication, Published, publish, sync_file, sync_folder};
use crate::storage::s3::address::{AddressError, S3Address};

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder that the user named.
    Path(PathBuf),
    /// In an object store, as the user named it.
    S3(Box<S3Address>),
    /// The user's own default, with its key.
    Embedded {
        /// The folder.
        repository: PathBuf,
        /// The key file that opens it.
        key_file: PathBuf,
    },
}

/// A repository that cannot be located, or must not be made.
#[derive(Debug, Error)]
pub enum LocationError {
    /// An address of a kind that this version does not know.
    #[error("{address} is no place that this version knows: it keeps repositories in folders and at s3:// addresses")]
    NotInThisVersion {
        /// What was given.
        address: String,
    },
    /// An `s3://` address that is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No repository is named and the user has no folder for a default.
    #[error("no repository is named, and without HOME there is no place for the default one")]
    NoHome,
    /// A repository is named but there is none.
    #[error("there is no repository at {location}")]
    Absent {
        /// Where.
        location: Location,
    },
    /// The default repository is there but its key is gone.
    #[error("the key {} of the repository {} is missing", key_file.display(), repository.display())]
    KeyMissing {
        /// The folder.
        repository: PathBuf,
        /// The file that is missing.
        key_file: PathBuf,
    },
    /// The key file cannot be made.
    #[error("cannot create the key file {}", key_file.display())]
    KeyNotCreated {
        /// Which.
        key_file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<LocationError> for Failure {
    fn from(error: LocationError) -> Self {
        let status = match &error {
            LocationError::NotInThisVersion { .. } | LocationError::Address(_) | LocationError::NoHome => {
                ExitStatus::Usage
            }
            LocationError::Absent { .. } => ExitStatus::NoRepository,
            LocationError::KeyMissing { .. } => ExitStatus::WrongPassword,
            LocationError::KeyNotCreated { .. } => ExitStatus::Failed,
        };
        let failure = Self::of(status, &error);
        match error {
            LocationError::NoHome => failure.with_hint("name one with --repo or SNAP_REPOSITORY"),
            LocationError::Address(_) => failure.with_hint(
                "s3://BUCKET/PREFIX, for stores other than AWS's with ?endpoint=https://HOST&path-style=yes&region=NAME",
            ),
            LocationError::Absent { location: Location::Path(_) | Location::S3(_) } => {
                failure.with_hint("`snap init` or `snap backup --init` makes one there")
            }
            LocationError::Absent { .. } => failure.with_hint("the first `snap backup PATH` makes it"),
            LocationError::KeyMissing { .. } => {
                failure.with_hint("put the key file back, or make it from its recovery words")
            }
            _ => failure,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) | Self::Embedded { repository: path, .. } => path.display().fmt(f),
            Self::S3(address) => address.fmt(f),
        }
    }
}

/// What a command does where there is no repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAbsent {
    /// It needs one.
    Refuse,
    /// The default comes into being; one that is named does not (`backup`).
    CreateDefault,
    /// It comes into being wherever it is (`backup --init`, `init`).
    Create,
}

/// What is to be done before a repository is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Open it.
    Open,
    /// Create it, with a key that exists or the user's password.
    Create,
    /// Draw a key, then create it.
    CreateWithKey,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// It is not.
    Absent,
}

impl Location {
    /// The repository that the configuration names, or the embedded default.
    pub fn choose(settings: &Settings, environment: &Environment) -> Result<Self, LocationError> {
        match settings.value("repository") {
            Some((Value::Path(path), _)) => Ok(Self::Path(path.clone())),
            Some((Value::Text(address), _)) => Self::of_address(address),
            _ => Self::embedded(environment).ok_or(LocationError::NoHome),
        }
    }

    /// A repository as an argument names it: a folder, which may be the default's, or an address.
    pub fn of_text(text: &str, environment: &Environment) -> Result<Self, LocationError> {
        if text.contains("://") {
            return Self::of_address(text);
        }
        let path = environment.resolve(&environment.current_folder, Path::new(text));
        match Self::embedded(environment) {
            Some(Self::Embedded { repository, key_file }) if repository == path => {
                Ok(Self::Embedded { repository, key_file })
            }
            _ => Ok(Self::Path(path)),
        }
    }

    /// The place that an address names.
    pub fn of_address(address: &str) -> Result<Self, LocationError> {
        if address.starts_with(S3Address::SCHEME) {
            return Ok(Self::S3(Box::new(address.parse()?)));
        }
        match address.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => Ok(Self::Path(PathBuf::from(path))),
            _ => Err(LocationError::NotInThisVersion { address: address.to_owned() }),
        }
    }

    /// The user's own default.
    pub fn embedded(environment: &Environment) -> Option<Self> {
        Some(Self::Embedded {
            repository: environment.data_folder()?.join("repository"),
            key_file: environment.configuration_folder()?.join("key"),
        })
    }

    /// Whether the embedded default's key is there; a named repository brings its own secret.
    pub fn key_presence(&self) -> Presence {
        match self {
            Self::Embedded { key_file, .. } if !key_file.exists() => Presence::Absent,
            _ => Presence::There,
        }
    }

    /// What is to be done first. A lost key is never replaced: the repository would stay shut for ever.
    pub fn plan(
        &self,
        repository: RepositoryPresence,
        key: KeyPresence,
        when_absent: WhenAbsent,
    ) -> Result<Plan, LocationError> {
        match (self, repository.0, when_absent) {
            (Self::Embedded { repository, key_file }, Presence::There, _) if key.0 == Presence::Absent => {
                let (repository, key_file) = (repository.clone(), key_file.clone());
                Err(LocationError::KeyMissing { repository, key_file })
            }
            (_, Presence::There, _) => Ok(Plan::Open),
            (Self::Embedded { .. }, Presence::Absent, WhenAbsent::CreateDefault | WhenAbsent::Create) => {
                Ok(if key.0 == Presence::There { Plan::Create } else { Plan::CreateWithKey })
            }
            (Self::Path(_) | Self::S3(_), Presence::Absent, WhenAbsent::Create) => Ok(Plan::Create),
            (_, Presence::Absent, _) => Err(LocationError::Absent { location: self.clone() }),
        }
    }
}

/// Whether the repository is there.
#[derive(Clone, Copy, Debug)]
pub struct RepositoryPresence(pub Presence);

/// Whether its key is there.
#[derive(Clone, Copy, Debug)]
pub struct KeyPresence(pub Presence);

/// Writes a key file that did not exist (mode 0600, its folder 0700), durably: one line of 64 hex digits. It gets its name
/// when it is whole, so that nobody is ever left with half a key.
pub fn create_key_file(key_file: &Path, key: &FileKey) -> Result<(), LocationError> {
    let write = || {
        let name = key_file.file_name().and_then(OsStr::to_str).ok_or(io::ErrorKind::InvalidFilename)?;
        let parent = key_file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let folder = fs::File::open(parent)?;
        let temporary = format!(".{name}.tmp-{:016x}", getrandom::u64().map_err(io::Error::other)?);
        let unnamed = parent.join(&temporary);
        let publication = Publication { folder: folder.as_fd(), temporary: &temporary, name };
        let published = write_key(&unnamed, key).and_then(|()| publish(&publication, Ways::Native));
        if !matches!(published, Ok(Published::Created)) {
            // Best effort: nothing is sealed with it yet.
            let _ = fs::remove_file(&unnamed);
        }
        match published? {
            Published::Created => sync_folder(folder.as_fd(), Ways::Native),
            Published::Exists => Err(io::ErrorKind::AlreadyExists.into()),
        }
    };
    write().map_err(|source| LocationError::KeyNotCreated { key_file: key_file.to_owned(), source })
}

fn write_key(path: &Path, key: &FileKey) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.to_file_text().as_bytes())?;
    sync_file(file.as_fd(), Ways::Native)
}

#[cfg(test)]
mod tests {
    use super::{
        KeyPresence, Location, LocationError, Plan, Presence, RepositoryPresence, WhenAbsent, create_key_file,
    };
    use crate::cli::config::value::Value;
    use crate::cli::config::{Flag, Settings};
    use crate::cli::environment::Environment;
    use crate::codec::key::secret::FileKey;
    use std::os::unix::fs::PermissionsExt;

    fn plan(location: &Location, there: [bool; 2], when: WhenAbsent) -> Result<Plan, LocationError> {
        let [repository, key] = there.map(|is| if is { Presence::There } else { Presence::Absent });
        location.plan(RepositoryPresence(repository), KeyPresence(key), when)
    }

    #[test]
    fn the_default_comes_into_being_on_first_use_and_a_named_one_only_when_told() {
        let embedded = Location::embedded(&Environment::for_test(&[("HOME", "/home/me")])).expect("there is a home");
        let named = Location::Path("/srv/backup".into());
        assert_eq!(embedded.to_string(), "/home/me/.local/share/snap/repository");
        let first = plan(&embedded, [false, false], WhenAbsent::CreateDefault).expect("it may");
        assert_eq!(first, Plan::CreateWithKey);
        assert_eq!(plan(&embedded, [false, true], WhenAbsent::CreateDefault).expect("it may"), Plan::Create);
        assert_eq!(plan(&named, [false, true], WhenAbsent::Create).expect("it may"), Plan::Create);
        assert_eq!(plan(&named, [true, true], WhenAbsent::Refuse).expect("it is there"), Plan::Open);
        for (location, when) in [(&named, WhenAbsent::CreateDefault), (&embedded, WhenAbsent::Refuse)] {
            assert!(matches!(plan(location, [false, true], when), Err(LocationError::Absent { .. })));
        }
    }

    #[test]
    fn a_lost_key_is_never_replaced() {
        let embedded = Location::embedded(&Environment::for_test(&[("HOME", "/home/me")])).expect("there is a home");
        let lost = plan(&embedded, [true, false], WhenAbsent::Create);
        assert!(matches!(lost, Err(LocationError::KeyMissing { .. })));
        let folder = tempfile::tempdir().expect("a folder");
        let key_file = folder.path().join("deep/key");
        let key = |digits: &str| FileKey::parse_file_text(&digits.repeat(32)).expect("a key");
        create_key_file(&key_file, &key("07")).expect("it is new");
        assert!(create_key_file(&key_file, &key("08")).is_err());
        assert_eq!(std::fs::read_to_string(&key_file).expect("read"), "07".repeat(32) + "\n");
        assert_eq!(key_file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    }

    fn choose(address: &str) -> Result<Location, LocationError> {
        let flag = Flag { key: "repository", flag: "--repo", value: Value::Text(address.into()) };
        let environment = Environment::for_test(&[]);
        let settings = Settings::load(&environment, None, vec![flag]).expect("valid");
        Location::choose(&settings, &environment)
    }

    #[test]
    fn an_address_of_a_later_version_is_refused_by_name() {
        let error = choose("sftp://host/path").expect_err("not in this version");
        assert!(error.to_string().contains("sftp://host/path"));
    }

    #[test]
    fn a_bucket_is_a_place() {
        let location = choose("s3://bucket/prefix?region=eu-west-1").expect("an address");
        assert_eq!(location.to_string(), "s3://bucket/prefix?region=eu-west-1");
        assert_eq!(plan(&location, [false, true], WhenAbsent::Create).expect("it may"), Plan::Create);
        assert!(matches!(choose("s3://b"), Err(LocationError::Address(_))));
    }
}
