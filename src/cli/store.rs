//! The store behind a location: opened or made, asked whether a repository is in it, and what its errors mean.
//!
//! Every store is asked again by the same rules; those across a network with more patience.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::config::Settings;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::{Location, Presence};
use crate::operation::access::Replace;
use crate::platform::Ways;
use crate::repository::Repository;
use crate::storage::local::LocalStorage;
use crate::storage::retry::{Budget, RetryStorage, SystemClock};
#[cfg(feature = "s3")]
use crate::storage::s3::StorageClasses;
use crate::storage::s3::address::S3Address;
#[cfg(feature = "s3")]
use crate::storage::s3::store::{S3Options, S3Storage};
use crate::storage::{Attempt, Storage, StorageError, StorageErrorKind};

/// The stores of one run.
#[derive(Debug, Default)]
pub struct Stores {
    /// What was reached across a network already: its connections and credentials serve again.
    remote: Mutex<Option<(S3Address, Arc<dyn Storage>)>>,
    /// Where none was found across a network: it is not asked twice before one is made.
    absent: Mutex<Option<S3Address>>,
}

impl Stores {
    /// The store of a repository that is there.
    pub fn open(&self, location: &Location, settings: &Settings) -> Result<Arc<dyn Storage>, Failure> {
        match location {
            Location::Path(path) | Location::Embedded { repository: path, .. } => {
                Ok(retried(LocalStorage::open(path, Ways::Native)?, Budget::default()))
            }
            Location::S3(address) => self.remote(address, settings),
        }
    }

    /// The store for a repository that is not there yet. A folder is made, a bucket is not: its owner decides what it is.
    pub fn create(&self, location: &Location, settings: &Settings) -> Result<Arc<dyn Storage>, Failure> {
        match location {
            Location::Path(path) | Location::Embedded { repository: path, .. } => {
                Ok(retried(LocalStorage::create(path, Ways::Native)?, Budget::default()))
            }
            Location::S3(address) => self.remote(address, settings),
        }
    }

    /// Whether a repository is at a place, even one whose first copy of its configuration is lost.
    pub fn presence(&self, location: &Location, settings: &Settings) -> Result<Presence, Failure> {
        let is_there = match location {
            Location::Path(path) | Location::Embedded { repository: path, .. } => is_in(path),
            Location::S3(address) => {
                let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
                let is_there = absent.as_ref() != Some(address.as_ref())
                    && Repository::exists(self.remote(address, settings)?.as_ref())?;
                *absent = (!is_there).then(|| S3Address::clone(address));
                is_there
            }
        };
        Ok(if is_there { Presence::There } else { Presence::Absent })
    }

    /// What puts objects there whatever is under their names: only for trying what the credentials at hand allow.
    pub fn replacer(&self, location: &Location, settings: &Settings) -> Result<Box<Replace<'static>>, Failure> {
        match location {
            Location::S3(address) => replacer(address, settings),
            Location::Path(_) | Location::Embedded { .. } => {
                let message = format!("{location} is a folder: who may do what with it, its file system says");
                Err(Failure::usage(message))
            }
        }
    }

    fn remote(&self, address: &S3Address, settings: &Settings) -> Result<Arc<dyn Storage>, Failure> {
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, store)) = remote.as_ref()
            && known == address
        {
            return Ok(Arc::clone(store));
        }
        let store = reach(address, settings)?;
        *remote = Some((address.clone(), Arc::clone(&store)));
        Ok(store)
    }
}

fn is_in(folder: &Path) -> bool {
    ["config", "config.copy"].iter().any(|name| folder.join(name).exists())
}

#[cfg(feature = "s3")]
fn replacer(address: &S3Address, settings: &Settings) -> Result<Box<Replace<'static>>, Failure> {
    let store = open_s3(address, settings)?;
    Ok(Box::new(move |name, content| store.replace(name, content)))
}

#[cfg(not(feature = "s3"))]
fn replacer(address: &S3Address, _: &Settings) -> Result<Box<Replace<'static>>, Failure> {
    Err(without_s3(address))
}

#[cfg(feature = "s3")]
fn reach(address: &S3Address, settings: &Settings) -> Result<Arc<dyn Storage>, Failure> {
    Ok(retried(open_s3(address, settings)?, Budget::REMOTE))
}

#[cfg(feature = "s3")]
fn open_s3(address: &S3Address, settings: &Settings) -> Result<S3Storage, Failure> {
    let class = |key| settings.text(key).map(str::to_owned);
    let classes = StorageClasses { packs: class("s3.packs-class"), rest: class("s3.rest-class") };
    let options = S3Options { classes, ..S3Options::default() };
    Ok(S3Storage::open(address.clone(), options)?)
}

#[cfg(not(feature = "s3"))]
fn reach(address: &S3Address, _: &Settings) -> Result<Arc<dyn Storage>, Failure> {
    Err(without_s3(address))
}

#[cfg(not(feature = "s3"))]
fn without_s3(address: &S3Address) -> Failure {
    Failure::usage(format!("cannot open {address}: this snap was built without S3"))
}

fn retried(storage: impl Storage + 'static, budget: Budget) -> Arc<dyn Storage> {
    Arc::new(RetryStorage::new(storage, Arc::new(SystemClock::start()), budget))
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let is_remote = error.location.starts_with(S3Address::SCHEME);
        let failure = Self::of(status(&error, is_remote), &error);
        match hint(&error, is_remote) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

fn status(error: &StorageError, is_remote: bool) -> ExitStatus {
    match error.kind {
        StorageErrorKind::Unreachable | StorageErrorKind::Denied => ExitStatus::Unreachable,
        StorageErrorKind::NotFound if is_remote && is_about_bucket(error) => ExitStatus::Unreachable,
        StorageErrorKind::Conflict => ExitStatus::Conflict,
        _ => ExitStatus::Failed,
    }
}

/// Only a bucket can be missing where an object is put, deleted or listed.
fn is_about_bucket(error: &StorageError) -> bool {
    matches!(error.attempt, Attempt::Put | Attempt::List | Attempt::Delete)
}

/// Whether only a pruner needs to do this: to delete, to mark as forgotten, to decide a generation. A prune begins by putting
/// `config` again, to see that the store keeps what it has.
fn is_for_pruners(error: &StorageError) -> bool {
    let pruned = ["f/", "g/", "b/", "config", "reserve"];
    error.attempt == Attempt::Delete
        || error.attempt == Attempt::Put && pruned.iter().any(|prefix| error.name.starts_with(prefix))
}

fn hint(error: &StorageError, is_remote: bool) -> Option<&'static str> {
    match (error.kind, is_remote) {
        (StorageErrorKind::NoSpace, _) => Some("free some space and run it again; what was stored is kept"),
        (StorageErrorKind::Denied, false) => Some("check who owns the repository's folder and what is in it"),
        (StorageErrorKind::Denied, true) if error.attempt == Attempt::Put && error.name.starts_with("keys/") => {
            Some("these credentials may not make a repository or add keys: that is for the bucket's owner")
        }
        (StorageErrorKind::Denied, true) if is_for_pruners(error) => {
            Some("these credentials may not forget or prune: use a pruner's (`snap aws policy --role pruner`)")
        }
        (StorageErrorKind::Denied, true) if error.attempt == Attempt::Put => Some(
            "these credentials may not write: use a writer's (`snap aws policy`; `snap repository test` says more)",
        ),
        (StorageErrorKind::Denied, true) => {
            Some("check credentials, region and the bucket's policy; `aws sts get-caller-identity` says who you are")
        }
        (StorageErrorKind::Unreachable, true) => Some("check the network, and the endpoint if one is given"),
        (StorageErrorKind::NotFound, true) if is_about_bucket(error) => {
            Some("make the bucket first, or check its name, its region and the endpoint")
        }
        _ => None,
    }
}
