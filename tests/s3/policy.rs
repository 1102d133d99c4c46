//! As much of IAM as our policies use: whether one allows a request. What it does not understand it refuses to judge.

use serde_json::Value;

/// A request as a policy sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) action: &'static str,
    pub(crate) resource: String,
    /// Condition keys that the request has.
    pub(crate) context: Vec<(&'static str, String)>,
}

/// Whether a policy allows it: a statement does, and none denies it.
pub(crate) fn allows(policy: &Value, asked: &Asked) -> bool {
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().expect("statements");
    let matching = |effect: &str| statements.iter().filter(|s| s["Effect"] == effect).any(|s| applies(s, asked));
    matching("Allow") && !matching("Deny")
}

fn applies(statement: &Value, asked: &Asked) -> bool {
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    let members = statement.as_object().expect("a statement");
    assert!(members.keys().all(|key| known.contains(&key.as_str())), "{statement}");
    texts(&statement["Action"]).any(|pattern| is_like(asked.action, pattern))
        && texts(&statement["Resource"]).any(|pattern| is_like(&asked.resource, pattern))
        && statement["Condition"].as_object().is_none_or(|conditions| {
            conditions.iter().all(|(operator, keys)| {
                keys.as_object().expect("keys").iter().all(|(key, wanted)| holds(operator, key, wanted, asked))
            })
        })
}

fn holds(operator: &str, key: &str, wanted: &Value, asked: &Asked) -> bool {
    let value = asked.context.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str());
    match operator {
        "Null" => texts(wanted).any(|wanted| (wanted == "true") == value.is_none()),
        "StringLikeIfExists" => value.is_none_or(|value| texts(wanted).any(|pattern| is_like(value, pattern))),
        _ => panic!("the operator {operator} is not understood"),
    }
}

/// One text or several.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let several = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    several.iter().map(|text| text.as_str().expect("a text"))
}

/// `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.into_iter().any(|at| is_like(&tail[at..], rest))
        }),
    }
}

#[test]
fn what_is_denied_is_denied_whatever_allows_it() {
    let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/p/*" },
        { "Effect": "Deny", "Action": ["s3:PutObject"], "Resource": "*", "Condition": { "Null": { "s3:if-none-match": "true" } } },
    ]});
    let asked = |action, key: &str, context| Asked { action, resource: format!("arn:aws:s3:::bucket/{key}"), context };
    let condition = || vec![("s3:if-none-match", "*".to_owned())];
    assert!(allows(&policy, &asked("s3:PutObject", "p/s/1", condition())));
    assert!(!allows(&policy, &asked("s3:PutObject", "p/s/1", Vec::new())));
    assert!(allows(&policy, &asked("s3:DeleteObject", "p/s/1", Vec::new())));
    assert!(!allows(&policy, &asked("s3:DeleteObject", "q/s/1", Vec::new())));
    assert!(is_like("abc/def", "a*c/*f") && !is_like("abc/de", "a*c/*f"));
}
