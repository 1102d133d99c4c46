//! Route 53: `route53-zones/<zone>/zone.json` and `records.json`, and what zones share in `route53-zones/@account`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_route53::Client;
use aws_sdk_route53::types::{RrType, TagResourceType};
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Refusal, ask, list, text, token};
use crate::source::aws::document::Document;
use crate::source::aws::listing::send_list;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

const NAME: &str = "route53";
const FOLDER: &str = "route53-zones";
/// The resource of what belongs to no zone.
const SHARED: &str = "route53-zones/@account";
/// Global: signed for this region.
const REGION: &str = "us-east-1";

/// The zones of an account.
pub(super) struct Route53 {
    connection: Arc<Connection>,
}

impl Route53 {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }
}

fn calls(account: &Account) -> (Calls<'_>, Client) {
    (Calls { account, service: NAME, region: REGION }, Client::new(account.config(REGION)))
}

async fn zones(account: &Account) -> Result<Vec<Value>, Refusal> {
    let (calls, client) = calls(account);
    let next = token("/NextMarker");
    list!(&calls, "ListHostedZones", next, "/HostedZones", |marker| client.list_hosted_zones().set_marker(marker)).await
}

async fn capture_zone(account: &Account, id: &str, sink: &EntrySink) -> Result<(), Stopped> {
    let (calls, client) = calls(account);
    let mut zone = Document::new(sink, "zone.json");
    let answer = ask!(calls, "GetHostedZone", client.get_hosted_zone().id(id)).await;
    let is_private = answer.as_ref().is_ok_and(|zone| zone["HostedZone"]["Config"]["PrivateZone"] == json!(true));
    zone.part("Zone", answer).await?;
    let tags = client.list_tags_for_resource().resource_type(TagResourceType::Hostedzone).resource_id(id);
    let tags = ask!(calls, "ListTagsForResource", tags).await;
    zone.part("Tags", tags.map(|mut tags| tags["ResourceTagSet"]["Tags"].take())).await?;
    if !is_private {
        zone.part("DNSSEC", ask!(calls, "GetDNSSEC", client.get_dnssec().hosted_zone_id(id)).await).await?;
    }
    let logging = client.list_query_logging_configs().hosted_zone_id(id);
    let logging = ask!(calls, "ListQueryLoggingConfigs", logging).await;
    zone.part("QueryLoggingConfigs", logging.map(|mut answer| answer["QueryLoggingConfigs"].take())).await?;
    let records = records(account, id).await.map_err(Refusal::into_problem)?;
    sink.document("records.json", &Value::Array(records)).await?;
    zone.send().await
}

/// Every record, in the order in which the service lists them.
async fn records(account: &Account, id: &str) -> Result<Vec<Value>, Refusal> {
    let (calls, client) = calls(account);
    type Place = (String, String, Option<String>);
    let next = |page: &Value| -> Option<Place> {
        let of = |member: &str| page.get(member).and_then(Value::as_str).map(str::to_owned);
        Some((of("NextRecordName")?, of("NextRecordType")?, of("NextRecordIdentifier")))
    };
    list!(&calls, "ListResourceRecordSets", next, "/ResourceRecordSets", |place| {
        let request = client.list_resource_record_sets().hosted_zone_id(id);
        match place {
            None => request,
            Some((name, kind, identifier)) => request
                .start_record_name(name)
                .start_record_type(RrType::from(kind.as_str()))
                .set_start_record_identifier(identifier),
        }
    })
    .await
}

async fn capture_shared(account: &Account, sink: &EntrySink) -> Result<(), Stopped> {
    let (calls, client) = calls(account);
    let checks = list!(&calls, "ListHealthChecks", token("/NextMarker"), "/HealthChecks", |marker| {
        client.list_health_checks().set_marker(marker)
    });
    let sets = list!(&calls, "ListReusableDelegationSets", token("/NextMarker"), "/DelegationSets", |marker| {
        client.list_reusable_delegation_sets().set_marker(marker)
    });
    for (path, items) in [("health-checks.json", checks.await), ("delegation-sets.json", sets.await)] {
        send_list(sink, path, items, "/Id").await?;
    }
    Ok(())
}

#[async_trait]
impl Source for Route53 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let account = self.connection.account().await?;
        let mut found = Discovery::default();
        let shared = [("account", account.id.as_str())];
        found.resources.push(resource(NAME, account.global_name(SHARED), shared));
        let zones = match zones(account).await {
            Ok(zones) => zones,
            Err(refusal) => {
                found.unknown.push((account.global_name(FOLDER), refusal.into_problem()));
                return Ok(found);
            }
        };
        let plain = |zone: &Value| text(zone, "Name").trim_end_matches('.').to_owned();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for zone in &zones {
            *names.entry(plain(zone)).or_default() += 1;
        }
        for zone in &zones {
            let id = text(zone, "Id").trim_start_matches("/hostedzone/");
            let mut name = plain(zone);
            if names[&name] > 1 || zone["Config"]["PrivateZone"] == json!(true) {
                name = format!("{name}@{id}");
            }
            let name = account.global_name(&name);
            let arn = format!("arn:{}:route53:::hostedzone/{id}", account.partition);
            let attributes = [("account", account.id.as_str()), ("arn", &arn), ("id", id)];
            found.resources.push(resource(NAME, format!("{FOLDER}/{name}"), attributes));
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.connection.account().await?;
        match resource.attributes.get("id") {
            Some(id) => capture_zone(account, id, sink).await,
            None => capture_shared(account, sink).await,
        }
    }
}
