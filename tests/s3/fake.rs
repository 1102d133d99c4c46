//! A strict S3 of our own: one bucket in memory behind HTTP/1.1 on a loopback port that the system picks.
//!
//! It does what AWS documents for the five requests that the program makes, refuses what AWS would let pass but the program
//! must not rely on (a put without a checksum; without a condition, as a bucket policy with `s3:if-none-match` does), and
//! goes wrong when told to. What goes wrong is in `fault`.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use snap::storage::s3::store::{S3Options, S3Storage};

use super::fault::{Effect, Fault};
use super::http::{Answer, Request, header, read_request};
use super::policy::{Asked, allows};

/// What the fake may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Put,
    Get,
    List,
    Delete,
}

/// An object as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) content: Bytes,
    /// The class that was asked for.
    pub(crate) class: Option<String>,
    /// When it was put, by the fake's own clock: since noon of a day.
    pub(crate) put: Duration,
}

/// How strict it is, and what it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Keys on a page of a listing.
    pub(crate) page_size: usize,
    /// Whether a put without `If-None-Match` is refused, as by a bucket policy.
    pub(crate) demands_condition: bool,
    /// Whether `If-None-Match` is heeded at all.
    pub(crate) heeds_condition: bool,
    /// Whether it says 416 where more last bytes are asked for than there are, as some do.
    pub(crate) refuses_long_suffix: bool,
    /// Whether it computes, compares and returns checksums.
    pub(crate) knows_checksums: bool,
    /// Requests under way at once beyond which it says `SlowDown`.
    pub(crate) under_way_max: usize,
}

/// The server. It stops when it is dropped.
pub(crate) struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    is_stopping: AtomicBool,
    stopped: (Mutex<bool>, Condvar),
    streams: Mutex<BTreeMap<SocketAddr, TcpStream>>,
}

struct State {
    objects: BTreeMap<String, Kept>,
    rules: Rules,
    faults: Vec<Fault>,
    counts: BTreeMap<Operation, u64>,
    under_way: usize,
    now: Duration,
    violations: Vec<String>,
    /// What the credentials may do; everything where there is none.
    policy: Option<Value>,
    denied: Vec<String>,
}

const BUCKET: &str = "bucket";
/// 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp::constant(1_795_348_800, 0);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// Starts it, strict, with an empty bucket named `bucket`.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = listener.local_addr().expect("it has one");
        let rules = Rules {
            page_size: 1000,
            demands_condition: true,
            heeds_condition: true,
            refuses_long_suffix: false,
            knows_checksums: true,
            under_way_max: usize::MAX,
        };
        let (objects, faults, counts) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let state = State {
            objects,
            rules,
            faults,
            counts,
            under_way: 0,
            now: Duration::ZERO,
            violations: Vec::new(),
            policy: None,
            denied: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            is_stopping: AtomicBool::new(false),
            stopped: Default::default(),
            streams: Mutex::default(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A repository's address in it.
    pub(crate) fn place(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint={}", self.endpoint())
    }

    /// A store in it that gives a silent request up after a fraction of a second.
    pub(crate) fn storage(&self, prefix: &str) -> S3Storage {
        let address = self.place(prefix).parse().expect("an address");
        S3Storage::open(address, options()).expect("a store")
    }

    /// Changes how strict it is.
    pub(crate) fn rule(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut lock(&self.shared.state).rules);
    }

    /// Adds a fault; `at` counts from now.
    pub(crate) fn plan(&self, operation: Option<Operation>, at: u64, effect: Effect) {
        let mut state = lock(&self.shared.state);
        let seen = match operation {
            Some(operation) => state.counts.get(&operation).copied().unwrap_or(0),
            None => state.counts.values().sum(),
        };
        state.faults.push(Fault { operation, at: seen + at, effect });
    }

    /// Every request from now on meets it.
    pub(crate) fn plan_forever(&self, effect: Effect) {
        lock(&self.shared.state).faults.push(Fault { operation: None, at: 0, effect });
    }

    /// Ends all faults.
    pub(crate) fn recover(&self) {
        lock(&self.shared.state).faults.clear();
    }

    /// Lets its clock, which stands still, go on by so much.
    pub(crate) fn advance(&self, time: Duration) {
        lock(&self.shared.state).now += time;
    }

    /// All that is kept, by key.
    pub(crate) fn objects(&self) -> BTreeMap<String, Kept> {
        lock(&self.shared.state).objects.clone()
    }

    /// What is kept under a key.
    pub(crate) fn content(&self, key: &str) -> Option<Bytes> {
        lock(&self.shared.state).objects.get(key).map(|kept| kept.content.clone())
    }

    /// Puts something there behind everyone's back.
    pub(crate) fn keep(&self, key: &str, content: &[u8]) {
        let mut state = lock(&self.shared.state);
        let kept = Kept { content: Bytes::copy_from_slice(content), class: None, put: state.now };
        state.objects.insert(key.to_owned(), kept);
    }

    /// Loses what is kept under a key.
    pub(crate) fn lose(&self, key: &str) {
        lock(&self.shared.state).objects.remove(key);
    }

    /// Requests of one kind so far.
    pub(crate) fn requests(&self, operation: Operation) -> u64 {
        lock(&self.shared.state).counts.get(&operation).copied().unwrap_or(0)
    }

    /// Whose every request is judged by this policy from now on.
    pub(crate) fn allow_only(&self, policy: Option<Value>) {
        let mut state = lock(&self.shared.state);
        (state.policy, state.denied) = (policy, Vec::new());
    }

    /// What the policy refused.
    pub(crate) fn denied(&self) -> Vec<String> {
        lock(&self.shared.state).denied.clone()
    }

    /// What was asked in a way that AWS would refuse.
    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.shared.state).violations.clone()
    }
}

/// What its stores are opened with.
pub(crate) fn options() -> S3Options {
    let credentials = Credentials::new("AKIDEXAMPLE", "not-a-secret", None, None, "test");
    S3Options {
        patience: Duration::from_millis(400),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        ..S3Options::default()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        *lock(&self.shared.stopped.0) = true;
        self.shared.stopped.1.notify_all();
        // Wakes the acceptor, which then waits for the threads of its connections.
        drop(TcpStream::connect(self.address));
        for stream in lock(&self.shared.streams).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let ended = self.acceptor.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(ended, Some(Err(_))), "a thread of the fake panicked");
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !shared.is_stopping.load(Ordering::SeqCst) {
        let Ok((stream, peer)) = listener.accept() else { continue };
        let (ended, open) = threads.into_iter().partition(JoinHandle::is_finished);
        threads = open;
        join(ended);
        lock(&shared.streams).insert(peer, stream.try_clone().expect("a second handle"));
        // One that came between the two looks would never be closed.
        if shared.is_stopping.load(Ordering::SeqCst) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || {
            shared.serve(stream);
            lock(&shared.streams).remove(&peer);
        }));
    }
    join(threads);
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("because a connection's thread does not panic");
    }
}

impl Shared {
    /// Answers the requests of one connection until either side ends it.
    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().expect("a second handle");
        let mut reader = BufReader::new(stream);
        while let Some(head) = read_request(&mut reader, &mut writer, |request| self.effect_of(request)) {
            let (request, effect) = head;
            let Some(effect) = effect else {
                if writer.write_all(&self.answer(&request).bytes(&request)).is_err() {
                    return;
                }
                continue;
            };
            let answer = match effect.performs() {
                true => self.spoilt_answer(&request, effect),
                false => effect.instead(),
            };
            if effect.write(&answer, &request, &mut writer, || self.wait_for_the_end()).is_err() || effect.ends() {
                let _ = writer.shutdown(Shutdown::Both);
                return;
            }
        }
        let _ = writer.shutdown(Shutdown::Both);
    }

    fn wait_for_the_end(&self) {
        let (stopped, told) = &self.stopped;
        drop(told.wait_while(lock(stopped), |stopped| !*stopped));
    }

    fn effect_of(&self, request: &Request) -> Option<Effect> {
        let mut state = lock(&self.state);
        let operation = request.operation();
        let count = state.counts.entry(operation).or_default();
        *count += 1;
        let (of_kind, of_all) = (*count, state.counts.values().sum::<u64>());
        let strikes = |fault: &&Fault| match fault.operation {
            Some(counted) => counted == operation && fault.at == of_kind,
            None => fault.at == 0 || fault.at == of_all,
        };
        state.faults.iter().find(strikes).map(|fault| fault.effect)
    }

    /// The answer of a store that goes wrong while it does what it is asked.
    fn spoilt_answer(&self, request: &Request, effect: Effect) -> Answer {
        let mut request = request.clone();
        effect.spoil_request(&mut request);
        if effect == Effect::TruncateUpload {
            // It never looks at what arrived.
            request.headers.retain(|(name, _)| name != "x-amz-checksum-crc32c");
            return self.put(&request, &mut lock(&self.state));
        }
        let mut answer = self.answer(&request);
        effect.spoil_answer(&mut answer, request.operation());
        answer
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut state = lock(&self.state);
        let is_free = state.policy.is_some() || !state.rules.demands_condition;
        if let Some(violation) = request.violation(if is_free { &[] } else { &["if-none-match"] }) {
            state.violations.push(format!("{violation}: {} {}", request.method, request.path));
            return Answer::error(400, "InvalidRequest", violation);
        }
        if state.under_way >= state.rules.under_way_max {
            return Answer::error(503, "SlowDown", "Please reduce your request rate.");
        }
        if state.rules.under_way_max != usize::MAX {
            // Takes a moment, so that several can meet.
            state.under_way += 1;
            drop(state);
            std::thread::sleep(Duration::from_millis(2));
            state = lock(&self.state);
            state.under_way -= 1;
        }
        if request.bucket != BUCKET {
            return Answer::error(404, "NoSuchBucket", "The specified bucket does not exist");
        }
        if let Some(policy) = &state.policy
            && !is_allowed(policy, request, &state)
        {
            state.denied.push(format!("{} {}", request.method, request.path));
            return Answer::error(403, "AccessDenied", "User is not authorized to perform this");
        }
        match request.operation() {
            Operation::Put => self.put(request, &mut state),
            Operation::Get => get(request, &state),
            Operation::List => list(request, &state),
            Operation::Delete => {
                state.objects.remove(&request.key);
                Answer::new(204)
            }
        }
    }

    fn put(&self, request: &Request, state: &mut State) -> Answer {
        let rules = state.rules;
        let condition = header(&request.headers, "if-none-match");
        if state.policy.is_none() && rules.demands_condition && condition != Some("*") {
            return Answer::error(403, "AccessDenied", "the policy demands s3:if-none-match");
        }
        if rules.heeds_condition && condition == Some("*") && state.objects.contains_key(&request.key) {
            return Answer::error(
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            );
        }
        let checksum = checksum_of(&request.body);
        let wanted = header(&request.headers, "x-amz-checksum-crc32c");
        if rules.knows_checksums && wanted.is_some_and(|wanted| wanted != checksum) {
            return Answer::error(400, "BadDigest", "The CRC32C you specified did not match the calculated checksum.");
        }
        let class = header(&request.headers, "x-amz-storage-class").map(str::to_owned);
        let kept = Kept { content: request.body.clone(), class, put: state.now };
        state.objects.insert(request.key.clone(), kept);
        let answer = Answer::new(200).with("ETag", "\"etag\"");
        if rules.knows_checksums { answer.with("x-amz-checksum-crc32c", &checksum) } else { answer }
    }
}

/// Whether the policy allows a request; one for an object that is not there needs the right to list as well.
fn is_allowed(policy: &Value, request: &Request, state: &State) -> bool {
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let object = format!("{bucket}/{}", request.key);
    let asked = |action, resource, context| allows(policy, &Asked { action, resource, context });
    match request.operation() {
        Operation::Put => {
            let condition =
                header(&request.headers, "if-none-match").map(|value| ("s3:if-none-match", value.to_owned()));
            asked("s3:PutObject", object, condition.into_iter().collect())
        }
        Operation::Get => {
            let is_there = state.objects.contains_key(&request.key);
            asked("s3:GetObject", object, Vec::new()) && (is_there || asked("s3:ListBucket", bucket, Vec::new()))
        }
        Operation::List => {
            let prefix = request.query.iter().find(|(name, _)| name == "prefix").map(|(_, value)| value.clone());
            asked("s3:ListBucket", bucket, prefix.map(|prefix| ("s3:prefix", prefix)).into_iter().collect())
        }
        Operation::Delete => asked("s3:DeleteObject", object, Vec::new()),
    }
}

pub(crate) fn checksum_of(content: &[u8]) -> String {
    aws_smithy_types::base64::encode(crc32c::crc32c(content).to_be_bytes())
}

fn get(request: &Request, state: &State) -> Answer {
    let Some(kept) = state.objects.get(&request.key) else {
        return Answer::error(404, "NoSuchKey", "The specified key does not exist.");
    };
    let total = kept.content.len();
    let known = |status| {
        let answer = Answer::new(status).with("ETag", "\"etag\"");
        answer.with("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT").with("Accept-Ranges", "bytes")
    };
    let Some(range) = header(&request.headers, "range") else {
        let answer = known(200);
        let asks = header(&request.headers, "x-amz-checksum-mode") == Some("ENABLED") && state.rules.knows_checksums;
        let answer = if asks { answer.with("x-amz-checksum-crc32c", &checksum_of(&kept.content)) } else { answer };
        return answer.body(kept.content.clone());
    };
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).expect("a range as ours");
    let bounds = match (bounds.0.parse::<usize>(), bounds.1.parse::<usize>()) {
        (Ok(first), Ok(last)) if first < total => first..last.saturating_add(1).min(total),
        (Err(_), Ok(length)) if length > total && state.rules.refuses_long_suffix => 0..0,
        (Err(_), Ok(length)) if length > 0 && total > 0 => total.saturating_sub(length)..total,
        _ => 0..0,
    };
    if bounds.is_empty() {
        return Answer::error(416, "InvalidRange", "The requested range is not satisfiable");
    }
    let shown = format!("bytes {}-{}/{total}", bounds.start, bounds.end - 1);
    known(206).with("Content-Range", &shown).body(kept.content.slice(bounds))
}

fn list(request: &Request, state: &State) -> Answer {
    let asked = |name: &str| request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(asked("list-type"), Some("2"));
    let (prefix, after) =
        (asked("prefix").unwrap_or_default(), asked("continuation-token").or(asked("start-after")).unwrap_or_default());
    let escapes = asked("encoding-type") == Some("url");
    let mut keys = state.objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
    let page: Vec<_> = keys.by_ref().take(state.rules.page_size).collect();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>");
    xml.push_str(&format!("<Name>{BUCKET}</Name><KeyCount>{}</KeyCount>", page.len()));
    if escapes {
        xml.push_str("<EncodingType>url</EncodingType>");
    }
    if let Some(token) = asked("continuation-token") {
        xml.push_str(&format!("<ContinuationToken>{token}</ContinuationToken>"));
    }
    for (key, kept) in &page {
        let key = if escapes { super::http::escape(key) } else { (*key).clone() };
        xml.push_str(&format!(
            "<Contents><Key>{key}</Key><LastModified>{}</LastModified><ETag>&quot;etag&quot;</ETag>\
             <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            NOON + kept.put,
            kept.content.len()
        ));
    }
    match (keys.next(), page.last()) {
        (Some(_), Some((last, _))) => {
            xml.push_str(&format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
            ));
        }
        _ => xml.push_str("<IsTruncated>false</IsTruncated>"),
    }
    xml.push_str("</ListBucketResult>");
    Answer::new(200).with("Content-Type", "application/xml").body(Bytes::from(xml))
}
