//! Which sessions are under way, and which of their writers are dead (P3).
//!
//! A writer on this machine is dead when its process is gone; one elsewhere when it gave no sign for six hours by the
//! store's own clock. Only how long it is waited for hangs on that: a writer held for dead by mistake is told so when it
//! commits, and commits again.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::id::SessionId;
use crate::platform::process::ProcessIdentity;
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::random::random_bytes;
use crate::repository::session::SessionMark;
use crate::repository::snapshot::CommitCell;
use crate::storage::name::{ObjectName, Prefix};
use crate::storage::together::{Nearby, each};

/// How long a writer elsewhere may be silent before it is held for dead: six of its heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(6 * 3600);

/// A session that neither committed nor closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    /// Its last sign of life, by the store's clock.
    pub last_sign: SystemTime,
    /// Who writes; `None` where its mark cannot be read.
    pub mark: Option<SessionMark>,
}

impl Repository {
    /// The sessions that are under way or were interrupted, in the order of their ids.
    pub fn open_sessions(&self) -> Result<Vec<OpenSession>, RepositoryError> {
        let mut signs: HashMap<SessionId, SystemTime> = HashMap::new();
        for object in self.storage.list(&Prefix::Sessions)? {
            let beat = object.name.heartbeat_parts().map(|(session, _)| session);
            if let Some(session) = object.name.session_id().or(beat) {
                let sign = signs.entry(session).or_insert(object.modified);
                *sign = object.modified.max(*sign);
            }
        }
        // Cells after sessions: whatever was decided meanwhile is not waited for.
        for object in self.storage.list(&Prefix::Cells)? {
            if let Some(session) = object.name.commit_cell_id() {
                signs.remove(&session);
            }
        }
        let mut open = Vec::with_capacity(signs.len());
        let signs: Vec<(SessionId, SystemTime)> = signs.into_iter().collect();
        let read = |(id, _): &(SessionId, SystemTime)| self.read_document(&ObjectName::session(id));
        let marks = each(self.storage.as_ref(), Nearby::InTurn, &signs, read);
        for ((id, last_sign), mark) in signs.into_iter().zip(marks) {
            let mark = match mark {
                Ok(document) => serde_json::from_slice(&document).ok(),
                // It ended since, and another prune swept it.
                Err(error) if error.is_not_found() => continue,
                Err(error) if error.is_damage() => None,
                Err(error) => return Err(error),
            };
            open.push(OpenSession { id, last_sign, mark });
        }
        open.sort_by_key(|session| session.id);
        Ok(open)
    }

    /// Ends a session whose writer is dead, unless it decided itself meanwhile.
    pub fn revoke(&self, id: SessionId) -> Result<(), RepositoryError> {
        match self.decide_cell(id, &CommitCell::Revoked) {
            Ok(()) | Err(RepositoryError::Revoked) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The store's own time: that of a session that begins and closes here.
    pub fn store_time(&self, mark: &SessionMark, epoch: u64) -> Result<SystemTime, RepositoryError> {
        let id = SessionId(random_bytes(self.randomness())?);
        let name = ObjectName::session(&id);
        let document = serde_json::to_vec(mark).expect("because a mark is plain data");
        let _created = self.put_object(&name, &document)?;
        let listed = self.storage.list(&Prefix::Sessions)?;
        // Another pruner may have held it for dead meanwhile: it has ended either way.
        match self.decide_cell(id, &CommitCell::Closed { epoch }) {
            Ok(()) | Err(RepositoryError::Revoked) => {}
            Err(error) => return Err(error),
        }
        let own = listed.iter().find(|object| object.name == name).map(|object| object.modified);
        own.ok_or_else(|| {
            let reason = "the store does not list what it has just taken".to_owned();
            RepositoryError::ObjectDamaged { name, reason }
        })
    }
}

impl OpenSession {
    /// Whether its process ran on this machine and has ended.
    pub fn has_ended_here(&self, host: &str) -> bool {
        self.mark.as_ref().is_some_and(|mark| {
            let SessionMark { boot, pid_namespace, pid, started, .. } = mark.clone();
            mark.host == host && ProcessIdentity { boot, pid_namespace, pid, started }.has_ended()
        })
    }

    /// Whether it gave no sign for so long that it is held for dead at `now`, both by the store's clock.
    pub fn is_silent(&self, now: SystemTime) -> bool {
        now.duration_since(self.last_sign).is_ok_and(|silence| silence > SILENCE_MAX)
    }

    /// Who is waited for.
    pub fn writer(&self) -> String {
        match &self.mark {
            Some(mark) => format!("process {} on {} since {} (session {})", mark.pid, mark.host, mark.time, self.id),
            None => format!("session {}", self.id),
        }
    }
}
