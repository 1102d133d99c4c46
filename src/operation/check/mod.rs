//! `check`: proves that snapshots can be had again, and says what cannot.
//!
//! The structure always: every page that a snapshot reaches, every chunk it names, every pack the index names, both
//! copies of all that is kept twice. With data, `packs` reads packs byte by byte, and `verified` remembers which. Nothing
//! stops at the first fault; what a pack lost is only called lost if a snapshot needs it and no other copy opens.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{ChunkId, PackId, PageId};
use crate::operation::check::packs::{DataRead, DataSummary, Packs, read_data};
use crate::operation::reach::{Fault, Reach, Reached, Witness};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::generation::Access;
use crate::repository::index::Index;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::snapshot::{DamagedCell, Snapshot};
use crate::storage::name::Prefix;

pub mod packs;
pub mod verified;

/// How often it is begun again because of prunes that end meanwhile.
const TRIES_MAX: usize = 4;

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckRequest {
    /// Whether packs are read, and how much of them.
    pub depth: Depth,
    /// Threads that read packs.
    pub threads: usize,
    /// The time that is remembered for packs found whole.
    pub now: jiff::Timestamp,
}

/// How deep a check goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth {
    /// Everything but the content of packs.
    Structure,
    /// That too: this part of it, in percent.
    Data(f64),
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Snapshots that were walked.
    pub snapshots: u64,
    /// What they reach.
    pub reached: Reached,
    /// Packs on storage.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Packs that no index names, left behind by runs that were interrupted or still go on.
    pub unnamed_packs: u64,
    /// Their bytes.
    pub unnamed_bytes: u64,
    /// Sessions that neither committed nor closed: interrupted, or under way.
    pub unfinished_sessions: u64,
    /// What is damaged, a line each; what snapshots lose by it stands in `lost`.
    pub damaged: Vec<String>,
    /// What snapshots hold and nobody can have again; at most [`CheckReport::LOST_MAX`].
    pub lost: Vec<Fault>,
    /// How much of that there is.
    pub lost_count: u64,
    /// Snapshots that cannot be read at all.
    pub lost_snapshots: Vec<String>,
    /// What reading packs came to, where it was asked for.
    pub data: Option<DataSummary>,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is damaged.
    Sound,
    /// Something is, but every byte of every snapshot can be had again.
    Recoverable,
    /// Snapshots have lost something.
    Lost,
}

impl CheckReport {
    /// Most losses that are listed one by one.
    pub const LOST_MAX: usize = 1000;

    /// What it all means.
    pub fn verdict(&self) -> Verdict {
        if self.lost_count > 0 || !self.lost_snapshots.is_empty() {
            Verdict::Lost
        } else if self.damaged.is_empty() {
            Verdict::Sound
        } else {
            Verdict::Recoverable
        }
    }
}

/// Checks a repository. Fails only where storage does not answer.
///
/// Snapshots, index and packs are not read at one moment: what a prune took away between two of them is looked for again.
pub fn check(
    repository: &Repository,
    request: &CheckRequest,
    progress: &dyn Progress,
) -> Result<CheckReport, RepositoryError> {
    let mut data = None;
    let mut tries = TRIES_MAX;
    loop {
        let generation = number_of_generation(repository);
        let report = look(repository, request, &mut data, progress)?;
        tries -= 1;
        // A prune that ended meanwhile took away what was looked for: then what is left is looked at.
        let is_final = report.verdict() == Verdict::Sound || tries == 0 || progress.interrupted();
        if is_final || number_of_generation(repository) == generation {
            return Ok(report);
        }
    }
}

/// The generation that is decided, if that can be said.
fn number_of_generation(repository: &Repository) -> Option<u64> {
    repository.generation(Access::Read).ok().map(|generation| generation.number)
}

/// Looks at everything once; packs are read only where that was not done, into `data`.
fn look(
    repository: &Repository,
    request: &CheckRequest,
    data: &mut Option<DataRead>,
    progress: &dyn Progress,
) -> Result<CheckReport, RepositoryError> {
    let mut report = CheckReport::default();
    let snapshots = repository.snapshots()?;
    report.snapshots = snapshots.valid.len() as u64;
    report.lost_snapshots = snapshots.damaged.iter().map(DamagedCell::to_string).collect();
    report.unfinished_sessions = unfinished_sessions(repository)?;
    let (inspected, opened) = rayon::join(|| repository.inspect(), || repository.index());
    let (mut index, set_aside) = opened?;
    report.damaged = inspected?.iter().map(RepositoryError::to_string).collect();
    for damaged in set_aside.iter().map(RepositoryError::to_string) {
        if !report.damaged.contains(&damaged) {
            report.damaged.push(damaged);
        }
    }
    let mut packs = Packs::survey(repository, &index)?;
    if let Depth::Data(percent) = request.depth {
        let data = match data {
            Some(data) => data,
            None => data.insert(read_data(repository, &packs, request, percent, progress)),
        };
        packs.suspect(&data.damaged);
        report.data = Some(data.summary);
    }
    progress.report(Event::Started { agent: "structure".to_owned() });
    let mut walked = walk(repository, &index, &packs, &snapshots.valid, progress);
    if walked.is_unnamed > 0 && !packs.unnamed.is_empty() && !progress.interrupted() {
        let adopted = adopt(repository, &mut index, &mut packs)?;
        if adopted > 0 {
            walked = walk(repository, &index, &packs, &snapshots.valid, progress);
            report.damaged.push(format!("an index delta is missing: no index names {adopted} packs that are needed"));
        }
    }
    progress.report(Event::Finished { agent: "structure".to_owned() });
    packs.suspects.sort();
    report.damaged.extend(packs.suspects.iter().map(|(pack, reason)| format!("pack {pack} is damaged: {reason}")));
    report.packs = packs.stored.len() as u64;
    report.pack_bytes = packs.bytes();
    report.unnamed_packs = packs.unnamed.len() as u64;
    report.unnamed_bytes = packs.unnamed.iter().map(|(_, size)| size).sum();
    report.reached = walked.reached;
    report.lost = walked.lost;
    report.lost_count = walked.lost_count;
    Ok(report)
}

fn unfinished_sessions(repository: &Repository) -> Result<u64, RepositoryError> {
    let cells = repository.storage().list(&Prefix::Cells)?;
    let ended: HashSet<_> = cells.iter().filter_map(|object| object.name.commit_cell_id()).collect();
    let sessions = repository.storage().list(&Prefix::Sessions)?;
    let begun = sessions.iter().filter_map(|object| object.name.session_id());
    Ok(begun.filter(|session| !ended.contains(session)).count() as u64)
}

/// Lets the index know the packs that no delta names, from their own directories; returns how many there are.
fn adopt(repository: &Repository, index: &mut Index, packs: &mut Packs) -> Result<usize, RepositoryError> {
    let unnamed = std::mem::take(&mut packs.unnamed);
    let mut records = Vec::with_capacity(unnamed.len());
    for (pack, size) in unnamed {
        match repository.read_directory(&pack, size) {
            Ok(record) => records.push(record),
            Err(_) => packs.unnamed.push((pack, size)),
        }
    }
    index.adopt(&records)?;
    Ok(records.len())
}

/// What a walk over all snapshots found.
struct Walked {
    reached: Reached,
    lost: Vec<Fault>,
    lost_count: u64,
    /// References that no pack in the index answers.
    is_unnamed: u64,
}

fn walk(
    repository: &Repository,
    index: &Index,
    packs: &Packs,
    snapshots: &[Snapshot],
    progress: &dyn Progress,
) -> Walked {
    let reader = Reader::new(repository, index);
    let witness = Inspector {
        reader: &reader,
        suspects: packs.suspects.iter().map(|(pack, _)| *pack).collect(),
        progress,
        unnamed: AtomicU64::new(0),
        lost_count: AtomicU64::new(0),
        lost: Mutex::default(),
    };
    let reach = Reach::new(&reader, &witness);
    for snapshot in snapshots.iter().rev() {
        for record in &snapshot.record.resources {
            reach.resource(snapshot.id, record);
        }
    }
    let reached = reach.reached();
    drop(reach);
    let mut lost = witness.lost.into_inner().expect("because no holder panicked");
    let order = |fault: &Fault| snapshots.iter().rposition(|snapshot| snapshot.id == fault.snapshot);
    lost.sort_by(|one, other| order(other).cmp(&order(one)).then_with(|| one.path.cmp(&other.path)));
    Walked { reached, lost, lost_count: witness.lost_count.into_inner(), is_unnamed: witness.unnamed.into_inner() }
}

/// Looks up what a walk meets.
struct Inspector<'i, 'r> {
    reader: &'i Reader<'r>,
    suspects: HashSet<PackId>,
    progress: &'i dyn Progress,
    unnamed: AtomicU64,
    lost_count: AtomicU64,
    lost: Mutex<Vec<Fault>>,
}

impl Witness for Inspector<'_, '_> {
    fn chunk(&self, id: &ChunkId, length: u32) -> Result<(), String> {
        let mut reason = None;
        let mut was_tried = false;
        for location in self.reader.index().find(&id.0).filter(|location| location.header.kind == PackKind::Data) {
            if location.length != length {
                reason = Some(format!("chunk {id} has {} bytes, not {length}", location.length));
            } else if self.suspects.is_empty() || !self.suspects.contains(&location.pack) {
                return Ok(());
            } else if !std::mem::replace(&mut was_tried, true) {
                // A damaged pack may still have this one whole; the reader tries every copy.
                match self.reader.chunk(id) {
                    Ok(_) => return Ok(()),
                    Err(error) => reason = Some(error.to_string()),
                }
            }
        }
        Err(reason.unwrap_or_else(|| {
            self.unnamed.fetch_add(1, Ordering::Relaxed);
            format!("chunk {id} is in no pack that the index names")
        }))
    }

    fn page(&self, id: &PageId) -> Result<(), String> {
        if self.reader.index().find(&id.0).any(|location| location.header.kind == PackKind::Pages) {
            return Ok(());
        }
        self.unnamed.fetch_add(1, Ordering::Relaxed);
        Err(format!("page {id} is in no pack that the index names"))
    }

    fn fault(&self, fault: Fault) {
        self.lost_count.fetch_add(1, Ordering::Relaxed);
        let mut lost = self.lost.lock().expect("because no holder panics");
        if lost.len() < CheckReport::LOST_MAX {
            lost.push(fault);
        }
    }

    fn goes_on(&self) -> bool {
        !self.progress.interrupted()
    }
}
