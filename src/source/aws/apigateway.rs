//! API Gateway, REST and HTTP APIs: `api-gateway/<id>/api.json` with all that belongs to the API, its stages with an export
//! of each, and what APIs share in `api-gateway/@account`.
//!
//! An export is no backup (no keys, no settings of stages, nothing undeployed), so the tree is captured as well; the export is
//! what people read.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::source::aws::account::Connection;
use crate::source::aws::call::{Calls, Pages, Refusal, or_absent, text};
use crate::source::aws::document::Document;
use crate::source::aws::generic::{Protocol, Request, Service};
use crate::source::aws::listing::sorted;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

const NAME: &str = "apigateway";
const FOLDER: &str = "api-gateway";
const SERVICE: Service = Service { host: "apigateway", signing: "apigateway", protocol: Protocol::Rest };
/// The word for "there is none of this".
const ABSENT: &[&str] = &["NotFoundException"];

/// The two generations of the interface.
#[derive(Clone, Copy)]
enum Interface {
    Rest,
    Http,
}

/// A list.
struct Listed {
    /// What it is called in the document, or the name of the document.
    part: &'static str,
    action: &'static str,
    path: &'static str,
    /// By what its items are told apart.
    identity: &'static str,
    /// The list that each of its items has.
    beneath: Option<Beneath>,
}

/// A list that belongs to an item of another, which is `{Item}` in its path.
struct Beneath {
    part: &'static str,
    action: &'static str,
    path: &'static str,
    /// The member of the item that is `{Item}`.
    item: &'static str,
}

const fn listed(
    part: &'static str,
    action: &'static str,
    path: &'static str,
    identity: &'static str,
    beneath: Option<Beneath>,
) -> Listed {
    Listed { part, action, path, identity, beneath }
}

const fn beneath(part: &'static str, action: &'static str, path: &'static str, item: &'static str) -> Option<Beneath> {
    Some(Beneath { part, action, path, item })
}

/// What belongs to a REST API, by the name of the part.
const OF_REST: &[Listed] = &[
    listed("Authorizers", "GetAuthorizers", "/restapis/{Api}/authorizers", "/id", None),
    listed("Deployments", "GetDeployments", "/restapis/{Api}/deployments", "/id", None),
    listed("DocumentationParts", "GetDocumentationParts", "/restapis/{Api}/documentation/parts", "/id", None),
    listed(
        "DocumentationVersions",
        "GetDocumentationVersions",
        "/restapis/{Api}/documentation/versions",
        "/version",
        None,
    ),
    listed("GatewayResponses", "GetGatewayResponses", "/restapis/{Api}/gatewayresponses", "/responseType", None),
    listed("Models", "GetModels", "/restapis/{Api}/models", "/name", None),
    listed("RequestValidators", "GetRequestValidators", "/restapis/{Api}/requestvalidators", "/id", None),
    listed("Resources", "GetResources", "/restapis/{Api}/resources?embed=methods", "/path", None),
];

/// The same of an HTTP or WebSocket API.
const OF_HTTP: &[Listed] = &[
    listed("Authorizers", "GetAuthorizers", "/v2/apis/{Api}/authorizers", "/authorizerId", None),
    listed("Deployments", "GetDeployments", "/v2/apis/{Api}/deployments", "/deploymentId", None),
    listed(
        "Integrations",
        "GetIntegrations",
        "/v2/apis/{Api}/integrations",
        "/integrationId",
        beneath(
            "integrationResponses",
            "GetIntegrationResponses",
            "/v2/apis/{Api}/integrations/{Item}/integrationresponses",
            "integrationId",
        ),
    ),
    listed("Models", "GetModels", "/v2/apis/{Api}/models", "/name", None),
    listed(
        "Routes",
        "GetRoutes",
        "/v2/apis/{Api}/routes",
        "/routeKey",
        beneath("routeResponses", "GetRouteResponses", "/v2/apis/{Api}/routes/{Item}/routeresponses", "routeId"),
    ),
];

/// What belongs to no API, by its file.
const SHARED: &[(Interface, Listed)] = &[
    (Interface::Rest, listed("api-keys.json", "GetApiKeys", "/apikeys?includeValues=true", "/id", None)),
    (
        Interface::Rest,
        listed(
            "client-certificates.json",
            "GetClientCertificates",
            "/clientcertificates",
            "/clientCertificateId",
            None,
        ),
    ),
    (
        Interface::Rest,
        listed(
            "domain-names.json",
            "GetDomainNames",
            "/domainnames",
            "/domainName",
            beneath("basePathMappings", "GetBasePathMappings", "/domainnames/{Item}/basepathmappings", "domainName"),
        ),
    ),
    (
        Interface::Http,
        listed(
            "http-domain-names.json",
            "GetDomainNames",
            "/v2/domainnames",
            "/domainName",
            beneath("apiMappings", "GetApiMappings", "/v2/domainnames/{Item}/apimappings", "domainName"),
        ),
    ),
    (Interface::Http, listed("http-vpc-links.json", "GetVpcLinks", "/v2/vpclinks", "/vpcLinkId", None)),
    (
        Interface::Rest,
        listed(
            "usage-plans.json",
            "GetUsagePlans",
            "/usageplans",
            "/id",
            beneath("keys", "GetUsagePlanKeys", "/usageplans/{Item}/keys", "id"),
        ),
    ),
    (Interface::Rest, listed("vpc-links.json", "GetVpcLinks", "/vpclinks", "/id", None)),
];

/// The APIs of an account.
pub(super) struct ApiGateway {
    connection: Arc<Connection>,
}

impl ApiGateway {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl Source for ApiGateway {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let account = self.connection.account().await?;
        let mut found = Discovery::default();
        for region in &account.regions {
            let calls = Calls { account, service: NAME, region };
            let id = account.id.as_str();
            let path = format!("{FOLDER}/{}", account.name("@account", region));
            found.resources.push(resource(NAME, path, [("account", id), ("region", region)]));
            let lists = [
                ("rest", all_of(&calls, Interface::Rest, "GetRestApis", &get("/restapis", "")).await),
                ("http", all_of(&calls, Interface::Http, "GetApis", &get("/v2/apis", "")).await),
            ];
            for (kind, apis) in lists {
                let apis = match apis {
                    Ok(apis) => apis,
                    Err(refusal) => {
                        let folder = format!("{}@{kind}", account.name(FOLDER, region));
                        found.unknown.push((folder, refusal.into_problem()));
                        continue;
                    }
                };
                for api in apis {
                    let api_id = if kind == "rest" { text(&api, "id") } else { text(&api, "apiId") };
                    let path = format!("{FOLDER}/{}", account.name(api_id, region));
                    let arn = format!(
                        "arn:{}:apigateway:{region}::/{}/{api_id}",
                        account.partition,
                        if kind == "rest" { "restapis" } else { "apis" }
                    );
                    let attributes =
                        [("account", id), ("arn", &arn), ("id", api_id), ("kind", kind), ("region", region)];
                    found.resources.push(resource(NAME, path, attributes));
                }
            }
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.connection.account().await?;
        let of = |name: &str| resource.attributes.get(name).map_or("", String::as_str);
        let calls = Calls { account, service: NAME, region: of("region") };
        match of("kind") {
            "rest" => capture_rest(&calls, of("id"), sink).await,
            "http" => capture_http(&calls, of("id"), sink).await,
            _ => capture_shared(&calls, sink).await,
        }
    }
}

fn get(path: &'static str, api: &str) -> Request {
    let request = Request { path, ..Request::default() };
    if path.contains("{Api}") { request.with("Api", api) } else { request }
}

/// All items of a list.
async fn all_of(
    calls: &Calls<'_>,
    interface: Interface,
    action: &str,
    request: &Request,
) -> Result<Vec<Value>, Refusal> {
    let (token, member) = match interface {
        Interface::Rest => ("position", "/item"),
        Interface::Http => ("nextToken", "/items"),
    };
    let next = |page: &Value| page[token].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
    let mut pages = Pages::new(next);
    while let Some(place) = pages.wanted(calls, action)? {
        let mut request = request.clone();
        if matches!(interface, Interface::Rest) {
            request = request.with("limit", "500");
        }
        if let Some(place) = place {
            request = request.with(token, place);
        }
        pages.take(calls.send(&SERVICE, action, &request).await?, member);
    }
    Ok(pages.items)
}

/// All items of a list, each with the list that it has itself. What of these is refused is a gap.
async fn in_full(
    calls: &Calls<'_>,
    (interface, listed): (Interface, &Listed),
    api: &str,
    (sink, file): (&EntrySink, &str),
) -> Result<Result<Value, Refusal>, Stopped> {
    let mut items = match all_of(calls, interface, listed.action, &get(listed.path, api)).await {
        Ok(items) => items,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Some(Beneath { part, action, path, item: member }) = &listed.beneath {
        for item in &mut items {
            let mut request = get(path, api).with("Item", text(item, member));
            // A private domain is not the only one of its name.
            if let Some(id) = item["domainNameId"].as_str() {
                request = request.with("domainNameId", id);
            }
            match all_of(calls, interface, action, &request).await {
                Ok(list) => item[*part] = Value::Array(list),
                Err(refusal) => sink.gap(file, refusal.into_problem()).await?,
            }
        }
    }
    Ok(Ok(sorted(items, listed.identity)))
}

async fn capture_rest(calls: &Calls<'_>, api: &str, sink: &EntrySink) -> Result<(), Stopped> {
    let mut document = Document::new(sink, "api.json");
    document.part("Api", calls.send(&SERVICE, "GetRestApi", &get("/restapis/{Api}", api)).await).await?;
    for listed in OF_REST {
        let items = in_full(calls, (Interface::Rest, listed), api, (sink, "api.json")).await?;
        document.part(listed.part, items).await?;
    }
    document.send().await?;
    let stages = match calls.send(&SERVICE, "GetStages", &get("/restapis/{Api}/stages", api)).await {
        Ok(mut stages) => stages["item"].take(),
        Err(refusal) => return sink.gap("stages", refusal.into_problem()).await,
    };
    for stage in stages.as_array().into_iter().flatten() {
        let name = text(stage, "stageName");
        sink.document(&format!("stages/{name}/stage.json"), stage).await?;
        let request = get("/restapis/{Api}/stages/{Stage}/exports/oas30", api)
            .with("Stage", name)
            .with("extensions", "apigateway,authorizers,documentation");
        let path = format!("stages/{name}/openapi.json");
        match calls.send(&SERVICE, "GetExport", &request).await {
            Ok(export) => sink.document(&path, &export).await?,
            Err(refusal) => sink.gap(&path, refusal.into_problem()).await?,
        }
    }
    Ok(())
}

async fn capture_http(calls: &Calls<'_>, api: &str, sink: &EntrySink) -> Result<(), Stopped> {
    let mut document = Document::new(sink, "api.json");
    let answer = calls.send(&SERVICE, "GetApi", &get("/v2/apis/{Api}", api)).await;
    let is_http = answer.as_ref().is_ok_and(|api| api["protocolType"] == json!("HTTP"));
    document.part("Api", answer).await?;
    for listed in OF_HTTP {
        let items = in_full(calls, (Interface::Http, listed), api, (sink, "api.json")).await?;
        document.part(listed.part, items).await?;
    }
    document.send().await?;
    let stages = match all_of(calls, Interface::Http, "GetStages", &get("/v2/apis/{Api}/stages", api)).await {
        Ok(stages) => stages,
        Err(refusal) => return sink.gap("stages", refusal.into_problem()).await,
    };
    for stage in &stages {
        let name = text(stage, "stageName");
        sink.document(&format!("stages/{name}/stage.json"), stage).await?;
        if !is_http {
            continue;
        }
        let request = get("/v2/apis/{Api}/exports/OAS30", api)
            .with("stageName", name)
            .with("outputType", "JSON")
            .with("includeExtensions", "true");
        let path = format!("stages/{name}/openapi.json");
        match calls.send(&SERVICE, "ExportApi", &request).await {
            Ok(export) => sink.document(&path, &export).await?,
            Err(refusal) => sink.gap(&path, refusal.into_problem()).await?,
        }
    }
    Ok(())
}

async fn capture_shared(calls: &Calls<'_>, sink: &EntrySink) -> Result<(), Stopped> {
    let answer = calls.send(&SERVICE, "GetAccount", &get("/account", "")).await;
    match or_absent(answer, ABSENT) {
        Ok(answer) => sink.document("account.json", &answer).await?,
        Err(refusal) => sink.gap("account.json", refusal.into_problem()).await?,
    }
    for (interface, listed) in SHARED {
        match in_full(calls, (*interface, listed), "", (sink, listed.part)).await? {
            Ok(items) => sink.document(listed.part, &items).await?,
            Err(refusal) => sink.gap(listed.part, refusal.into_problem()).await?,
        }
    }
    Ok(())
}
