//! Policies written in one way: one value is a list of one, the order of what is a set means nothing, an account is its
//! number. The order of statements stays.

use serde_json::{Map, Value};

use crate::source::canonical::form::sort;

/// Members of a statement that are sets.
const SETS: &[&str] = &["Action", "NotAction", "NotResource", "Resource"];

/// Rewrites a policy, also one that is text, and such whose quotes came escaped.
pub(super) fn normalise(value: &mut Value) {
    if let Some(text) = value.as_str() {
        let parsed = serde_json::from_str::<Map<String, Value>>(text)
            .or_else(|_| serde_json::from_str(&text.replace("\\\"", "\"").replace("\\/", "/")));
        let Ok(parsed) = parsed else { return };
        *value = Value::Object(parsed);
    }
    let Some(statements) = value.get_mut("Statement") else { return };
    to_list(statements);
    for statement in statements.as_array_mut().into_iter().flatten() {
        if let Some(statement) = statement.as_object_mut() {
            rewrite(statement);
        }
    }
}

fn rewrite(statement: &mut Map<String, Value>) {
    if statement.get("Sid").is_some_and(|sid| sid == "") {
        statement.remove("Sid");
    }
    for name in SETS {
        if let Some(values) = statement.get_mut(*name) {
            to_set(values);
        }
    }
    for name in ["Principal", "NotPrincipal"] {
        if let Some(principal) = statement.get_mut(name) {
            rewrite_principal(principal);
        }
    }
    let conditions = statement.get_mut("Condition").and_then(Value::as_object_mut);
    for operator in conditions.into_iter().flat_map(Map::values_mut) {
        if let Some(keys) = operator.as_object_mut() {
            rewrite_condition(keys);
        }
    }
}

/// `"*"` is every principal of AWS, and an account is its number or its root.
fn rewrite_principal(principal: &mut Value) {
    if principal == "*" {
        *principal = serde_json::json!({ "AWS": "*" });
    }
    for (kind, values) in principal.as_object_mut().into_iter().flatten() {
        to_list(values);
        if kind == "AWS" {
            for value in values.as_array_mut().into_iter().flatten() {
                if let Some(account) = value.as_str().and_then(account_of) {
                    *value = account.to_owned().into();
                }
            }
        }
        sort(values);
    }
}

/// The account whose root this is.
fn account_of(principal: &str) -> Option<&str> {
    let (_, account) = principal.strip_suffix(":root")?.split_once(":iam::")?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

/// Keys of conditions are the same in any letters; their values are text.
fn rewrite_condition(keys: &mut Map<String, Value>) {
    *keys = std::mem::take(keys)
        .into_iter()
        .map(|(key, mut values)| {
            to_list(&mut values);
            for value in values.as_array_mut().into_iter().flatten() {
                if value.is_boolean() || value.is_number() {
                    *value = value.to_string().into();
                }
            }
            to_set(&mut values);
            (key.to_ascii_lowercase(), values)
        })
        .collect();
}

fn to_set(values: &mut Value) {
    to_list(values);
    sort(values);
    if let Some(values) = values.as_array_mut() {
        values.dedup();
    }
}

fn to_list(value: &mut Value) {
    if !value.is_array() {
        *value = Value::Array(vec![value.take()]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn same(one: &Value, other: &Value) -> bool {
        let view = |statement: &Value| {
            let mut policy = json!({ "Statement": [statement] });
            normalise(&mut policy);
            policy
        };
        view(one) == view(other)
    }

    #[test]
    fn one_value_is_a_list_of_one_and_lists_are_sets() {
        for name in SETS {
            assert!(same(&json!({ *name: "a" }), &json!({ *name: ["a"] })), "{name}");
            assert!(same(&json!({ *name: ["a", "b"] }), &json!({ *name: ["b", "a", "b"] })), "{name}");
            assert!(!same(&json!({ *name: ["a", "b"] }), &json!({ *name: ["a", "c"] })), "{name}");
        }
    }

    #[test]
    fn principals_have_several_names() {
        let root = json!({ "Principal": { "AWS": ["arn:aws:iam::123456789012:root", "*"] } });
        assert!(same(&root, &json!({ "Principal": { "AWS": ["*", "123456789012"] } })));
        assert!(!same(&root, &json!({ "Principal": { "AWS": ["*", "123456789013"] } })));
        assert!(same(&json!({ "Principal": "*" }), &json!({ "Principal": { "AWS": ["*"] } })));
        assert!(!same(&json!({ "Principal": "*" }), &json!({ "Principal": { "Service": ["*"] } })));
        assert!(!same(&json!({ "Principal": "*" }), &json!({ "NotPrincipal": "*" })));
        let role = json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:role/root" } });
        assert!(!same(&role, &json!({ "Principal": { "AWS": "123456789012" } })));
    }

    #[test]
    fn keys_of_conditions_are_the_same_in_any_letters_and_their_values_are_text() {
        let one =
            json!({ "Condition": { "Bool": { "AWS:SecureTransport": true }, "StringEquals": { "a:B": ["x", "y"] } } });
        let other = json!({ "Condition": { "StringEquals": { "a:b": ["y", "x"] }, "Bool": { "aws:SecureTransport": ["true"] } } });
        assert!(same(&one, &other));
        assert!(!same(
            &one,
            &json!({ "Condition": { "Bool": { "aws:SecureTransport": "false" }, "StringEquals": { "a:b": ["y", "x"] } } })
        ));
    }

    #[test]
    fn an_empty_identifier_is_none_and_escaped_quotes_are_quotes() {
        assert!(same(&json!({ "Sid": "", "Effect": "Deny" }), &json!({ "Effect": "Deny" })));
        assert!(!same(&json!({ "Sid": "a", "Effect": "Deny" }), &json!({ "Effect": "Deny" })));
        let (mut escaped, mut plain) =
            (json!(r#"{\"Statement\":[{\"Effect\":\"Deny\"}]}"#), json!({ "Statement": { "Effect": "Deny" } }));
        normalise(&mut escaped);
        normalise(&mut plain);
        assert_eq!(escaped, plain);
    }

    #[test]
    fn the_order_of_statements_and_what_is_no_policy_stay() {
        let policy = |effects: [&str; 2]| {
            let mut policy = json!({ "Statement": effects.map(|effect| json!({ "Effect": effect })) });
            normalise(&mut policy);
            policy
        };
        assert_ne!(policy(["Allow", "Deny"]), policy(["Deny", "Allow"]));
        for text in [json!("no policy"), json!(7), json!(null), json!([1])] {
            let mut value = text.clone();
            normalise(&mut value);
            assert_eq!(value, text);
        }
    }
}
