//! The names in a file of variables (`.env`). There is no one grammar of such files, so what is read is what shells,
//! `dotenv` in its many languages and `docker` agree on: where they may differ on where a value ends, reading ends.
//!
//! A name may be missed, and then the caller is told the line; a piece of a value is never taken for a name.

use crate::source::environment::dotenv::Value::{Ambiguous, Begun, Ends};

/// A longer word is no name.
const LENGTH_MAX: usize = 100;
/// So many signs of base64 at the end of a value may go on in the next line.
const BASE64_MIN: usize = 24;
const KEY_BEGINS: &[u8] = b"-----BEGIN ";
const KEY_ENDS: &[u8] = b"-----END ";

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Names in the order in which they stand.
    pub names: Vec<String>,
    /// The line (from 1) whose meaning is not certain; nothing from there on is read, but the name it begins with.
    pub stopped_at: Option<usize>,
}

/// Where a value ends.
enum Value {
    /// Before this byte, which begins a line.
    Ends(usize),
    /// With a key that goes on: the lines from this byte on are its own.
    Begun(usize),
    /// Nobody can tell.
    Ambiguous,
}

/// Reads the names in a file.
pub fn names(content: &[u8]) -> Outcome {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut outcome = Outcome::default();
    let mut at = 0;
    let mut before: &[u8] = b"";
    while at < content.len() {
        let (line, next) = line_at(content, at);
        let text = line.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            // For some a line ends there, and what follows is no comment.
            if line.contains(&b'\r') {
                return stopped(outcome, content, at);
            }
            (at, before) = (next, b"");
            continue;
        }
        let Some((name, value_at)) = name_of(line) else { return stopped(outcome, content, at) };
        if may_be_rest_of(before, text) {
            return stopped(outcome, content, at);
        }
        outcome.names.push(name);
        let end = match value(content, at + value_at) {
            Ends(end) => end,
            Begun(rest) => match end_of_key(content, rest) {
                Some(end) => end,
                None => return stopped(outcome, content, at),
            },
            Ambiguous => return stopped(outcome, content, at),
        };
        (at, before) = (end, line);
    }
    outcome
}

fn stopped(mut outcome: Outcome, content: &[u8], at: usize) -> Outcome {
    let lines = content.get(..at).unwrap_or(content).iter().filter(|byte| **byte == b'\n').count();
    outcome.stopped_at = Some(lines + 1);
    outcome
}

/// The line at a byte, without its end, and where the next one begins.
fn line_at(content: &[u8], at: usize) -> (&[u8], usize) {
    let rest = &content[at..];
    let length = rest.iter().position(|byte| *byte == b'\n');
    let line = &rest[..length.unwrap_or(rest.len())];
    (line.strip_suffix(b"\r").unwrap_or(line), at + length.map_or(rest.len(), |length| length + 1))
}

/// The name that a line assigns to, and where in it the value begins.
fn name_of(line: &[u8]) -> Option<(String, usize)> {
    let indent = line.len() - line.trim_ascii_start().len();
    let mut start = indent;
    if let Some(rest) = line[start..].strip_prefix(b"export")
        && rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        start = line.len() - rest.trim_ascii_start().len();
    }
    let sign = line[start..].iter().position(|byte| *byte == b'=')? + start;
    let name = line[start..sign].trim_ascii_end();
    let is_name = name.len() <= LENGTH_MAX
        && name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
    // Lines of a value that somebody laid out over several are indented too.
    let is_plain = indent == 0 || name.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let name = std::str::from_utf8(name).ok().filter(|_| is_name && is_plain)?;
    Some((name.to_owned(), sign + 1))
}

/// Whether a line may be the last of a value in base64 that begins in the line before it: `…IgIEAgAAuTANBgkq`, `ABCD==`.
fn may_be_rest_of(before: &[u8], line: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let bare = line.strip_suffix(b"==").or_else(|| line.strip_suffix(b"=")).unwrap_or(line);
    let is_last = bare.len() < line.len() && bare.iter().all(is_base64) && !bare.contains(&b'_');
    let run = before.trim_ascii_end().iter().rev().take_while(|byte| is_base64(byte)).count();
    is_last && (line.ends_with(b"==") || (line.len().is_multiple_of(4) && run >= BASE64_MIN))
}

/// Where the value ends that begins at a byte.
fn value(content: &[u8], at: usize) -> Value {
    let (line, next) = line_at(content, at);
    let blank = line.len() - line.trim_ascii_start().len();
    match line.get(blank) {
        Some(quote @ (b'"' | b'\'' | b'`')) => quoted(content, at + blank + 1, *quote),
        _ => bare(line, next),
    }
}

/// A value in quotes, which may go over several lines.
fn quoted(content: &[u8], start: usize, quote: u8) -> Value {
    let mut backslashes = 0;
    for (offset, byte) in content[start..].iter().enumerate() {
        if *byte == quote {
            match (backslashes, quote) {
                (0, _) => {
                    let (rest, next) = line_at(content, start + offset + 1);
                    let is_command = quote == b'"' && runs(&content[start..start + offset]);
                    return if is_nothing(rest) && !is_command { Ends(next) } else { Ambiguous };
                }
                // Escaped for everyone. An even number is for some and not for others, as is any in other quotes.
                (odd, b'"') if odd % 2 == 1 => {}
                _ => return Ambiguous,
            }
        }
        backslashes = if *byte == b'\\' { backslashes + 1 } else { 0 };
    }
    Ambiguous
}

/// Whether a shell finds a command in it that is not over, with quotes of its own.
fn runs(value: &[u8]) -> bool {
    let is_odd = value.iter().filter(|byte| **byte == b'`').count() % 2 == 1;
    is_odd || (find(value, b"$(").is_some() && !is_balanced(value))
}

/// Whether what stands behind a value in quotes belongs to nothing. Without a blank before it, not all take it for a comment.
fn is_nothing(rest: &[u8]) -> bool {
    let text = rest.trim_ascii_start();
    text.is_empty()
        || (text.starts_with(b"#") && !text.contains(&b'\r') && (text.len() < rest.len() || is_of_key(text)))
}

/// A value without quotes around it, which is its line, if nothing in it is left open.
fn bare(line: &[u8], next: usize) -> Value {
    if find(line, KEY_BEGINS).is_some() && find(line, KEY_ENDS).is_none() {
        return if is_of_key(line) { Begun(next) } else { Ambiguous };
    }
    // What follows a blank and a `#` is a comment for everyone.
    let comment = line.windows(2).position(|pair| matches!(pair, b" #" | b"\t#")).unwrap_or(line.len());
    let value = &line[..comment];
    let goes_on = line.contains(&b'\r') || find(value, b"<<").is_some() || !is_balanced(value);
    if goes_on || is_open(line) { Ambiguous } else { Ends(next) }
}

fn is_balanced(value: &[u8]) -> bool {
    let count = |byte: u8| value.iter().filter(|other| **other == byte).count();
    [(b'(', b')'), (b'{', b'}'), (b'[', b']')].iter().all(|(open, close)| count(*open) == count(*close))
}

/// Whether a shell would go on in the next line: for a quote that is not closed, or after a backslash.
fn is_open(line: &[u8]) -> bool {
    let (mut quote, mut is_escaped, mut is_blank) = (None, false, false);
    for byte in line {
        match (quote, byte) {
            _ if is_escaped => {
                (is_escaped, is_blank) = (false, false);
                continue;
            }
            (None, b'#') if is_blank => return false,
            (None | Some(b'"' | b'`'), b'\\') => is_escaped = true,
            (None, b'"' | b'\'' | b'`') => quote = Some(*byte),
            (Some(open), close) if open == *close => quote = None,
            _ => {}
        }
        is_blank = matches!(byte, b' ' | b'\t');
    }
    quote.is_some() || is_escaped
}

/// Behind the line in which a key ends that goes on at a byte; `None` where it does not end.
fn end_of_key(content: &[u8], mut at: usize) -> Option<usize> {
    while at < content.len() {
        let (line, next) = line_at(content, at);
        if find(line, KEY_BEGINS).is_some() || !is_of_key(line) {
            return None;
        }
        if find(line, KEY_ENDS).is_some() {
            return line.trim_ascii_end().ends_with(b"-----").then_some(next);
        }
        at = next;
    }
    None
}

/// Whether nothing in the line could mean more than it says.
fn is_of_key(line: &[u8]) -> bool {
    !line.iter().any(|byte| b"\"'`\\\r".contains(byte))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
