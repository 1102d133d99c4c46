//! One call: with a token, again where that helps, its answer as JSON. Nobody is followed elsewhere.
//!
//! When a service says how long it wants to be left alone, all calls wait, not only the one that was told. What a service
//! says of a refusal is told without the secrets that were sent to it.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::source::apps_script::Endpoints;
use crate::source::apps_script::credentials::Credentials;
use crate::source::apps_script::refusal::Refusal;
use crate::source::apps_script::token::{Tokens, form};
use crate::source::estate::Problem;

const SCRIPT: &str = "https://script.googleapis.com";
const DRIVE: &str = "https://www.googleapis.com";
/// Silence after which an answer is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How often a call is made where the service is busy or does not answer.
const TRIES_MAX: u32 = 6;
/// Before the second try; twice as long before each one after it.
const PAUSE: Duration = Duration::from_millis(200);
/// A service that wants to be left alone for longer is not waited for.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Longest answer; a project holds far less.
const ANSWER_MAX: usize = 128 << 20;
/// Most pages of a list.
const PAGES_MAX: usize = 10_000;

/// The services, as whoever has these credentials.
pub(super) struct Api {
    wire: Wire,
    tokens: Tokens,
    script: String,
    drive: String,
}

/// What requests go through.
pub(super) struct Wire {
    client: Client,
    /// Until then nobody asks.
    quiet_until: Mutex<Option<Instant>>,
}

impl Api {
    pub(super) fn new(credentials: Credentials, endpoints: &Endpoints) -> Self {
        let builder = Client::builder().connect_timeout(SILENCE_MAX).read_timeout(SILENCE_MAX).redirect(Policy::none());
        let client = builder.build().expect("because its settings are constant");
        Self {
            wire: Wire { client, quiet_until: Mutex::default() },
            tokens: Tokens::new(credentials, endpoints.oauth.clone()),
            script: endpoints.script.clone().unwrap_or_else(|| SCRIPT.to_owned()),
            drive: endpoints.drive.clone().unwrap_or_else(|| DRIVE.to_owned()),
        }
    }

    /// Asks for something; `action` says where (`script:…`, `drive:…`) and what.
    pub(super) async fn get(&self, action: &str, path: &str, query: &[(&str, &str)]) -> Result<Value, Problem> {
        let base = if action.starts_with("drive:") { &self.drive } else { &self.script };
        let mut url = checked(&format!("{}{path}", base.trim_end_matches('/')))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut token = self.tokens.token(&self.wire, None).await?;
        let mut answer = self.attempt(action, &url, &token).await;
        if answer.as_ref().is_err_and(|refusal| refusal.status == Some(401)) {
            token = self.tokens.token(&self.wire, Some(&token)).await?;
            answer = self.attempt(action, &url, &token).await;
        }
        answer.map_err(|refusal| refusal.into_problem(&[&token]))
    }

    async fn attempt(&self, action: &str, url: &Url, token: &str) -> Result<Value, Refusal> {
        self.wire.persist(action, || self.wire.client.get(url.clone()).bearer_auth(token)).await
    }

    /// All items of a list, from all its pages.
    pub(super) async fn list(
        &self,
        action: &str,
        path: &str,
        query: &[(&str, &str)],
        member: &str,
    ) -> Result<Vec<Value>, Problem> {
        let mut items = Vec::new();
        self.list_into(&mut items, action, path, query, member).await.map(|()| items)
    }

    /// The same, where some of it is better than nothing.
    pub(super) async fn list_into(
        &self,
        items: &mut Vec<Value>,
        action: &str,
        path: &str,
        query: &[(&str, &str)],
        member: &str,
    ) -> Result<(), Problem> {
        let wrong = |code: &str, reason: &str| Refusal::new(action, code, reason.to_owned(), None).into_problem(&[]);
        let mut seen = Vec::new();
        let mut is_complete = true;
        loop {
            let mut query = query.to_vec();
            query.extend(seen.last().map(|token: &String| ("pageToken", token.as_str())));
            let mut page = self.get(action, path, &query).await?;
            match page.get_mut(member).map(Value::take) {
                Some(Value::Array(more)) => items.extend(more),
                // An empty list is left out of an answer.
                None | Some(Value::Null) => {}
                Some(_) => return Err(wrong("UnreadableAnswer", "the answer holds something else than a list")),
            }
            is_complete &= page["incompleteSearch"] != true;
            match page["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
                None if is_complete => return Ok(()),
                None => return Err(wrong("IncompleteSearch", "the service did not look everywhere")),
                Some(token) if seen.iter().any(|before| before == token) || seen.len() >= PAGES_MAX => {
                    return Err(wrong("EndlessPages", "the list goes in circles"));
                }
                Some(token) => seen.push(token.to_owned()),
            }
        }
    }
}

impl Wire {
    /// Asks for a token; the secrets in the form are in no error.
    pub(super) async fn post(&self, address: Url, fields: &[(&str, &str)]) -> Result<Value, Problem> {
        let body = form(fields);
        let request = || {
            let kind = "application/x-www-form-urlencoded";
            self.client.post(address.clone()).header("content-type", kind).body(body.as_bytes().to_vec())
        };
        let secrets: Vec<&str> =
            fields.iter().filter(|(name, _)| *name != "grant_type").map(|(_, value)| *value).collect();
        self.persist("oauth:token", request).await.map_err(|refusal| refusal.into_problem(&secrets))
    }

    /// Makes a request until it is answered or nothing helps.
    async fn persist(&self, action: &str, request: impl Fn() -> RequestBuilder) -> Result<Value, Refusal> {
        let mut pause = PAUSE;
        for left in (0..TRIES_MAX).rev() {
            self.be_quiet().await;
            let refusal = match exchange(action, request()).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            let wait = refusal.retry_after.unwrap_or(pause);
            if left == 0 || !refusal.may_pass() || wait > WAIT_MAX {
                return Err(refusal);
            }
            if refusal.retry_after.is_some() || refusal.is_busy() {
                let until = Instant::now() + wait;
                let mut quiet_until = self.quiet_until.lock().await;
                *quiet_until = quiet_until.max(Some(until));
            } else {
                tokio::time::sleep(wait).await;
            }
            pause *= 2;
        }
        unreachable!("the last try returns")
    }

    /// Waits as long as a service wants it.
    async fn be_quiet(&self) {
        loop {
            let until = *self.quiet_until.lock().await;
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }
}

async fn exchange(action: &str, request: RequestBuilder) -> Result<Value, Refusal> {
    let unreachable = |error: reqwest::Error| Refusal::new(action, "Unreachable", causes(&error.without_url()), None);
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    if status.is_redirection() {
        let reason = "the service sends elsewhere for it".to_owned();
        return Err(Refusal::new(action, "ForeignAddress", reason, Some(status.as_u16())));
    }
    let retry_after = retry_after(answer.headers(), Timestamp::now());
    let body = body(action, answer).await?;
    let value = serde_json::from_slice::<Value>(&body);
    if !status.is_success() {
        return Err(Refusal::of(action, status.as_u16(), &value.unwrap_or_default(), retry_after));
    }
    value.ok().filter(Value::is_object).ok_or_else(|| {
        let reason = "the answer is no JSON object".to_owned();
        Refusal::new(action, "UnreadableAnswer", reason, Some(status.as_u16()))
    })
}

async fn body(action: &str, mut answer: Response) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match answer.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(part)) if body.len() + part.len() <= ANSWER_MAX => body.extend_from_slice(&part),
            Ok(Some(_)) => {
                let reason = format!("the answer is longer than {ANSWER_MAX} bytes");
                return Err(Refusal::new(action, "AnswerTooLong", reason, Some(200)));
            }
            Err(error) => return Err(Refusal::new(action, "Unreachable", causes(&error.without_url()), None)),
        }
    }
}

/// How long a service wants to be left alone: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now).try_into().unwrap_or_default())
}

/// An address that secrets may be sent to.
pub(super) fn checked(address: &str) -> Result<Url, Problem> {
    let wrong = |reason: &str| Problem {
        action: "google".to_owned(),
        code: "BadAddress".to_owned(),
        reason: format!("{address:?} {reason}"),
        hint: "addresses of services begin with https://".to_owned(),
    };
    let url = Url::parse(address).map_err(|_| wrong("is no address"))?;
    let is_near = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near => Ok(url),
        _ => Err(wrong("is no address that a token may be sent to")),
    }
}

/// What went wrong, and what below it.
fn causes(error: &(dyn Error + 'static)) -> String {
    let (mut causes, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{checked, retry_after};

    #[test]
    fn a_service_says_how_long_in_seconds_or_as_a_date() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().expect("a time");
        let after = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Wed, 21 Oct 2015 07:26:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn a_token_goes_nowhere_in_the_clear_but_to_this_machine() {
        assert!(checked("https://script.googleapis.com/v1").is_ok());
        assert!(checked("http://127.0.0.1:80/v1").is_ok());
        for bad in ["http://script.googleapis.com/", "http://127.0.0.1.example.com/", "ftp://127.0.0.1/", "no"] {
            assert_eq!(checked(bad).expect_err("it is bad").code, "BadAddress", "{bad}");
        }
    }
}
