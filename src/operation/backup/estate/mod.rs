//! Capturing the sources of an estate: all at once, each resource a map of its own.
//!
//! Sources are asked on a runtime of their own; what they find goes to a few threads that compare it with the snapshot
//! before, fetch what changed and store it. A resource of a few documents is gathered whole and then stored at once; one that
//! may be large (a bucket, a table) is stored while it is listed. What cannot be had becomes a gap and stops nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::operation::backup::assemble::Counts;
use crate::operation::backup::estate::before::Before;
use crate::operation::backup::estate::store::Storer;
use crate::operation::backup::{BackupError, Context};
use crate::progress::{Event, Progress};
use crate::resource::{Asked, Resource, ResourceRecord, escape_path};
use crate::source::estate::{Discovery, EntrySink, Problem, Sent, Source, Stopped, discovered};

pub(super) mod before;
mod fetch;
mod map;
mod store;

/// Threads that store; as many resources may be large at once, less one that is left for the small ones.
const STORERS: usize = 4;
/// Threads of the runtime.
const RUNTIME_THREADS: usize = 2;
/// Entries of a large resource that wait to be looked at.
const ROOM: usize = 256;
/// Bytes that are fetched ahead, of all resources together.
const AHEAD_MAX: usize = 48 << 20;
/// How soon a wish to stop is noticed while nothing comes.
const WATCHED_EVERY: Duration = Duration::from_millis(100);

/// What goes to a thread that stores.
enum Work {
    /// A resource that is listed while it is stored.
    Listing(Resource, mpsc::Receiver<Sent>),
    /// All of a resource.
    Whole(Resource, Vec<Sent>),
    /// A folder of which nobody knows what it would hold.
    Unknown(Resource, Problem),
}

/// A source has said what there is.
struct Listed {
    source: &'static str,
    resources: u64,
    /// What was asked of whom; nothing where it could not say.
    asked: Option<Asked>,
}

/// How far a source is, for whoever watches.
pub(super) struct Agent<'p> {
    name: &'static str,
    progress: &'p dyn Progress,
    done: AtomicU64,
    known: AtomicU64,
    bytes: AtomicU64,
    is_listed: AtomicBool,
}

impl Agent<'_> {
    fn tell(&self) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.progress.report(Event::Advanced {
            agent: self.name.to_owned(),
            items: of(&self.done),
            items_total: of(&self.known),
            bytes: of(&self.bytes),
            bytes_total: of(&self.bytes),
            listed: self.is_listed.load(Ordering::Relaxed),
        });
    }
}

/// What came of an estate.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) records: Vec<ResourceRecord>,
    pub(super) counts: Counts,
    pub(super) asked: Vec<Asked>,
}

/// Captures all sources; `before` is what is known of their resources.
pub(super) fn capture_estate(
    context: &Context<'_>,
    sources: &[Arc<dyn Source>],
    before: Before<'_>,
) -> Result<Captured, BackupError> {
    if sources.is_empty() {
        return Ok(Captured::default());
    }
    let runtime = runtime().map_err(|source| BackupError::Runtime { source })?;
    let agents: BTreeMap<&'static str, Agent<'_>> =
        sources.iter().map(|source| (source.name(), Agent::new(source.name(), context.progress))).collect();
    let (sender, receiver) = mpsc::channel(STORERS);
    let (listed, listings) = mpsc::unbounded_channel();
    for agent in agents.keys() {
        context.progress.report(Event::Started { agent: (*agent).to_owned() });
    }
    let Before { known, partial } = before;
    let gapped = Arc::new(partial);
    for source in sources {
        drop(runtime.spawn(ask(Arc::clone(source), Arc::clone(&gapped), sender.clone(), listed.clone())));
    }
    drop((sender, listed));
    let work = Mutex::new(receiver);
    let handle = runtime.handle().clone();
    let (finished, over) = crossbeam_channel::bounded::<()>(0);
    let ahead = Arc::new(Semaphore::new(AHEAD_MAX));
    let captured = Mutex::new(Captured::default());
    let outcome = std::thread::scope(|scope| {
        let storers: Vec<_> = (0..STORERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut storer = Storer::new(context, handle.clone(), Arc::clone(&ahead))?;
                    let next = || work.lock().expect("because no holder panics").blocking_recv();
                    let mut result = Ok(());
                    while let (Ok(()), Some(next)) = (&result, next()) {
                        result = match context.abandoned.load(Ordering::Relaxed) {
                            true => break,
                            false => storer.take(next, &known, &agents, &captured),
                        };
                    }
                    context.abandoned.fetch_or(result.is_err(), Ordering::Relaxed);
                    // What is stored so far stays for the next run.
                    storer.finish().and(result)
                })
            })
            .collect();
        let (agents, finished) = (&agents, finished);
        let watch = scope.spawn(move || watch(context, runtime, listings, agents, &over));
        let results: Vec<_> =
            storers.into_iter().map(|storer| storer.join().unwrap_or(Err(BackupError::WorkerStopped))).collect();
        drop(finished);
        let asked = watch.join().map_err(|_| BackupError::WorkerStopped);
        results.into_iter().collect::<Result<(), BackupError>>().and(asked)
    });
    let asked = outcome?;
    if context.progress.interrupted() {
        return Err(BackupError::Interrupted);
    }
    // Several sources may bear one name, and then say the same.
    let notes: BTreeSet<String> = sources.iter().flat_map(|source| source.notes()).collect();
    for message in notes {
        context.progress.report(Event::Warning { message });
    }
    for agent in agents.keys() {
        context.progress.report(Event::Finished { agent: (*agent).to_owned() });
    }
    Ok(Captured { asked, ..captured.into_inner().expect("because no holder panicked") })
}

/// Tells how much there is while the others work, and ends all that is asked when all is stored, or the user wants no more.
/// Which sources could say what there is.
fn watch(
    context: &Context<'_>,
    runtime: Runtime,
    mut listings: mpsc::UnboundedReceiver<Listed>,
    agents: &BTreeMap<&'static str, Agent<'_>>,
    over: &crossbeam_channel::Receiver<()>,
) -> Vec<Asked> {
    let is_unwanted = || context.progress.interrupted() || context.abandoned.load(Ordering::Relaxed);
    let mut all_asked = Vec::new();
    let mut is_over = false;
    while !is_over {
        is_over = is_unwanted() || over.recv_timeout(WATCHED_EVERY) != Err(RecvTimeoutError::Timeout);
        while let Ok(Listed { source, resources, asked }) = listings.try_recv() {
            all_asked.extend(asked);
            if let Some(agent) = agents.get(source) {
                agent.known.fetch_add(resources, Ordering::Relaxed);
                agent.is_listed.store(true, Ordering::Relaxed);
                agent.tell();
            }
        }
    }
    // What waits for an answer that never comes now sees that nothing does.
    runtime.shutdown_background();
    all_asked.sort_by(|one, other| (&one.source, &one.account).cmp(&(&other.source, &other.account)));
    all_asked.dedup();
    all_asked
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("sources")
        .enable_all()
        .build()
}

impl<'p> Agent<'p> {
    fn new(name: &'static str, progress: &'p dyn Progress) -> Self {
        let (done, known, bytes) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { name, progress, done, known, bytes, is_listed: AtomicBool::new(false) }
    }
}

/// Asks a source for what there is and captures all of it.
async fn ask(
    source: Arc<dyn Source>,
    gapped: Arc<HashSet<String>>,
    work: mpsc::Sender<Work>,
    listed: mpsc::UnboundedSender<Listed>,
) {
    let (Discovery { mut resources, unknown }, asked) = discovered(source.as_ref()).await;
    // Those first of which something was missing.
    resources.sort_by_cached_key(|resource| (!gapped.contains(&escape_path(&resource.path)), resource.path.clone()));
    let count = (resources.len() + unknown.len()) as u64;
    let _nobody_watches_any_more = listed.send(Listed { source: source.name(), resources: count, asked });
    drop(listed);
    for (path, problem) in unknown {
        let attributes = source.attributes(&path);
        let resource = Resource { source: source.name(), path: path.into_bytes(), attributes };
        if work.send(Work::Unknown(resource, problem)).await.is_err() {
            return;
        }
    }
    let at_once = Arc::new(Semaphore::new(source.at_once()));
    let mut captures = JoinSet::new();
    for resource in resources {
        let Ok(turn) = Arc::clone(&at_once).acquire_owned().await else { break };
        let (source, work) = (Arc::clone(&source), work.clone());
        captures.spawn(async move {
            capture(source.as_ref(), &resource, &work).await;
            drop(turn);
        });
    }
    while captures.join_next().await.is_some() {}
}

async fn capture(source: &dyn Source, resource: &Resource, work: &mpsc::Sender<Work>) {
    let (sink, receiver) = EntrySink::new(ROOM);
    let sink = sink.with_filter(source.filter(), resource);
    let captured = async move {
        let end = match source.capture(resource, &sink).await {
            Ok(()) => Sent::End(None),
            Err(Stopped::Problem(problem)) => Sent::End(Some(problem)),
            Err(Stopped::Gone(problem)) => Sent::Gone(problem),
            Err(Stopped::Unwanted) => return,
        };
        let _nobody_takes_it_any_more = sink.send(end).await;
        drop(sink);
    };
    if source.is_large(resource) {
        if work.send(Work::Listing(resource.clone(), receiver)).await.is_ok() {
            captured.await;
        }
    } else {
        let gathered = tokio::spawn(gather(receiver));
        captured.await;
        if let Ok(all) = gathered.await {
            let _nobody_takes_it_any_more = work.send(Work::Whole(resource.clone(), all)).await;
        }
    }
}

async fn gather(mut receiver: mpsc::Receiver<Sent>) -> Vec<Sent> {
    let mut all = Vec::new();
    while let Some(sent) = receiver.recv().await {
        all.push(sent);
    }
    all
}
