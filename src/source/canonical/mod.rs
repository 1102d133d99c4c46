//! Documents as they are compared: without what changes by itself, and written in one way. What is stored is never changed
//! by it.
//!
//! What is volatile stands in `volatile.txt`, what may be written in several ways in `canonical.txt`; the backup, `diff` and
//! drift go by them alike. A view is a pure function of the document and of where it stands.

use std::sync::OnceLock;

use serde_json::Value;

mod form;
mod policy;

static VOLATILE: &str = include_str!("volatile.txt");
static FORMS: &str = include_str!("canonical.txt");

/// A place in documents, and what is to know of it.
struct Rule {
    service: &'static str,
    /// The path of the document in its resource.
    file: Vec<&'static str>,
    /// The members on the way from its root; `*` is any one, `**` any number of them.
    members: Vec<&'static str>,
    form: Form,
}

/// In which ways one and the same may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// It changes by itself, and is no part of the view.
    Volatile,
    /// A list whose order means nothing.
    Set,
    /// A policy, as an object or as text.
    Policy,
    /// JSON as text.
    Json,
    /// A moment, in any zone.
    Time,
    /// A domain name, with or without escapes and the dot at its end.
    Name,
}

/// Whether two documents at this path of a resource say the same of it.
pub fn is_same(service: &str, path: &[u8], one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let view = |bytes: &[u8]| Some(view(service, path, serde_json::from_slice(bytes).ok()?));
    match (view(one), view(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The document without what changes by itself, and all that is the same written the same.
pub fn view(service: &str, path: &[u8], mut document: Value) -> Value {
    let path: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let rules: Vec<&Rule> = rules().iter().filter(|rule| rule.concerns(service, &path)).collect();
    if !rules.is_empty() {
        rewrite(&mut document, &mut Vec::new(), &rules);
    }
    document
}

/// Rewrites a value and all within it, the innermost first: the order of a set is that of its rewritten members.
fn rewrite(value: &mut Value, place: &mut Vec<String>, rules: &[&Rule]) {
    let is_volatile = |place: &[String]| forms(rules, place).any(|form| form == Form::Volatile);
    match value {
        Value::Object(members) => {
            members.retain(|name, member| {
                place.push(name.clone());
                let is_kept = !is_volatile(place);
                if is_kept {
                    rewrite(member, place, rules);
                }
                place.pop();
                is_kept
            });
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                place.push(at.to_string());
                rewrite(item, place, rules);
                place.pop();
            }
        }
        _ => {}
    }
    for form in forms(rules, place) {
        match form {
            Form::Volatile => {}
            Form::Set => form::sort(value),
            Form::Policy => policy::normalise(value),
            Form::Json => form::parse(value),
            Form::Time => form::to_utc(value),
            Form::Name => form::to_plain_name(value),
        }
    }
}

/// The forms of what stands at a place.
fn forms(rules: &[&Rule], place: &[String]) -> impl Iterator<Item = Form> {
    rules.iter().filter(move |rule| is_at(&rule.members, place)).map(|rule| rule.form)
}

fn is_at(members: &[&str], place: &[String]) -> bool {
    match (members.split_first(), place.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), None) => is_at(rest, place),
        (Some((&"**", rest)), Some((_, below))) => is_at(rest, place) || is_at(members, below),
        (Some((&"*", rest)), Some((_, below))) => is_at(rest, below),
        (Some((member, rest)), Some((name, below))) => member == name && is_at(rest, below),
        _ => false,
    }
}

impl Rule {
    fn concerns(&self, service: &str, path: &[&[u8]]) -> bool {
        let is_part = |(wanted, part): (&&str, &&[u8])| *wanted == "*" || wanted.as_bytes() == *part;
        let is_file = match self.file.as_slice() {
            ["**"] => true,
            file => file.len() == path.len() && file.iter().zip(path).all(is_part),
        };
        (self.service == "*" || self.service == service) && is_file
    }
}

fn rules() -> &'static [Rule] {
    static PARSED: OnceLock<Vec<Rule>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let volatile = VOLATILE.lines().filter_map(|line| parse(line, Some(Form::Volatile)));
        volatile.chain(FORMS.lines().filter_map(|line| parse(line, None))).collect()
    })
}

/// A line of a table; `None` if it is a comment, or none.
fn parse(line: &'static str, of_all: Option<Form>) -> Option<Rule> {
    let mut words = line.split_whitespace();
    let (service, file, pointer) = (words.next()?, words.next()?, words.next()?);
    let form = match (of_all, words.next()) {
        (Some(form), None) => form,
        (None, Some("set")) => Form::Set,
        (None, Some("policy")) => Form::Policy,
        (None, Some("json")) => Form::Json,
        (None, Some("time")) => Form::Time,
        (None, Some("name")) => Form::Name,
        _ => return None,
    };
    // The document that is all of its resource has no path.
    let file = file.split('/').filter(|part| *part != ".").collect();
    let members = pointer.split('/').filter(|member| !member.is_empty()).collect();
    (service != "#" && words.next().is_none()).then_some(Rule { service, file, members, form })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Makes a document of a list.
    type Wrap<'w> = &'w dyn Fn(Value) -> Value;

    /// Whether two documents are one in the view.
    fn same(service: &str, file: &str, one: &Value, other: &Value) -> bool {
        is_same(service, file.as_bytes(), one.to_string().as_bytes(), other.to_string().as_bytes())
    }

    #[test]
    fn every_line_of_the_tables_is_a_rule() {
        for (table, form) in [(VOLATILE, Some(Form::Volatile)), (FORMS, None)] {
            for line in table.lines().filter(|line| !line.starts_with('#')) {
                let rule = parse(line, form).unwrap_or_else(|| panic!("{line}"));
                assert!(rule.form == Form::Set || !rule.members.is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn what_changes_by_itself_is_no_change_and_everything_else_is_one() {
        let table = |count: u64, name: &str| json!({ "Table": { "ItemCount": count, "TableName": name } });
        assert!(same("dynamodb", "table-schema.json", &table(1, "a"), &table(2, "a")));
        assert!(!same("dynamodb", "table-schema.json", &table(1, "a"), &table(1, "b")));
        assert!(!same("dynamodb", "items.jsonl", &table(1, "a"), &table(2, "a")));
        assert!(!is_same("dynamodb", b"table-schema.json", table(1, "a").to_string().as_bytes(), b"not JSON"));
    }

    #[test]
    fn a_place_is_found_at_any_depth_and_in_files_by_pattern() {
        let export = |version: &str| json!({ "info": { "version": version, "title": "a" } });
        assert!(same("apigateway", "stages/prod/openapi.json", &export("1"), &export("2")));
        assert!(!same("apigateway", "stages/openapi.json", &export("1"), &export("2")));
        let tags = |names: [&str; 2]| json!([{ "Deep": [{ "Tags": names.map(|name| json!({ "Key": name })) }] }]);
        assert!(same("wafv2", "web-acls.json", &tags(["a", "b"]), &tags(["b", "a"])));
        assert!(!same("wafv2", "web-acls.json", &tags(["a", "b"]), &tags(["a", "a"])));
    }

    #[test]
    fn lists_of_names_are_sets() {
        let aliases =
            |names: [&str; 2]| json!({ "Distribution": { "DistributionConfig": { "Aliases": { "Items": names } } } });
        assert!(same("cloudfront", "config.json", &aliases(["a", "b"]), &aliases(["b", "a"])));
        let bucket = |methods: [&str; 2]| json!({ "Cors": { "CORSRules": [{ "AllowedMethods": methods }] } });
        assert!(same("s3", "", &bucket(["GET", "PUT"]), &bucket(["PUT", "GET"])));
    }

    #[test]
    fn lists_whose_order_has_a_meaning_keep_it() {
        let pair = |wrap: Wrap<'_>| {
            let (one, other) = (json!({ "Name": "a" }), json!({ "Name": "b" }));
            [wrap(json!([one, other])), wrap(json!([other, one]))]
        };
        let behaviours = |items: Value| json!({ "Distribution": { "DistributionConfig": { "CacheBehaviors": { "Items": items } } } });
        let members = |items: Value| json!({ "Distribution": { "DistributionConfig": { "OriginGroups": { "Items": [{ "Members": { "Items": items } }] } } } });
        let routing = |items: Value| json!({ "Website": { "RoutingRules": items } });
        let cors = |items: Value| json!({ "Cors": { "CORSRules": items } });
        let receipt = |items: Value| json!([{ "RuleSet": { "Rules": items } }]);
        let actions = |items: Value| json!([{ "RuleSet": { "Rules": [{ "Actions": items }] } }]);
        let statements = |items: Value| json!([{ "AssumeRolePolicyDocument": { "Statement": items } }]);
        let layers = |items: Value| json!({ "Function": { "Configuration": { "Layers": items } } });
        let keys = |items: Value| json!({ "Table": { "KeySchema": items } });
        let cases: [(&str, &str, Wrap<'_>); 9] = [
            ("cloudfront", "config.json", &behaviours),
            ("cloudfront", "config.json", &members),
            ("s3", "", &routing),
            ("s3", "", &cors),
            ("ses", "receipt-rule-sets.json", &receipt),
            ("ses", "receipt-rule-sets.json", &actions),
            ("iam", "roles.json", &statements),
            ("lambda", "config.json", &layers),
            ("dynamodb", "table-schema.json", &keys),
        ];
        for (service, file, wrap) in cases {
            let [one, other] = pair(wrap);
            assert!(!same(service, file, &one, &other), "{one}");
        }
    }

    #[test]
    fn policies_say_the_same_as_text_and_as_objects() {
        let written = json!([{ "Attributes": { "Policy":
            r#"{"Statement":{"Effect":"Allow","Action":["b:B","a:A"],"Principal":"*","Sid":""}}"# } }]);
        let parsed = json!([{ "Attributes": { "Policy":
            r#"{"Statement":[{"Principal":{"AWS":["*"]},"Action":["a:A","b:B"],"Effect":"Allow"}]}"# } }]);
        assert!(same("sqs", "queues.json", &written, &parsed));
    }

    #[test]
    fn json_within_text_times_and_names_are_compared_by_what_they_say() {
        let machine = |definition: &str| json!([{ "StateMachine": { "definition": definition } }]);
        assert!(same("states", "state-machines.json", &machine(r#"{"a":1,"b":2}"#), &machine(r#"{ "b": 2, "a": 1 }"#)));
        let function = |time: &str| json!({ "Function": { "Configuration": { "LastModified": time } } });
        let (one, other) = (function("2026-11-22T23:05:58.395+0000"), function("2026-11-23T00:05:58.395+01:00"));
        assert!(same("lambda", "config.json", &one, &other));
        assert!(!same("lambda", "config.json", &one, &function("2026-11-22T23:05:58.396Z")));
        let records = |name: &str| json!([{ "Name": name, "Type": "A" }]);
        assert!(same("route53", "records.json", &records(r"\052.Example.com."), &records("*.example.com.")));
        assert!(!same("route53", "records.json", &records("*.example.com."), &records("*.example.org.")));
    }
}
