//! The order of items, and the line that an item becomes.
//!
//! An item goes before another by its partition key, then by its sort key: text and binaries by their bytes, numbers by
//! their exact value. For that its line is led by bytes that compare as its key does, so sorting and merging compare bytes.

use std::cmp::Ordering;

use aws_smithy_types::base64;
use serde_json::Value;

/// What leads a text, a binary, a number and what is none of them.
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const NUMBER: u8 = 3;
const OTHER: u8 = 4;
/// What leads numbers by their sign, and what was to be a number and is none.
const BELOW_ZERO: u8 = 1;
const ZERO: u8 = 2;
const ABOVE_ZERO: u8 = 3;
const NO_NUMBER: u8 = 4;

/// An item as it is sorted: bytes that compare as its key does, then its line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    bytes: Box<[u8]>,
    text_at: usize,
}

impl Line {
    /// Key and line, one after the other.
    pub(super) fn new(bytes: &[u8], text_at: usize) -> Self {
        Self { bytes: bytes.into(), text_at: text_at.min(bytes.len()) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the key ends.
    pub(super) fn text_at(&self) -> usize {
        self.text_at
    }

    /// The item as JSON, with the end of its line.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[self.text_at..]
    }
}

/// The names of the attributes that make up a table's primary key: the partition key, then the sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrimaryKey(Vec<String>);

impl PrimaryKey {
    /// Of a table as it is described.
    pub(super) fn of(table: &Value) -> Self {
        let elements = table["KeySchema"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_kind = |kind: &'static str| elements.iter().filter(move |element| element["KeyType"] == kind);
        let names = of_kind("HASH").chain(of_kind("RANGE"));
        Self(names.filter_map(|element| element["AttributeName"].as_str()).map(str::to_owned).collect())
    }

    /// The line of an item, its attributes by name and its sets in order.
    pub(super) fn line(&self, mut item: Value) -> Line {
        let mut bytes = Vec::with_capacity(256);
        for name in &self.0 {
            push_sortable(&item[name.as_str()], &mut bytes);
        }
        let text_at = bytes.len();
        if let Value::Object(attributes) = &mut item {
            attributes.values_mut().for_each(sort_sets);
        }
        serde_json::to_writer(&mut bytes, &item).expect("because it is plain data, written to memory");
        bytes.push(b'\n');
        Line::new(&bytes, text_at)
    }
}

/// Brings the sets of an attribute's value in order; the lists stay as they are.
fn sort_sets(value: &mut Value) {
    let Value::Object(typed) = value else { return };
    for (kind, value) in typed {
        match (kind.as_str(), value) {
            ("M", Value::Object(attributes)) => attributes.values_mut().for_each(sort_sets),
            ("L", Value::Array(elements)) => elements.iter_mut().for_each(sort_sets),
            ("SS", Value::Array(set)) => set.sort_by(by_text),
            ("BS", Value::Array(set)) => set.sort_by_cached_key(|element| binary(element.as_str().unwrap_or_default())),
            ("NS", Value::Array(set)) => {
                // Of one value written in two ways, by how it is written.
                set.sort_by(by_text);
                set.sort_by_cached_key(|element| {
                    let mut sortable = Vec::new();
                    push_number(element.as_str().unwrap_or_default(), &mut sortable);
                    sortable
                });
            }
            _ => {}
        }
    }
}

fn by_text(one: &Value, other: &Value) -> Ordering {
    one.as_str().cmp(&other.as_str())
}

/// The bytes of a binary; where it is none, its text.
fn binary(text: &str) -> Vec<u8> {
    base64::decode(text).unwrap_or_else(|_| text.as_bytes().to_vec())
}

/// Bytes that compare as values of keys do. None is the beginning of another.
fn push_sortable(value: &Value, target: &mut Vec<u8>) {
    let typed = value.as_object().and_then(|typed| typed.iter().next());
    match typed.map(|(kind, value)| (kind.as_str(), value.as_str().unwrap_or_default())) {
        Some(("S", text)) => {
            target.push(TEXT);
            push_bytes(text.as_bytes(), target);
        }
        Some(("B", text)) => {
            target.push(BINARY);
            push_bytes(&binary(text), target);
        }
        Some(("N", text)) => {
            target.push(NUMBER);
            push_number(text, target);
        }
        _ => target.push(OTHER),
    }
}

/// Bytes and an end that is below all of them.
fn push_bytes(bytes: &[u8], target: &mut Vec<u8>) {
    for byte in bytes {
        target.push(*byte);
        if *byte == 0 {
            target.push(0xff);
        }
    }
    target.extend_from_slice(&[0, 0]);
}

/// A number by its exact value: its sign, its exponent, its digits; below zero, all the other way round.
fn push_number(text: &str, target: &mut Vec<u8>) {
    let Some(Decimal { is_negative, exponent, digits }) = Decimal::parse(text) else {
        target.push(NO_NUMBER);
        return push_bytes(text.as_bytes(), target);
    };
    if digits.is_empty() {
        return target.push(ZERO);
    }
    target.push(if is_negative { BELOW_ZERO } else { ABOVE_ZERO });
    let start = target.len();
    // The bytes of a signed number compare as it does once its sign is turned.
    target.extend_from_slice(&(exponent ^ i64::MIN).to_be_bytes());
    target.extend_from_slice(&digits);
    target.push(0);
    if is_negative {
        target[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// 0.d₁d₂d₃… × 10^exponent, d₁ and the last digit not 0; no digits are zero.
struct Decimal {
    is_negative: bool,
    exponent: i64,
    digits: Vec<u8>,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        let exponent: i64 = exponent.parse().ok()?;
        let exponent = exponent.checked_add(i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?)?;
        digits.drain(..leading);
        let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - trailing);
        Some(Self { is_negative, exponent, digits })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    fn sortable(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_sortable(value, &mut bytes);
        bytes
    }

    /// A number in many digits before and after the point, without exponent; compared digit by digit.
    fn written_out(text: &str) -> (bool, String) {
        const PLACES: usize = 200;
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let is_negative = mantissa.starts_with('-');
        let mantissa = mantissa.trim_start_matches('-');
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: isize = exponent.parse().expect("because the test writes it");
        let mut places = vec![b'0'; 2 * PLACES];
        let first = PLACES.checked_add_signed(-exponent).expect("because there are places enough") - whole.len();
        for (at, digit) in whole.bytes().chain(part.bytes()).enumerate() {
            places[first + at] = digit;
        }
        let places = String::from_utf8(places).expect("because they are digits");
        (is_negative && places.bytes().any(|digit| digit != b'0'), places)
    }

    fn slowly(one: &str, other: &str) -> Ordering {
        match (written_out(one), written_out(other)) {
            ((false, one), (false, other)) => one.cmp(&other),
            ((true, one), (true, other)) => other.cmp(&one),
            ((one, _), (other, _)) => other.cmp(&one),
        }
    }

    fn number() -> impl Strategy<Value = String> {
        mantissa().prop_flat_map(|mantissa| {
            prop::option::of(-130..=126_i32).prop_map(move |exponent| match exponent {
                None => mantissa.clone(),
                Some(exponent) if exponent % 2 == 0 => format!("{mantissa}E{exponent:+}"),
                Some(exponent) => format!("{mantissa}e{exponent}"),
            })
        })
    }

    /// Few different digits, so that numbers are often equal or nearly so.
    fn mantissa() -> impl Strategy<Value = String> {
        "-?(0{0,3}[0-2]{1,3}(\\.[0-2]{0,3})?|[0-9]{1,19}(\\.[0-9]{1,19})?|0\\.0{0,20}[1-9]{1,18})"
    }

    proptest! {
        #[test]
        fn numbers_are_in_the_order_of_their_exact_values(one in number(), other in number()) {
            let (first, second) = (sortable(&json!({"N": one})), sortable(&json!({"N": other})));
            prop_assert_eq!(first.cmp(&second), slowly(&one, &other));
        }

        #[test]
        fn keys_are_in_the_order_of_their_parts(
            one in (prop::collection::vec(0..3_u8, 0..4), -3..3_i32),
            other in (prop::collection::vec(0..3_u8, 0..4), -3..3_i32),
        ) {
            let key = PrimaryKey(vec!["p".to_owned(), "s".to_owned()]);
            let binary = |(bytes, number): &(Vec<u8>, i32)| {
                key.line(json!({"p": {"B": base64::encode(bytes)}, "s": {"N": number.to_string()}}))
            };
            prop_assert_eq!(binary(&one).cmp(&binary(&other)), one.cmp(&other));
            let text = |(bytes, number): &(Vec<u8>, i32)| {
                let text = String::from_utf8(bytes.clone()).expect("because small bytes are text");
                key.line(json!({"p": {"S": text}, "s": {"N": number.to_string()}}))
            };
            prop_assert_eq!(text(&one).cmp(&text(&other)), one.cmp(&other));
        }

        #[test]
        fn text_is_in_the_order_of_its_bytes(one in any::<String>(), other in any::<String>()) {
            let (first, second) = (sortable(&json!({"S": one})), sortable(&json!({"S": other})));
            prop_assert_eq!(first.cmp(&second), one.as_bytes().cmp(other.as_bytes()));
        }
    }

    #[test]
    fn what_floating_point_cannot_tell_apart_is_told_apart() {
        let numbers = [
            "-1e+125",
            "-199.99000000000000000000000000000000002",
            "-199.99000000000000000000000000000000001",
            "-1E-130",
            "0",
            "1E-130",
            "199.99000000000000000000000000000000001",
            "199.99000000000000000000000000000000002",
            "99999999999999999999999999999999999998",
            "99999999999999999999999999999999999999",
        ];
        let keys: Vec<Vec<u8>> = numbers.iter().map(|number| sortable(&json!({"N": number}))).collect();
        assert!(keys.is_sorted_by(|one, other| one < other));
        assert_eq!(sortable(&json!({"N": "-0.00"})), sortable(&json!({"N": "0e7"})));
    }

    #[test]
    fn no_text_makes_a_number_of_itself() {
        for text in
            ["", "-", ".", "1e", "e5", "1e99999999999999999999", "NaN", "0x10", "1.2.3", "1e9223372036854775807"]
        {
            assert!(Decimal::parse(text).is_none(), "{text}");
            let (number, none) = (sortable(&json!({"N": "9e125"})), sortable(&json!({"N": text})));
            assert!(number < none, "{text}");
        }
    }

    #[test]
    fn a_line_has_its_attributes_and_sets_in_order_and_its_lists_as_they_came() {
        let item = json!({
            "z": {"NS": ["10", "9.5", "-1", "1e1"]},
            "SS": {"M": {"y": {"SS": ["é", "z", "Z"]}, "BS": {"L": [{"N": "2"}, {"N": "1.0"}, {"SS": ["b", "a"]}]}}},
            "b": {"BS": ["/w==", "AAE="]},
            "a": {"NULL": true},
        });
        let key = PrimaryKey(Vec::new());
        let expected = "{\"SS\":{\"M\":{\"BS\":{\"L\":[{\"N\":\"2\"},{\"N\":\"1.0\"},{\"SS\":[\"a\",\"b\"]}]},\
             \"y\":{\"SS\":[\"Z\",\"z\",\"é\"]}}},\"a\":{\"NULL\":true},\"b\":{\"BS\":[\"AAE=\",\"/w==\"]},\
             \"z\":{\"NS\":[\"-1\",\"9.5\",\"10\",\"1e1\"]}}\n";
        assert_eq!(String::from_utf8_lossy(key.line(item).text()), expected);
    }
}
