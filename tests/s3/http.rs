//! As much HTTP/1.1 as the fake needs: requests in, answers out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;

use super::fake::Operation;
use super::fault::Effect;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it was sent.
    pub(crate) path: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// An answer that has not been sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

pub(crate) fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Request {
    pub(crate) fn operation(&self) -> Operation {
        match self.method.as_str() {
            "PUT" => Operation::Put,
            "DELETE" => Operation::Delete,
            "GET" if self.key.is_empty() => Operation::List,
            _ => Operation::Get,
        }
    }

    /// What AWS would refuse it for, or a policy, or what the program must never leave out.
    pub(crate) fn violation(&self, demanded: &[&str]) -> Option<&'static str> {
        let has = |name| header(&self.headers, name).is_some();
        let Some(authorization) = header(&self.headers, "authorization") else { return Some("it is not signed") };
        let signed = authorization.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
        let signed: Vec<&str> = signed.unwrap_or_default().split(';').collect();
        let mut must_be_signed = vec!["host", "x-amz-date", "x-amz-content-sha256"];
        if self.method == "PUT" {
            must_be_signed.push("x-amz-checksum-crc32c");
            must_be_signed.extend(demanded);
        }
        if !authorization.starts_with("AWS4-HMAC-SHA256 Credential=") {
            return Some("it is not signed with version 4");
        }
        if must_be_signed.iter().any(|name| !signed.contains(name)) {
            return Some("a header that matters is not signed");
        }
        if has("transfer-encoding") || has("content-encoding") || has("x-amz-trailer") {
            return Some("it comes in an encoding that many stores do not know");
        }
        if !["PUT", "GET", "DELETE"].contains(&self.method.as_str()) {
            return Some("the method is none of ours");
        }
        None
    }
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(status).with("Content-Type", "application/xml").body(Bytes::from(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// As it is sent; with `Content-Length` unless it has one.
    pub(crate) fn bytes(&self, request: &Request) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Reason\r\nx-amz-request-id: 1\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if header(&self.headers, "Content-Length").is_none() && self.status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let body: &[u8] = if request.method == "HEAD" { &[] } else { &self.body };
        [head.as_bytes(), body].concat()
    }
}

/// The next request of a connection and what goes wrong with it; `None` when it ends. A body that is not to be read is not.
pub(crate) fn read_request(
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
    effect_of: impl FnOnce(&Request) -> Option<Effect>,
) -> Option<(Request, Option<Effect>)> {
    let first = read_line(reader)?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let (place, query) = path.split_once('?').unwrap_or((&path, ""));
    let (bucket, key) = place.trim_start_matches('/').split_once('/').unwrap_or((place.trim_start_matches('/'), ""));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(name), unescape(value))
    };
    let query = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
    let (bucket, key, body) = (unescape(bucket), unescape(key), Bytes::new());
    let mut request = Request { method, path: path.clone(), bucket, key, query, headers, body };
    let effect = effect_of(&request);
    if effect == Some(Effect::ResetUpload) {
        return Some((request, effect));
    }
    if header(&request.headers, "expect").is_some() {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = header(&request.headers, "content-length").map_or(0, |text| text.parse().expect("a length"));
    let mut body = vec![0; length];
    for part in body.chunks_mut(4 << 20) {
        if effect == Some(Effect::SlowUpload) {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        reader.read_exact(part).ok()?;
    }
    request.body = Bytes::from(body);
    Some((request, effect))
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(&text_of(&after[..2]), 16).expect("two hex digits"));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    text_of(&bytes)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A key as `encoding-type=url` shows it.
pub(crate) fn escape(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./*".contains(&byte);
    let shown = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(shown).collect()
}
