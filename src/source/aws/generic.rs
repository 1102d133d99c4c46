//! Calls to services that have no crate here: signed with the account's credentials, answered as JSON like all others.

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Map, Value};

use crate::source::aws::call::{Calls, Refusal};
use crate::source::aws::download::client;
use crate::source::aws::wire::Raw;

/// How a service wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A form with the action and parameters; answers in XML. The version of the service.
    Query(&'static str),
    /// JSON with the action in a header; what stands before it there, and the version of JSON.
    Json(&'static str, &'static str),
    /// A path; JSON, or XML from S3. Parameters are in the path, in [`HEADERS`] or in the query.
    Rest,
}

/// Parameters that are headers.
const HEADERS: &[&str] = &["x-amz-account-id"];

/// A service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    /// What its hosts begin with; `{account}` is the account.
    pub(super) host: &'static str,
    /// Its name where requests are signed.
    pub(super) signing: &'static str,
    pub(super) protocol: Protocol,
}

/// A request: parameters by name; for [`Protocol::Rest`] also its path, in which `{Name}` is a parameter. With `POST ` before
/// it, the other parameters are sent as JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) path: &'static str,
    pub(super) parameters: Vec<(String, Value)>,
}

impl Request {
    /// A request with a parameter more.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }
}

/// A request as it is sent.
struct Wire {
    method: &'static str,
    address: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Calls<'_> {
    /// Makes a call to a service without a crate.
    pub(super) async fn send(&self, service: &Service, action: &str, request: &Request) -> Result<Value, Refusal> {
        self.persist(action, || async move {
            let raw = self.exchange(service, action, request).await?;
            if !(200..300).contains(&raw.status) {
                return Err(self.refused(action, &raw));
            }
            if raw.body.is_empty() { Ok(Value::Object(Map::new())) } else { self.convert(action, &raw) }
        })
        .await
    }

    async fn exchange(&self, service: &Service, action: &str, request: &Request) -> Result<Raw, Refusal> {
        let wire = self.wire(service, action, request);
        let unreachable = |reason: String| self.refusal(action, "Unreachable", reason, None);
        let config = self.account.config(self.region);
        let provider =
            config.credentials_provider().ok_or_else(|| unreachable("there are no credentials".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            self.refusal(action, "NoCredentials", aws_sdk_s3::error::DisplayErrorContext(error).to_string(), Some(403))
        })?;
        let identity = credentials.into();
        let wrong = |error: &dyn std::fmt::Display| unreachable(format!("cannot be signed: {error}"));
        let mut settings = SigningSettings::default();
        if service.signing == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(service.signing)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| wrong(&error))?;
        let headers = wire.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(wire.body.as_bytes());
        let signable =
            SignableRequest::new(wire.method, &wire.address, headers, body).map_err(|error| wrong(&error))?;
        let (instructions, _) = sign(signable, &parameters.into()).map_err(|error| wrong(&error))?.into_parts();
        let method = wire.method.parse().unwrap_or(http::Method::POST);
        let mut sent = client().request(method, &wire.address).body(wire.body.clone());
        for (name, value) in &wire.headers {
            sent = sent.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            sent = sent.header(name, value);
        }
        let answer = sent.send().await.map_err(|error| unreachable(error.without_url().to_string()))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let body = answer.bytes().await.map_err(|error| unreachable(error.without_url().to_string()))?;
        Ok(Raw { operation: action.to_owned(), status, headers, body: body.to_vec() })
    }

    fn wire(&self, service: &Service, action: &str, request: &Request) -> Wire {
        let suffix = if self.account.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let prefix = service.host.replace("{account}", &self.account.id);
        let host = format!("https://{prefix}.{}.{suffix}", self.region);
        let base = self.account.endpoint.clone().unwrap_or(host);
        let base = base.trim_end_matches('/');
        match service.protocol {
            Protocol::Query(version) => {
                let mut body = format!("Action={action}&Version={version}");
                for (name, value) in &request.parameters {
                    flatten(&mut body, name, value);
                }
                let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
                Wire { method: "POST", address: format!("{base}/"), headers, body }
            }
            Protocol::Json(target, version) => {
                let body = Value::Object(request.parameters.iter().cloned().collect()).to_string();
                let target = format!("{target}.{action}");
                let kind = format!("application/x-amz-json-{version}");
                let headers = vec![("content-type", kind), ("x-amz-target", target)];
                Wire { method: "POST", address: format!("{base}/"), headers, body }
            }
            Protocol::Rest => rest(base, request),
        }
    }

    /// What a service says when it does not do it, in whichever of its ways.
    fn refused(&self, action: &str, raw: &Raw) -> Refusal {
        let text = String::from_utf8_lossy(&raw.body);
        let json: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
        let member = |names: &[&str]| names.iter().find_map(|name| json.get(name)?.as_str().map(str::to_owned));
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside.to_owned())
        };
        let header = raw.headers.iter().find(|(name, _)| name == "x-amzn-errortype").map(|(_, value)| value.clone());
        let code = header.or_else(|| member(&["__type", "code"])).or_else(|| element("Code"));
        // `com.amazonaws.service#Word:http://…` is Word.
        let code = code.unwrap_or_else(|| format!("HTTP{}", raw.status));
        let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let message =
            member(&["message", "Message", "errorMessage"]).or_else(|| element("Message")).unwrap_or_default();
        self.refusal(action, code, message, Some(raw.status))
    }
}

/// A request by its path.
fn rest(base: &str, request: &Request) -> Wire {
    let posted = request.path.strip_prefix("POST ");
    let mut path = posted.unwrap_or(request.path).to_owned();
    let (mut query, mut members) = (String::new(), Map::new());
    let mut headers = vec![("accept", "application/json".to_owned())];
    for (name, value) in &request.parameters {
        let text = plain(value);
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            path = path.replace(&place, &escape(&text));
        } else if let Some(header) = HEADERS.iter().find(|header| *header == name) {
            headers.push((header, text));
        } else if posted.is_some() {
            members.insert(name.clone(), value.clone());
        } else {
            let sign = if query.is_empty() && !path.contains('?') { '?' } else { '&' };
            let _infallible = write!(query, "{sign}{}={}", escape(name), escape(&text));
        }
    }
    let (method, body) = match posted {
        Some(_) => ("POST", Value::Object(members).to_string()),
        None => ("GET", String::new()),
    };
    if posted.is_some() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Wire { method, address: format!("{base}{path}{query}"), headers, body }
}

/// A parameter of a form: lists as `Name.member.1`, structures as `Name.Member`.
fn flatten(body: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(body, &format!("{name}.member.{}", at + 1), item);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                flatten(body, &format!("{name}.{member}"), value);
            }
        }
        plain_value => {
            let _infallible = write!(body, "&{}={}", escape(name), escape(&plain(plain_value)));
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Everything but unreserved characters as `%XX`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            other => {
                let _infallible = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped
}
