//! Google of our own: tokens, Drive and Apps Script as they are documented, behind HTTP/1.1 on a loopback port.
//!
//! It gives lists two by two, refuses tokens that are not the newest, checks what a service account signs, and goes wrong
//! when told to.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use snap::source::apps_script::Endpoints;

use crate::s3::http::{Answer, Request, header, read_request};

/// Items on a page.
const PAGE_SIZE: usize = 2;
pub(super) const CLIENT: [&str; 2] = ["client.apps.example", "SECRET-of-the-client"];
pub(super) const REFRESH_TOKEN: &str = "SECRET-refresh-token";
pub(super) const EMAIL: &str = "robot@example.iam.gserviceaccount.com";

/// A project as Google has it: what each call answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Project {
    pub(super) project: Value,
    pub(super) content: Value,
    pub(super) versions: Vec<Value>,
    /// By version.
    pub(super) contents: BTreeMap<u64, Value>,
    pub(super) deployments: Vec<Value>,
}

struct State {
    projects: BTreeMap<String, Project>,
    /// What Drive lists.
    listed: Vec<Value>,
    /// Requests that go wrong: what their address holds, how often, what is said.
    faults: Vec<(&'static str, usize, Answer)>,
    given: u64,
    /// Token that is good, if any is.
    good: Option<String>,
    lifetime: u64,
    key: RsaKeyPair,
    asked: Vec<String>,
    claims: Vec<Value>,
}

/// The server. It stops when it is dropped.
pub(super) struct Google {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    is_stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
    pem: String,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Google {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = listener.local_addr().expect("it has one");
        let made = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der = made.as_der().expect("a key").as_ref().to_vec();
        let key = RsaKeyPair::from_pkcs8(&der).expect("a key");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&der));
        let state = Arc::new(Mutex::new(State {
            projects: BTreeMap::new(),
            listed: Vec::new(),
            faults: Vec::new(),
            given: 0,
            good: None,
            lifetime: 3600,
            key,
            asked: Vec::new(),
            claims: Vec::new(),
        }));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let acceptor = {
            let (state, is_stopping) = (Arc::clone(&state), Arc::clone(&is_stopping));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if is_stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    let (Ok(stream), state) = (stream, Arc::clone(&state)) else { continue };
                    drop(std::thread::spawn(move || serve(stream, &state, address)));
                }
            })
        };
        Self { address, state, is_stopping, acceptor: Some(acceptor), pem }
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        let base = format!("http://{}", self.address);
        Endpoints { oauth: Some(format!("{base}/token")), script: Some(base.clone()), drive: Some(base) }
    }

    /// The file of a service account whose key is known here.
    pub(super) fn service_account(&self) -> Value {
        json!({
            "type": "service_account",
            "client_email": EMAIL,
            "private_key_id": "key-1",
            "private_key": self.pem,
            "token_uri": "https://oauth2.googleapis.com/token",
        })
    }

    /// What stands in the key, which nobody may tell.
    pub(super) fn key_text(&self) -> String {
        self.pem.lines().nth(1).expect("a line")[100..160].to_owned()
    }

    pub(super) fn add(&self, id: &str, project: Project) {
        lock(&self.state).projects.insert(id.to_owned(), project);
    }

    pub(super) fn list(&self, id: &str, title: &str) {
        lock(&self.state).listed.push(json!({"id": id, "name": title}));
    }

    /// The next requests whose address holds `part` are answered so.
    pub(super) fn plan(&self, part: &'static str, times: usize, answer: Answer) {
        lock(&self.state).faults.push((part, times, answer));
    }

    /// No token is good any more, and each that is given lasts so long.
    pub(super) fn expire(&self, lifetime: u64) {
        let mut state = lock(&self.state);
        (state.good, state.lifetime) = (None, lifetime);
    }

    /// The addresses that were asked, with how.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).asked)
    }

    /// What service accounts said of themselves, proven.
    pub(super) fn claims(&self) -> Vec<Value> {
        lock(&self.state).claims.clone()
    }

    /// Tokens that were given.
    pub(super) fn given(&self) -> u64 {
        lock(&self.state).given
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("it stops");
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, address: SocketAddr) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut reader = BufReader::new(copy);
    while let Some((request, _)) = read_request(&mut reader, &mut stream, |_| None) {
        let answer = lock(state).answer(&request, address);
        if stream.write_all(&answer.bytes(&request)).is_err() {
            return;
        }
    }
}

/// An error as Google's services put it.
pub(super) fn refused(status: u16, word: &str, message: &str) -> Answer {
    let error = json!({"error": {"code": status, "message": message, "status": word}});
    Answer::new(status).with("Content-Type", "application/json").body(error.to_string().into())
}

fn said(value: &Value) -> Answer {
    Answer::new(200).with("Content-Type", "application/json").body(value.to_string().into())
}

/// The value of a field of a form or query.
fn field(text: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).expect("a form");
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

impl State {
    fn answer(&mut self, request: &Request, address: SocketAddr) -> Answer {
        self.asked.push(format!("{} {}", request.method, request.path));
        if let Some(fault) = self.faults.iter_mut().find(|(part, left, _)| *left > 0 && request.path.contains(part)) {
            fault.1 -= 1;
            return fault.2.clone();
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if (request.method.as_str(), path) == ("POST", "/token") {
            return self.token(&String::from_utf8_lossy(&request.body), address);
        }
        let bearer = header(&request.headers, "authorization").and_then(|text| text.strip_prefix("Bearer "));
        if bearer.is_none() || bearer != self.good.as_deref() {
            return refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["drive", "v3", "files"] => {
                let wanted = "mimeType='application/vnd.google-apps.script' and trashed=false";
                assert_eq!(field(query, "q").as_deref(), Some(wanted));
                page(&self.listed, "files", query)
            }
            ["v1", "projects", id, rest @ ..] => match (self.projects.get(*id), rest) {
                (None, _) => refused(404, "NOT_FOUND", "Requested entity was not found."),
                (Some(project), []) => said(&project.project),
                (Some(project), ["content"]) => match field(query, "versionNumber") {
                    None => said(&project.content),
                    Some(number) => said(&project.contents[&number.parse().expect("a number")]),
                },
                (Some(project), ["versions"]) => page(&project.versions, "versions", query),
                (Some(project), ["deployments"]) => page(&project.deployments, "deployments", query),
                _ => refused(404, "NOT_FOUND", "no such method"),
            },
            _ => refused(404, "NOT_FOUND", "no such service"),
        }
    }

    fn token(&mut self, form: &str, address: SocketAddr) -> Answer {
        let of = |name: &str| field(form, name).unwrap_or_default();
        let invalid = |word: &str| {
            Answer::new(400)
                .body(json!({"error": word, "error_description": format!("Bad: {form}")}).to_string().into())
        };
        match of("grant_type").as_str() {
            "refresh_token" => {
                if [of("client_id"), of("client_secret")] != CLIENT || of("refresh_token") != REFRESH_TOKEN {
                    return invalid("invalid_grant");
                }
            }
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => match self.proven(&of("assertion"), address) {
                Some(claims) => self.claims.push(claims),
                None => return invalid("invalid_grant"),
            },
            _ => return invalid("unsupported_grant_type"),
        }
        self.given += 1;
        let token = format!("SECRET-token-{}", self.given);
        self.good = Some(token.clone());
        said(&json!({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}))
    }

    /// What is claimed, where the signature and the times are good.
    fn proven(&self, assertion: &str, address: SocketAddr) -> Option<Value> {
        let (signed, signature) = assertion.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref());
        key.verify(signed.as_bytes(), &decoded(signature)?).ok()?;
        let head: Value = serde_json::from_slice(&decoded(head)?).ok()?;
        let claims: Value = serde_json::from_slice(&decoded(claims)?).ok()?;
        let (now, of) = (jiff::Timestamp::now().as_second(), |name: &str| claims[name].as_i64());
        let is_good = head == json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
            && claims["iss"] == EMAIL
            && claims["aud"] == format!("http://{address}/token")
            && of("iat")? <= now
            && of("exp")? > now
            && of("exp")? - of("iat")? <= 3600;
        is_good.then_some(claims)
    }
}

/// Two items, and where the next ones are.
fn page(items: &[Value], member: &str, query: &str) -> Answer {
    let start = field(query, "pageToken").map_or(0, |token| token.parse().expect("a token of ours"));
    let end = items.len().min(start + PAGE_SIZE);
    let mut answer = json!({});
    if start < end {
        answer[member] = json!(items[start..end]);
    }
    if end < items.len() {
        answer["nextPageToken"] = json!(end.to_string());
    }
    said(&answer)
}
