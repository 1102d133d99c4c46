//! XML answers as the JSON that the AWS CLI prints, by a table of shapes; what the table does not know is kept and counted.
//!
//! The table is cut out of botocore's models by `shapes/generate.py`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

static TABLE: &str = include_str!("shapes/shapes.json");

#[derive(Deserialize)]
struct Service {
    answers: BTreeMap<String, Answer>,
    shapes: BTreeMap<String, Shape>,
}

/// Where the shape of an operation's answer stands.
#[derive(Deserialize)]
struct Answer {
    s: String,
    /// The element around all of it.
    w: Option<String>,
    /// The member that the body is.
    p: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
enum Shape {
    Structure {
        m: BTreeMap<String, Member>,
    },
    List {
        i: String,
    },
    Map {
        k: String,
        v: String,
        i: String,
    },
    #[serde(alias = "long")]
    Integer,
    #[serde(alias = "double")]
    Float,
    Boolean,
    #[serde(alias = "timestamp", alias = "blob", alias = "character")]
    String,
}

#[derive(Deserialize)]
struct Member {
    s: String,
    /// Its element or header, where that is called otherwise.
    n: Option<String>,
    #[serde(default)]
    h: u8,
    #[serde(default)]
    a: u8,
    #[serde(default)]
    f: u8,
}

/// An answer as JSON, and what of it the table does not know.
#[derive(Debug, Default)]
pub(super) struct Converted {
    pub(super) value: Value,
    pub(super) unknown: Vec<String>,
}

/// Converts the answer of an operation; `header` gives headers by name. Why not, where it is no such answer.
pub(super) fn convert(
    service: &str,
    operation: &str,
    body: &[u8],
    header: impl Fn(&str) -> Option<String>,
) -> Result<Converted, String> {
    let table = table().get(service).ok_or_else(|| format!("no shapes of {service}"))?;
    let answer = table.answers.get(operation).ok_or_else(|| format!("no shape of {service}:{operation}"))?;
    let mut converter = Converter { shapes: &table.shapes, unknown: Vec::new() };
    let Some(Shape::Structure { m: members }) = table.shapes.get(&answer.s) else {
        return Err(format!("the answer of {service}:{operation} is no structure"));
    };
    let mut value = Map::new();
    if let Some(root) = parse(body)? {
        let root = match &answer.w {
            Some(wrapper) => root.children.into_iter().find(|child| child.name == *wrapper).unwrap_or_default(),
            None => root,
        };
        match answer.p.as_ref().and_then(|payload| Some((payload, members.get(payload)?))) {
            Some((payload, member)) => {
                value.insert(payload.clone(), converter.value(&root, &member.s, payload));
            }
            // The one answer whose root is itself the member.
            None if root.children.is_empty() && members.contains_key(&root.name) => {
                value.insert(root.name.clone(), if root.text.is_empty() { Value::Null } else { root.text.into() });
            }
            None => value = converter.structure(&root, members, ""),
        }
    }
    for (name, member) in members.iter().filter(|(_, member)| member.h == 1) {
        if let Some(text) = header(member.n.as_ref().unwrap_or(name)) {
            value.insert(name.clone(), text.into());
        }
    }
    Ok(Converted { value: Value::Object(value), unknown: converter.unknown })
}

fn table() -> &'static BTreeMap<String, Service> {
    static PARSED: OnceLock<BTreeMap<String, Service>> = OnceLock::new();
    PARSED.get_or_init(|| serde_json::from_str(TABLE).expect("because it is part of the program"))
}

struct Converter<'t> {
    shapes: &'t BTreeMap<String, Shape>,
    unknown: Vec<String>,
}

impl Converter<'_> {
    fn value(&mut self, element: &Element, shape: &str, path: &str) -> Value {
        match self.shapes.get(shape) {
            Some(Shape::Structure { m }) => Value::Object(self.structure(element, m, path)),
            Some(Shape::List { i }) => {
                Value::Array(element.children.iter().map(|child| self.value(child, i, path)).collect())
            }
            Some(Shape::Map { k, v, i }) => {
                let of = |entry: &'_ Element, name: &str| entry.children.iter().position(|child| child.name == name);
                let mut map = Map::new();
                for entry in &element.children {
                    let (Some(key), Some(value)) = (of(entry, k), of(entry, v)) else { continue };
                    let value = self.value(&entry.children[value], i, path);
                    map.insert(entry.children[key].text.clone(), value);
                }
                Value::Object(map)
            }
            Some(Shape::Integer) => {
                element.text.trim().parse::<i64>().map_or_else(|_| element.text.clone().into(), Value::from)
            }
            Some(Shape::Float) => {
                let number = element.text.trim().parse::<f64>().ok().and_then(Number::from_f64);
                number.map_or_else(|| element.text.clone().into(), Value::Number)
            }
            Some(Shape::Boolean) => match element.text.trim() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                other => other.into(),
            },
            Some(Shape::String) => element.text.clone().into(),
            None => plain(element),
        }
    }

    fn structure(&mut self, element: &Element, members: &BTreeMap<String, Member>, path: &str) -> Map<String, Value> {
        let mut map = Map::new();
        let named = |wanted: &str| {
            let is_it = |(name, member): &(&String, &Member)| {
                member.h == 0 && member.a == 0 && member.n.as_ref().unwrap_or(name) == wanted
            };
            members.iter().find(is_it)
        };
        for child in &element.children {
            match named(&child.name) {
                Some((name, member)) if member.f == 1 => {
                    let Some(Shape::List { i }) = self.shapes.get(&member.s) else { continue };
                    let value = self.value(child, i, &format!("{path}/{name}"));
                    push(map.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new())), value);
                }
                Some((name, member)) => {
                    map.insert(name.clone(), self.value(child, &member.s, &format!("{path}/{name}")));
                }
                None => {
                    self.unknown.push(format!("{path}/{}", child.name));
                    match map.get_mut(&child.name) {
                        Some(there) => push(there, plain(child)),
                        None => drop(map.insert(child.name.clone(), plain(child))),
                    }
                }
            }
        }
        for (name, member) in members.iter().filter(|(_, member)| member.a == 1) {
            let wanted = member.n.as_ref().unwrap_or(name);
            let local = wanted.rsplit(':').next().unwrap_or(wanted);
            if let Some((_, text)) = element.attributes.iter().find(|(attribute, _)| attribute == local) {
                map.insert(name.clone(), text.clone().into());
            }
        }
        map
    }
}

/// Makes a list of what comes more than once.
fn push(there: &mut Value, value: Value) {
    match there {
        Value::Array(list) => list.push(value),
        single => *single = Value::Array(vec![single.take(), value]),
    }
}

/// An element without a shape.
fn plain(element: &Element) -> Value {
    if element.children.is_empty() {
        return element.text.clone().into();
    }
    let mut map = Map::new();
    for child in &element.children {
        match map.get_mut(&child.name) {
            Some(there) => push(there, plain(child)),
            None => drop(map.insert(child.name.clone(), plain(child))),
        }
    }
    Value::Object(map)
}

/// An element; names without their prefix.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

/// Elements within elements; deeper is no answer of any service.
const DEPTH_MAX: usize = 64;

/// The root element; nothing where there is no body.
fn parse(body: &[u8]) -> Result<Option<Element>, String> {
    let mut reader = Reader::from_reader(body);
    let mut open = vec![Element::default()];
    let wrong = |what: &dyn std::fmt::Display| format!("the answer is not XML: {what}");
    loop {
        let event = reader.read_event().map_err(|error| wrong(&error))?;
        let top = open.last_mut().expect("because the outermost stays");
        match event {
            Event::Start(start) => {
                let element = element(&start)?;
                open.push(element);
                if open.len() > DEPTH_MAX {
                    return Err(wrong(&"it is too deep"));
                }
            }
            Event::Empty(start) => top.children.push(element(&start)?),
            Event::End(_) => {
                let element = open.pop().unwrap_or_default();
                open.last_mut().ok_or_else(|| wrong(&"it ends too often"))?.children.push(element);
            }
            Event::Text(text) => top.text.push_str(&text.decode().map_err(|error| wrong(&error))?),
            Event::CData(text) => top.text.push_str(&text.decode().map_err(|error| wrong(&error))?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(|error| wrong(&error))? {
                Some(character) => top.text.push(character),
                None => {
                    let name = reference.decode().map_err(|error| wrong(&error))?;
                    let known = quick_xml::escape::resolve_xml_entity(&name);
                    top.text.push_str(known.ok_or_else(|| wrong(&format!("it has the entity {name}")))?);
                }
            },
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    match open.pop() {
        Some(outermost) if open.is_empty() => Ok(outermost.children.into_iter().next()),
        _ => Err(wrong(&"it ends early")),
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| format!("the answer is not XML: {error}"))?;
        let value = attribute.unescape_value().map_err(|error| format!("the answer is not XML: {error}"))?;
        attributes.push((text(attribute.key.local_name().as_ref()), value.into_owned()));
    }
    Ok(Element { name: text(start.local_name().as_ref()), attributes, ..Element::default() })
}
