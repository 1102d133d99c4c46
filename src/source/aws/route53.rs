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
use crate::source::aws::listing::{in_full, in_order, send_list, sorted};
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

const NAME: &str = "route53";
const FOLDER: &str = "route53-zones";
/// The resource of what belongs to no zone.
const SHARED: &str = "route53-zones/@account";
/// The word for "there is no such zone".
const GONE: &str = "NoSuchHostedZone";
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
    if let Err(refusal) = &answer
        && refusal.code == GONE
    {
        return Err(Stopped::Gone(refusal.clone().into()));
    }
    let is_private = answer.as_ref().is_ok_and(|zone| zone["HostedZone"]["Config"]["PrivateZone"] == json!(true));
    zone.part("Zone", answer).await?;
    let tags = client.list_tags_for_resource().resource_type(TagResourceType::Hostedzone).resource_id(id);
    let tags = ask!(calls, "ListTagsForResource", tags).await;
    zone.part("Tags", tags.map(|mut tags| tags["ResourceTagSet"]["Tags"].take())).await?;
    if !is_private {
        zone.part("DNSSEC", ask!(calls, "GetDNSSEC", client.get_dnssec().hosted_zone_id(id)).await).await?;
    }
    let logging = list!(&calls, "ListQueryLoggingConfigs", token("/NextToken"), "/QueryLoggingConfigs", |token| {
        client.list_query_logging_configs().hosted_zone_id(id).set_next_token(token)
    });
    zone.part("QueryLoggingConfigs", logging.await.map(|logging| sorted(logging, "/Id"))).await?;
    if is_private {
        let next = token("/NextToken");
        let allowed = list!(&calls, "ListVPCAssociationAuthorizations", next, "/VPCs", |token| {
            client.list_vpc_association_authorizations().hosted_zone_id(id).set_next_token(token)
        });
        zone.part("VPCAssociationAuthorizations", allowed.await.map(|allowed| sorted(allowed, "/VPCId"))).await?;
    }
    match records(account, id).await {
        Ok(records) => sink.document("records.json", &Value::Array(records)).await?,
        Err(refusal) => sink.gap("records.json", refusal.into_problem()).await?,
    }
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
    send_health_checks(&calls, &client, checks.await, sink).await?;
    let sets = list!(&calls, "ListReusableDelegationSets", token("/NextMarker"), "/DelegationSets", |marker| {
        client.list_reusable_delegation_sets().set_marker(marker)
    });
    send_list(sink, "delegation-sets.json", sets.await, "/Id").await?;
    capture_traffic(&calls, &client, sink).await?;
    let collections = list!(&calls, "ListCidrCollections", token("/NextToken"), "/CidrCollections", |token| {
        client.list_cidr_collections().set_next_token(token)
    });
    let path = "cidr-collections.json";
    let mut collections = match collections.await {
        Ok(collections) => in_order(collections, "/Id"),
        Err(refusal) => return sink.gap(path, refusal.into_problem()).await,
    };
    for collection in &mut collections {
        let blocks = list!(&calls, "ListCidrBlocks", token("/NextToken"), "/CidrBlocks", |token| {
            client.list_cidr_blocks().collection_id(text(collection, "Id")).set_next_token(token)
        });
        match blocks.await {
            Ok(blocks) => collection["CidrBlocks"] = sorted(blocks, "/CidrBlock"),
            Err(refusal) => sink.gap(path, refusal.into_problem()).await?,
        }
    }
    sink.document(path, &Value::Array(collections)).await
}

/// Health checks with their tags, as the service lists them.
async fn send_health_checks(
    calls: &Calls<'_>,
    client: &Client,
    checks: Result<Vec<Value>, Refusal>,
    sink: &EntrySink,
) -> Result<(), Stopped> {
    let path = "health-checks.json";
    let mut checks = match checks {
        Ok(checks) => in_order(checks, "/Id"),
        Err(refusal) => return sink.gap(path, refusal.into_problem()).await,
    };
    for check in &mut checks {
        let tags = client.list_tags_for_resource().resource_type(TagResourceType::Healthcheck);
        let tags = tags.resource_id(text(check, "Id"));
        match ask!(calls, "ListTagsForResource", tags).await {
            Ok(mut tags) => check["Tags"] = tags["ResourceTagSet"]["Tags"].take(),
            Err(refusal) => sink.gap(path, refusal.into_problem()).await?,
        }
    }
    sink.document(path, &Value::Array(checks)).await
}

/// Traffic policies, every version with its document, and where they are in use.
async fn capture_traffic(calls: &Calls<'_>, client: &Client, sink: &EntrySink) -> Result<(), Stopped> {
    let next = truncated("TrafficPolicyIdMarker");
    let policies = list!(calls, "ListTrafficPolicies", next, "/TrafficPolicySummaries", |marker| {
        client.list_traffic_policies().set_traffic_policy_id_marker(marker)
    });
    let versions = |id: String| async move {
        let next = truncated("TrafficPolicyVersionMarker");
        let versions = list!(calls, "ListTrafficPolicyVersions", next, "/TrafficPolicies", |marker| {
            client.list_traffic_policy_versions().id(&id).set_traffic_policy_version_marker(marker)
        });
        versions.await.map(|versions| json!({ "Id": id, "Versions": versions }))
    };
    let path = "traffic-policies.json";
    if let Some(policies) = in_full(sink, path, policies.await, "/Id", versions).await? {
        sink.document(path, &Value::Array(policies)).await?;
    }
    type Place = (String, String, String);
    let next = |page: &Value| -> Option<Place> {
        let of = |member: &str| text(page, member).to_owned();
        let place = || {
            let (zone, name) = (of("HostedZoneIdMarker"), of("TrafficPolicyInstanceNameMarker"));
            (zone, name, of("TrafficPolicyInstanceTypeMarker"))
        };
        (page["IsTruncated"] == json!(true)).then(place)
    };
    let instances = list!(calls, "ListTrafficPolicyInstances", next, "/TrafficPolicyInstances", |place| {
        let request = client.list_traffic_policy_instances();
        match place {
            None => request,
            Some((zone, name, kind)) => request
                .hosted_zone_id_marker(zone)
                .traffic_policy_instance_name_marker(name)
                .traffic_policy_instance_type_marker(RrType::from(kind.as_str())),
        }
    });
    send_list(sink, "traffic-policy-instances.json", instances.await, "/Id").await
}

/// The token of the next page of lists that tell one of the last page too.
fn truncated(member: &'static str) -> impl Fn(&Value) -> Option<String> {
    move |page| (page["IsTruncated"] == json!(true)).then(|| text(page, member).to_owned())
}

#[async_trait]
impl Source for Route53 {
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
