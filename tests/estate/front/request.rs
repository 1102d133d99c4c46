//! A request, and which action of which service it is: by the signature, a header, a form, or the path.

use std::io::{self, BufRead, Write};
use std::sync::OnceLock;

use super::Call;

/// How a service talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A form; XML.
    Query,
    /// JSON, its action in a header.
    Json,
    /// Paths; JSON.
    RestJson,
    /// Paths; XML.
    RestXml,
    /// As S3 does.
    S3,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names as they came.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// An operation of a service that is asked by paths.
struct Operation {
    service: &'static str,
    method: &'static str,
    parts: Vec<&'static str>,
    query: Vec<&'static str>,
    name: &'static str,
}

impl Request {
    /// The next request of a connection; none when it ends.
    pub(crate) fn read(reader: &mut impl BufRead, writer: &mut impl Write) -> io::Result<Option<Self>> {
        let Some(first) = line(reader)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
        let (method, target) = (method.to_owned(), target.to_owned());
        let headers = headers(reader)?;
        let mut request = Self { method, target, headers, body: Vec::new() };
        if request.header("expect").is_some() {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// As it is passed on, on a connection of its own.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.target);
        for (name, value) in self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// What tells it from others that are answered otherwise.
    pub(super) fn key(&self) -> Vec<u8> {
        let of = |name| self.header(name).unwrap_or_default();
        let (scope, region) = self.scope();
        let head = format!("{} {} {scope} {region} {} {}\n", self.method, self.target, of("x-amz-target"), of("range"));
        [head.as_bytes(), &self.body].concat()
    }

    /// Service and region that the signature is for.
    fn scope(&self) -> (&str, &str) {
        let scope = self.header("authorization").and_then(|text| text.split("Credential=").nth(1));
        let mut parts = scope.unwrap_or_default().split(',').next().unwrap_or_default().split('/').skip(2);
        let region = parts.next().unwrap_or_default();
        let service = parts.next().unwrap_or_default();
        // An account's own settings are signed as a bucket's are.
        let is_control = service == "s3" && self.target.starts_with("/v20180820/");
        (if is_control { "s3control" } else { service }, region)
    }

    pub(super) fn call(&self) -> Call {
        let (service, region) = self.scope();
        let access_key = self.header("authorization").and_then(|text| text.split("Credential=").nth(1));
        let access_key = access_key.unwrap_or_default().split('/').next().unwrap_or_default();
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let form = |body: &str| Some(body.split('&').find_map(|pair| pair.strip_prefix("Action="))?.to_owned());
        let (protocol, action) = if let Some(target) = self.header("x-amz-target") {
            (Protocol::Json, target.rsplit('.').next().unwrap_or_default().to_owned())
        } else if let Some(action) = form(&body) {
            (Protocol::Query, action)
        } else {
            let protocol = match service {
                "s3" | "s3control" => Protocol::S3,
                "route53" | "cloudfront" => Protocol::RestXml,
                _ => Protocol::RestJson,
            };
            (protocol, operation(service, &self.method, &self.target))
        };
        Call {
            service: service.to_owned(),
            action,
            target: self.target.clone(),
            body,
            headers: self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            protocol,
            number: 0,
            number_of_action: 0,
        }
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let count = reader.read_line(&mut line)?;
    Ok((count > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Lines up to an empty one, as names and values.
pub(super) fn headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = line(reader)?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    Ok(headers)
}

fn operations() -> &'static [Operation] {
    static PARSED: OnceLock<Vec<Operation>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let lines = include_str!("operations.txt").lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let mut words = line.split(' ');
                let mut word = || words.next().expect("because a line has four words");
                let (service, method, place, name) = (word(), word(), word(), word());
                let (path, query) = place.split_once('?').unwrap_or((place, ""));
                let query = query.split('&').filter(|text| !text.is_empty()).collect();
                Operation { service, method, parts: parts(path), query, name }
            })
            .collect()
    })
}

fn parts(path: &str) -> Vec<&str> {
    path.trim_matches('/').split('/').filter(|part| !part.is_empty()).collect()
}

/// What a path stands for; the method and path themselves where nobody knows.
fn operation(service: &str, method: &str, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (found, names): (Vec<&str>, Vec<&str>) =
        (parts(path), query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect());
    let fits = |operation: &&Operation| {
        let has = |wanted: &&str| {
            let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
            names.contains(&name) && (value.is_empty() || query.split('&').any(|pair| pair == *wanted))
        };
        operation.service == service
            && operation.method == method
            && agree(&operation.parts, &found)
            && operation.query.iter().all(has)
    };
    let literal = |operation: &&Operation| {
        (operation.query.len(), operation.parts.iter().filter(|part| !part.starts_with('{')).count())
    };
    let best = operations().iter().filter(fits).max_by_key(literal);
    best.map_or_else(|| format!("{method} {path}"), |operation| operation.name.to_owned())
}

fn agree(pattern: &[&str], found: &[&str]) -> bool {
    match (pattern.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((&"{+}", rest)), Some((_, after))) => (0..=after.len()).any(|at| agree(rest, &after[at..])),
        (Some((first, rest)), Some((part, after))) => (*first == "{}" || first == part) && agree(rest, after),
        _ => false,
    }
}
