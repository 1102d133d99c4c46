//! A source of an account, with which account and regions it looks at and what is left out of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::resource::{Asked, Resource};
use crate::source::aws::account::{Account, Connection, Naming};
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped};
use crate::source::filter::Filter;

/// A source and its account.
pub(super) struct Scoped {
    pub(super) source: Arc<dyn Source>,
    pub(super) connection: Arc<Connection>,
}

#[async_trait]
impl Source for Scoped {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn folders(&self) -> Vec<String> {
        let settings = self.connection.settings();
        match settings.naming {
            Naming::Home => self.source.folders(),
            // Whose they are nobody knows if this is wanted, but by which name the user knows them.
            Naming::Foreign => {
                self.source.folders().iter().map(|folder| format!("{folder}@{}", settings.label)).collect()
            }
        }
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        self.source.discover().await
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        self.source.capture(resource, sink).await
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }

    fn is_large(&self, resource: &Resource) -> bool {
        self.source.is_large(resource)
    }

    fn at_once(&self) -> usize {
        self.source.at_once()
    }

    fn filter(&self) -> Option<Arc<Filter>> {
        self.connection.settings().filter.clone()
    }

    fn asked(&self) -> Asked {
        let filters = self.filter().map(|filter| filter.patterns().to_vec()).unwrap_or_default();
        let (account, regions) = match self.connection.known() {
            Some(account) => (account.id.clone(), account.regions.clone()),
            None => Default::default(),
        };
        Asked { source: self.name().to_owned(), account, regions, filters }
    }

    fn attributes(&self, folder: &str) -> BTreeMap<String, String> {
        let Some(account) = self.connection.known() else { return BTreeMap::new() };
        let mut attributes = BTreeMap::from([("account".to_owned(), account.id.clone())]);
        attributes.extend(self.region_of(account, folder).map(|region| ("region".to_owned(), region.to_owned())));
        attributes
    }
}

impl Scoped {
    /// The region whose things of a kind this folder stands for.
    fn region_of<'a>(&self, account: &'a Account, folder: &str) -> Option<&'a str> {
        let is_of = |region: &&String| self.source.folders().iter().any(|of| account.name(of, region) == folder);
        account.regions.iter().find(is_of).map(String::as_str)
    }
}
