//! A pruner, step by step: it opens a generation or helps with an open one, and deletes what its manifest says.

use super::rules::Rule;
use super::scene::{Model, OldSegments, Patience, Plans};
use super::search::{FIRST_PRUNER, Steps};
use super::state::{
    Cell, Chunks, GENERATIONS, Packs, Pruner, PrunerStep, SESSIONS, Session, Sids, State, X, Y, each, has, holding,
    lowest, only, set_of,
};

/// The deletion of an object of a session, in words and in deed.
type Deletion = (&'static str, fn(&mut Session));

/// One pruner's turn in one state.
pub(crate) struct Pruning<'a> {
    pub(crate) model: &'a Model,
    pub(crate) state: &'a State,
    pub(crate) index: u8,
    pub(crate) steps: &'a mut Steps,
}

impl Pruning<'_> {
    pub(crate) fn turn(&mut self) {
        match self.pruner().step {
            PrunerStep::Begin => self.begin(),
            PrunerStep::PutIntentLate => self.put_intent_late(),
            PrunerStep::ListSessions => self.list_sessions(PrunerStep::Wait),
            PrunerStep::Wait => self.wait(),
            PrunerStep::ListCells => self.list_cells(),
            PrunerStep::ListDeltas => self.list_deltas(),
            PrunerStep::PutSegments => self.put_segments(),
            PrunerStep::PutManifest => self.put_manifest(),
            PrunerStep::Delete => self.delete(),
        }
    }

    fn pruner(&self) -> &Pruner {
        &self.state.pruners[usize::from(self.index)]
    }

    /// The pruner goes on to a step, changing itself and the store.
    fn go(&mut self, what: &'static str, detail: u16, step: PrunerStep, change: impl Fn(&mut State, &mut Pruner)) {
        let mut next = *self.state;
        let mut pruner = Pruner { step, ..*self.pruner() };
        change(&mut next, &mut pruner);
        next.pruners[usize::from(self.index)] = pruner;
        self.steps.push(FIRST_PRUNER + self.index, what, detail, next);
    }

    /// P1 and P2. A plan may be of any age when its intent is put: whatever it says, P4 sees to it that nothing is lost.
    fn begin(&mut self) {
        if self.pruner().runs_left == 0 {
            return;
        }
        let (manifest, intent) = (self.state.newest_manifest(), self.state.newest_intent());
        if intent > manifest && !self.model.without(Rule::P2b) {
            self.help(intent, PrunerStep::ListSessions);
        } else if self.model.without(Rule::P3b) {
            self.list_sessions(PrunerStep::PutIntentLate);
        } else {
            self.open_generation(PrunerStep::ListSessions);
        }
    }

    /// Without rule P3b: the sessions were listed before.
    fn put_intent_late(&mut self) {
        let (manifest, intent) = (self.state.newest_manifest(), self.state.newest_intent());
        if intent > manifest {
            return self.help(intent, PrunerStep::Wait);
        }
        self.open_generation(PrunerStep::Wait);
        self.go("finds nothing to condemn", 0, PrunerStep::Begin, |_, pruner| *pruner = Pruner::idle(0));
    }

    fn open_generation(&mut self, step: PrunerStep) {
        let n = self.state.newest_intent() + 1;
        for plan in if n > GENERATIONS { Vec::new() } else { self.plans() } {
            self.go("condemns packs", plan, step, |state, pruner| {
                pruner.runs_left -= 1;
                pruner.generation = n;
                state.generation_mut(n).intent = true;
                state.generation_mut(n).condemned = plan;
            });
        }
    }

    /// Rule P2a.
    fn help(&mut self, n: u8, step: PrunerStep) {
        let lists = if self.model.without(Rule::P2a) { self.plans() } else { vec![0] };
        for own_list in lists {
            self.go("helps with the open generation", own_list, step, |_, pruner| {
                pruner.runs_left -= 1;
                pruner.generation = n;
                pruner.own_list = own_list;
            });
        }
    }

    /// P1: what may be condemned now.
    fn plans(&self) -> Vec<Packs> {
        let manifest = self.state.newest_manifest();
        let present = self.state.packs;
        let copies = self.model.index(self.state, manifest) & present & !self.model.distrusted(manifest + 1);
        let needed = self.needed(self.model.valid_snapshots(self.state, manifest));
        let spares = |plan: Packs| {
            let spared = |chunk| holding(copies & !plan, chunk) != 0 || holding(copies, chunk) == 0;
            chunks(needed).all(spared)
        };
        let mut plans: Vec<Packs> = match self.model.scene.plans {
            Plans::Any => (0..=present).filter(|plan| plan & !present == 0).collect(),
            Plans::Extreme => {
                let most = survivors(copies, needed).into_iter().map(|kept| present & !kept);
                most.chain(each(present).map(only).filter(|plan| spares(*plan))).filter(|plan| *plan != 0).collect()
            }
        };
        // Rule D4.
        if !self.model.without(Rule::D4) {
            let there = present | self.model.scene.lost;
            let distrusted = self.model.distrusted(manifest + 1) & !self.model.distrusted(manifest) & there;
            plans.iter_mut().for_each(|plan| *plan |= distrusted);
        }
        plans.sort_unstable();
        plans.dedup();
        plans
    }

    fn needed(&self, snapshots: Sids) -> Chunks {
        each(snapshots).fold(0, |needed, sid| needed | self.model.wants(sid))
    }

    /// P3, first half.
    fn list_sessions(&mut self, step: PrunerStep) {
        let unfinished = (0..SESSIONS).filter(|sid| {
            let session = self.state.session(*sid);
            session.mark && session.cell == Cell::Absent
        });
        let nobody = self.model.without(Rule::P3a);
        let waiting = if nobody { 0 } else { set_of(unfinished) };
        // Rule P4a.
        let live = self.model.valid_snapshots(self.state, self.state.newest_manifest());
        let live = if self.model.without(Rule::P4a) { live } else { 0 };
        self.go("lists the sessions, waits for", waiting, step, |_, pruner| {
            pruner.waiting = waiting;
            pruner.live = live;
        });
    }

    /// P3, second half. That a session is dead may be believed at any time, of any session.
    fn wait(&mut self) {
        let absent = |sid: &u8| self.state.session(*sid).cell == Cell::Absent;
        let unfinished: Vec<u8> = each(self.pruner().waiting).filter(absent).collect();
        if unfinished.is_empty() {
            self.go("has waited", 0, PrunerStep::ListCells, |_, pruner| pruner.waiting = 0);
        }
        // Rule P3e: a session whose snapshot was forgotten may have lost its cell again, so a cell alone may never come.
        if self.state.generation(self.pruner().generation).manifest && !self.model.without(Rule::P3e) {
            self.go("sees that another has decided", 0, PrunerStep::Delete, |_, pruner| *pruner = pruner.deleting());
        }
        let over = each(if self.model.without(Rule::P3d) { self.pruner().waiting } else { 0 });
        for sid in unfinished.into_iter().chain(over.filter(|sid| !absent(sid))) {
            if self.model.scene.patience == Patience::Endless {
                continue;
            }
            if self.model.without(Rule::P3c) {
                self.go("waits no longer for session", only(sid), PrunerStep::Wait, |_, pruner| {
                    pruner.waiting &= !only(sid);
                });
                continue;
            }
            self.go("revokes session", only(sid), PrunerStep::Wait, |state, pruner| {
                pruner.waiting &= !only(sid);
                state.session_mut(sid).cell = Cell::Revoked;
                state.session_mut(sid).cell_epoch = 0;
                state.revoked |= only(sid);
            });
        }
    }

    /// P4, first half: what is live. The order of these listings does not matter; that they come after the wait does.
    fn list_cells(&mut self) {
        let manifest = self.state.newest_manifest_below(self.pruner().generation);
        let live = self.model.valid_snapshots(self.state, manifest);
        let live = if self.model.without(Rule::P4a) { live & self.pruner().live } else { live };
        self.go("lists the cells, sees alive", live, PrunerStep::ListDeltas, |_, pruner| pruner.live = live);
        for sid in each(if self.model.without(Rule::P0) { live } else { 0 }) {
            let live = live & !only(sid);
            self.go("cannot read a cell, sees alive", live, PrunerStep::ListDeltas, |_, pruner| pruner.live = live);
        }
    }

    /// P4 and P5: what goes, and what the base is to name.
    fn list_deltas(&mut self) {
        self.decide(0);
        let deltas = self.state.sessions.map(|session| session.delta);
        for delta in deltas.into_iter().filter(|delta| *delta != 0 && self.model.without(Rule::P0)) {
            self.decide(delta);
        }
    }

    fn decide(&mut self, unread: Packs) {
        let n = self.pruner().generation;
        let manifest = self.state.newest_manifest_below(n);
        let condemned =
            if self.pruner().own_list == 0 { self.state.generation(n).condemned } else { self.pruner().own_list };
        let base = self.base(manifest) & !unread;
        let old_segments = self.state.segments;
        for delete in self.delete_lists(manifest, condemned, unread) {
            let base = if self.model.scene.segments == OldSegments::Kept { base } else { base & !delete };
            self.go("lists the deltas, will delete", delete, PrunerStep::PutSegments, |_, pruner| {
                pruner.delete = delete;
                pruner.base = base;
                pruner.old_segments = old_segments;
            });
        }
    }

    /// P4: the condemned without the last copies. Which of several copies is the last is the pruner's choice.
    fn delete_lists(&self, manifest: u8, condemned: Packs, unread: Packs) -> Vec<Packs> {
        if self.model.without(Rule::P4b) {
            return vec![condemned];
        }
        let condemned = if self.model.without(Rule::P4e) { self.state.packs } else { condemned };
        let present = if self.model.without(Rule::P4c) { Packs::MAX } else { self.state.packs };
        let distrusted = if self.model.without(Rule::D2) { 0 } else { self.model.distrusted(self.pruner().generation) };
        let named = self.model.index(self.state, manifest) & present & !unread;
        let copies = named & !distrusted;
        let alive = |sid: &u8| self.state.session(*sid).cell == Cell::Absent && !self.model.without(Rule::P4d);
        let of_live_writers = (0..SESSIONS).filter(alive).fold(0, |packs, sid| packs | self.state.session(sid).delta);
        let deletable = condemned & !of_live_writers;
        let needed = self.needed(self.pruner().live);
        let endangered = chunks(needed).filter(|chunk| holding(copies & !deletable, *chunk) == 0);
        let endangered = endangered.fold(0, |set, chunk| set | chunk);
        // Rule D5.
        let hurt = chunks(needed).filter(|chunk| holding(copies, *chunk) == 0 && !self.model.without(Rule::D5));
        let hurt = hurt.fold(0, |set, chunk| set | holding(named, chunk));
        survivors(copies & deletable, endangered).into_iter().map(|kept| deletable & !kept & !hurt).collect()
    }

    /// P5: base(M) and the deltas of epoch exactly M.
    fn base(&self, manifest: u8) -> Packs {
        let adopted = |epoch: u8| {
            epoch == manifest && !self.model.without(Rule::P5a) || epoch < manifest && self.model.without(Rule::P5b)
        };
        self.state.generation(manifest).base | self.state.named_by_deltas(adopted)
    }

    /// P5: segments have names of their own, so two pruners put two.
    fn put_segments(&mut self) {
        let n = self.pruner().generation;
        let attempt = if has(self.state.segments, 2 * n) { 2 * n + 1 } else { 2 * n };
        self.go("puts its segment", only(attempt), PrunerStep::PutManifest, |state, pruner| {
            pruner.segment = only(attempt);
            state.segments |= only(attempt);
        });
        // Rules P5c and P6b.
        if self.model.without(Rule::P5c) {
            self.go("leaves its segment for later", only(attempt), PrunerStep::PutManifest, |_, pruner| {
                pruner.segment = only(attempt);
            });
        }
        if self.model.without(Rule::P6b) {
            self.delete_packs(self.pruner().delete, PrunerStep::PutSegments);
        }
    }

    /// P6.
    fn put_manifest(&mut self) {
        let n = self.pruner().generation;
        let Pruner { delete, live, base, segment, old_segments, .. } = *self.pruner();
        let kept = if self.model.scene.segments == OldSegments::Kept {
            self.state.generation(self.state.newest_manifest_below(n)).segments
        } else {
            0
        };
        if self.state.generation(n).manifest && !self.model.without(Rule::P6c) {
            // Rules P6a and P7i.
            let own_list = if self.model.without(Rule::P6a) { delete } else { 0 };
            let own_segments = if self.model.without(Rule::P7i) { old_segments } else { 0 };
            return self.go("finds a manifest by another", 0, PrunerStep::Delete, |_, pruner| {
                *pruner = Pruner { own_list, old_segments: own_segments, ..pruner.deleting() };
            });
        }
        self.go("puts its manifest, deleting", delete, PrunerStep::Delete, |state, pruner| {
            let generation = state.generation_mut(n);
            generation.manifest = true;
            generation.deleted = delete;
            generation.live = live;
            generation.base = base;
            generation.segments = kept | segment;
            *pruner = Pruner { old_segments, ..pruner.deleting() };
        });
    }

    /// Deletes one pack of a list; false if none is there.
    fn delete_packs(&mut self, list: Packs, step: PrunerStep) -> bool {
        let there = list & self.state.packs;
        let pack = lowest(there);
        if pack != 0 {
            let unlisted = self.model.deleted(self.state, GENERATIONS) & pack == 0;
            self.go("deletes a pack", pack, step, |state, _| {
                state.packs &= !pack;
                state.deleted_unlisted |= unlisted;
            });
        }
        pack != 0
    }

    /// P7: one object a step, in this order.
    fn delete(&mut self) {
        let n = self.pruner().generation;
        let list = self.state.generation(n).deleted | self.pruner().own_list;
        if self.delete_packs(list, PrunerStep::Delete) || self.delete_segment(n) {
            return;
        }
        if !(0..SESSIONS).any(|sid| self.delete_of_session(sid, n)) {
            self.go("has finished", 0, PrunerStep::Begin, |_, pruner| *pruner = Pruner::idle(pruner.runs_left));
        }
    }

    /// Rules P7a and P7i.
    fn delete_segment(&mut self, n: u8) -> bool {
        let named = self.state.generation(n).segments;
        let superseded = (0..n).fold(0, |set, older| set | self.state.generation(older).segments);
        let old = if self.model.without(Rule::P7a) { u16::MAX } else { superseded | self.pruner().old_segments };
        let there = self.state.segments & old & !named;
        let segment = lowest(there);
        if segment != 0 {
            self.go("deletes a segment", segment, PrunerStep::Delete, |state, _| state.segments &= !segment);
        }
        segment != 0
    }

    /// Deletes one object of a session; false if none may go.
    fn delete_of_session(&mut self, sid: u8, n: u8) -> bool {
        let Some((what, change)) = self.deletion_of_session(sid, n) else { return false };
        self.go(what, only(sid), PrunerStep::Delete, |state, _| change(state.session_mut(sid)));
        true
    }

    /// Rules P7b to P7h: deltas, mark, cell, forget mark, in this order.
    fn deletion_of_session(&self, sid: u8, n: u8) -> Option<Deletion> {
        let without = |rule| self.model.without(rule);
        let session = self.state.session(sid);
        let finished = matches!(session.cell, Cell::Snapshot | Cell::Closed);
        let old = session.cell_epoch < n;
        let live = has(self.state.generation(n).live, sid);
        let forgotten = session.forget_mark && (old || without(Rule::P7d)) && (!live || without(Rule::P7e));
        let cell_goes = match session.cell {
            Cell::Absent => false,
            Cell::Snapshot => forgotten || old && without(Rule::P7h),
            Cell::Closed => old,
            Cell::Revoked => without(Rule::P7g),
        };
        let cell_gone = session.cell == Cell::Absent || forgotten && without(Rule::P7f);
        if session.delta != 0 && (session.delta_epoch < n || session.delta_epoch == n && without(Rule::P7b)) {
            return Some(("deletes the deltas of session", |session| (session.delta, session.delta_epoch) = (0, 0)));
        }
        if session.mark && (finished || without(Rule::P7c)) {
            return Some(("deletes the mark of session", |session| session.mark = false));
        }
        if session.forget_mark && cell_gone {
            return Some(("deletes the forget mark of session", |session| session.forget_mark = false));
        }
        if cell_goes {
            return Some(("deletes the cell of session", |session| {
                (session.cell, session.cell_epoch) = (Cell::Absent, 0);
            }));
        }
        None
    }
}

fn chunks(set: Chunks) -> impl Iterator<Item = Chunks> {
    [X, Y].into_iter().filter(move |chunk| set & chunk != 0)
}

/// The ways to keep one copy of each needed chunk that has any.
fn survivors(copies: Packs, needed: Chunks) -> Vec<Packs> {
    let mut ways = vec![0];
    for chunk in chunks(needed) {
        let held = holding(copies, chunk);
        let longer = |kept: Packs| match held {
            0 => vec![kept],
            _ if held & kept != 0 => vec![kept],
            _ => each(held).map(|pack| kept | only(pack)).collect(),
        };
        ways = ways.into_iter().flat_map(longer).collect();
    }
    ways.sort_unstable();
    ways.dedup();
    ways
}
