//! Services that are tables: each lists things, asks a few more calls about every one, and writes a document for each list.
//!
//! A new service of this kind is some twenty lines in `services`.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Pages, Refusal, or_absent};
use crate::source::aws::generic::{Request, Service};
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

pub(super) mod services;

/// A service and what is asked of it.
pub(super) struct Table {
    /// Its name, as options and records have it, and the prefix of its actions.
    pub(super) name: &'static str,
    /// Its folder in the layout.
    pub(super) folder: &'static str,
    /// The one region it is asked in; every region of the account where there is none.
    pub(super) region: Option<&'static str>,
    pub(super) service: Service,
    pub(super) lists: &'static [List],
}

/// A list of things, which becomes a document.
pub(super) struct List {
    pub(super) file: &'static str,
    pub(super) ask: Ask,
    /// The parameter that takes the token of the next page, and where an answer has it; empty where there is one page.
    pub(super) next: (&'static str, &'static str),
    /// Where the things stand in an answer.
    pub(super) items: &'static str,
    /// The member that tells them apart, also the name of things that come as plain text.
    pub(super) identity: &'static str,
    /// What is asked about each.
    pub(super) each: &'static [Ask],
}

/// A call.
pub(super) struct Ask {
    /// What its answer is called in the document.
    pub(super) part: &'static str,
    pub(super) action: &'static str,
    /// For services asked by paths.
    pub(super) path: &'static str,
    /// Parameters, each a member of the thing (`=Member`) or what is written here, as JSON.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    /// Where in the answer what is kept stands; all of it where empty.
    pub(super) member: &'static str,
    /// The service's words for "there is none".
    pub(super) absent: &'static [&'static str],
}

/// A call without anything special.
pub(super) const fn ask(
    part: &'static str,
    action: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    member: &'static str,
) -> Ask {
    Ask { part, action, path: "", parameters, member, absent: &[] }
}

impl Ask {
    /// The same of a service that is asked by paths.
    pub(super) const fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    /// The same, where these words mean that there is none.
    pub(super) const fn absent(mut self, codes: &'static [&'static str]) -> Self {
        self.absent = codes;
        self
    }

    fn request(&self, thing: &Value) -> Request {
        let mut request = Request { path: self.path, parameters: Vec::new() };
        for (name, value) in self.parameters {
            let value = match value.strip_prefix('=') {
                Some(member) => thing[member].clone(),
                None => serde_json::from_str(value).unwrap_or_else(|_| (*value).into()),
            };
            request = request.with(name, value);
        }
        request
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
        for list in self.table.lists {
            self.list(account, region, list, sink).await?;
        }
        Ok(())
    }
}

impl Tail {
    async fn list(&self, account: &Account, region: &str, list: &List, sink: &EntrySink) -> Result<(), Stopped> {
        let calls = Calls { account, service: self.table.name, region };
        let things = match self.things(&calls, list).await {
            Ok(things) => things,
            Err(refusal) => return sink.gap(list.file, refusal.into_problem()).await,
        };
        let mut documents = Vec::with_capacity(things.len());
        for thing in things {
            if list.each.is_empty() {
                documents.push(thing);
                continue;
            }
            let mut document = Map::new();
            for ask in list.each {
                let answer = calls.send(&self.table.service, ask.action, &ask.request(&thing)).await;
                match or_absent(answer, ask.absent) {
                    Ok(mut answer) => {
                        let kept = answer.pointer_mut(ask.member).map_or(Value::Null, Value::take);
                        document.insert(ask.part.to_owned(), kept);
                    }
                    Err(refusal) => sink.gap(list.file, refusal.into_problem()).await?,
                }
            }
            document.insert(list.ask.part.to_owned(), thing);
            documents.push(Value::Object(document));
        }
        sink.document(list.file, &Value::Array(documents)).await
    }

    /// The things of a list, in order of their identity.
    pub(super) async fn things(&self, calls: &Calls<'_>, list: &List) -> Result<Vec<Value>, Refusal> {
        let (parameter, token) = list.next;
        let next = |page: &Value| {
            let token = if token.is_empty() { None } else { page.pointer(token)?.as_str() };
            token.filter(|token| !token.is_empty()).map(str::to_owned)
        };
        let mut pages = Pages::new(next);
        while let Some(token) = pages.wanted(calls, list.ask.action)? {
            let mut request = list.ask.request(&Value::Null);
            if let Some(token) = token {
                request = request.with(parameter, token);
            }
            let page = calls.send(&self.table.service, list.ask.action, &request).await?;
            pages.take(page, list.items);
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
}
