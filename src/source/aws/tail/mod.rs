//! Services that are tables: each document is a call or a list, with a few more calls about every thing in it.
//!
//! A new service of this kind is some twenty lines in `services`, `messages` or `access`.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection, WITHHELD};
use crate::source::aws::call::{Calls, Pages, Refusal, or_absent};
use crate::source::aws::generic::{Request, Service};
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

mod access;
mod messages;
pub(super) mod services;

/// A part of a document while it is asked for.
type Part<'p> = Pin<Box<dyn Future<Output = Result<Option<Value>, Stopped>> + Send + 'p>>;

/// A service and what is asked of it.
pub(super) struct Table {
    /// Its name, as options and records have it, and the prefix of its actions.
    pub(super) name: &'static str,
    /// Its folder in the layout.
    pub(super) folder: &'static str,
    /// The one region it is asked in; every region of the account where there is none.
    pub(super) region: Option<&'static str>,
    pub(super) service: Service,
    /// What the service gives to nobody, in plain words; empty where there is nothing.
    pub(super) withheld: &'static str,
    /// The documents, by their names.
    pub(super) files: &'static [(&'static str, Ask)],
}

/// A call, or a list of which all pages are asked for.
pub(super) struct Ask {
    /// What its answer is called in the document around it.
    part: &'static str,
    action: &'static str,
    /// For services asked by paths.
    path: &'static str,
    /// Parameters: what is written here, as JSON, in which `=Member` is a member of the thing or of what that belongs to. With
    /// `?Member` the call is made only where there is such a member.
    parameters: &'static [(&'static str, &'static str)],
    /// Where in the answer what is kept stands; all of it where empty.
    member: &'static str,
    /// The service's words for "there is none".
    absent: &'static [&'static str],
    /// Another service than that of the table.
    service: Option<Service>,
    list: Option<List>,
}

/// What is to know of a list.
#[derive(Clone, Copy)]
struct List {
    /// The parameter that takes the token of the next page, and where an answer has it; empty where there is one page.
    next: (&'static str, &'static str),
    /// The member that tells its things apart, also the name of things that come as plain text.
    identity: &'static str,
    /// What a thing is called in a document of its own.
    name: &'static str,
    /// What is asked about each; the thing itself is all there is where that is nothing.
    each: &'static [Ask],
}

/// A call without anything special.
pub(super) const fn ask(
    part: &'static str,
    action: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    member: &'static str,
) -> Ask {
    Ask { part, action, path: "", parameters, member, absent: &[], service: None, list: None }
}

impl Ask {
    /// The same of a service that is asked by paths; `POST ` before one that takes its parameters as JSON.
    pub(super) const fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    /// The same, where these words mean that there is none.
    pub(super) const fn absent(mut self, codes: &'static [&'static str]) -> Self {
        self.absent = codes;
        self
    }

    /// The same of another service.
    pub(super) const fn of(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// A list of things, told apart by a member.
    pub(super) const fn list(mut self, next: (&'static str, &'static str), identity: &'static str) -> Self {
        self.list = Some(List { next, identity, name: "", each: &[] });
        self
    }

    /// A list of things about each of which more is asked. In a document of its own, what the list says of it has this name.
    pub(super) const fn each(mut self, name: &'static str, each: &'static [Ask]) -> Self {
        if let Some(list) = self.list {
            self.list = Some(List { name, each, ..list });
        }
        self
    }

    /// The calls about the things of this list.
    fn below(&self, actions: &mut Vec<&'static str>) {
        for ask in self.list.iter().flat_map(|list| list.each) {
            actions.push(ask.action);
            ask.below(actions);
        }
    }

    /// The request about a thing and what it belongs to, the innermost first; none where there is nothing to ask for.
    fn request(&self, things: &[&Value], account: &Account) -> Option<Request> {
        let mut request = Request { path: self.path, parameters: Vec::new() };
        for (name, written) in self.parameters {
            let value = match written.strip_prefix('?') {
                Some(member) => Some(find(things, member)).filter(|found| !found.is_null() && *found != "")?,
                None if *written == "@account" => account.id.clone().into(),
                None => {
                    let mut value = serde_json::from_str(written).unwrap_or_else(|_| (*written).into());
                    fill(&mut value, things);
                    value
                }
            };
            request = request.with(name, value);
        }
        Some(request)
    }
}

impl Ask {
    /// Whether the answers that tell if there is something to ask for are there.
    fn is_decided(&self, things: &[&Value]) -> bool {
        self.parameters
            .iter()
            .filter_map(|(_, written)| written.strip_prefix('?')?.split_once('/'))
            .all(|(part, _)| things.iter().any(|thing| thing.get(part).is_some()))
    }
}

/// A member of the first thing that has it.
fn find(things: &[&Value], member: &str) -> Value {
    let pointer = format!("/{member}");
    things.iter().find_map(|thing| thing.pointer(&pointer)).cloned().unwrap_or_default()
}

/// Puts members of things in the place of their names.
fn fill(value: &mut Value, things: &[&Value]) {
    match value {
        Value::String(text) => {
            if let Some(member) = text.strip_prefix('=') {
                *value = find(things, member);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, things)),
        _ => {}
    }
}

impl Table {
    /// What is called for a region, and about each thing there.
    pub(super) fn actions(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let mut below = Vec::new();
        self.files.iter().for_each(|(_, ask)| ask.below(&mut below));
        (self.files.iter().map(|(_, ask)| ask.action).collect(), below)
    }

    /// The things that the first list names.
    pub(super) async fn listed_first(&self, calls: &Calls<'_>) -> Result<Vec<Value>, Refusal> {
        let found = self.files.iter().find_map(|(_, ask)| Some((ask, ask.list?)));
        let (ask, list) = found.expect("because it is only asked of tables with lists");
        let request = ask.request(&[], calls.account).unwrap_or_default();
        things(calls, self.service, ask, &request, list).await
    }
}

/// One such service of an account.
pub(super) struct Tail {
    connection: Arc<Connection>,
    table: &'static Table,
}

impl Tail {
    pub(super) fn new(connection: Arc<Connection>, table: &'static Table) -> Self {
        Self { connection, table }
    }
}

#[async_trait]
impl Source for Tail {
    fn name(&self) -> &'static str {
        self.table.name
    }

    fn folders(&self) -> Vec<String> {
        vec![self.table.folder.to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        self.connection.notes(self.table.name)
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let account = self.connection.account().await?;
        let regions: Vec<&str> = match self.table.region {
            Some(region) => vec![region],
            None => account.regions.iter().map(String::as_str).collect(),
        };
        let of = |region: &&str| {
            let path = if self.table.region.is_some() {
                account.global_name(self.table.folder)
            } else {
                account.name(self.table.folder, region)
            };
            resource(self.table.name, path, [("account", &account.id), ("region", region)])
        };
        Ok(Discovery { resources: regions.iter().map(of).collect(), unknown: Vec::new() })
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.connection.account().await?;
        let region = resource.attributes.get("region").map_or("", String::as_str);
        let calls = Calls { account, service: self.table.name, region };
        for (file, ask) in self.table.files {
            let asked = Asked { calls, service: self.table.service, file, sink };
            if let Some(document) = asked.part(ask, &[]).await? {
                sink.document(file, &document).await?;
            }
        }
        if !self.table.withheld.is_empty() {
            sink.attribute(WITHHELD, self.table.withheld.to_owned()).await?;
        }
        Ok(())
    }
}

/// What is asked for a document.
struct Asked<'a> {
    calls: Calls<'a>,
    service: Service,
    file: &'a str,
    sink: &'a EntrySink,
}

impl Asked<'_> {
    /// A part of the document, with all that is asked about its things. What cannot be had is a gap.
    fn part<'p>(&'p self, ask: &'p Ask, around: &'p [&'p Value]) -> Part<'p> {
        Box::pin(async move {
            let Some(request) = ask.request(around, self.calls.account) else {
                // Nothing to ask for is an answer; of what could not be had, nobody knows what there would be to ask for.
                return Ok(ask.is_decided(around).then_some(Value::Null));
            };
            let answer = match ask.list {
                None => single(&self.calls, self.service, ask, &request).await,
                Some(list) => things(&self.calls, self.service, ask, &request, list).await.map(Value::Array),
            };
            match (or_absent(answer, ask.absent), ask.list) {
                (Ok(Value::Array(items)), Some(list)) if !list.each.is_empty() => {
                    let mut documents = Vec::with_capacity(items.len());
                    for item in items {
                        documents.push(self.in_full(item, list, around).await?);
                    }
                    Ok(Some(Value::Array(documents)))
                }
                (Ok(value), _) => Ok(Some(value)),
                (Err(refusal), _) => {
                    self.sink.gap(self.file, refusal.into_problem()).await?;
                    Ok(None)
                }
            }
        })
    }

    /// A thing with what more is asked about it.
    async fn in_full(&self, thing: Value, list: List, around: &[&Value]) -> Result<Value, Stopped> {
        let mut document = Value::Object(Map::new());
        for ask in list.each {
            let things: Vec<&Value> = [&document, &thing].into_iter().chain(around.iter().copied()).collect();
            if let Some(part) = self.part(ask, &things).await? {
                document[ask.part] = part;
            }
        }
        document[list.name] = thing;
        Ok(document)
    }
}

async fn single(calls: &Calls<'_>, service: Service, ask: &Ask, request: &Request) -> Result<Value, Refusal> {
    let mut answer = calls.send(&ask.service.unwrap_or(service), ask.action, request).await?;
    Ok(answer.pointer_mut(ask.member).map_or(Value::Null, Value::take))
}

/// The things of a list, in order of their identity.
async fn things(
    calls: &Calls<'_>,
    service: Service,
    ask: &Ask,
    request: &Request,
    list: List,
) -> Result<Vec<Value>, Refusal> {
    let (parameter, token) = list.next;
    let next = |page: &Value| {
        let token = if token.is_empty() { None } else { page.pointer(token)?.as_str() };
        token.filter(|token| !token.is_empty()).map(str::to_owned)
    };
    let mut pages = Pages::new(next);
    while let Some(token) = pages.wanted(calls, ask.action)? {
        let mut request = request.clone();
        if let Some(token) = token {
            request = request.with(parameter, token);
        }
        let page = calls.send(&ask.service.unwrap_or(service), ask.action, &request).await?;
        pages.take(page, ask.member);
    }
    let mut things = pages.items;
    for thing in &mut things {
        if thing.is_string() {
            *thing = json!({ list.identity: thing.take() });
        }
    }
    things.sort_by(|one, other| one[list.identity].as_str().cmp(&other[list.identity].as_str()));
    Ok(things)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::aws::generic::Protocol;

    #[test]
    fn members_are_found_in_the_thing_or_in_what_it_belongs_to() {
        let (pool, client) = (json!({ "Id": "pool", "Domain": "a" }), json!({ "ClientId": "client", "Id": "own" }));
        let mut parameter = json!(["=ClientId", "=Domain", "=Id", "plain", "=Nothing"]);
        fill(&mut parameter, &[&client, &pool]);
        assert_eq!(parameter, json!(["client", "a", "own", "plain", null]));
        assert_eq!(find(&[&json!({ "UserPool": { "Domain": "b" } })], "UserPool/Domain"), json!("b"));
    }

    #[test]
    fn every_table_is_whole() {
        for table in services::TABLES {
            let mut names: Vec<&str> = table.files.iter().map(|(name, _)| *name).collect();
            names.dedup();
            assert_eq!(names.len(), table.files.len(), "{}", table.name);
            table.files.iter().for_each(|(_, ask)| check(table, ask, false));
        }
    }

    /// Parts have names, lists members and identities, paths their parameters.
    fn check(table: &Table, ask: &Ask, is_part: bool) {
        let place = format!("{}:{}", table.name, ask.action);
        assert_eq!(ask.part.is_empty(), !is_part, "{place}");
        let service = ask.service.unwrap_or(table.service);
        assert_eq!(ask.path.is_empty(), service.protocol != Protocol::Rest, "{place}");
        for name in ask.path.split(['{', '}']).skip(1).step_by(2) {
            assert!(ask.parameters.iter().any(|(parameter, _)| *parameter == name), "{place}: {name}");
        }
        if let Some(list) = ask.list {
            assert!(!list.identity.is_empty() && !ask.member.is_empty(), "{place}");
            assert_eq!(list.name.is_empty(), list.each.is_empty(), "{place}");
            list.each.iter().for_each(|ask| check(table, ask, true));
        }
    }
}
