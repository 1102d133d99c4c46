//! Opening the repository that a command works on, and making it where it may come into being.
//!
//! What a repository is stands in `repository`; here its errors get their exit status and their way out.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cli::context::{Access, Context};
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::{Location, Plan, WhenAbsent, create_key_file};
use crate::cli::secret::Secret;
use crate::codec::key::secret::{FileKey, FileKeyError, Passphrase};
use crate::operation::reference::Reference;
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::keyring::Opener;
use crate::repository::snapshot::{Snapshot, Snapshots};
use crate::repository::view::Glimpse;
use crate::storage::Writers;
use crate::storage::memory::MemoryStorage;

/// Opens the repository of a query, and remarks on what of it is damaged though a copy served.
pub fn open(context: &Context) -> Result<Arc<Repository>, Failure> {
    let repository = open_or_create(context, WhenAbsent::Refuse)?;
    remark_notices(context, &repository);
    Ok(repository)
}

/// As [`open`], for a query that begins with the snapshots: what it lists, it lists while the repository is opened.
pub fn open_and_glimpse(context: &Context) -> Result<(Arc<Repository>, Glimpse), Failure> {
    let (repository, glimpse) = open_to_look(context)?;
    remark_notices(context, &repository);
    Ok((repository, glimpse))
}

/// As [`open_and_glimpse`], for a long command that reports the notices itself.
pub fn open_to_look(context: &Context) -> Result<(Arc<Repository>, Glimpse), Failure> {
    let access = context.access(WhenAbsent::Refuse)?;
    let storage = context.stores.open(&access.location, &context.settings)?;
    let opener = opener_of(&access)?;
    let (repository, glimpse) = Repository::open_and_glimpse(&storage, &opener, context.cache_folder())?;
    Ok((Arc::new(bounded(repository, context)), glimpse))
}

/// As [`open`], for a check: of what is stored, nothing is believed to a local cache.
pub fn open_for_check(context: &Context) -> Result<Arc<Repository>, Failure> {
    let access = context.access(WhenAbsent::Refuse)?;
    let storage = context.stores.open(&access.location, &context.settings)?;
    let repository = Repository::open(storage, &opener_of(&access)?, context.cache_folder())?.with_cache_size(0);
    remark_notices(context, &repository);
    Ok(Arc::new(repository))
}

/// With the local cache as large as the user wants it.
fn bounded(repository: Repository, context: &Context) -> Repository {
    match context.settings.size("cache-size") {
        Some(bytes) => repository.with_cache_size(bytes),
        None => repository,
    }
}

fn remark_notices(context: &Context, repository: &Repository) {
    for notice in repository.notices() {
        context.remark(&notice_text(notice));
    }
}

/// Opens the repository of a long command, or makes it where that is allowed; its notices go to the watch
/// ([`report_notices`]), once there is one.
pub fn open_or_create(context: &Context, when_absent: WhenAbsent) -> Result<Arc<Repository>, Failure> {
    let access = context.access(when_absent)?;
    match access.plan {
        Plan::Open => {
            let storage = context.stores.open(&access.location, &context.settings)?;
            let opener = opener_of(&access)?;
            let repository = Repository::open(storage, &opener, context.cache_folder())?;
            Ok(Arc::new(bounded(repository, context)))
        }
        Plan::Create | Plan::CreateWithKey => create(context, &access, ""),
    }
}

/// Makes the repository at the place of `access`; its first key slot is labelled `label`.
pub fn create(context: &Context, access: &Access, label: &str) -> Result<Arc<Repository>, Failure> {
    let drawn = match (&access.plan, &access.location) {
        (Plan::CreateWithKey, Location::Embedded { key_file, .. }) => {
            let key = FileKey::generate();
            // The key is on disk before anything is sealed with it.
            create_key_file(key_file, &key)?;
            Some(key)
        }
        _ => None,
    };
    let opener = match &drawn {
        Some(key) => Opener::Key(Arc::new(key.clone())),
        None => opener_of(access)?,
    };
    let storage = context.stores.create(&access.location, &context.settings)?;
    let now = jiff::Timestamp::now();
    let repository = Repository::init(storage, &[(opener, label)], now, context.cache_folder())?;
    context.remark(&format!("made the repository {}", access.location));
    if repository.writers()? == Writers::One {
        context.remark("this store replaces objects it was told to keep: never write to it from two machines at once");
    }
    if let (Some(key), Location::Embedded { key_file, .. }) = (&drawn, &access.location) {
        context.remark(&format!("its key is {}: without it nothing can be restored", key_file.display()));
        show_words(key);
    }
    Ok(Arc::new(bounded(repository, context)))
}

/// A repository that nobody will see again, for the dry run of what would make one.
pub fn throw_away() -> Result<Arc<Repository>, Failure> {
    let opener = Opener::Key(Arc::new(FileKey::generate()));
    let storage = Arc::new(MemoryStorage::new());
    Ok(Arc::new(Repository::init(storage, &[(opener, "")], jiff::Timestamp::now(), None)?))
}

/// Reports what of the repository is damaged though a copy served.
pub fn report_notices(repository: &Repository, progress: &dyn Progress) {
    for notice in repository.notices() {
        progress.report(Event::Warning { message: notice_text(notice) });
    }
}

/// The snapshot among these that `reference` means; snapshots that cannot be read are remarked on.
pub fn find_snapshot(context: &Context, snapshots: Snapshots, reference: &Reference) -> Result<Snapshot, Failure> {
    for damaged in &snapshots.damaged {
        context.remark(&format!("a snapshot cannot be read: {damaged}"));
    }
    let listed: Vec<_> = snapshots.valid.iter().map(|snapshot| (snapshot.id, &snapshot.record)).collect();
    let id = context.resolve(&listed, reference)?;
    let found = snapshots.valid.into_iter().find(|snapshot| snapshot.id == id);
    Ok(found.expect("because it was resolved among these"))
}

/// What opens a slot with this secret.
pub fn opener_of_secret(secret: &Secret) -> Result<Opener, Failure> {
    Ok(match secret {
        Secret::Password(password) => Opener::Password(Arc::new(Passphrase::new(String::clone(password)))),
        Secret::KeyFile(text) => Opener::Key(Arc::new(FileKey::parse_file_text(text)?)),
    })
}

fn opener_of(access: &Access) -> Result<Opener, Failure> {
    opener_of_secret(access.secret.as_ref().expect("because only a key that is to be drawn is absent"))
}

/// The words are shown where only the user sees them: never into a log or a pipe.
fn show_words(key: &FileKey) {
    let mut stderr = std::io::stderr();
    if !stderr.is_terminal() {
        return;
    }
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str("Write these words down; they are the key, and are not shown again (`snap key words` does):\n\n");
    for (at, word) in key.to_words().split(' ').enumerate() {
        text.push_str(if at.is_multiple_of(6) { "    " } else { " " });
        text.push_str(word);
        if at % 6 == 5 {
            text.push('\n');
        }
    }
    text.push('\n');
    // Without a terminal to show them on, `snap key words` shows them later.
    let _ = stderr.write_all(text.as_bytes());
}

fn notice_text(notice: &RepositoryError) -> String {
    let why = crate::operation::backup::error_chain(notice);
    format!("{why}; a copy served, `snap check` says what else is damaged")
}

impl From<FileKeyError> for Failure {
    fn from(error: FileKeyError) -> Self {
        Self::of(ExitStatus::WrongPassword, &error).with_hint("a key file is one line of 64 hex digits")
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        let of = |status| Self::of(status, &error);
        match &error {
            RepositoryError::Storage(_) => match error {
                RepositoryError::Storage(error) => error.into(),
                _ => of(ExitStatus::Failed),
            },
            RepositoryError::NoRepository { .. } => {
                of(ExitStatus::NoRepository).with_hint("`snap init` or `snap backup --init` makes one there")
            }
            RepositoryError::AlreadyExists { .. } => of(ExitStatus::Conflict),
            RepositoryError::Revoked => of(ExitStatus::Conflict).with_hint("run it again: what was stored is kept"),
            RepositoryError::WentBack { place, .. } => of(ExitStatus::Conflict)
                .with_hint(format!("if an older copy was put back on purpose, delete {}", place.display())),
            RepositoryError::WrongSecret { .. } => of(ExitStatus::WrongPassword),
            RepositoryError::NewerFormat { .. } => of(ExitStatus::Failed).with_hint("use a newer version of snap"),
            RepositoryError::ConfigDamaged { .. } | RepositoryError::KeysDamaged { .. } => {
                of(ExitStatus::Failed).with_hint("put the object back from another copy of the repository")
            }
            RepositoryError::ObjectDamaged { .. }
            | RepositoryError::PackDamaged { .. }
            | RepositoryError::Missing { .. } => {
                of(ExitStatus::Failed).with_hint("`snap check` says what is damaged and what can be had")
            }
            _ => of(ExitStatus::Failed),
        }
    }
}
