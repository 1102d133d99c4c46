//! `environment-manifest.json`: the names of variables and secrets, of files (`dotenv`, `search`) and of accounts; never a
//! value, and nothing by which one could tell a value or whether there is one.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::resource::{Resource, escape_path};
use crate::source::environment::dotenv::{Outcome, names};
use crate::source::environment::search::{Bounds, read, search};
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

pub mod dotenv;
mod search;

const NAME: &str = "environment";
/// The document is all of its resource.
const PATH: &str = "environment-manifest.json";
const ROOT: &str = "";

/// Where names are looked for.
#[derive(Clone, Default)]
pub struct EnvironmentSettings {
    /// Files of variables, whatever they are called.
    pub files: Vec<PathBuf>,
    /// Folders below which files named `.env…` are looked for; `.envrc` is a program and is not one.
    pub folders: Vec<PathBuf>,
    /// How far.
    pub bounds: Bounds,
    /// Accounts.
    pub accounts: Vec<Arc<dyn NameSource>>,
}

/// Something that has variables or secrets and tells their names.
#[async_trait]
pub trait NameSource: Send + Sync {
    /// All names that can be had, and what cannot.
    async fn names(&self) -> Names;
}

/// Names, and what could not be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// In any order.
    pub origins: Vec<Origin>,
    /// They hold no value either.
    pub problems: Vec<Problem>,
}

/// Whatever has names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Which one: `file:/srv/site/.env`, `lambda:arn:…`, `ssm:123456789012:eu-central-1`.
    pub origin: String,
    /// In any order.
    pub names: Vec<Name>,
}

/// The name of a variable or secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// As it is spelled there.
    pub name: String,
    /// What it is (`SecureString`), where there is more than one kind.
    pub kind: Option<String>,
}

/// The names of everything that is configured.
pub struct Environment {
    settings: EnvironmentSettings,
}

impl Environment {
    /// Nothing is read or sent yet.
    pub fn new(settings: EnvironmentSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Source for Environment {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![PATH.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let EnvironmentSettings { files, folders, accounts, .. } = &self.settings;
        let is_wanted = !(files.is_empty() && folders.is_empty() && accounts.is_empty());
        let resources = is_wanted.then(|| resource(NAME, PATH.to_owned(), []));
        Ok(Discovery { resources: resources.into_iter().collect(), unknown: Vec::new() })
    }

    async fn capture(&self, _resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let EnvironmentSettings { files, folders, bounds, accounts } = self.settings.clone();
        let reading = tokio::task::spawn_blocking(move || of_files(files, &folders, bounds));
        let gone =
            |_| Problem { action: "read".to_owned(), reason: "reading stopped".to_owned(), ..Problem::default() };
        let mut all = reading.await.map_err(gone)?;
        for account in &accounts {
            let Names { origins, problems } = account.names().await;
            all.origins.extend(origins);
            all.problems.extend(problems);
        }
        for problem in all.problems {
            sink.gap(ROOT, problem).await?;
        }
        sink.document(ROOT, &manifest(all.origins)).await
    }
}

/// The names in files.
fn of_files(mut files: Vec<PathBuf>, folders: &[PathBuf], bounds: Bounds) -> Names {
    let mut all = Names::default();
    for folder in folders {
        all.problems.extend(search(folder, bounds, &mut files));
    }
    files.sort();
    files.dedup();
    for path in files {
        let shown = escape_path(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        let told = |code: &str, reason: String, hint: &str| Problem {
            action: "read".to_owned(),
            code: code.to_owned(),
            reason: format!("{shown}: {reason}"),
            hint: hint.to_owned(),
        };
        let Outcome { names, stopped_at } = match read(&path) {
            Ok(content) => names(&content),
            Err(error) => {
                all.problems.push(told("Unreadable", error.to_string(), ""));
                continue;
            }
        };
        all.problems.extend(stopped_at.map(|line| {
            let reason = format!("what line {line} means is not certain; names behind it are left out");
            told("Ambiguous", reason, "put the value before it, or the one in it, in quotes")
        }));
        let names = names.into_iter().map(|name| Name { name, kind: None }).collect();
        all.origins.push(Origin { origin: format!("file:{shown}"), names });
    }
    all
}

/// As it is stored: sorted, each name of an origin once.
fn manifest(mut origins: Vec<Origin>) -> Value {
    let shown = |name: &Name| match &name.kind {
        None => json!({ "name": name.name }),
        Some(kind) => json!({ "name": name.name, "type": kind }),
    };
    for origin in &mut origins {
        origin.names.sort();
        origin.names.dedup();
    }
    origins.sort();
    let origins: Vec<Value> = origins
        .iter()
        .map(|origin| json!({ "origin": origin.origin, "names": origin.names.iter().map(shown).collect::<Vec<_>>() }))
        .collect();
    json!({ "origins": origins })
}
