//! Values that are the same, written the same.

use jiff::Timestamp;
use serde_json::Value;

/// Puts a list into an order of its own.
pub(super) fn sort(value: &mut Value) {
    if let Value::Array(items) = value {
        items.sort_by_cached_key(Value::to_string);
    }
}

/// Makes an object or a list of text that is one.
pub(super) fn parse(value: &mut Value) {
    let parsed = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(parsed) = parsed.filter(|parsed| parsed.is_object() || parsed.is_array()) {
        *value = parsed;
    }
}

/// Writes a moment as of UTC; text that is none stays.
pub(super) fn to_utc(value: &mut Value) {
    if let Some(time) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        *value = time.to_string().into();
    }
}

/// Writes a domain name in small letters, with a dot at its end and without escapes of what needs none.
pub(super) fn to_plain_name(value: &mut Value) {
    let Some(text) = value.as_str() else { return };
    let mut name = unescape(text).to_ascii_lowercase();
    if !name.ends_with('.') {
        name.push('.');
    }
    *value = name.into();
}

/// `\052` is an asterisk. Escapes of a dot, of a backslash and of what cannot be seen stay: without them it would be another
/// name.
fn unescape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        let byte = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte.filter(|byte| byte.is_ascii_graphic() && !matches!(byte, b'.' | b'\\')) {
            Some(byte) => {
                name.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                name.push('\\');
                rest = after;
            }
        }
    }
    name.push_str(rest);
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_can_be_seen_is_unescaped() {
        for (escaped, name) in [
            (r"\052.a", "*.a"),
            (r"\100\137x", "@_x"),
            (r"a\056b", r"a\056b"),
            (r"a\134", r"a\134"),
            (r"a\040b", r"a\040b"),
            (r"\", r"\"),
            (r"\05", r"\05"),
            (r"\999", r"\999"),
            ("é", "é"),
            (r"\é12", r"\é12"),
        ] {
            assert_eq!(unescape(escaped), name);
        }
    }

    #[test]
    fn what_is_no_moment_and_no_json_stays() {
        for text in ["", "yesterday", "7", "null", "2026-11-22"] {
            let (mut time, mut document) = (json!(text), json!(text));
            to_utc(&mut time);
            parse(&mut document);
            assert_eq!((time, document), (json!(text), json!(text)));
        }
    }
}
