//! The cross-check: resources with tags that are of no kind that is captured, in `tagged-resources/uncovered.json`, and a word
//! about them at the end of a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::resource::Resource;
use crate::source::aws::account::Connection;
use crate::source::aws::call::{Calls, Pages, Refusal, text, token};
use crate::source::aws::generic::{Protocol, Request, Service};
use crate::source::aws::listing::in_order;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

const NAME: &str = "tagging";
const FOLDER: &str = "tagged-resources";
const ACTION: &str = "GetResources";
const SERVICE: Service = Service {
    host: "tagging",
    signing: "tagging",
    protocol: Protocol::Json("ResourceGroupsTaggingAPI_20170126", "1.1"),
};

/// What other sources capture: services as ARNs have them, and kinds of resources; all kinds where there is none.
const COVERED: &[(&str, &[&str])] = &[
    ("acm", &["certificate"]),
    ("apigateway", &[]),
    ("application-autoscaling", &[]),
    ("cloudfront", &[]),
    ("cloudwatch", &["alarm", "dashboard", "metric-stream"]),
    ("cognito-identity", &["identitypool"]),
    ("cognito-idp", &["userpool"]),
    ("dynamodb", &["table"]),
    ("events", &["event-bus", "rule"]),
    ("iam", &[]),
    ("lambda", &["code-signing-config", "event-source-mapping", "function", "layer"]),
    ("logs", &["destination", "log-group"]),
    ("route53", &["healthcheck", "hostedzone"]),
    ("s3", &[]),
    ("scheduler", &["schedule-group"]),
    ("secretsmanager", &["secret"]),
    ("ses", &[]),
    ("sns", &[]),
    ("sqs", &[]),
    ("ssm", &["parameter"]),
    ("states", &["activity", "stateMachine"]),
    ("wafv2", &[]),
];

/// The tagged resources of an account that nobody captures.
pub(super) struct Tagged {
    connection: Arc<Connection>,
    /// How many there are of each kind.
    uncovered: Mutex<BTreeMap<String, u64>>,
}

impl Tagged {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, uncovered: Mutex::default() }
    }
}

/// The service and the kind of resource that an ARN names (`ec2:vpc`, `sqs`).
fn kind_of(arn: &str) -> (&str, &str) {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    let place = parts.nth(2).unwrap_or_default();
    // The resources of API Gateway begin with a slash.
    let place = place.trim_start_matches('/');
    (service, place.split_once(['/', ':']).map_or("", |(kind, _)| kind))
}

fn is_covered(arn: &str) -> bool {
    let (service, kind) = kind_of(arn);
    COVERED.iter().any(|(covered, kinds)| *covered == service && (kinds.is_empty() || kinds.contains(&kind)))
}

async fn tagged(calls: &Calls<'_>) -> Result<Vec<Value>, Refusal> {
    let mut pages = Pages::new(token("/PaginationToken"));
    while let Some(token) = pages.wanted(calls, ACTION)? {
        let mut request = Request::default().with("ResourcesPerPage", 100);
        if let Some(token) = token {
            request = request.with("PaginationToken", token);
        }
        pages.take(calls.send(&SERVICE, ACTION, &request).await?, "/ResourceTagMappingList");
    }
    Ok(pages.items)
}

#[async_trait]
impl Source for Tagged {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        let uncovered = self.uncovered.lock().unwrap_or_else(PoisonError::into_inner);
        if uncovered.is_empty() {
            return Vec::new();
        }
        let kinds: Vec<String> = uncovered.iter().map(|(kind, count)| format!("{count} of {kind}")).collect();
        let kinds = kinds.join(", ");
        vec![format!("tagged resources that no source captures ({FOLDER} lists them): {kinds}")]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let account = self.connection.account().await?;
        let of = |region: &String| {
            let attributes = [("account", account.id.as_str()), ("region", region)];
            resource(NAME, account.name(FOLDER, region), attributes)
        };
        Ok(Discovery { resources: account.regions.iter().map(of).collect(), unknown: Vec::new() })
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.connection.account().await?;
        let region = resource.attributes.get("region").map_or("", String::as_str);
        let calls = Calls { account, service: NAME, region };
        let mut found = tagged(&calls).await?;
        found.retain(|resource| !is_covered(text(resource, "ResourceARN")));
        {
            let mut uncovered = self.uncovered.lock().unwrap_or_else(PoisonError::into_inner);
            for resource in &found {
                let (service, kind) = kind_of(text(resource, "ResourceARN"));
                let name = if kind.is_empty() { service.to_owned() } else { format!("{service}:{kind}") };
                *uncovered.entry(name).or_default() += 1;
            }
        }
        sink.document("uncovered.json", &Value::Array(in_order(found, "/ResourceARN"))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_sources_capture_is_covered_and_nothing_else() {
        for arn in [
            "arn:aws:s3:::bucket",
            "arn:aws:lambda:us-east-1:1:function:name",
            "arn:aws:apigateway:us-east-1::/restapis/a1",
            "arn:aws:sqs:us-east-1:1:queue",
            "arn:aws-cn:dynamodb:cn-north-1:1:table/name",
            "arn:aws:states:us-east-1:1:stateMachine:name",
            "arn:aws:logs:us-east-1:1:log-group:/aws/lambda/x",
        ] {
            assert!(is_covered(arn), "{arn}");
        }
        for arn in [
            "arn:aws:ec2:us-east-1:1:vpc/vpc-1",
            "arn:aws:ecr:us-east-1:1:repository/a/b",
            "arn:aws:dynamodb::1:global-table/name",
            "arn:aws:kms:us-east-1:1:key/1",
            "not an ARN",
            "",
        ] {
            assert!(!is_covered(arn), "{arn}");
        }
        assert_eq!(kind_of("arn:aws:ec2:us-east-1:1:vpc/vpc-1"), ("ec2", "vpc"));
    }
}
