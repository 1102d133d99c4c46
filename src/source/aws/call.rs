//! One call: in its turn, again where that helps, and its answer as JSON. What is refused is told apart.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use serde_json::Value;

use crate::source::aws::account::Account;
use crate::source::aws::catalogue::knows;
use crate::source::aws::permission::permission_of;
use crate::source::aws::shape::{self, Converted};
use crate::source::aws::wire::{Raw, Recorder};
use crate::source::estate::{Problem, Stopped};

/// How often a call is made where the service is busy or does not answer.
const TRIES_MAX: u32 = 6;
/// Pages of a list without an item, one after another, that are borne.
const EMPTY_PAGES_MAX: u32 = 100;
/// Before the second try; twice as long before each one after it.
const PAUSE: Duration = Duration::from_millis(200);

/// Calls to one service in one region.
#[derive(Clone, Copy)]
pub(super) struct Calls<'a> {
    pub(super) account: &'a Account,
    pub(super) service: &'static str,
    pub(super) region: &'a str,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `lambda:GetPolicy`.
    pub(super) action: String,
    /// The service's own word.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) status: Option<u16>,
}

/// Words for "not so fast", of all services.
const BUSY: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
    "EC2ThrottledException",
    "LimitExceededException",
];

/// Words for "you may not".
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "AuthorizationError",
    "Forbidden",
];

/// Words for "these credentials were good once".
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];

impl Refusal {
    fn is_expired(&self) -> bool {
        EXPIRED.contains(&self.code.as_str())
    }

    /// Whether the credentials may not do it.
    fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str()) || (self.status == Some(403) && !self.is_busy())
    }

    fn is_busy(&self) -> bool {
        BUSY.contains(&self.code.as_str()) || self.status == Some(429)
    }

    /// Whether trying again may help.
    fn may_pass(&self) -> bool {
        self.is_busy() || self.status.is_none_or(|status| status >= 500 && status != 501)
    }

    /// As what a snapshot says of it.
    pub(super) fn into_problem(self) -> Problem {
        let hint = if self.is_denied() { format!("allow {}", permission_of(&self.action)) } else { String::new() };
        Problem { action: self.action, code: self.code, reason: self.message, hint }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.into_problem()
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Problem(refusal.into_problem())
    }
}

/// An answer, or nothing where the service says with one of `codes` that there is none.
pub(super) fn or_absent(answer: Result<Value, Refusal>, codes: &[&str]) -> Result<Value, Refusal> {
    match answer {
        Err(refusal) if codes.contains(&refusal.code.as_str()) => Ok(Value::Null),
        answer => answer,
    }
}

/// Makes a call with a builder of the SDK; the answer as it came.
macro_rules! answer {
    ($calls:expr, $action:literal, $builder:expr) => {
        async {
            let request = $builder;
            let send = || {
                let recorder = $crate::source::aws::wire::Recorder::default();
                (recorder.clone(), request.clone().customize().interceptor(recorder).send())
            };
            $calls.answer($action, send).await
        }
    };
}
pub(super) use answer;

/// Makes a call with a builder of the SDK; the answer as JSON.
macro_rules! ask {
    ($calls:expr, $action:literal, $builder:expr) => {
        async {
            let answer = $crate::source::aws::call::answer!($calls, $action, $builder).await;
            answer.and_then(|raw| $calls.convert($action, &raw))
        }
    };
}
pub(super) use ask;

/// The items of a list, from all its pages: `$next` finds the token of the page after one, `$member` is where the items
/// stand.
macro_rules! list {
    ($calls:expr, $action:literal, $next:expr, $member:literal, |$token:ident| $builder:expr) => {
        async {
            let mut pages = $crate::source::aws::call::Pages::new($next);
            while let Some($token) = pages.wanted($calls, $action)? {
                let answer = $crate::source::aws::call::ask!($calls, $action, $builder).await?;
                pages.take(answer, $member);
            }
            Ok::<_, $crate::source::aws::call::Refusal>(pages.items)
        }
    };
}
pub(super) use list;

/// A list while its pages come. Tokens that come again are an error, as then there would be no end.
pub(super) struct Pages<T, N> {
    next: N,
    seen: Vec<T>,
    is_last: bool,
    /// Pages without an item, one after another.
    empty_pages: u32,
    pub(super) items: Vec<Value>,
}

impl<T: Clone + PartialEq, N: Fn(&Value) -> Option<T>> Pages<T, N> {
    pub(super) fn new(next: N) -> Self {
        Self { next, seen: Vec::new(), is_last: false, empty_pages: 0, items: Vec::new() }
    }

    /// The token of the next page, where one is wanted.
    pub(super) fn wanted(&self, calls: &Calls<'_>, action: &str) -> Result<Option<Option<T>>, Refusal> {
        let Some((last, before)) = self.seen.split_last() else { return Ok((!self.is_last).then_some(None)) };
        if before.contains(last) || self.empty_pages > EMPTY_PAGES_MAX {
            return Err(calls.refusal(action, "EndlessPages", "the list goes in circles".to_owned(), None));
        }
        Ok((!self.is_last).then(|| Some(last.clone())))
    }

    /// Takes a page.
    pub(super) fn take(&mut self, mut page: Value, member: &str) {
        match (self.next)(&page) {
            Some(token) => self.seen.push(token),
            None => self.is_last = true,
        }
        match page.pointer_mut(member).map(Value::take) {
            Some(Value::Array(items)) if !items.is_empty() => {
                self.empty_pages = 0;
                self.items.extend(items);
            }
            // Whoever takes items elsewhere says so with an empty place.
            _ if member.is_empty() => {}
            _ => self.empty_pages += 1,
        }
    }
}

impl Calls<'_> {
    /// Makes a call with the SDK until it is answered or nothing helps.
    pub(super) async fn answer<T, E, F>(&self, action: &str, send: impl Fn() -> (Recorder, F)) -> Result<Raw, Refusal>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, Response>>>,
    {
        self.persist(action, || {
            let (recorder, sent) = send();
            async move {
                let outcome = sent.await;
                let raw = recorder.take().filter(|raw| (200..300).contains(&raw.status));
                match (outcome, raw) {
                    // Also where the SDK's own structures could not take the answer: ours can.
                    (Ok(_) | Err(SdkError::ResponseError(_)), Some(raw)) => Ok(raw),
                    (Ok(_), None) => Err(self.refusal(action, "NoAnswer", "the answer had no body".to_owned(), None)),
                    // It is called otherwise than the SDK knows it. If all that is in it is known, it is what was asked for.
                    (Err(error), Some(raw)) if error.code().is_none() && self.is_known(&raw) => Ok(raw),
                    (Err(error), _) => Err(self.refusal_of(action, &error)),
                }
            }
        })
        .await
    }

    /// Makes a call whose answer is wanted as the SDK has it: a body that streams, a page of a very long list.
    pub(super) async fn typed<T, E, F>(&self, action: &str, send: impl Fn() -> F) -> Result<T, Refusal>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, Response>>>,
    {
        self.persist(action, || {
            let sent = send();
            async move { sent.await.map_err(|error| self.refusal_of(action, &error)) }
        })
        .await
    }

    /// Attempts a call in its turn until it is answered or nothing helps.
    pub(super) async fn persist<T, F>(&self, action: &str, attempt: impl Fn() -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        debug_assert!(knows(self.service, action), "{}:{action} is missing in the catalogue", self.service);
        let mut pause = PAUSE;
        let mut tries = TRIES_MAX;
        let mut was_renewed = false;
        loop {
            let turn = self.account.pace.wait(self.region, self.service, action).await;
            let generation = self.account.credentials.generation();
            tries -= 1;
            let refusal = match attempt().await {
                Ok(answer) => {
                    self.account.pace.go_on(self.region, self.service, action);
                    return Ok(answer);
                }
                Err(refusal) => refusal,
            };
            if refusal.is_expired() && !was_renewed {
                self.account.credentials.expired(generation).await;
                was_renewed = true;
                continue;
            }
            if refusal.is_busy() {
                self.account.pace.slow_down(self.region, self.service, action, turn);
            }
            if tries == 0 || !refusal.may_pass() {
                return Err(refusal);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// An answer as JSON; what nobody knows of it is remembered.
    pub(super) fn convert(&self, action: &str, raw: &Raw) -> Result<Value, Refusal> {
        let wrong = |message: String| self.refusal(action, "UnreadableAnswer", message, Some(raw.status));
        let Converted { value, unknown } = self.converted(raw).map_err(wrong)?;
        self.account.note_unknown(self.service, &raw.operation, unknown);
        Ok(value)
    }

    /// Whether there is something in the answer, and nothing that is unknown.
    fn is_known(&self, raw: &Raw) -> bool {
        !raw.body.is_empty() && self.converted(raw).is_ok_and(|converted| converted.unknown.is_empty())
    }

    fn converted(&self, raw: &Raw) -> Result<Converted, String> {
        let header = |name: &str| {
            raw.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let is_json = raw.body.first().is_none_or(|byte| *byte != b'<') && !raw.body.is_empty();
        if is_json {
            let value = serde_json::from_slice(&raw.body).map_err(|error| error.to_string())?;
            return Ok(Converted { value, unknown: Vec::new() });
        }
        shape::convert(self.service, &raw.operation, &raw.body, header)
    }

    pub(super) fn refusal(&self, action: &str, code: &str, message: String, status: Option<u16>) -> Refusal {
        Refusal { action: format!("{}:{action}", self.service), code: code.to_owned(), message, status }
    }

    fn refusal_of<E: ProvideErrorMetadata + Error + 'static>(
        &self,
        action: &str,
        error: &SdkError<E, Response>,
    ) -> Refusal {
        // A body that broke off was never read to its end: as good as no answer.
        let is_whole = |answer: &&Response| error.code().is_some() || answer.body().bytes().is_some();
        let whole = error.raw_response().filter(is_whole);
        let status = whole.map(|answer| answer.status().as_u16());
        let code = match (error.code(), status) {
            (Some(code), _) => code.to_owned(),
            (None, Some(200..300)) => "UnreadableAnswer".to_owned(),
            (None, Some(status)) => format!("HTTP{status}"),
            (None, None) => "Unreachable".to_owned(),
        };
        self.refusal(action, &code, message_of(error), status)
    }
}

/// What the service says, or else what went wrong; never the answer itself, which may hold what nobody should read.
fn message_of<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E, Response>) -> String {
    match (error.message(), error.raw_response()) {
        (Some(message), _) if !message.is_empty() => message.to_owned(),
        (_, Some(_)) => "the answer gives no reason".to_owned(),
        _ => causes(error),
    }
}

/// What went wrong, and what below it.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let (mut causes, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes.join(": ")
}

/// The token at a member of an answer; an empty one is none.
pub(super) fn token(member: &'static str) -> impl Fn(&Value) -> Option<String> {
    move |page| page.pointer(member)?.as_str().filter(|token| !token.is_empty()).map(str::to_owned)
}

/// The text at a member, or none.
pub(super) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    type Failed = SdkError<GetCallerIdentityError, Response>;

    #[test]
    fn an_answer_without_a_reason_is_not_told_itself() {
        let status = 500.try_into().expect("because it is a status");
        let answer = Response::new(status, SdkBody::from("<html>secret</html>"));
        let error = GetCallerIdentityError::generic(ErrorMetadata::builder().build());
        assert_eq!(message_of(&Failed::service_error(error, answer)), "the answer gives no reason");
    }

    #[test]
    fn what_went_wrong_below_is_told() {
        let error = Failed::dispatch_failure(ConnectorError::io("connection refused".into()));
        assert!(message_of(&error).ends_with("connection refused"), "{}", message_of(&error));
    }
}
