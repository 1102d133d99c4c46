//! Google Apps Script: `gas-projects/<title>/…`, each project as a folder that clasp can push, and beside its files what the
//! service says of it.
//!
//! `credentials` knows the files that Google's tools leave, `token` turns them into access, `call` asks, `content` makes
//! paths of what a project names its files. Triggers and properties cannot be had from the service.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::source::apps_script::call::Api;
use crate::source::apps_script::content::Files;
use crate::source::apps_script::credentials::Credentials;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

mod call;
mod content;
pub mod credentials;
mod refusal;
mod token;

const NAME: &str = "apps-script";
const FOLDER: &str = "gas-projects";
/// What the service gives nobody; said of each project.
const UNAVAILABLE: &str = "triggers, script properties";
/// Versions and deployments on a page, the most that the service gives.
const PAGE_SIZE: &str = "50";

/// What is captured, and as whom.
#[derive(Clone, Debug, Default)]
pub struct AppsScriptSettings {
    /// Whose projects.
    pub credentials: Credentials,
    /// Script ids; those of projects bound to a document can be had in no other way.
    pub projects: Vec<String>,
    /// Whether projects are looked for in Drive too.
    pub listing: Listing,
    /// What is kept of earlier versions.
    pub versions: Versions,
    /// Where the services are.
    pub endpoints: Endpoints,
}

/// Whether projects are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// All standalone projects that Drive lists.
    #[default]
    Drive,
    /// Only those that are named.
    Named,
}

/// What is kept of earlier versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Their numbers, times and descriptions.
    #[default]
    Listed,
    /// Their files too, in `versions/<number>/`.
    Content,
}

/// Where the services are; Google's own where nothing else is said. Without TLS only on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Where tokens are given (`https://oauth2.googleapis.com/token`).
    pub oauth: Option<String>,
    /// `https://script.googleapis.com`
    pub script: Option<String>,
    /// `https://www.googleapis.com`
    pub drive: Option<String>,
}

/// The projects of an account.
pub struct AppsScript {
    settings: AppsScriptSettings,
    api: Api,
}

impl AppsScript {
    /// Nothing is read or sent yet.
    pub fn new(settings: AppsScriptSettings) -> Self {
        let api = Api::new(settings.credentials.clone(), &settings.endpoints);
        Self { settings, api }
    }

    /// Titles by script id, as Drive lists them, and why they are not all.
    async fn listed(&self) -> (BTreeMap<String, String>, Option<Problem>) {
        let query = [
            ("q", "mimeType='application/vnd.google-apps.script' and trashed=false"),
            ("fields", "nextPageToken,incompleteSearch,files(id,name)"),
            ("pageSize", "1000"),
            ("supportsAllDrives", "true"),
            ("includeItemsFromAllDrives", "true"),
        ];
        let mut files = Vec::new();
        let listing = self.api.list_into(&mut files, "drive:files.list", "/drive/v3/files", &query, "files").await;
        let of = |file: &Value, member: &str| file[member].as_str().unwrap_or_default().to_owned();
        (files.iter().map(|file| (of(file, "id"), of(file, "name"))).collect(), listing.err())
    }

    /// The title of a project that only the configuration names.
    async fn title(&self, id: &str) -> Result<String, Problem> {
        let project = self.project(id).await?;
        Ok(project["title"].as_str().unwrap_or_default().to_owned())
    }

    async fn project(&self, id: &str) -> Result<Value, Problem> {
        self.api.get("script:projects.get", &format!("/v1/projects/{}", plain(id)?), &[]).await
    }

    async fn content(&self, id: &str, version: Option<&str>) -> Result<Value, Problem> {
        let query: Vec<(&str, &str)> = version.map(|number| ("versionNumber", number)).into_iter().collect();
        self.api.get("script:projects.getContent", &format!("/v1/projects/{}/content", plain(id)?), &query).await
    }

    async fn list(&self, id: &str, what: &str) -> Result<Value, Problem> {
        let action = format!("script:projects.{what}.list");
        let path = format!("/v1/projects/{}/{what}", plain(id)?);
        Ok(Value::Array(self.api.list(&action, &path, &[("pageSize", PAGE_SIZE)], what).await?))
    }

    /// The numbers of the versions, in the order of their folders.
    fn numbers(&self, versions: &Value) -> BTreeSet<String> {
        let wanted = self.settings.versions == Versions::Content;
        let all = versions.as_array().into_iter().flatten().filter(|_| wanted);
        all.filter_map(|version| version["versionNumber"].as_u64()).map(|number| number.to_string()).collect()
    }
}

/// An id that can stand in an address.
fn plain(id: &str) -> Result<&str, Problem> {
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_plain.then_some(id).ok_or_else(|| Problem {
        action: "script:projects.get".to_owned(),
        code: "BadScriptId".to_owned(),
        reason: format!("{id:?} is no script id"),
        hint: "it stands in the project's settings, and in its address after /projects/".to_owned(),
    })
}

/// The folder of each project: its title, with its id where that is no name of its own.
fn names(titles: &BTreeMap<String, String>) -> BTreeMap<&str, String> {
    let plain = |title: &str| title.replace('/', "%2F");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for title in titles.values() {
        *counts.entry(plain(title)).or_default() += 1;
    }
    let needs_id = |name: &str| {
        let ends_like_another = name.rsplit_once('@').is_some_and(|(_, id)| titles.contains_key(id));
        counts[name] > 1 || ends_like_another || matches!(name, "" | "." | "..")
    };
    let name = |(id, title): (&'_ String, &String)| {
        let name = plain(title);
        if needs_id(&name) { format!("{name}@{id}") } else { name }
    };
    titles.iter().map(|pair| (pair.0.as_str(), name(pair))).collect()
}

#[async_trait]
impl Source for AppsScript {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let mut found = Discovery::default();
        let mut titles = BTreeMap::new();
        if self.settings.listing == Listing::Drive {
            let (listed, problem) = self.listed().await;
            titles = listed;
            found.unknown.extend(problem.map(|problem| (FOLDER.to_owned(), problem)));
        }
        for id in self.settings.projects.iter().collect::<BTreeSet<_>>() {
            if !titles.contains_key(id) {
                match self.title(id).await {
                    Ok(title) => drop(titles.insert(id.clone(), title)),
                    Err(problem) => found.unknown.push((format!("{FOLDER}/@{}", id.replace('/', "%2F")), problem)),
                }
            }
        }
        found.resources.extend(names(&titles).into_iter().map(|(id, name)| {
            let attributes = [("id", id), ("title", titles[id].as_str()), ("unavailable", UNAVAILABLE)];
            resource(NAME, format!("{FOLDER}/{name}"), attributes)
        }));
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let id = resource.attributes.get("id").map(String::as_str).unwrap_or_default();
        let mut files = Files::default();
        let project = self.project(id).await;
        let versions = self.list(id, "versions").await;
        let numbers = versions.as_ref().map(|versions| self.numbers(versions)).unwrap_or_default();
        let content = self.content(id, None).await;
        if let Ok(content) = &content {
            files.add_clasp(id, project.as_ref().ok(), content, !numbers.is_empty());
        }
        files.document("project.json", project);
        files.document("versions.json", versions);
        files.document("deployments.json", self.list(id, "deployments").await);
        files.content("", content);
        files.send_problems(sink).await?;
        for number in &numbers {
            let mut of_version = Files::default();
            of_version.content(&format!("versions/{number}/"), self.content(id, Some(number)).await);
            files.send_around(of_version, sink).await?;
        }
        files.send(sink).await
    }

    /// Versions are sent one after the other.
    fn is_large(&self, _resource: &Resource) -> bool {
        self.settings.versions == Versions::Content
    }

    fn at_once(&self) -> usize {
        4
    }
}

/// What clasp needs to know of a project; `order` is that of its scripts, which run in it.
fn clasp(id: &str, project: Option<&Value>, order: &[&str]) -> Value {
    let mut settings = json!({
        "scriptId": id,
        "rootDir": "",
        "fileExtension": "gs",
        "scriptExtensions": [".gs"],
        "filePushOrder": order,
    });
    if let Some(parent) = project.map(|project| &project["parentId"]).filter(|parent| parent.is_string()) {
        settings["parentId"] = json!([parent]);
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::names;

    #[test]
    fn every_project_has_a_folder_of_its_own_whatever_its_title() {
        let titles = ["one", "twice", "twice", "a/b", "a%2Fb", "", ".", "..", "twice@2", "x@nobody"];
        let titles: BTreeMap<String, String> =
            titles.iter().enumerate().map(|(id, title)| (id.to_string(), (*title).to_owned())).collect();
        let names = names(&titles);
        let all: Vec<&str> = titles.keys().map(|id| names[id.as_str()].as_str()).collect();
        let wanted = ["one", "twice@1", "twice@2", "a%2Fb@3", "a%2Fb@4", "@5", ".@6", "..@7", "twice@2@8", "x@nobody"];
        assert_eq!(all, wanted);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
