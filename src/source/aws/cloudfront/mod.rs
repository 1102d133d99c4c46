//! CloudFront: `cloudfront-distributions/<id>/config.json`, and what distributions share in
//! `cloudfront-distributions/@account` (`shared`, `functions`).

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_cloudfront::Client;
use serde_json::Value;

use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Refusal, ask, list, or_absent, text, token};
use crate::source::aws::document::Document;
use crate::source::aws::listing::sorted;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

mod functions;
mod shared;

const NAME: &str = "cloudfront";
const FOLDER: &str = "cloudfront-distributions";
/// The resource of what belongs to no distribution.
const SHARED: &str = "cloudfront-distributions/@account";
/// The word for "there is no such distribution".
const GONE: &str = "NoSuchDistribution";
/// Global: signed for this region.
const REGION: &str = "us-east-1";

/// The distributions of an account.
pub(super) struct CloudFront {
    connection: Arc<Connection>,
}

impl CloudFront {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }
}

/// What is asked, and where its answers go.
struct Asked<'a> {
    calls: Calls<'a>,
    client: Client,
    sink: &'a EntrySink,
}

impl Asked<'_> {
    async fn tags(&self, arn: &str) -> Result<Value, Refusal> {
        let tags = self.client.list_tags_for_resource().resource(arn);
        let mut answer = ask!(self.calls, "ListTagsForResource", tags).await?;
        match answer.pointer_mut("/Tags/Items").map(Value::take) {
            Some(Value::Array(items)) => Ok(sorted(items, "/Key")),
            _ => Ok(Value::Array(Vec::new())),
        }
    }

    async fn capture_distribution(&self, id: &str, arn: &str) -> Result<(), Stopped> {
        let mut config = Document::new(self.sink, "config.json");
        let distribution = self.client.get_distribution().id(id);
        let distribution = ask!(self.calls, "GetDistribution", distribution).await;
        if let Err(refusal) = &distribution
            && refusal.code == GONE
        {
            return Err(Stopped::Gone(refusal.clone().into()));
        }
        config.part("Distribution", distribution).await?;
        config.part("Tags", self.tags(arn).await).await?;
        let monitoring = self.client.get_monitoring_subscription().distribution_id(id);
        let monitoring = ask!(self.calls, "GetMonitoringSubscription", monitoring).await;
        let monitoring = or_absent(monitoring, &["NoSuchMonitoringSubscription"]);
        config
            .part("MonitoringSubscription", monitoring.map(|mut answer| answer["MonitoringSubscription"].take()))
            .await?;
        config.send().await
    }
}

fn asked<'a>(account: &'a Account, sink: &'a EntrySink) -> Asked<'a> {
    let calls = Calls { account, service: NAME, region: REGION };
    Asked { calls, client: Client::new(account.config(REGION)), sink }
}

async fn distributions(account: &Account) -> Result<Vec<Value>, Refusal> {
    let calls = Calls { account, service: NAME, region: REGION };
    let client = Client::new(account.config(REGION));
    let next = token("/DistributionList/NextMarker");
    list!(&calls, "ListDistributions", next, "/DistributionList/Items", |marker| {
        client.list_distributions().set_marker(marker)
    })
    .await
}

/// The names under which a distribution is reached, in one order.
fn aliases(distribution: &Value) -> String {
    let items = distribution.pointer("/Aliases/Items").and_then(Value::as_array);
    let mut names: Vec<&str> = items.into_iter().flatten().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.join(",")
}

#[async_trait]
impl Source for CloudFront {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        self.connection.notes(NAME)
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let account = self.connection.account().await?;
        let mut found = Discovery::default();
        let id = account.id.as_str();
        found.resources.push(resource(NAME, account.global_name(SHARED), [("account", id)]));
        match distributions(account).await {
            Ok(distributions) => found.resources.extend(distributions.iter().map(|distribution| {
                let (own, arn) = (text(distribution, "Id"), text(distribution, "ARN"));
                let path = format!("{FOLDER}/{own}");
                let mut resource = resource(NAME, path, [("account", id), ("arn", arn), ("id", own)]);
                let aliases = aliases(distribution);
                if !aliases.is_empty() {
                    resource.attributes.insert("aliases".to_owned(), aliases);
                }
                resource
            })),
            Err(refusal) => found.unknown.push((account.global_name(FOLDER), refusal.into_problem())),
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let asked = asked(self.connection.account().await?, sink);
        let of = |name: &str| resource.attributes.get(name).map(String::as_str);
        match (of("id"), of("arn")) {
            (Some(id), Some(arn)) => asked.capture_distribution(id, arn).await,
            _ => asked.capture_shared().await,
        }
    }
}
