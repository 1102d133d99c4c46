//! One moment of the modelled world: every object of the store, where each process stands, and what is remembered of the past.
//!
//! Everything is small and of fixed size: two chunks, twelve packs, four sessions, three generations. Sets are bits.

/// Sessions there can be; 0 is the one whose snapshot was there before anything began.
pub(crate) const SESSIONS: u8 = 4;
/// Prunes there can be.
pub(crate) const GENERATIONS: u8 = 3;
/// Packs that may be there from the beginning; each session may then make three of its own.
pub(crate) const FIRST_PACKS: u8 = 3;

pub(crate) type Packs = u16;
pub(crate) type Chunks = u16;
pub(crate) type Sids = u16;
/// Two attempts for each generation, the bits 2n and 2n + 1.
pub(crate) type Segments = u16;

pub(crate) const X: Chunks = 1;
pub(crate) const Y: Chunks = 2;

/// The set of one.
pub(crate) fn only(member: u8) -> u16 {
    1 << member
}

pub(crate) fn has(set: u16, member: u8) -> bool {
    set >> member & 1 == 1
}

/// The members of a set, lowest first.
pub(crate) fn each(set: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |member| has(set, *member))
}

pub(crate) fn set_of(members: impl Iterator<Item = u8>) -> u16 {
    members.fold(0, |set, member| set | only(member))
}

/// The lowest member alone; nothing of nothing.
pub(crate) fn lowest(set: u16) -> u16 {
    set & set.wrapping_neg()
}

/// The pack in which a session stores these chunks: each is told apart by who made it and what it holds.
pub(crate) fn pack_of(sid: u8, chunks: Chunks) -> Packs {
    let held = match chunks {
        X => 0,
        Y => 1,
        _ => 2,
    };
    only(FIRST_PACKS * sid + held)
}

/// The session that made a pack.
pub(crate) fn maker_of(pack: u8) -> u8 {
    pack / FIRST_PACKS
}

/// What these packs hold; the number of a pack says it.
pub(crate) fn chunks_in(packs: Packs) -> Chunks {
    const WITH_X: Packs = 0b101_101_101_101;
    const WITH_Y: Packs = 0b110_110_110_110;
    (if packs & WITH_X != 0 { X } else { 0 }) | (if packs & WITH_Y != 0 { Y } else { 0 })
}

/// Those of these packs that hold a chunk.
pub(crate) fn holding(packs: Packs, chunk: Chunks) -> Packs {
    set_of(each(packs).filter(|pack| chunks_in(only(*pack)) & chunk != 0))
}

/// What `c/<sid>` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Cell {
    Absent,
    Snapshot,
    Closed,
    Revoked,
}

/// The objects named after one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    /// `s/<sid>`
    pub(crate) mark: bool,
    /// `c/<sid>`, and the epoch it names.
    pub(crate) cell: Cell,
    pub(crate) cell_epoch: u8,
    /// `f/<sid>`
    pub(crate) forget_mark: bool,
    /// `i/<epoch>/<sid>-<k>` for any k: the packs they name.
    pub(crate) delta: Packs,
    pub(crate) delta_epoch: u8,
}

/// `g/<n>`, and `g/<n>.commit` with what its segments name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Generation {
    pub(crate) intent: bool,
    pub(crate) condemned: Packs,
    pub(crate) manifest: bool,
    pub(crate) deleted: Packs,
    pub(crate) live: Sids,
    pub(crate) base: Packs,
    pub(crate) segments: Segments,
}

/// What a writer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum WriterStep {
    PutMark,
    PutMarkLate,
    ReadManifests,
    ReadIntents,
    ReadManifestsLast,
    ReadIndex,
    ReadCells,
    Store,
    PutPackAgain,
    PutDelta,
    PutDeltaAgain,
    PutCellAgain,
    /// Exit 0.
    Done,
    /// Revoked once more than the model lets it begin anew.
    GaveUp,
    /// An `undo` whose chunks are gone.
    TooLate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) step: WriterStep,
    pub(crate) sid: u8,
    /// M, as it was read.
    pub(crate) manifest: u8,
    /// The highest intent, open or decided, as it was read.
    pub(crate) intent: u8,
    /// Packs whose deltas count only if their session turns out to be finished.
    pub(crate) doubtful: Packs,
    /// Chunks that need not be sent.
    pub(crate) known: Chunks,
    /// Chunks of the pack that no delta names yet.
    pub(crate) pending: Chunks,
}

impl Writer {
    /// At a step, knowing nothing.
    pub(crate) fn new(step: WriterStep, sid: u8) -> Self {
        Self { step, sid, manifest: 0, intent: 0, doubtful: 0, known: 0, pending: 0 }
    }
}

/// What a pruner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum PrunerStep {
    Begin,
    PutIntentLate,
    ListSessions,
    Wait,
    ListCells,
    ListDeltas,
    PutSegments,
    PutManifest,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pruner {
    pub(crate) step: PrunerStep,
    pub(crate) runs_left: u8,
    /// n
    pub(crate) generation: u8,
    /// A list of the own, where a broken rule lets it be used.
    pub(crate) own_list: Packs,
    pub(crate) waiting: Sids,
    pub(crate) live: Sids,
    pub(crate) delete: Packs,
    pub(crate) base: Packs,
    /// The segment put for n.
    pub(crate) segment: Segments,
    /// Segments that were there before `g/<n>.commit` was.
    pub(crate) old_segments: Segments,
}

impl Pruner {
    pub(crate) fn idle(runs_left: u8) -> Self {
        Self {
            step: PrunerStep::Begin,
            runs_left,
            generation: 0,
            own_list: 0,
            waiting: 0,
            live: 0,
            delete: 0,
            base: 0,
            segment: 0,
            old_segments: 0,
        }
    }

    /// The generation is decided: all else is forgotten.
    pub(crate) fn deleting(self) -> Self {
        Self { step: PrunerStep::Delete, generation: self.generation, ..Self::idle(self.runs_left) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// `packs/<id>`
    pub(crate) packs: Packs,
    pub(crate) sessions: [Session; SESSIONS as usize],
    pub(crate) generations: [Generation; GENERATIONS as usize + 1],
    /// `b/<id>`
    pub(crate) segments: Segments,
    pub(crate) writers: [Writer; 2],
    pub(crate) pruners: [Pruner; 2],
    /// Remembered: which were ever forgotten, which revoked, and whether a pack was deleted that no manifest lists.
    pub(crate) forgotten: Sids,
    pub(crate) revoked: Sids,
    pub(crate) deleted_unlisted: bool,
}

impl State {
    pub(crate) fn session(&self, sid: u8) -> &Session {
        &self.sessions[usize::from(sid)]
    }

    pub(crate) fn session_mut(&mut self, sid: u8) -> &mut Session {
        &mut self.sessions[usize::from(sid)]
    }

    pub(crate) fn generation(&self, n: u8) -> &Generation {
        &self.generations[usize::from(n)]
    }

    pub(crate) fn generation_mut(&mut self, n: u8) -> &mut Generation {
        &mut self.generations[usize::from(n)]
    }

    /// M.
    pub(crate) fn newest_manifest(&self) -> u8 {
        self.newest_manifest_below(GENERATIONS + 1)
    }

    /// The highest n below a bound that has a manifest.
    pub(crate) fn newest_manifest_below(&self, bound: u8) -> u8 {
        (0..bound).rev().find(|n| self.generation(*n).manifest).unwrap_or(0)
    }

    /// The highest n with an intent, open or decided.
    pub(crate) fn newest_intent(&self) -> u8 {
        (0..=GENERATIONS).rev().find(|n| self.generation(*n).intent).unwrap_or(0)
    }

    /// Packs named by the deltas whose epoch is asked for.
    pub(crate) fn named_by_deltas(&self, epoch: impl Fn(u8) -> bool) -> Packs {
        self.sessions
            .iter()
            .filter(|session| epoch(session.delta_epoch))
            .fold(0, |packs, session| packs | session.delta)
    }
}
