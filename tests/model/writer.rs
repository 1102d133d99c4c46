//! A writer, step by step: a backup, an `undo`, or a repack that ends closed.
//!
//! A put that nobody can undo before it is sent again needs no lost reply: sending it again finds the own body, which is the
//! same as having gone on. So only packs, deltas and cells are sent again here.

use super::rules::Rule;
use super::scene::{Crashes, Model, Replies, Task};
use super::search::Steps;
use super::state::{
    Cell, Chunks, Packs, SESSIONS, State, Writer, WriterStep, chunks_in, each, lowest, maker_of, pack_of, set_of,
};

/// One writer's turn in one state.
pub(crate) struct Writing<'a> {
    pub(crate) model: &'a Model,
    pub(crate) state: &'a State,
    pub(crate) index: u8,
    pub(crate) steps: &'a mut Steps,
}

impl Writing<'_> {
    pub(crate) fn turn(&mut self) {
        match self.writer().step {
            WriterStep::PutMark if self.model.without(Rule::W1b) => self.read_manifests(),
            WriterStep::PutMark => self.put_mark(WriterStep::ReadManifests),
            WriterStep::PutMarkLate => self.put_mark(WriterStep::ReadIndex),
            WriterStep::ReadManifests => self.read_manifests(),
            WriterStep::ReadIntents => self.read_generations("reads the intents"),
            WriterStep::ReadManifestsLast => self.read_generations("reads the manifests"),
            WriterStep::ReadIndex => self.read_index(),
            WriterStep::ReadCells => self.read_cells(),
            WriterStep::Store => self.store(),
            WriterStep::PutPackAgain => self.put_pack("puts the pack again, its reply was lost", WriterStep::PutDelta),
            WriterStep::PutDelta => self.put_delta(),
            WriterStep::PutDeltaAgain => {
                self.delta_is_put("puts the delta again, its reply was lost", WriterStep::Store);
            }
            WriterStep::PutCellAgain => self.put_cell(),
            WriterStep::Done | WriterStep::GaveUp | WriterStep::TooLate => return,
        }
        self.crash();
    }

    fn writer(&self) -> &Writer {
        &self.state.writers[usize::from(self.index)]
    }

    fn sid(&self) -> u8 {
        self.writer().sid
    }

    /// The writer goes on to a step, changing itself and the store.
    fn go(&mut self, what: &'static str, step: WriterStep, change: impl Fn(&mut State, &mut Writer)) {
        let mut next = *self.state;
        let mut writer = *self.writer();
        writer.step = step;
        change(&mut next, &mut writer);
        if matches!(writer.step, WriterStep::Done | WriterStep::GaveUp | WriterStep::TooLate) {
            writer = Writer::new(writer.step, writer.sid);
        }
        next.writers[usize::from(self.index)] = writer;
        self.steps.push(self.index, what, 0, next);
    }

    /// W1.
    fn put_mark(&mut self, step: WriterStep) {
        let sid = self.sid();
        let mark = !self.model.without(Rule::W1a);
        self.go("puts its mark", step, |state, _| state.session_mut(sid).mark = mark);
    }

    /// W2, first half: a listing is no moment. It may show the manifests as they were before the intents, or after.
    fn read_manifests(&mut self) {
        let (manifest, intent) = (self.state.newest_manifest(), self.state.newest_intent());
        self.go("reads the manifests", WriterStep::ReadIntents, |_, writer| writer.manifest = manifest);
        self.go("reads the intents", WriterStep::ReadManifestsLast, |_, writer| writer.intent = intent);
    }

    /// W2, second half. An intent put after it was looked for was put after the mark, so its prune waits for this session.
    fn read_generations(&mut self, what: &'static str) {
        let Writer { manifest, intent, step, .. } = *self.writer();
        let (newest_manifest, newest_intent) = (self.state.newest_manifest(), self.state.newest_intent());
        let (manifest, intent) = match step {
            WriterStep::ReadIntents => (manifest, newest_intent),
            _ => (newest_manifest, intent.max(newest_manifest)),
        };
        let step = if self.model.without(Rule::W1b) { WriterStep::PutMarkLate } else { WriterStep::ReadIndex };
        self.go(what, step, |_, writer| (writer.manifest, writer.intent) = (manifest, intent));
    }

    /// Rule W2a.
    fn epoch(&self) -> u8 {
        if self.model.without(Rule::W2a) { self.writer().manifest } else { self.writer().intent }
    }

    /// E, rule W2b: the condemned of every intent not known to be decided.
    fn condemned(&self) -> Packs {
        let Writer { manifest, intent, .. } = *self.writer();
        let first = if self.model.without(Rule::W2b) { intent.max(manifest + 1) } else { manifest + 1 };
        (first..=intent).fold(0, |packs, n| packs | self.state.generation(n).condemned)
    }

    /// W3, first half: base and deltas.
    fn read_index(&mut self) {
        let Writer { manifest, .. } = *self.writer();
        let epoch = self.epoch();
        let generation = self.state.generation(manifest);
        if generation.segments & !self.state.segments != 0 {
            // Or it had read the segments before they went, which is the other way to go on: they never change.
            self.go("misses a segment and reads g/* again", WriterStep::ReadManifests, |_, writer| {
                (writer.manifest, writer.intent) = (0, 0);
            });
        }
        let read = |delta: u8| delta >= manifest || self.model.without(Rule::W3a) || self.model.without(Rule::V2);
        let trusted = |delta: u8| delta >= epoch || self.model.without(Rule::W3b);
        let certain = generation.base | self.state.named_by_deltas(|delta| read(delta) && trusted(delta));
        let doubtful = self.state.named_by_deltas(|delta| read(delta) && !trusted(delta)) & self.usable() & !certain;
        let known = self.chunks_known(certain);
        let step = if doubtful == 0 { WriterStep::Store } else { WriterStep::ReadCells };
        self.go("reads base and deltas", step, |_, writer| {
            writer.known = known;
            writer.doubtful = doubtful;
        });
    }

    /// Rules W3c, W3d, W3e and D1.
    fn usable(&self) -> Packs {
        let manifest = self.writer().manifest;
        let condemned = if self.model.without(Rule::W3c) { 0 } else { self.condemned() };
        let deleted = if self.model.without(Rule::W3d) { 0 } else { self.model.deleted(self.state, manifest) };
        let distrusted = if self.model.without(Rule::D1) { 0 } else { self.model.distrusted(manifest) };
        !(condemned | deleted | distrusted)
    }

    /// Rule W4a: what these packs hold need not be sent.
    fn chunks_known(&self, packs: Packs) -> Chunks {
        let cached = if self.model.without(Rule::W4a) { self.model.scene.first } else { 0 };
        let found = chunks_in(packs & self.usable()) | cached;
        match self.model.task(self.sid()) {
            // What is there is what it copies.
            Task::Repack(chunks) => chunks & !found,
            _ => found,
        }
    }

    /// W3, second half, rule W3b: an older delta counts if its session is seen to be finished.
    fn read_cells(&mut self) {
        let is_finished = |pack: &u8| {
            let session = self.state.session(maker_of(*pack));
            matches!(session.cell, Cell::Snapshot | Cell::Closed)
        };
        let found = chunks_in(set_of(each(self.writer().doubtful).filter(is_finished)));
        let repacks = matches!(self.model.task(self.sid()), Task::Repack(_));
        self.go("reads the cells of older deltas", WriterStep::Store, |_, writer| {
            writer.doubtful = 0;
            writer.known = if repacks { writer.known & !found } else { writer.known | found };
        });
    }

    /// W4: reuse, send, or go on to the cell.
    fn store(&mut self) {
        let missing = self.model.wants(self.sid()) & !self.writer().known;
        if self.writer().pending != 0 || missing == 0 {
            return self.put_cell();
        }
        if self.model.task(self.sid()) == Task::Undo && !self.model.without(Rule::U) {
            return self.go("finds that it comes too late", WriterStep::TooLate, |_, _| {});
        }
        if self.model.task(self.sid()) == Task::Undo {
            return self.go("does not look for the chunks", WriterStep::Store, |_, writer| writer.known |= missing);
        }
        self.reuse_subtree(missing);
        let one = lowest(missing);
        self.send(one);
        if one != missing {
            self.send(missing);
        }
    }

    /// Rules W4b, W4c and D3: what a parent holds is reused unread.
    fn reuse_subtree(&mut self, missing: Chunks) {
        let Writer { manifest, intent, .. } = *self.writer();
        let no_intent = intent == manifest || self.model.without(Rule::W4b);
        let all_trusted = self.model.distrusted(manifest) == 0 || self.model.without(Rule::D3);
        if !no_intent || !all_trusted || !matches!(self.model.task(self.sid()), Task::Backup(_)) {
            return;
        }
        let is_parent = |sid: &u8| {
            let is_snapshot = self.state.session(*sid).cell == Cell::Snapshot && self.model.without(Rule::W4c);
            is_snapshot || self.model.is_valid(self.state, *sid, manifest)
        };
        let parents = (0..SESSIONS).filter(is_parent);
        let reused: Vec<Chunks> =
            parents.map(|sid| self.model.wants(sid) & missing).filter(|chunks| *chunks != 0).collect();
        for chunks in reused {
            self.go("reuses a subtree of a parent", WriterStep::Store, |_, writer| writer.known |= chunks);
        }
    }

    /// W5, and rule W5b: the pack that these chunks make.
    fn pack(&self, chunks: Chunks) -> Packs {
        let sid = if self.model.without(Rule::W5b) { 0 } else { self.sid() };
        pack_of(sid, chunks)
    }

    /// W5: a full pack is put.
    fn send(&mut self, chunks: Chunks) {
        let pack = self.pack(chunks);
        let sid = self.sid();
        let intent = self.writer().intent;
        if self.model.without(Rule::W5a) {
            self.go("puts a delta before its pack", WriterStep::PutPackAgain, |state, writer| {
                writer.pending = chunks;
                state.session_mut(sid).delta |= pack;
                state.session_mut(sid).delta_epoch = intent;
            });
            return;
        }
        self.go("puts a pack", WriterStep::PutDelta, |state, writer| {
            writer.pending = chunks;
            state.packs |= pack;
        });
        if self.model.scene.replies == Replies::Lost {
            self.go("puts a pack, the reply is lost", WriterStep::PutPackAgain, |state, writer| {
                writer.pending = chunks;
                state.packs |= pack;
            });
        }
    }

    fn put_pack(&mut self, what: &'static str, step: WriterStep) {
        let pack = self.pack(self.writer().pending);
        self.go(what, step, |state, _| state.packs |= pack);
    }

    /// W6, and rule W6a.
    fn put_delta(&mut self) {
        self.delta_is_put("puts the delta", WriterStep::Store);
        if self.model.scene.replies == Replies::Lost {
            self.delta_is_put("puts the delta, the reply is lost", WriterStep::PutDeltaAgain);
        }
        if self.model.without(Rule::W6a) {
            self.go("goes on to its cell without a delta", WriterStep::Store, |_, _| {});
        }
    }

    fn delta_is_put(&mut self, what: &'static str, step: WriterStep) {
        let sid = self.sid();
        let chunks = self.writer().pending;
        let pack = self.pack(chunks);
        // Rule W6b.
        let epoch = if self.model.without(Rule::W6b) { self.state.newest_intent() } else { self.epoch() };
        self.go(what, step, |state, writer| {
            state.session_mut(sid).delta |= pack;
            state.session_mut(sid).delta_epoch = epoch;
            if step == WriterStep::Store {
                writer.known |= chunks;
                writer.pending = 0;
            }
        });
    }

    /// W7 and W8.
    fn put_cell(&mut self) {
        let sid = self.sid();
        // Rule W7b: a repetition too.
        let epoch = if self.model.without(Rule::W7b) { self.state.newest_intent() } else { self.epoch() };
        let own = if self.model.makes_snapshot(sid) { Cell::Snapshot } else { Cell::Closed };
        let put = |state: &mut State, _: &mut Writer| {
            state.session_mut(sid).cell = own;
            state.session_mut(sid).cell_epoch = epoch;
        };
        match self.state.session(sid).cell {
            Cell::Absent => {
                self.go("puts its cell", WriterStep::Done, put);
                if self.model.scene.replies == Replies::Lost && self.writer().step != WriterStep::PutCellAgain {
                    self.go("puts its cell, the reply is lost", WriterStep::PutCellAgain, put);
                }
            }
            Cell::Snapshot | Cell::Closed => self.go("finds its own cell", WriterStep::Done, |_, _| {}),
            Cell::Revoked if self.model.without(Rule::W7a) => {
                self.go("puts its cell over another", WriterStep::Done, put);
            }
            Cell::Revoked if self.model.without(Rule::W8a) => {
                self.go("takes revoked for done", WriterStep::Done, |_, _| {});
            }
            Cell::Revoked => self.begin_anew("was revoked"),
        }
    }

    /// W8, and rule W8b.
    fn begin_anew(&mut self, why: &'static str) {
        match self.model.next_sid(self.index, self.sid()) {
            None => self.go(why, WriterStep::GaveUp, |_, _| {}),
            Some(sid) if self.model.without(Rule::W8b) => {
                self.go("was revoked, begins anew, keeps its view", WriterStep::Store, |state, writer| {
                    writer.sid = sid;
                    state.session_mut(sid).mark = true;
                });
            }
            Some(sid) => self.forget_all(why, sid),
        }
    }

    fn forget_all(&mut self, why: &'static str, sid: u8) {
        self.go(why, WriterStep::PutMark, |_, writer| *writer = Writer::new(WriterStep::PutMark, sid));
    }

    /// The process dies; another begins.
    fn crash(&mut self) {
        let begun = self.writer().step != WriterStep::PutMark;
        if begun
            && self.model.scene.crashes == Crashes::Anywhere
            && let Some(sid) = self.model.next_sid(self.index, self.sid())
        {
            self.forget_all("dies, and is started again", sid);
        }
    }
}
