//! What counts (V), what is distrusted (D), and what must hold in every state.

use std::fmt;

use super::rules::Rule;
use super::scene::{Model, Task};
use super::state::{Cell, Chunks, Packs, SESSIONS, Sids, State, WriterStep, X, Y, each, has, holding, only, set_of};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// I1: a valid snapshot needs a chunk that no present pack of a reader's index holds.
    DataLost { sid: u8, chunk: Chunks },
    /// I1: the newest manifest names a segment that is not there.
    IndexLost,
    /// I2: exit 0 was said of a snapshot that nobody forgot and that does not count.
    CommitLost { sid: u8 },
    /// I3: a pack was deleted that no manifest lists.
    DeletedUnlisted,
    /// I4: a session that was forgotten or revoked counts.
    CameBack { sid: u8 },
    /// I5: somebody has not finished and cannot go on.
    Stuck,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataLost { sid, chunk: X } => write!(formatter, "snapshot {sid} has lost chunk x"),
            Self::DataLost { sid, .. } => write!(formatter, "snapshot {sid} has lost chunk y"),
            Self::IndexLost => write!(formatter, "a segment of the newest manifest is gone"),
            Self::CommitLost { sid } => write!(formatter, "snapshot {sid} was acknowledged and does not count"),
            Self::DeletedUnlisted => write!(formatter, "a pack was deleted that no manifest lists"),
            Self::CameBack { sid } => write!(formatter, "session {sid} was forgotten or revoked and counts"),
            Self::Stuck => write!(formatter, "somebody has not finished and cannot go on"),
        }
    }
}

impl Model {
    /// Rule V1, for whoever has read manifest M.
    pub(crate) fn is_valid(&self, state: &State, sid: u8, manifest: u8) -> bool {
        let session = state.session(sid);
        let counts = session.cell_epoch >= manifest || has(state.generation(manifest).live, sid);
        session.cell == Cell::Snapshot && !session.forget_mark && (counts || self.without(Rule::V1))
    }

    pub(crate) fn valid_snapshots(&self, state: &State, manifest: u8) -> Sids {
        set_of((0..SESSIONS).filter(|sid| self.is_valid(state, *sid, manifest)))
    }

    /// Rule V2: the packs that readers and pruners know of, who have read manifest M.
    pub(crate) fn index(&self, state: &State, manifest: u8) -> Packs {
        let deltas = state.named_by_deltas(|epoch| epoch >= manifest || self.without(Rule::V2));
        (state.generation(manifest).base | deltas) & !self.deleted(state, manifest)
    }

    /// Rule W3e: the packs that manifests up to M delete, whether or not they are gone.
    pub(crate) fn deleted(&self, state: &State, manifest: u8) -> Packs {
        let oldest = if self.without(Rule::W3e) { manifest } else { 1 };
        (oldest..=manifest).fold(0, |packs, n| packs | state.generation(n).deleted)
    }

    /// The packs that manifest M says are damaged, rule D6.
    pub(crate) fn distrusted(&self, manifest: u8) -> Packs {
        let forgets = self.without(Rule::D6) && manifest > self.scene.distrusted_from;
        if manifest >= self.scene.distrusted_from && !forgets { self.scene.damaged } else { 0 }
    }

    pub(crate) fn makes_snapshot(&self, sid: u8) -> bool {
        matches!(self.task(sid), Task::Backup(_) | Task::Undo)
    }

    /// I1, I2 and I4; I3 and I5 are seen by whoever deletes, and by the search.
    pub(crate) fn violation(&self, state: &State) -> Option<Violation> {
        let manifest = state.newest_manifest();
        let valid = self.valid_snapshots(state, manifest);
        if state.generation(manifest).segments & !state.segments != 0 {
            return Some(Violation::IndexLost);
        }
        let present = self.index(state, manifest) & state.packs;
        for sid in each(valid) {
            if let Some(chunk) = [X, Y].into_iter().find(|chunk| self.is_lost(state, present, sid, *chunk)) {
                return Some(Violation::DataLost { sid, chunk });
            }
            if has(state.forgotten | state.revoked, sid) {
                return Some(Violation::CameBack { sid });
            }
        }
        if state.deleted_unlisted && self.broken.is_empty() {
            // What is lost by it shows a few steps later, and is asked of the mutants.
            return Some(Violation::DeletedUnlisted);
        }
        let lost = self.acknowledged(state) & !valid & !state.forgotten;
        each(lost).next().map(|sid| Violation::CommitLost { sid })
    }

    /// Whether a snapshot needs a chunk that is in no present pack, or only in damaged ones though it need not be.
    fn is_lost(&self, state: &State, present: Packs, sid: u8, chunk: Chunks) -> bool {
        let intact = present & !self.scene.damaged;
        let needed = self.wants(sid) & chunk != 0;
        needed
            && holding(intact, chunk) == 0
            && (holding(present, chunk) == 0 || !self.may_be_damaged(state, sid, chunk))
    }

    /// Whether a chunk was damaged before anything began, and the session read the index before anyone could know.
    fn may_be_damaged(&self, state: &State, sid: u8, chunk: Chunks) -> bool {
        let intact = self.scene.packs & !self.scene.damaged & !self.scene.lost;
        holding(intact, chunk) == 0 && (sid == 0 || state.session(sid).cell_epoch < self.scene.distrusted_from)
    }

    /// Sids whose writers said exit 0.
    fn acknowledged(&self, state: &State) -> Sids {
        let done = state.writers.iter().filter(|writer| writer.step == WriterStep::Done);
        only(0) | set_of(done.map(|writer| writer.sid).filter(|sid| self.makes_snapshot(*sid)))
    }
}
