//! What a service gives an address for: a function's code, a layer, an export. Fetched without credentials, at once, since
//! such addresses hold for minutes.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, Response, Url};

use crate::entry::Metadata;
use crate::source::estate::{Problem, Remote};

/// Silence after which a download is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often it is begun anew.
const TRIES_MAX: u32 = 4;
/// Before each of these, and before an address that is busy is asked again; twice as long each time.
const PAUSE: Duration = Duration::from_millis(200);

/// A download that has not begun.
pub(super) struct Download {
    address: String,
    size: Option<u64>,
    action: String,
    /// A service of one's own: then nobody else is asked.
    endpoint: Option<String>,
    answer: Option<Response>,
    received: u64,
    /// How often it may yet be begun anew where it broke off.
    tries: u32,
}

impl Download {
    /// Of an address that `action` gave.
    pub(super) fn new(address: &str, size: Option<u64>, action: &str, endpoint: Option<&str>) -> Self {
        Self {
            address: address.to_owned(),
            size,
            action: action.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            answer: None,
            received: 0,
            tries: TRIES_MAX,
        }
    }

    /// Something that is wrong with this download.
    pub(super) fn problem(&self, code: &str, reason: String) -> Problem {
        Problem { action: self.action.clone(), code: code.to_owned(), reason, hint: String::new() }
    }

    /// An emulator may give addresses of the real world, which has nothing of ours.
    fn check_host(&self, url: &Url) -> Result<(), Problem> {
        let Some(own) = self.endpoint.as_deref().and_then(|endpoint| Url::parse(endpoint).ok()) else { return Ok(()) };
        let is_loopback = |url: &Url| {
            url.host_str()
                .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost"))
        };
        if url.host_str() == own.host_str() || (is_loopback(&own) && is_loopback(url)) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(self.problem("ForeignAddress", format!("the service at {own} sends elsewhere for it, to {host}")))
    }
}

pub(super) fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let builder = Client::builder().connect_timeout(SILENCE_MAX).read_timeout(SILENCE_MAX);
        builder.build().expect("because its settings are constant")
    })
}

#[async_trait]
impl Remote for Download {
    fn size(&self) -> Option<u64> {
        self.size
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        let url = Url::parse(&self.address).map_err(|error| self.problem("BadAddress", error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.problem("BadAddress", format!("it is at {}:, which nobody here can ask", url.scheme())));
        }
        self.check_host(&url)?;
        self.received = 0;
        loop {
            let problem = match client().get(url.clone()).send().await {
                Ok(answer) if answer.status().is_success() => {
                    self.answer = Some(answer);
                    return Ok(None);
                }
                Ok(answer) => {
                    let (status, reason) = (answer.status(), "the download is refused".to_owned());
                    let problem = self.problem(&format!("HTTP{}", status.as_u16()), reason);
                    if !status.is_server_error() && status.as_u16() != 429 {
                        return Err(problem);
                    }
                    problem
                }
                Err(error) => self.problem("Unreachable", error.without_url().to_string()),
            };
            if !self.begin_anew() {
                return Err(problem);
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(TRIES_MAX - 1 - self.tries)).await;
        }
    }

    fn begin_anew(&mut self) -> bool {
        let is_left = self.tries > 0;
        self.tries = self.tries.saturating_sub(1);
        is_left
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(answer) = &mut self.answer else { return Ok(None) };
        match answer.chunk().await {
            Ok(Some(bytes)) => {
                self.received += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Ok(None) => match self.size {
                Some(size) if size != self.received => {
                    let reason = format!("{} bytes of {size} came", self.received);
                    Err(self.problem("Truncated", reason))
                }
                _ => Ok(None),
            },
            Err(error) => Err(self.problem("Unreachable", error.without_url().to_string())),
        }
    }
}
