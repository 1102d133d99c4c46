//! What a search begins with: who wants to do what, and what the repository holds. A scene bounds the search, never the protocol.

use super::rules::Rule;
use super::state::{
    Cell, Chunks, FIRST_PACKS, GENERATIONS, Generation, Packs, Pruner, SESSIONS, Session, State, Writer, WriterStep,
    only,
};

/// What a writer is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Not there.
    Nothing,
    /// Backs these chunks up.
    Backup(Chunks),
    /// Commits the first snapshot, forgotten or not, under a new sid.
    Undo,
    /// Copies these chunks to a new pack and ends closed.
    Repack(Chunks),
}

/// How the repository begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// Never pruned: the first packs are named by a delta.
    Young,
    /// Pruned before: they are named by a base segment.
    Aged,
}

/// What a prune does with a segment that names deleted packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldSegments {
    /// It is written anew without them.
    Rewritten,
    /// It is kept, and readers skip them.
    Kept,
}

/// Which packs a pruner may condemn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plans {
    /// As many as can go, or one alone.
    Extreme,
    /// Any at all: whatever the plan, later steps see to it that nothing is lost.
    Any,
}

/// Whether writers hear of what they did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    /// Always.
    Sure,
    /// The reply to any put may be lost, and the put is sent again, at any later time.
    Lost,
}

/// Whether sessions are declared dead that are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Any session may be revoked at any time.
    None,
    /// None is ever revoked.
    Endless,
}

/// Whether a writer's process dies and a new one begins again, if it has a session left for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crashes {
    /// It only stalls, for a while or for ever, or is revoked.
    Never,
    /// At any step.
    Anywhere,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) tasks: [Task; 2],
    /// Sessions each writer may begin: one more than it may be revoked.
    pub(crate) sessions: [u8; 2],
    pub(crate) prunes: [u8; 2],
    /// Packs of the beginning.
    pub(crate) packs: Packs,
    /// Those of them that are gone though the index names them.
    pub(crate) lost: Packs,
    /// Those of them that are damaged, as every pruner knows, and the first manifest that says so.
    pub(crate) damaged: Packs,
    pub(crate) distrusted_from: u8,
    /// What the first snapshot needs.
    pub(crate) first: Chunks,
    pub(crate) index: Index,
    pub(crate) segments: OldSegments,
    pub(crate) plans: Plans,
    pub(crate) replies: Replies,
    pub(crate) patience: Patience,
    pub(crate) crashes: Crashes,
}

/// The protocol, whole or without one rule, in a scene.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) scene: Scene,
    pub(crate) broken: &'static [Rule],
}

impl Model {
    /// Whether this rule is switched off.
    pub(crate) fn without(&self, rule: Rule) -> bool {
        self.broken.contains(&rule)
    }

    /// Whose writer a session is; none for the first.
    pub(crate) fn task(&self, sid: u8) -> Task {
        let [first, second] = self.scene.sessions;
        match sid {
            0 => Task::Backup(self.scene.first),
            sid if sid <= first => self.scene.tasks[0],
            sid if sid <= first + second => self.scene.tasks[1],
            _ => Task::Nothing,
        }
    }

    /// What a snapshot of this session needs, or what it copies.
    pub(crate) fn wants(&self, sid: u8) -> Chunks {
        match self.task(sid) {
            Task::Nothing => 0,
            Task::Backup(chunks) | Task::Repack(chunks) => chunks,
            Task::Undo => self.scene.first,
        }
    }

    /// The sid with which a writer begins anew.
    pub(crate) fn next_sid(&self, writer: u8, sid: u8) -> Option<u8> {
        let [first, second] = self.scene.sessions;
        let last = if writer == 0 { first } else { first + second };
        (sid < last).then_some(sid + 1)
    }

    pub(crate) fn beginning(&self) -> State {
        let scene = &self.scene;
        assert!(scene.sessions[0] + scene.sessions[1] < SESSIONS, "too many sessions in {}", scene.name);
        assert!(scene.prunes[0] + scene.prunes[1] <= GENERATIONS, "too many prunes in {}", scene.name);
        assert!(scene.packs < only(FIRST_PACKS), "packs of the beginning are those of session 0");
        let aged = scene.index == Index::Aged;
        let nothing =
            Session { mark: false, cell: Cell::Absent, cell_epoch: 0, forget_mark: false, delta: 0, delta_epoch: 0 };
        let first = Session { mark: !aged, cell: Cell::Snapshot, delta: if aged { 0 } else { scene.packs }, ..nothing };
        let mut generations = [Generation::default(); GENERATIONS as usize + 1];
        generations[0] = Generation {
            intent: true,
            manifest: true,
            live: only(0),
            base: if aged { scene.packs } else { 0 },
            segments: u16::from(aged),
            ..Generation::default()
        };
        let writer =
            |task, sid| Writer::new(if task == Task::Nothing { WriterStep::TooLate } else { WriterStep::PutMark }, sid);
        let [first_task, second_task] = scene.tasks;
        State {
            packs: scene.packs & !scene.lost,
            sessions: [first, nothing, nothing, nothing],
            generations,
            segments: u16::from(aged),
            writers: [writer(first_task, 1), writer(second_task, scene.sessions[0] + 1)],
            pruners: scene.prunes.map(Pruner::idle),
            forgotten: 0,
            revoked: 0,
            deleted_unlisted: false,
        }
    }
}
