//! Answers that are changed on their way: lists in another order, pages cut short, tokens that lead in circles.

use serde_json::Value;

use super::answer::Answer;

/// Arrays of JSON in another order; members called as `spared` keep theirs.
pub(crate) fn shuffled(mut answer: Answer, spared: &[&str], seed: u64) -> Answer {
    if let Some(mut value) = json(&answer) {
        let mut state = seed;
        shuffle(&mut value, spared, &mut state);
        answer.body = value.to_string().into_bytes();
    }
    answer
}

fn shuffle(value: &mut Value, spared: &[&str], state: &mut u64) {
    match value {
        Value::Array(items) => {
            for at in (1..items.len()).rev() {
                let other = usize::try_from(next(state) % (at as u64 + 1)).expect("because it is an index");
                items.swap(at, other);
            }
            items.iter_mut().for_each(|item| shuffle(item, spared, state));
        }
        Value::Object(members) => {
            let free = members.iter_mut().filter(|(name, _)| !spared.contains(&name.as_str()));
            free.for_each(|(_, value)| shuffle(value, spared, state));
        }
        _ => {}
    }
}

/// Elements of XML that stand beside none but their like, in another order; those called as `spared` keep theirs.
pub(crate) fn shuffled_xml(mut answer: Answer, spared: &[&str], seed: u64) -> Answer {
    if let Ok(text) = std::str::from_utf8(&answer.body)
        && text.starts_with('<')
    {
        let mut state = seed;
        let nodes = nodes(&mut &*text);
        answer.body = nodes.into_iter().map(|node| node.shuffled(spared, &mut state)).collect::<String>().into_bytes();
    }
    answer
}

/// Text, or an element with what is in it.
enum Node<'x> {
    Text(&'x str),
    Element { name: &'x str, open: &'x str, inside: Vec<Node<'x>> },
}

/// Nodes up to the end of the element that they are in.
fn nodes<'x>(rest: &mut &'x str) -> Vec<Node<'x>> {
    let mut found = Vec::new();
    loop {
        let begin = rest.find('<').unwrap_or(rest.len());
        if begin > 0 {
            found.push(Node::Text(&rest[..begin]));
            *rest = &rest[begin..];
        }
        let Some(end) = rest.find('>') else { return found };
        let tag = &rest[..=end];
        *rest = &rest[end + 1..];
        if tag.starts_with("</") {
            return found;
        }
        if tag.starts_with("<?") || tag.ends_with("/>") {
            found.push(Node::Text(tag));
            continue;
        }
        let name = tag[1..end].split_whitespace().next().unwrap_or_default();
        found.push(Node::Element { name, open: tag, inside: nodes(rest) });
    }
}

impl Node<'_> {
    fn shuffled(self, spared: &[&str], state: &mut u64) -> String {
        let (name, open, mut inside) = match self {
            Self::Text(text) => return text.to_owned(),
            Self::Element { name, open, inside } => (name, open, inside),
        };
        let first = inside.iter().find_map(Self::name);
        let are_alike = inside.iter().all(|node| node.name() == first);
        if are_alike && first.is_some_and(|first| !spared.contains(&first)) {
            for at in (1..inside.len()).rev() {
                inside.swap(at, usize::try_from(next(state) % (at as u64 + 1)).expect("because it is an index"));
            }
        }
        let inside: String = inside.into_iter().map(|node| node.shuffled(spared, state)).collect();
        format!("{open}{inside}</{name}>")
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Element { name, .. } => Some(name),
        }
    }
}

/// A list that goes on where it began: every token that any service knows, the same each time.
pub(crate) fn endless(mut answer: Answer, token: &str) -> Answer {
    if let Some(Value::Object(mut members)) = json(&answer).filter(is_list) {
        for name in
            ["NextToken", "nextToken", "NextMarker", "position", "LastEvaluatedTableName", "LastEvaluatedBackupArn"]
        {
            members.insert(name.to_owned(), token.into());
        }
        answer.body = Value::Object(members).to_string().into_bytes();
    } else if let Ok(text) = std::str::from_utf8(&answer.body) {
        let more = ["NextContinuationToken", "NextMarker", "Marker", "NextRecordName", "NextRecordType"];
        let more: String = more.map(|name| format!("<{name}>{token}</{name}>")).concat();
        let more = format!("<IsTruncated>true</IsTruncated>{more}");
        answer.body = text.replace("<IsTruncated>false</IsTruncated>", &more).into_bytes();
    }
    answer
}

fn is_list(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.values().any(Value::is_array))
}

/// A list without what was in it; JSON.
pub(crate) fn emptied(mut answer: Answer) -> Answer {
    if let Some(Value::Object(mut members)) = json(&answer) {
        members.values_mut().filter(|member| member.is_array()).for_each(|member| *member = Value::Array(Vec::new()));
        answer.body = Value::Object(members).to_string().into_bytes();
    }
    answer
}

/// Half of the body, as if it were all.
pub(crate) fn halved(mut answer: Answer) -> Answer {
    answer.body.truncate(answer.body.len() / 2);
    answer
}

pub(crate) fn json(answer: &Answer) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok().filter(|_| (200..300).contains(&answer.status))
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
