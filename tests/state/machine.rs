//! One history: what is done, and what must hold after each step.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::operation::amend::Amending;
use snap::operation::backup::{
    BackupError, BackupReport, BackupRequest, Rereading, SnapshotLabel, backup, session_mark,
};
use snap::operation::check::{CheckRequest, Depth, Verdict, check};
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::operation::prune::{Patience, PruneError, PruneReport, PruneRequest, prune};
use snap::operation::restore::{Deletion, RestoreMode, RestoreRequest, restore};
use snap::operation::tag::{TagChange, tag};
use snap::operation::target::TargetOptions;
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::session::Mode;
use snap::repository::snapshot::Snapshot;
use snap::source::local::{LocalRoot, resource_of};
use snap::storage::Storage;
use snap::storage::faulty::{Effect, Fault, FaultyStorage, Lasting};
use snap::storage::memory::MemoryStorage;
use snap::storage::name::Prefix;

use super::edit::edit;
use super::picture::{Picture, difference, picture};
use crate::dice::Dice;

type Store = FaultyStorage<MemoryStorage>;

struct NoPatience;

impl Patience for NoPatience {
    fn pause(&self) -> bool {
        false
    }
}

struct Machine {
    folder: tempfile::TempDir,
    storage: Arc<Store>,
    opener: Opener,
    repository: Arc<Repository>,
    dice: Dice,
    /// What each snapshot that counts must restore, oldest first.
    known: Vec<(snap::id::SnapshotId, Picture)>,
    /// Seconds; every step is one later.
    now: i64,
    log: Vec<String>,
    counts: Counts,
}

/// What a run of histories came to, so that one in which nothing of it happened is seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Backups that read less than there was.
    pub(crate) trusted: u64,
    /// Packs that prunes deleted.
    pub(crate) swept: u64,
    /// Packs that prunes wrote anew.
    pub(crate) repacked: u64,
}

/// Plays the histories of these seeds in turns, a step of each; says what went wrong with which, after all that was done.
///
/// In turns, because nothing is taken for unchanged within two seconds of its change: files grow old enough to be trusted
/// while the other histories go on. Returns what it all came to.
pub(crate) fn play(seeds: Range<u64>, steps: usize) -> Result<Counts, String> {
    let mut machines: Vec<(u64, Machine)> = seeds.clone().map(|seed| (seed, Machine::new(seed))).collect();
    for _ in 0..steps {
        for (seed, machine) in &mut machines {
            if let Err(failure) = machine.step() {
                let done = machine.log.join("\n  ");
                return Err(format!("seed {seed} of {seeds:?}: {failure}, after:\n  {done}"));
            }
        }
    }
    let mut counts = Counts::default();
    for (_, machine) in machines {
        counts.add(machine.counts);
    }
    Ok(counts)
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.trusted += other.trusted;
        self.swept += other.swept;
        self.repacked += other.repacked;
    }
}

fn said<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what} fails: {error}")
}

impl Machine {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        std::fs::create_dir(folder.path().join("tree")).expect("a tree");
        // Half of them as if across a network: asked several things at once, so that a crash may fall elsewhere the next time.
        let store = if seed % 4 < 2 { MemoryStorage::new() } else { MemoryStorage::far() };
        let storage = Arc::new(FaultyStorage::scripted(store, Vec::new()));
        let opener = Opener::Key(Arc::new(FileKey::generate()));
        let now = Timestamp::UNIX_EPOCH;
        let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
        let cache = seed.is_multiple_of(2).then(|| folder.path().join("cache"));
        let repository = Repository::init(shared, &[(opener.clone(), "")], now, cache).expect("initialised");
        let (dice, known, log) = (Dice::new(seed), Vec::new(), Vec::new());
        Self {
            folder,
            storage,
            opener,
            repository: Arc::new(repository),
            dice,
            known,
            now: 0,
            log,
            counts: Counts::default(),
        }
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn step(&mut self) -> Result<(), String> {
        self.now += 1;
        match self.dice.below(13) {
            0..=3 => {
                for _ in 0..=self.dice.below(4) {
                    let done = edit(&self.tree(), &mut self.dice);
                    self.log.push(done);
                }
                Ok(())
            }
            // An edit right before and right after, in the same tick of the file system's clock.
            4..=6 => {
                self.edit_once();
                self.back_up_and_compare(Rereading::Changed)?;
                self.edit_once();
                self.back_up_and_compare(Rereading::Changed)
            }
            7 => match self.dice.below(3) {
                0 => self.dry_run(),
                1 => self.back_up_and_compare(Rereading::Everything),
                _ => self.tag(),
            },
            8 => self.crash(),
            9 => self.prune(),
            10 => self.forget_some().and_then(|()| self.prune()),
            11 => self.forget_some().and_then(|()| self.crash_in_prune()),
            _ => self.restore_again(),
        }
    }

    fn edit_once(&mut self) {
        let done = edit(&self.tree(), &mut self.dice);
        self.log.push(done);
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(self.now).expect("it is soon after the epoch")
    }

    fn back_up(&self, rereading: Rereading, mode: Mode) -> Result<BackupReport, BackupError> {
        let label = SnapshotLabel {
            time: self.time(),
            host: "host".to_owned(),
            user: "user".to_owned(),
            series: None,
            tags: Vec::new(),
            description: String::new(),
            scope: Vec::new(),
        };
        let roots = vec![LocalRoot::new(self.tree())];
        backup(
            &self.repository,
            &BackupRequest { roots, sources: Vec::new(), label, rereading, mode, threads: 2 },
            &Silent,
        )
    }

    fn back_up_and_compare(&mut self, rereading: Rereading) -> Result<(), String> {
        self.now += 1;
        self.log.push(format!("backup {}: {rereading:?}", self.known.len()));
        let expected = picture(&self.tree());
        let report = self.back_up(rereading, Mode::Write).map_err(said("the backup"))?;
        if report.gap_count() > 0 {
            return Err(format!("gaps: {:?}", report.record.resources));
        }
        let summary = &report.record.summary;
        self.counts.trusted += u64::from(summary.bytes_read < summary.totals.bytes);
        self.known.push((report.id.ok_or("a backup without a snapshot")?, expected));
        self.compare(self.known.len() - 1)?;
        self.check()
    }

    fn dry_run(&mut self) -> Result<(), String> {
        self.log.push("dry run".to_owned());
        let before = self.storage.list(&Prefix::All).map_err(said("listing"))?;
        let report = self.back_up(Rereading::Changed, Mode::DryRun).map_err(said("the dry run"))?;
        let after = self.storage.list(&Prefix::All).map_err(said("listing"))?;
        if report.id.is_some() || before != after { Err("a dry run wrote".to_owned()) } else { Ok(()) }
    }

    fn snapshots(&self) -> Result<Vec<Snapshot>, String> {
        let snapshots = self.repository.snapshots().map_err(said("reading the snapshots"))?;
        match snapshots.damaged.first() {
            None => Ok(snapshots.valid),
            Some(damaged) => Err(format!("a snapshot is damaged: {damaged}")),
        }
    }

    fn compare(&self, at: usize) -> Result<(), String> {
        let (id, expected) = &self.known[at];
        let snapshots = self.snapshots()?;
        if snapshots.len() != self.known.len() {
            return Err(format!("there are {} snapshots, not {}", snapshots.len(), self.known.len()));
        }
        let snapshot = snapshots.iter().find(|one| one.id == *id).ok_or_else(|| format!("snapshot {id} is gone"))?;
        let layout = resource_of(&self.tree()).map_err(said("the resource"))?.path;
        let target = self.folder.path().join("out");
        self.restore(snapshot, &layout, &target)?;
        let found = picture(&target);
        std::fs::remove_dir_all(&target).map_err(said("removing the copy"))?;
        match difference(expected, &found) {
            None => Ok(()),
            Some(difference) => Err(format!("snapshot {at} restores wrongly: {difference}")),
        }
    }

    fn restore(&self, snapshot: &Snapshot, inside: &[u8], target: &Path) -> Result<(), String> {
        let request = RestoreRequest {
            target: target.to_owned(),
            inside: Some(inside.to_vec()),
            include: Vec::new(),
            exclude: Vec::new(),
            options: TargetOptions::default(),
            deletion: Deletion::Remove,
            mode: RestoreMode::Write,
            threads: NonZeroUsize::MIN,
        };
        let report = restore(&self.repository, &snapshot.record, &request, &Silent).map_err(said("the restore"))?;
        if report.lost + report.skipped + report.unset > 0 {
            Err(format!("not all came back: {report:?}"))
        } else {
            Ok(())
        }
    }

    fn check(&self) -> Result<(), String> {
        let request = CheckRequest { depth: Depth::Data(100.0), threads: 1, now: self.time() };
        let report = check(&self.repository, &request, &Silent).map_err(said("the check"))?;
        if report.verdict() == Verdict::Sound { Ok(()) } else { Err(format!("the check says: {report:?}")) }
    }

    fn tag(&mut self) -> Result<(), String> {
        if self.known.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(self.dice.below(self.known.len() as u64)).expect("it is small");
        self.log.push(format!("tag {at}"));
        let snapshots = self.snapshots()?;
        let snapshot = snapshots.iter().find(|one| one.id == self.known[at].0).ok_or("a snapshot is gone")?;
        let change = TagChange { add: vec![format!("t{}", self.now)], ..TagChange::default() };
        let amending = Amending { mode: Mode::Write, host: "host", now: self.time() };
        let tagged = tag(&self.repository, snapshot, &change, &amending, &Silent).map_err(said("tagging"))?;
        self.known[at].0 = tagged.new.ok_or("tagging changed nothing")?;
        self.compare(at)?;
        self.check()
    }

    /// Lets the store die at some call of a backup, and comes back as a new process.
    fn crash(&mut self) -> Result<(), String> {
        let calls = self.dice.below(14) + 1;
        self.log.push(format!("crash at call {calls} of a backup"));
        let fault = Fault {
            attempt: None,
            at: self.storage.calls_total() + calls,
            lasting: Lasting::Forever,
            effect: Effect::Crash,
        };
        self.storage.plan(fault);
        let expected = picture(&self.tree());
        let result = self.back_up(Rereading::Changed, Mode::Write);
        self.storage.recover();
        let shared: Arc<dyn Storage> = Arc::clone(&self.storage) as _;
        let cache = self.repository.cache().folder().and_then(Path::parent).map(Path::to_owned);
        let repository = Repository::open(shared, &self.opener, cache).map_err(said("opening again"))?;
        self.repository = Arc::new(repository);
        if let Ok(report) = result {
            self.known.push((report.id.ok_or("a backup without a snapshot")?, expected));
        }
        if let Some(last) = self.known.len().checked_sub(1) {
            self.compare(last)?;
        }
        self.check()
    }

    /// Forgets any snapshots, seldom all.
    fn forget_some(&mut self) -> Result<(), String> {
        for _ in 0..=self.dice.below(1 + self.known.len() as u64 / 2) {
            if !self.known.is_empty() {
                let at = usize::try_from(self.dice.below(self.known.len() as u64)).expect("it is small");
                self.log.push(format!("forget {at}"));
                let (id, _) = self.known.remove(at);
                self.repository.forget(id, self.time(), "host").map_err(said("forgetting"))?;
            }
        }
        self.check()
    }

    fn try_prune(&mut self) -> Result<PruneReport, PruneError> {
        // What a crash left under way is held for dead.
        self.storage.inner().advance(Duration::from_secs(7 * 3600));
        let part = [0, 500, 5000][usize::try_from(self.dice.below(3)).expect("it is small")];
        let limits = Limits { max_unused: MaxUnused::Part(part), max_repack: None };
        self.log.push(format!("prune, {part}/10000 may stay unused"));
        let mark = session_mark("host", self.time());
        let request =
            PruneRequest { limits, max_time: None, mode: Mode::Write, exclusive: false, mark, patience: &NoPatience };
        let report = prune(&self.repository, &request, &Silent)?;
        self.counts.swept += report.swept.packs;
        self.counts.repacked += report.plan.repacked().count() as u64;
        Ok(report)
    }

    /// Prunes; afterwards everything is still there, and a second prune finds nothing to do.
    fn prune(&mut self) -> Result<(), String> {
        let report = self.try_prune().map_err(said("the prune"))?;
        if !report.waits_for.is_empty() {
            return Err(format!("the prune waits for {:?}", report.waits_for));
        }
        self.check()?;
        for at in 0..self.known.len() {
            self.compare(at)?;
        }
        if self.known.is_empty() {
            let packs = self.storage.list(&Prefix::Packs).map_err(said("listing"))?.len();
            if packs > 0 {
                return Err(format!("{packs} packs stay, though there is no snapshot"));
            }
        }
        Ok(())
    }

    /// Lets the store die at some call of a prune; then another one ends it.
    fn crash_in_prune(&mut self) -> Result<(), String> {
        let calls = self.dice.below(60) + 1;
        self.log.push(format!("crash at call {calls} of a prune"));
        let at = self.storage.calls_total() + calls;
        self.storage.plan(Fault { attempt: None, at, lasting: Lasting::Forever, effect: Effect::Crash });
        let _died_or_ended_before = self.try_prune();
        self.storage.recover();
        self.check()?;
        if let Some(last) = self.known.len().checked_sub(1) {
            self.compare(last)?;
        }
        self.prune()
    }

    /// Any snapshot, whole, over whatever an earlier restore left; then one part of it.
    fn restore_again(&mut self) -> Result<(), String> {
        if self.known.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(self.dice.below(self.known.len() as u64)).expect("it is small");
        self.log.push(format!("restore {at}"));
        self.compare(at)?;
        let target = self.folder.path().join("kept");
        let snapshots = self.snapshots()?;
        let snapshot = snapshots.iter().find(|one| one.id == self.known[at].0).ok_or("a snapshot is gone")?;
        let layout = resource_of(&self.tree()).map_err(said("the resource"))?.path;
        self.restore(snapshot, &layout, &target)?;
        if let Some(difference) = difference(&self.known[at].1, &picture(&target)) {
            return Err(format!("snapshot {at} restores wrongly over another: {difference}"));
        }
        let inside = b"d/";
        let part: Picture = self.known[at]
            .1
            .keys()
            .filter(|path| path.starts_with(inside))
            .map(|path| (path[inside.len()..].to_vec(), self.known[at].1[path].clone()))
            .collect();
        if part.is_empty() {
            return Ok(());
        }
        let target = self.folder.path().join("part");
        self.restore(snapshot, &[layout.as_slice(), b"/d"].concat(), &target)?;
        let found = picture(&target);
        std::fs::remove_dir_all(&target).map_err(said("removing the part"))?;
        let names = |picture: &Picture| picture.keys().filter(|path| !path.is_empty()).cloned().collect::<Vec<_>>();
        if names(&part) == names(&found) { Ok(()) } else { Err(format!("part of snapshot {at} lacks names")) }
    }
}
