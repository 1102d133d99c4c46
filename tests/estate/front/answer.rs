//! An answer: the emulator's, or a refusal in the words of the protocol.

use std::io::{self, BufRead};

use super::request::{Protocol, headers};
use super::{Call, Effect};

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Headers that tell of the connection, and those that are told anew.
const OF_CONNECTION: &[&str] = &["connection", "keep-alive", "transfer-encoding", "content-length"];

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// To the end of the connection.
    pub(super) fn read(reader: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut answer = Self { status, headers: headers(reader)?, body: Vec::new() };
        if method == "HEAD" || matches!(status, 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            answer.body = chunks(reader)?;
            answer.headers.retain(|(name, _)| !OF_CONNECTION.contains(&name.to_lowercase().as_str()));
        } else if let Some(length) = answer.header("content-length").and_then(|length| length.parse().ok()) {
            answer.body = vec![0; length];
            reader.read_exact(&mut answer.body)?;
        } else {
            reader.read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }

    /// As it is sent.
    pub(super) fn bytes(&self, method: &str) -> Vec<u8> {
        let length = match self.header("content-length") {
            Some(length) if method == "HEAD" => length.to_owned(),
            _ => self.body.len().to_string(),
        };
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        let kept = |name: &str| !OF_CONNECTION.contains(&name.to_lowercase().as_str());
        for (name, value) in self.headers.iter().filter(|(name, _)| kept(name)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status != 204 {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// What is written of a port of this machine is of another; in documents, not in objects.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let is_object = self.header("etag").is_some() && self.header("last-modified").is_some();
        if is_object || !self.is_document() {
            return;
        }
        let Ok(mut text) = String::from_utf8(self.body.clone()) else { return };
        for host in ["127.0.0.1", "localhost"] {
            text = text.replace(&format!("{host}:{from}"), &format!("{host}:{to}"));
        }
        self.body = text.into_bytes();
    }

    pub(crate) fn is_document(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.contains("json") || kind.contains("xml"))
    }

    /// A refusal.
    pub(super) fn refusal(call: &Call, effect: &Effect) -> Self {
        let json = matches!(call.protocol, Protocol::Json | Protocol::RestJson);
        let message = match effect {
            Effect::Deny => format!("User is not authorized to perform: {}:{}", call.service, call.action),
            Effect::Throttle => "Rate exceeded".to_owned(),
            Effect::Expire => "The security token included in the request is expired".to_owned(),
            _ => "it goes wrong as it was told to".to_owned(),
        };
        let (status, code) = match (effect, call.protocol) {
            (Effect::Deny, Protocol::Json) => (400, "AccessDeniedException"),
            (Effect::Deny, Protocol::RestJson) => (403, "AccessDeniedException"),
            (Effect::Deny, _) => (403, "AccessDenied"),
            (Effect::Throttle, Protocol::S3) => (503, "SlowDown"),
            (Effect::Throttle, Protocol::RestJson) => (429, "TooManyRequestsException"),
            (Effect::Throttle, Protocol::Json) => (400, "ThrottlingException"),
            (Effect::Throttle, _) if call.service == "route53" && call.number.is_multiple_of(2) => {
                (400, "PriorRequestNotComplete")
            }
            (Effect::Throttle, _) => (400, "Throttling"),
            (Effect::Expire, Protocol::Json) => (400, "ExpiredTokenException"),
            (Effect::Expire, Protocol::RestJson) => (403, "ExpiredTokenException"),
            (Effect::Expire, Protocol::S3) => (400, "ExpiredToken"),
            (Effect::Expire, _) => (403, "ExpiredToken"),
            (Effect::Fail(503), _) => (503, "ServiceUnavailable"),
            (Effect::Fail(status), _) if json => (*status, "InternalServerError"),
            (Effect::Fail(status), _) => (*status, "InternalError"),
            (Effect::Refuse(status, code), _) => (*status, *code),
            _ => unreachable!("this effect refuses nothing"),
        };
        Self::error(call.protocol, (status, code), &message)
    }

    fn error(protocol: Protocol, (status, code): (u16, &str), message: &str) -> Self {
        let plain = format!("<Code>{code}</Code><Message>{message}</Message>");
        let wrapped =
            format!("<ErrorResponse><Error><Type>Sender</Type>{plain}</Error><RequestId>1</RequestId></ErrorResponse>");
        let json = |members: String| Self::new(status, members).with("content-type", "application/json");
        let xml = |text: String| Self::new(status, text).with("content-type", "text/xml");
        match protocol {
            Protocol::Json => json(format!(r#"{{"__type":"{code}","message":"{message}"}}"#)),
            Protocol::RestJson => json(format!(r#"{{"message":"{message}"}}"#)).with("x-amzn-errortype", code),
            Protocol::Query | Protocol::RestXml => xml(wrapped),
            Protocol::S3 => xml(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error>{plain}</Error>")),
        }
    }
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let digits = line.trim().split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
        let begin = body.len();
        body.resize(begin + length, 0);
        reader.read_exact(&mut body[begin..])?;
        reader.read_line(&mut String::new())?;
        if length == 0 {
            return Ok(body);
        }
    }
}
