//! Documents as they are compared: without what changes by itself. What is stored is never changed by it.
//!
//! What is volatile stands in `volatile.txt`, which the backup, `diff` and drift go by alike.

use std::sync::OnceLock;

use serde_json::Value;

static LIST: &str = include_str!("volatile.txt");

/// A member that changes by itself.
struct Volatile {
    service: &'static str,
    file: &'static str,
    members: Vec<&'static str>,
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

/// The document without what changes by itself.
pub fn view(service: &str, path: &[u8], mut document: Value) -> Value {
    let applies = |volatile: &&Volatile| {
        volatile.service == service && (volatile.file == "*" || volatile.file.as_bytes() == path)
    };
    for volatile in list().iter().filter(applies) {
        remove(&mut document, &volatile.members);
    }
    document
}

fn remove(value: &mut Value, members: &[&str]) {
    let Some((first, rest)) = members.split_first() else { return };
    match value {
        Value::Object(map) if rest.is_empty() => drop(map.remove(*first)),
        Value::Object(map) if *first == "*" => map.values_mut().for_each(|value| remove(value, rest)),
        Value::Object(map) => map.get_mut(*first).into_iter().for_each(|value| remove(value, rest)),
        Value::Array(items) if *first == "*" => items.iter_mut().for_each(|item| remove(item, rest)),
        _ => {}
    }
}

fn list() -> &'static [Volatile] {
    static PARSED: OnceLock<Vec<Volatile>> = OnceLock::new();
    PARSED.get_or_init(|| LIST.lines().filter_map(parse).collect())
}

fn parse(line: &'static str) -> Option<Volatile> {
    let mut words = line.split_whitespace();
    let (service, file, pointer) = (words.next()?, words.next()?, words.next()?);
    (service != "#").then(|| Volatile { service, file, members: pointer.split('/').skip(1).collect() })
}

#[cfg(test)]
mod tests {
    use super::{LIST, is_same, parse};

    #[test]
    fn every_line_of_the_list_is_one() {
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            let volatile = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(!volatile.members.is_empty() && volatile.members.iter().all(|member| !member.is_empty()), "{line}");
        }
    }

    #[test]
    fn what_changes_by_itself_is_no_change_and_everything_else_is_one() {
        let table = |count: u64, name: &str| format!(r#"{{"Table":{{"ItemCount":{count},"TableName":"{name}"}}}}"#);
        let same =
            |one: &str, other: &str, file: &str| is_same("dynamodb", file.as_bytes(), one.as_bytes(), other.as_bytes());
        assert!(same(&table(1, "a"), &table(2, "a"), "table-schema.json"));
        assert!(!same(&table(1, "a"), &table(1, "b"), "table-schema.json"));
        assert!(!same(&table(1, "a"), &table(2, "a"), "items.jsonl"));
        assert!(!same(&table(1, "a"), "not JSON", "table-schema.json"));
    }
}
