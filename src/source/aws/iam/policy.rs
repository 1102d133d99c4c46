//! Policy documents: text within an answer, percent-encoded by AWS and plain from others, as the JSON that it is.

use serde_json::{Map, Value};

/// Members of answers that hold a policy document.
const MEMBERS: &[&str] = &["AssumeRolePolicyDocument", "Document", "PolicyDocument"];

/// Makes every policy document within an answer an object; text that is none stays.
pub(super) fn parse_policies(answer: &mut Value) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(parse_policies),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if MEMBERS.contains(&name.as_str()) => {
                        if let Some(policy) = parse(text) {
                            *value = Value::Object(policy);
                        }
                    }
                    value => parse_policies(value),
                }
            }
        }
        _ => {}
    }
}

fn parse(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).or_else(|_| serde_json::from_slice(&decode(text))).ok()
}

/// `%7B` and its like as the bytes that they stand for.
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = after.first_chunk::<2>().filter(|_| *first == b'%').and_then(|digits| {
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok().map(|()| byte[0])
        });
        rest = if byte.is_some() { &after[2..] } else { after };
        decoded.push(byte.unwrap_or(*first));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(mut answer: Value) -> Value {
        parse_policies(&mut answer);
        answer
    }

    #[test]
    fn policies_are_the_same_encoded_and_plain() {
        let policy = json!({ "Statement": [{ "Action": "s3:Get*", "Resource": "arn:aws:s3:::\u{e4} +%41/*" }] });
        let plain = policy.to_string();
        let encoded: String = plain.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let expected = json!({ "Role": [{ "AssumeRolePolicyDocument": policy }] });
        for text in [plain, encoded] {
            assert_eq!(parsed(json!({ "Role": [{ "AssumeRolePolicyDocument": text }] })), expected);
        }
    }

    #[test]
    fn what_is_no_policy_stays() {
        for text in ["", "%", "%7", "%7B", "{", "[1]", "%zz", "\"{}\"", "7"] {
            let answer = json!({ "PolicyDocument": text, "Description": "{}" });
            assert_eq!(parsed(answer.clone()), answer);
        }
    }
}
