//! One simulation from its seed: who takes part, and what must hold when all have ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::entry::{Content, Piece};
use snap::operation::check::{CheckRequest, Depth, Verdict, check};
use snap::operation::prune::plan::{Limits, MaxUnused};
use snap::operation::prune::{Patience, PruneRequest, prune};
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::reader::Reader;
use snap::repository::session::{Mode, SessionMark};
use snap::storage::Storage;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::Prefix;
use snap::tree::cursor::Cursor;

use super::actors::{Known, Process, bytes_of};
use super::world::{Act, Dice, Stage, World};

/// What a run of simulations came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) snapshots: u64,
    pub(crate) generations: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.snapshots += other.snapshots;
        self.generations += other.generations;
    }
}

struct Once;

impl Patience for Once {
    fn pause(&self) -> bool {
        false
    }
}

/// Plays the simulation of this seed; says what went wrong.
pub(crate) fn play(seed: u64) -> Result<Counts, String> {
    let mut dice = Dice::new(seed);
    let (writers, pruners, forgetters) = (3 + dice.below(4), 1 + dice.below(3), 1 + dice.below(2));
    let processes = writers + pruners + forgetters;
    let faults = [0, 2, 6][dice.below(3)];
    // Every sixteenth begins with a scene that dice alone would find too seldom.
    let script = if seed.is_multiple_of(16) { script(writers, writers + pruners) } else { Vec::new() };
    let contents = [10, 10, 24][dice.below(3)];
    let world = World::new(dice.next(), processes, faults, script);
    let opener = Opener::Key(Arc::new(FileKey::generate()));
    let shared: Arc<dyn Storage> = Arc::new(Directly(Arc::clone(&world)));
    Repository::init(Arc::clone(&shared), &[(opener.clone(), "")], Timestamp::UNIX_EPOCH, None)
        .map_err(|error| format!("init: {error}"))?;
    let known = Known::default();
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..processes {
            let (world, opener, known) = (Arc::clone(&world), opener.clone(), Arc::clone(&known));
            let (dice, rounds) = (Dice::new(dice.next()), u32::try_from(1 + dice.below(3)).expect("it is small"));
            threads.push(scope.spawn(move || {
                let ender = Ender { world: Arc::clone(&world), number };
                let process = Process { world, number, opener, dice, known, contents };
                let result = if number < writers {
                    process.write(rounds)
                } else if number < writers + pruners {
                    process.prune(rounds)
                } else {
                    process.forget(rounds + 1)
                };
                drop(ender);
                result
            }));
        }
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a process panics".to_owned()))).collect()
    });
    for result in results {
        result?;
    }
    let repository = Repository::open(shared, &opener, None).map_err(|error| format!("opening: {error}"))?;
    let repository = Arc::new(repository);
    let known = known.lock().expect("no holder panicked").counted();
    judge(&repository, &known)?;
    // Liveness: once the faults stop, a prune ends whatever is open, and another backup goes through.
    world.store.advance(std::time::Duration::from_secs(7 * 3600));
    settle(&repository)?;
    judge(&repository, &known)?;
    // What was under way all the time arrives: it must change nothing.
    world.land();
    judge(&repository, &known)?;
    world.store.advance(std::time::Duration::from_secs(7 * 3600));
    settle(&repository)?;
    judge(&repository, &known)?;
    let generations = world.store.list(&Prefix::Generations).expect("memory lists").len() as u64;
    Ok(Counts { steps: world.steps(), snapshots: known.len() as u64, generations })
}

/// A writer's delta is under way when the writer is held for dead, and arrives after the prune has looked for deltas and before
/// it decides; another writer begins just then, sees that delta, and commits (W3b).
fn script(pruner: usize, forgetter: usize) -> Vec<Stage> {
    let stage = |process: usize, act: Act, prefix: Prefix, times: u32| Stage {
        process,
        before: (act, prefix, times),
        dies: false,
        after_hours: false,
        lands: false,
    };
    vec![
        // Something to condemn.
        stage(0, Act::Put, Prefix::Sessions, 2),
        stage(forgetter, Act::Put, Prefix::Base, 1),
        // The prune has chosen.
        stage(pruner, Act::Put, Prefix::Generations, 1),
        Stage { dies: true, ..stage(1, Act::Put, Prefix::Index, 1) },
        Stage { after_hours: true, ..stage(pruner, Act::Put, Prefix::Generations, 1) },
        Stage { lands: true, ..stage(2, Act::Put, Prefix::Sessions, 2) },
        stage(pruner, Act::Put, Prefix::Sessions, 2),
    ]
}

/// Ends the turns of a process that panics, so that the others do not wait for it.
struct Ender {
    world: Arc<World>,
    number: usize,
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.world.end(self.number);
    }
}

fn settle(repository: &Arc<Repository>) -> Result<(), String> {
    let mark = SessionMark {
        time: Timestamp::UNIX_EPOCH,
        host: "last".to_owned(),
        boot: None,
        pid_namespace: None,
        pid: 1,
        started: None,
        tool: "simulation".to_owned(),
    };
    for round in 0..3 {
        let limits = Limits { max_unused: MaxUnused::Part(0), max_repack: None };
        let mark = mark.clone();
        let request =
            PruneRequest { limits, max_time: None, mode: Mode::Write, exclusive: false, mark, patience: &Once };
        let report = prune(repository, &request, &Silent).map_err(|error| format!("the last prune: {error}"))?;
        if !report.waits_for.is_empty() {
            return Err(format!("the last prune waits for {:?}", report.waits_for));
        }
        if round == 2 && report.swept.packs > 0 {
            return Err("the third prune in a row still finds something".to_owned());
        }
    }
    Ok(())
}

/// Safety: every snapshot that was acknowledged and not forgotten is there, and every byte of it.
fn judge(repository: &Arc<Repository>, known: &BTreeMap<snap::id::SnapshotId, Vec<usize>>) -> Result<(), String> {
    let snapshots = repository.snapshots().map_err(|error| format!("the snapshots: {error}"))?;
    let (index, damaged) = repository.index().map_err(|error| format!("the index: {error}"))?;
    if let Some(damaged) = damaged.first().or(snapshots.damaged.first().map(|cell| &cell.error)) {
        return Err(format!("{damaged}"));
    }
    let reader = Reader::new(repository, &index);
    for (id, contents) in known {
        let snapshot = snapshots.valid.iter().find(|snapshot| snapshot.id == *id);
        let snapshot = snapshot.ok_or_else(|| format!("the snapshot {id} is gone"))?;
        let mut found = Vec::new();
        for entry in Cursor::new(&reader, snapshot.record.resources[0].root) {
            let entry = entry.map_err(|error| format!("a page of {id}: {error}"))?;
            let Content::Pieces { pieces, .. } = &entry.content else {
                return Err("an entry without pieces".to_owned());
            };
            let Some(Piece::Chunk { id: chunk, .. }) = pieces.first() else { return Err("no chunk".to_owned()) };
            found.push(reader.chunk(chunk).map_err(|error| format!("a chunk of {id}: {error}"))?.to_vec());
        }
        if found != contents.iter().map(|content| bytes_of(*content)).collect::<Vec<_>>() {
            return Err(format!("the snapshot {id} holds something else"));
        }
    }
    let request = CheckRequest { depth: Depth::Data(100.0), threads: 1, now: Timestamp::UNIX_EPOCH };
    let report = check(repository, &request, &Silent).map_err(|error| format!("the check: {error}"))?;
    if report.verdict() == Verdict::Sound { Ok(()) } else { Err(format!("the check says: {report:?}")) }
}

/// The store without a scheduler, before and after the play.
#[derive(Debug)]
struct Directly(Arc<World>);

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a world")
    }
}

impl std::fmt::Display for Directly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("simulation")
    }
}

impl Directly {
    fn store(&self) -> &MemoryStorage {
        &self.0.store
    }
}

impl Storage for Directly {
    fn put_if_absent(
        &self,
        name: &snap::storage::name::ObjectName,
        content: bytes::Bytes,
    ) -> Result<snap::storage::Put, snap::storage::StorageError> {
        self.store().put_if_absent(name, content)
    }

    fn get(
        &self,
        name: &snap::storage::name::ObjectName,
        range: snap::storage::ByteRange,
    ) -> Result<bytes::Bytes, snap::storage::StorageError> {
        self.store().get(name, range)
    }

    fn list(&self, prefix: &Prefix) -> Result<Vec<snap::storage::StoredObject>, snap::storage::StorageError> {
        self.store().list(prefix)
    }

    fn delete(&self, name: &snap::storage::name::ObjectName) -> Result<(), snap::storage::StorageError> {
        self.store().delete(name)
    }
}
