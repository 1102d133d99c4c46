//! The front: stands before an emulator and adds what none of them has, by a script written in code. Latency, AWS's limits and its
//! words for them, refusals of single actions, expired credentials, connections and bodies that break off, pages and
//! lists that are changed on their way.
//!
//! It knows the service and the action of each request, counts them, and remembers when each began and ended. It can keep
//! every answer and give it again, so that an emulator that is slow is asked once.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use answer::Answer;
use limits::Limits;
use request::{Protocol, Request};

pub(crate) mod alter;
pub(crate) mod answer;
pub(crate) mod limits;
pub(crate) mod request;

/// A request as a script sees it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// As its signature names it; nothing where it bears none.
    pub(crate) service: String,
    pub(crate) action: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: String,
    /// Names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) protocol: Protocol,
    /// How many came before it, of all, and of its action.
    pub(crate) number: u64,
    pub(crate) number_of_action: u64,
}

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Effect {
    Pass,
    /// The action is refused, in the words of its protocol.
    Deny,
    /// It was too much.
    Throttle,
    /// The credentials have expired.
    Expire,
    /// An error of the service with a status of 5xx.
    Fail(u16),
    /// An error with a status and a code.
    Refuse(u16, &'static str),
    /// The connection ends before the answer.
    Reset,
    /// It ends after half of the body.
    Truncate,
    /// This is the answer; the emulator is not asked.
    Answer(Answer),
    /// The answer is another.
    Alter(Arc<dyn Fn(Answer) -> Answer + Send + Sync>),
    /// The request is another before it is passed on: its path and query.
    Instead(String),
}

impl Effect {
    /// The answer is another.
    pub(crate) fn alter(change: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(change))
    }
}

/// What happens to which request.
pub(crate) type Script = Arc<dyn Fn(&Call) -> Effect + Send + Sync>;

/// A request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) service: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) status: u16,
    /// Whether it was refused as too much.
    pub(crate) is_throttled: bool,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

/// The front. It stops when it is dropped.
pub(crate) struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    script: RwLock<Script>,
    latency: Mutex<Duration>,
    limits: Mutex<Option<Limits>>,
    /// Answers that are given again, where they are kept.
    kept: Mutex<Option<HashMap<Vec<u8>, Answer>>>,
    counts: Mutex<BTreeMap<(String, String), u64>>,
    seen: Mutex<Vec<Seen>>,
    streams: Mutex<Vec<TcpStream>>,
    is_stopping: AtomicBool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    /// Starts one before the server at `upstream`; nothing is changed yet.
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = listener.local_addr().expect("it has one");
        let shared = Arc::new(Shared {
            address,
            upstream,
            script: RwLock::new(Arc::new(|_| Effect::Pass)),
            latency: Mutex::default(),
            limits: Mutex::default(),
            kept: Mutex::default(),
            counts: Mutex::default(),
            seen: Mutex::default(),
            streams: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Self { address, shared, acceptor: Some(acceptor) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens to requests from now on, counted from nothing.
    pub(crate) fn play(&self, script: impl Fn(&Call) -> Effect + Send + Sync + 'static) {
        *self.shared.script.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
        held(&self.shared.counts).clear();
    }

    /// Every answer comes so much later.
    pub(crate) fn delay(&self, latency: Duration) {
        *held(&self.shared.latency) = latency;
    }

    /// No more is answered than AWS would; full buckets.
    pub(crate) fn limit(&self, limits: Option<Limits>) {
        *held(&self.shared.limits) = limits;
    }

    /// Keeps answers from now on and gives them again.
    pub(crate) fn keep(&self) {
        *held(&self.shared.kept) = Some(HashMap::new());
    }

    /// What was asked since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut held(&self.shared.seen))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then waits for the threads of its connections.
        drop(TcpStream::connect(self.address));
        self.shared.hang_up();
        drop(self.acceptor.take().map(JoinHandle::join));
    }
}

/// How many of these were asked at the same time, at most.
pub(crate) fn concurrency<'s>(seen: impl IntoIterator<Item = &'s Seen>) -> usize {
    let mut moments: Vec<(Instant, i32)> =
        seen.into_iter().flat_map(|seen| [(seen.begin, 1), (seen.end, -1)]).collect();
    moments.sort();
    let (mut now, mut most) = (0, 0);
    for (_, step) in moments {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).expect("because as many end as begin")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || {
            // Either side may end it at any time.
            drop(shared.serve(&stream));
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    shared.hang_up();
    for thread in threads {
        drop(thread.join());
    }
}

impl Shared {
    fn hang_up(&self) {
        for stream in held(&self.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Answers the requests of one connection, until either side ends it.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        held(&self.streams).push(stream.try_clone()?);
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        while !self.is_stopping.load(Ordering::SeqCst) {
            let Some(request) = Request::read(&mut reader, &mut writer)? else { break };
            let begin = Instant::now();
            let call = self.call(&request);
            let is_too_much = held(&self.limits).as_mut().is_some_and(|limits| !limits.take(&call));
            let script = Arc::clone(&self.script.read().unwrap_or_else(PoisonError::into_inner));
            let effect = if is_too_much { Effect::Throttle } else { script(&call) };
            // Let go of before it sleeps, or all would wait for one another.
            let latency = *held(&self.latency);
            std::thread::sleep(latency);
            let is_cut = matches!(effect, Effect::Truncate);
            let is_throttled = matches!(effect, Effect::Throttle);
            let answer = match effect {
                Effect::Pass | Effect::Truncate => self.ask(&request)?,
                Effect::Answer(answer) => answer,
                Effect::Alter(change) => change(self.ask(&request)?),
                Effect::Instead(target) => self.ask(&Request { target, ..request.clone() })?,
                Effect::Reset => return Ok(()),
                refusal => Answer::refusal(&call, &refusal),
            };
            held(&self.seen).push(Seen {
                service: call.service,
                action: call.action,
                target: call.target,
                body: call.body,
                status: answer.status,
                is_throttled,
                begin,
                end: Instant::now(),
            });
            let bytes = answer.bytes(&request.method);
            if is_cut && !answer.body.is_empty() {
                return writer.write_all(&bytes[..bytes.len() - answer.body.len().div_ceil(2)]);
            }
            writer.write_all(&bytes)?;
        }
        Ok(())
    }

    fn call(&self, request: &Request) -> Call {
        let mut call = request.call();
        let mut counts = held(&self.counts);
        call.number = counts.values().sum();
        let count = counts.entry((call.service.clone(), call.action.clone())).or_default();
        call.number_of_action = *count;
        *count += 1;
        call
    }

    /// What the emulator answers, or answered before. Where it names itself, it names the front.
    fn ask(&self, request: &Request) -> io::Result<Answer> {
        let key = request.key();
        if let Some(answer) = held(&self.kept).as_ref().and_then(|kept| kept.get(&key)) {
            return Ok(answer.clone());
        }
        let mut upstream = TcpStream::connect(self.upstream)?;
        upstream.set_read_timeout(Some(Duration::from_secs(120)))?;
        upstream.write_all(&request.bytes())?;
        let mut answer = Answer::read(&mut BufReader::new(upstream), &request.method)?;
        answer.rename(&self.upstream.port().to_string(), &self.address.port().to_string());
        if let Some(kept) = held(&self.kept).as_mut() {
            kept.insert(key, answer.clone());
        }
        Ok(answer)
    }
}
