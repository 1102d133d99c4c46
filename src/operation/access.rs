//! What the credentials at hand may do with a repository, found by trying: create, replace and delete, prefix by prefix.
//!
//! Nothing of the user's is put at risk. Tried is what belongs to a session begun for this, whose few objects the next prune takes
//! away as any other session's; `config` and the newest of `g/`, which nobody ever deletes, are put again with their own bytes;
//! and deleting is tried on names that never were, since a store decides who may before it looks whether there is something.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::{PackId, SessionId};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::DeltaSource;
use crate::repository::pack::PackKind;
use crate::repository::random::random_bytes;
use crate::repository::session::{Mode, Origin, Session, SessionMark};
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::{ByteRange, Put, StorageError, StorageErrorKind, Writers};

/// Puts an object whether or not one is there, as no part of this program does otherwise.
pub type Replace<'r> = dyn Fn(&ObjectName, Bytes) -> Result<(), StorageError> + 'r;

/// What came of trying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Allowed,
    /// The store refused it.
    Refused,
    /// There was nothing to try it on without doing harm.
    #[default]
    NotTried,
}

impl Answer {
    /// Whether it was refused, or could not be tried.
    fn is_not_allowed(self) -> bool {
        self != Self::Allowed
    }
}

/// What may be done below a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What the names begin with.
    pub prefix: &'static str,
    /// Putting an object under a name that is free.
    pub create: Answer,
    /// Putting one under a name that is taken.
    pub replace: Answer,
    /// Deleting.
    pub delete: Answer,
}

/// What may be done with a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// By prefix.
    pub places: Vec<Place>,
    /// Whether the store decides between writers, where that could be tried.
    pub writers: Option<Writers>,
}

/// Prefixes under which a backup creates.
const WRITTEN: [&str; 4] = ["packs/", "s/", "i/", "c/"];

impl Access {
    /// Whether snapshots can be added, and nothing that is there be changed, deleted or forgotten.
    pub fn is_append_only(&self) -> bool {
        self.writers != Some(Writers::One)
            && self.places.iter().all(|place| {
                let creates = if WRITTEN.contains(&place.prefix) {
                    place.create == Answer::Allowed
                } else {
                    place.create.is_not_allowed()
                };
                creates && place.replace.is_not_allowed() && place.delete.is_not_allowed()
            })
    }
}

/// Tries it all.
///
/// # Errors
/// Whatever a store says but that it is not allowed, and a repository that cannot be read.
pub fn access(
    repository: &Arc<Repository>,
    mark: &SessionMark,
    replace: &Replace<'_>,
) -> Result<Access, RepositoryError> {
    let mut trial = Trial { repository, replace, places: Vec::new(), writers: None };
    let session = trial.session(mark)?;
    if let Some(session) = session {
        trial.marks(session, mark)?;
    }
    trial.kept()?;
    trial.keys()?;
    trial.deletes()?;
    Ok(Access { places: trial.places, writers: trial.writers })
}

struct Trial<'t> {
    repository: &'t Arc<Repository>,
    replace: &'t Replace<'t>,
    places: Vec<Place>,
    writers: Option<Writers>,
}

impl Trial<'_> {
    fn place(&mut self, prefix: &'static str) -> &mut Place {
        let at = self.places.iter().position(|place| place.prefix == prefix);
        let at = at.unwrap_or_else(|| {
            self.places.push(Place { prefix, ..Place::default() });
            self.places.len() - 1
        });
        &mut self.places[at]
    }

    /// Tries to replace an object by its own bytes.
    fn replaced(&self, name: &ObjectName) -> Result<Answer, RepositoryError> {
        let content = self.repository.storage().get(name, ByteRange::All)?;
        answer((self.replace)(name, content)).map(|(answer, _)| answer).map_err(Into::into)
    }

    /// A session that stores one small chunk and closes: `s/`, `packs/`, `i/`, `c/`.
    fn session(&mut self, mark: &SessionMark) -> Result<Option<SessionId>, RepositoryError> {
        for prefix in ["packs/", "s/", "i/", "c/"] {
            self.place(prefix);
        }
        let (created, session) = tried(Session::begin(Arc::clone(self.repository), mark, Mode::Write))?;
        self.place("s/").create = created;
        let Some(session) = session else { return Ok(None) };
        let name = ObjectName::session(&session.id());
        self.place("s/").replace = self.replaced(&name)?;
        let mut writer = session.writer(PackKind::Data)?;
        let _id = writer.store(&random_bytes::<32>(self.repository.randomness())?, Origin::Small)?;
        writer.flush()?;
        match session.settle() {
            Ok(_) => {
                (self.place("packs/").create, self.place("i/").create) = (Answer::Allowed, Answer::Allowed);
                self.stored(session.id())?;
            }
            Err(RepositoryError::Storage(error)) if error.kind == StorageErrorKind::Denied => {
                let is_delta = error.name.starts_with(Prefix::Index.as_str());
                self.place("packs/").create = if is_delta { Answer::Allowed } else { Answer::Refused };
                self.place("i/").create = if is_delta { Answer::Refused } else { Answer::NotTried };
            }
            Err(error) => return Err(error),
        }
        // As a session that ends itself; where its packs were refused, it can only be ended as one that died.
        let ended = session.close().or_else(|_| self.repository.revoke(session.id()));
        self.place("c/").create = tried(ended)?.0;
        if self.place("c/").create == Answer::Allowed {
            self.place("c/").replace = self.replaced(&ObjectName::commit_cell(&session.id()))?;
        }
        Ok(Some(session.id()))
    }

    /// What the session stored.
    fn stored(&mut self, session: SessionId) -> Result<(), RepositoryError> {
        let deltas = self.repository.storage().list(&Prefix::Index)?;
        let own =
            deltas.into_iter().find(|object| object.name.index_delta_parts().is_some_and(|(_, of, _)| of == session));
        let Some(delta) = own else { return Ok(()) };
        self.place("i/").replace = self.replaced(&delta.name)?;
        if let Some(pack) = self.repository.packs_of(delta.name.as_str())?.first() {
            self.place("packs/").replace = self.replaced(&ObjectName::pack(&pack.id))?;
        }
        Ok(())
    }

    /// What only a pruner may: to mark the session, which is no snapshot, as forgotten; a segment of no packs; its intents.
    fn marks(&mut self, session: SessionId, mark: &SessionMark) -> Result<(), RepositoryError> {
        self.place("f/").create = tried(self.repository.forget(session, mark.time, &mark.host))?.0;
        if self.place("f/").create == Answer::Allowed {
            self.place("f/").replace = self.replaced(&ObjectName::forget_mark(&session))?;
        }
        let (created, segment) = tried(self.repository.put_base_segment(&[]))?;
        self.place("b/").create = created;
        if let Some(segment) = segment {
            self.place("b/").replace = self.replaced(&ObjectName::base_segment(&segment))?;
        }
        Ok(())
    }

    /// What nobody ever deletes.
    fn kept(&mut self) -> Result<(), RepositoryError> {
        let newest = self.repository.storage().list(&Prefix::Generations)?.pop().map(|object| object.name);
        for (prefix, name) in [("g/", newest), ("config", Some(ObjectName::config()))] {
            self.place(prefix);
            let Some(name) = name else { continue };
            let content = self.repository.storage().get(&name, ByteRange::All)?;
            let (created, put) = answer(self.repository.storage().put_if_absent(&name, content))?;
            self.place(prefix).create = created;
            self.place(prefix).replace = self.replaced(&name)?;
            match put {
                Some(Put::Exists) => self.writers = Some(Writers::Many),
                Some(Put::Created) => self.writers = Some(Writers::One),
                None => {}
            }
        }
        Ok(())
    }

    /// An object that is no key slot, and that everyone passes over.
    fn keys(&mut self) -> Result<(), RepositoryError> {
        let name = self.stray("keys/")?;
        let storage = self.repository.storage();
        let (created, _) = answer(storage.put_if_absent(&name, Bytes::from_static(b"test")))?;
        self.place("keys/").create = created;
        if created == Answer::Allowed {
            self.place("keys/").replace = self.replaced(&name)?;
        }
        self.place("keys/").delete = answer(storage.delete(&name))?.0;
        Ok(())
    }

    fn deletes(&mut self) -> Result<(), RepositoryError> {
        let random = || random_bytes::<16>(self.repository.randomness()).map(SessionId);
        let names = [
            ("packs/", ObjectName::pack(&PackId(random_bytes(self.repository.randomness())?))),
            ("s/", ObjectName::session(&random()?)),
            ("i/", ObjectName::index_delta(0, &random()?, 0)),
            ("c/", ObjectName::commit_cell(&random()?)),
            ("f/", ObjectName::forget_mark(&random()?)),
            ("b/", self.stray("b/")?),
            ("g/", self.stray("g/")?),
        ];
        for (prefix, name) in names {
            self.place(prefix).delete = answer(self.repository.storage().delete(&name))?.0;
        }
        Ok(())
    }

    /// A name that nothing has, and that means nothing.
    fn stray(&self, prefix: &str) -> Result<ObjectName, RepositoryError> {
        let random = random_bytes::<8>(self.repository.randomness())?;
        let name = format!("{prefix}test-{}", hex::encode(random)).parse();
        Ok(name.expect("because it is made of letters and digits"))
    }
}

fn answer<T>(outcome: Result<T, StorageError>) -> Result<(Answer, Option<T>), StorageError> {
    match outcome {
        Ok(value) => Ok((Answer::Allowed, Some(value))),
        Err(error) if error.kind == StorageErrorKind::Denied => Ok((Answer::Refused, None)),
        Err(error) => Err(error),
    }
}

fn tried<T>(outcome: Result<T, RepositoryError>) -> Result<(Answer, Option<T>), RepositoryError> {
    match outcome {
        Err(RepositoryError::Storage(error)) => Ok(answer(Err(error))?),
        outcome => Ok((Answer::Allowed, Some(outcome?))),
    }
}
