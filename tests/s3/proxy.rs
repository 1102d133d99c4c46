//! A line with a delay: passes requests to any S3 server and holds each answer back for a while.
//!
//! What it is for is counting: how many requests there were, and how many had to wait for one another. The second is the
//! longest chain of requests each of which began after the one before was answered, which no line makes shorter.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and path.
    pub(crate) what: String,
    /// When all but its body had arrived.
    pub(crate) begin: Instant,
    /// When its answer was passed on.
    pub(crate) end: Instant,
}

/// The proxy. It stops when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: SocketAddr,
    delay: Duration,
    seen: Mutex<Vec<Seen>>,
    streams: Mutex<Vec<TcpStream>>,
    is_stopping: AtomicBool,
}

impl Proxy {
    /// Starts one before the server at `upstream`; every answer comes `delay` later.
    pub(crate) fn start(upstream: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = listener.local_addr().expect("it has one");
        let (seen, streams, is_stopping) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { upstream, delay, seen, streams, is_stopping });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// A repository's address behind it.
    pub(crate) fn place(&self, prefix: &str) -> String {
        format!("s3://bucket/{prefix}?endpoint=http://{}&path-style=yes", self.address)
    }

    /// What was asked since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How many round trips had to be made one after the other.
pub(crate) fn waves(seen: &[Seen]) -> usize {
    let mut by_end: Vec<&Seen> = seen.iter().collect();
    by_end.sort_by_key(|request| request.end);
    let (mut count, mut last): (usize, Option<Instant>) = (0, None);
    for request in by_end {
        if last.is_none_or(|end| request.begin >= end) {
            (count, last) = (count + 1, Some(request.end));
        }
    }
    count
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then waits for the threads of its connections.
        drop(TcpStream::connect(self.address));
        self.shared.hang_up();
        drop(self.acceptor.take().map(JoinHandle::join));
    }
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
            drop(shared.serve(stream));
        }));
    }
    shared.hang_up();
    for thread in threads {
        drop(thread.join());
    }
}

impl Shared {
    fn hang_up(&self) {
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Passes the requests of one connection on, until either side ends it.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.upstream)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
        }
        let (mut to_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        let (mut from_client, mut from_server) = (BufReader::new(client), BufReader::new(server));
        while !self.is_stopping.load(Ordering::SeqCst) {
            let Some(mut request) = Head::read(&mut from_client)? else { break };
            let begin = Instant::now();
            if request.remove("expect").is_some() {
                to_client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            to_server.write_all(&request.bytes())?;
            request.copy_body(&mut from_client, &mut to_server, Side::Request)?;
            let answer = loop {
                match Head::read(&mut from_server)? {
                    Some(interim) if interim.status() == Some(100) => {}
                    Some(answer) => break answer,
                    None => return to_client.shutdown(Shutdown::Both),
                }
            };
            std::thread::sleep(self.delay);
            to_client.write_all(&answer.bytes())?;
            answer.copy_body(&mut from_server, &mut to_client, Side::Answer)?;
            let what = request.lines[0].trim_end_matches(" HTTP/1.1").to_owned();
            let seen = Seen { what, begin, end: Instant::now() };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            if answer.value("connection").is_some_and(|word| word.eq_ignore_ascii_case("close")) {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
        to_server.shutdown(Shutdown::Both)
    }
}

/// The lines of a request or answer before its body.
struct Head {
    lines: Vec<String>,
}

/// What a body belongs to: an answer without a length goes on to the end of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Answer,
}

impl Head {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                return Ok(Some(Self { lines }));
            }
            lines.push(line.to_owned());
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = self.lines.join("\r\n");
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.lines
            .iter()
            .skip(1)
            .position(|line| line.split_once(':').is_some_and(|(known, _)| known.trim().eq_ignore_ascii_case(name)))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.lines[1 + self.place(name)?].split_once(':').map(|(_, value)| value.trim())
    }

    fn remove(&mut self, name: &str) -> Option<String> {
        Some(self.lines.remove(1 + self.place(name)?))
    }

    fn status(&self) -> Option<u16> {
        self.lines[0].split(' ').nth(1)?.parse().ok()
    }

    fn copy_body(&self, from: &mut impl BufRead, to: &mut impl Write, side: Side) -> io::Result<()> {
        if self.value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return copy_chunks(from, to);
        }
        match self.value("content-length").map(str::parse::<u64>) {
            Some(Ok(length)) => copy_exactly(from, to, length),
            _ if side == Side::Request || matches!(self.status(), Some(204 | 304)) => Ok(()),
            _ => io::copy(from, to).map(drop),
        }
    }
}

fn copy_exactly(from: &mut impl BufRead, to: &mut impl Write, length: u64) -> io::Result<()> {
    let copied = io::copy(&mut from.take(length), to)?;
    if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn copy_chunks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        to.write_all(line.as_bytes())?;
        let digits = line.trim().split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
        if length == 0 {
            // Trailers, if there are any, and the empty line.
            loop {
                let mut line = String::new();
                from.read_line(&mut line)?;
                to.write_all(line.as_bytes())?;
                if line.trim().is_empty() {
                    return Ok(());
                }
            }
        }
        copy_exactly(from, to, length + 2)?;
    }
}
