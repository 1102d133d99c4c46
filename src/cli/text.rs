//! Values as people and scripts read them: paths, sizes, counts, durations.
//!
//! Pure functions; nothing is printed here. A name from a repository or a file system can hold anything, so whatever
//! goes to a terminal passes [`printable`].

use serde_json::{Map, Value};

/// Bytes as text that no terminal obeys: control characters, bidirectional overrides and bytes outside UTF-8 are
/// written `\n`, `\x1b`, `\u{202e}`, `\xff`, and a backslash twice wherever such an escape could be mistaken for it.
pub fn printable(bytes: &[u8]) -> String {
    escape(bytes, "\\\\")
}

/// A message as text that no terminal obeys: as [`printable`], but its backslashes stay as they are.
pub fn harmless(message: &str) -> String {
    escape(message.as_bytes(), "\\")
}

/// A line of a text file as text that no terminal obeys; its backslashes stay as they are.
pub fn printable_line(line: &[u8]) -> String {
    escape(line, "\\")
}

/// Makes the JSON that was appended to `target` since `start` one that no terminal obeys either: what JSON allows raw
/// in its strings (DEL, C1, bidirectional overrides) is written `\u009b`.
pub fn tame_json(start: usize, target: &mut Vec<u8>) {
    if target[start..].iter().all(|&byte| byte < 0x7f) {
        return;
    }
    let json = String::from_utf8_lossy(&target[start..]).into_owned();
    target.truncate(start);
    for character in json.chars() {
        if character == '\u{7f}' || deceives(character) && !character.is_ascii() {
            target.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        } else {
            target.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn escape(bytes: &[u8], backslash: &str) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                '\\' => text.push_str(backslash),
                c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if deceives(c) => text.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Characters beyond ASCII that a terminal obeys or that reorder what follows.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Puts a path under `name`, and its exact bytes under `<name>_b64` where it is not UTF-8.
pub fn insert_path(object: &mut Map<String, Value>, name: &str, path: &[u8]) {
    object.insert(name.to_owned(), Value::String(String::from_utf8_lossy(path).into_owned()));
    if std::str::from_utf8(path).is_err() {
        object.insert(format!("{name}_b64"), Value::String(base64(path)));
    }
}

/// Standard base64 with padding (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= group.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

/// Bytes with three figures and a binary unit: `17 B`, `1.42 MiB`, `312 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match (unit, value) {
        (0, _) => 0,
        (_, value) if value < 9.995 => 2,
        (_, value) if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A count with thousands set apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in whole seconds: `4 s`, `3 min 07 s`, `2 h 05 min`.
pub fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// The bytes that a size as people write it means: `1024`, `10M` and `10MiB` (of 1024), `10MB` (of 1000), `1.5G`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim().to_ascii_lowercase();
    let power = match unit.chars().next() {
        None | Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some(_) => return None,
    };
    let base: f64 = match unit.get(1..).unwrap_or_default() {
        "" | "ib" => 1024.0,
        "b" => 1000.0,
        _ => return None,
    };
    let value = number * base.powi(power);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
    (value.is_finite() && (0.0..1.8e19).contains(&value)).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::{base64, bytes, count, insert_path, parse_bytes, printable, seconds, tame_json};

    #[test]
    fn names_that_command_terminals_are_shown_not_obeyed() {
        assert_eq!(printable(b"a\x1b[31m\n\xff\\"), "a\\x1b[31m\\n\\xff\\\\");
        assert_eq!(printable("\u{9b}2J\u{202e}".as_bytes()), "\\u{9b}2J\\u{202e}");
        assert_eq!(printable("Größe 100%.txt".as_bytes()), "Größe 100%.txt");
    }

    #[test]
    fn json_means_the_same_and_commands_no_terminal() {
        let value = serde_json::json!(["\u{7f}\u{9b}\u{202e}\u{1b}", "Größe"]);
        let mut text = value.to_string().into_bytes();
        tame_json(0, &mut text);
        let text = String::from_utf8(text).expect("it is text");
        assert_eq!(text, "[\"\\u007f\\u009b\\u202e\\u001b\",\"Größe\"]");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON"), value);
    }

    #[test]
    fn a_path_outside_utf8_keeps_its_bytes_in_base64() {
        let mut object = serde_json::Map::new();
        insert_path(&mut object, "path", b"a/\xff");
        assert_eq!(object["path"], "a/\u{fffd}");
        assert_eq!(object["path_b64"], "YS//");
        insert_path(&mut object, "target", b"plain");
        assert!(!object.contains_key("target_b64"));
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn figures_read_well() {
        assert_eq!([bytes(0), bytes(999), bytes(1_488_978), bytes(u64::MAX)], ["0 B", "999 B", "1.42 MiB", "16.0 EiB"]);
        assert_eq!([count(7), count(1234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([seconds(4), seconds(187), seconds(7500)], ["4 s", "3 min 07 s", "2 h 05 min"]);
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_bytes("10M"), Some(10 << 20));
        assert_eq!(parse_bytes("10 MB"), Some(10_000_000));
        assert_eq!(parse_bytes("1.5GiB"), Some(3 << 29));
        assert_eq!(parse_bytes("17"), Some(17));
        for wrong in ["", "M", "-1", "10X", "10Mo", "1e3", "99999999T"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }
}
