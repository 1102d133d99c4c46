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

/// A list: its action, its path, and by what its items are told apart.
type Listed = (&'static str, &'static str, &'static str, &'static str);

/// What belongs to a REST API, by the name of the part.
const OF_REST: &[Listed] = &[
    ("Authorizers", "GetAuthorizers", "/restapis/{Api}/authorizers", "/id"),
    ("Deployments", "GetDeployments", "/restapis/{Api}/deployments", "/id"),
    ("DocumentationParts", "GetDocumentationParts", "/restapis/{Api}/documentation/parts", "/id"),
    ("GatewayResponses", "GetGatewayResponses", "/restapis/{Api}/gatewayresponses", "/responseType"),
    ("Models", "GetModels", "/restapis/{Api}/models", "/name"),
    ("RequestValidators", "GetRequestValidators", "/restapis/{Api}/requestvalidators", "/id"),
    ("Resources", "GetResources", "/restapis/{Api}/resources", "/path"),
];

/// The same of an HTTP or WebSocket API.
const OF_HTTP: &[Listed] = &[
    ("Authorizers", "GetAuthorizers", "/v2/apis/{Api}/authorizers", "/authorizerId"),
    ("Deployments", "GetDeployments", "/v2/apis/{Api}/deployments", "/deploymentId"),
    ("Integrations", "GetIntegrations", "/v2/apis/{Api}/integrations", "/integrationId"),
    ("Models", "GetModels", "/v2/apis/{Api}/models", "/name"),
    ("Routes", "GetRoutes", "/v2/apis/{Api}/routes", "/routeKey"),
];

/// What belongs to no API, by its file.
const SHARED: &[Listed] = &[
    ("api-keys.json", "GetApiKeys", "/apikeys", "/id"),
    ("client-certificates.json", "GetClientCertificates", "/clientcertificates", "/clientCertificateId"),
    ("domain-names.json", "GetDomainNames", "/domainnames", "/domainName"),
    ("usage-plans.json", "GetUsagePlans", "/usageplans", "/id"),
    ("vpc-links.json", "GetVpcLinks", "/vpclinks", "/id"),
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
                ("rest", rest(&calls, "GetRestApis", "/restapis").await),
                ("http", http(&calls, "GetApis", "/v2/apis").await),
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

/// All items of a list of the REST interface.
async fn rest_of(calls: &Calls<'_>, action: &str, request: &Request) -> Result<Vec<Value>, Refusal> {
    let mut pages = Pages::new(|page: &Value| page["position"].as_str().map(str::to_owned));
    while let Some(position) = pages.wanted(calls, action)? {
        let mut request = request.clone().with("limit", "500");
        if let Some(position) = position {
            request = request.with("position", position);
        }
        pages.take(calls.send(&SERVICE, action, &request).await?, "/item");
    }
    Ok(pages.items)
}

async fn rest(calls: &Calls<'_>, action: &str, path: &'static str) -> Result<Vec<Value>, Refusal> {
    rest_of(calls, action, &Request { path, ..Request::default() }).await
}

/// All items of a list of the newer interface.
async fn http_of(calls: &Calls<'_>, action: &str, request: &Request) -> Result<Vec<Value>, Refusal> {
    let mut pages = Pages::new(|page: &Value| page["nextToken"].as_str().map(str::to_owned));
    while let Some(token) = pages.wanted(calls, action)? {
        let mut request = request.clone();
        if let Some(token) = token {
            request = request.with("nextToken", token);
        }
        pages.take(calls.send(&SERVICE, action, &request).await?, "/items");
    }
    Ok(pages.items)
}

async fn http(calls: &Calls<'_>, action: &str, path: &'static str) -> Result<Vec<Value>, Refusal> {
    http_of(calls, action, &Request { path, ..Request::default() }).await
}

async fn capture_rest(calls: &Calls<'_>, api: &str, sink: &EntrySink) -> Result<(), Stopped> {
    let mut document = Document::new(sink, "api.json");
    document.part("Api", calls.send(&SERVICE, "GetRestApi", &get("/restapis/{Api}", api)).await).await?;
    for (part, action, path, identity) in OF_REST {
        let mut request = get(path, api);
        if *action == "GetResources" {
            request = request.with("embed", "methods");
        }
        let items = rest_of(calls, action, &request).await;
        document.part(part, items.map(|items| sorted(items, identity))).await?;
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
    for (part, action, path, identity) in OF_HTTP {
        let items = http_of(calls, action, &get(path, api)).await;
        document.part(part, items.map(|items| sorted(items, identity))).await?;
    }
    document.send().await?;
    let stages = match http_of(calls, "GetStages", &get("/v2/apis/{Api}/stages", api)).await {
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
    for (file, action, path, identity) in SHARED {
        let mut request = get(path, "");
        if *action == "GetApiKeys" {
            request = request.with("includeValues", "true");
        }
        let mut items = match rest_of(calls, action, &request).await {
            Ok(items) => items,
            Err(refusal) => {
                sink.gap(file, refusal.into_problem()).await?;
                continue;
            }
        };
        for item in &mut items {
            let beneath: Option<(&str, &str, Request)> = match *action {
                "GetDomainNames" => {
                    let request =
                        get("/domainnames/{Name}/basepathmappings", "").with("Name", text(item, "domainName"));
                    Some(("basePathMappings", "GetBasePathMappings", request))
                }
                "GetUsagePlans" => {
                    let request = get("/usageplans/{Id}/keys", "").with("Id", text(item, "id"));
                    Some(("keys", "GetUsagePlanKeys", request))
                }
                _ => None,
            };
            if let Some((part, action, request)) = beneath {
                match rest_of(calls, action, &request).await {
                    Ok(list) => item[part] = Value::Array(list),
                    Err(refusal) => sink.gap(file, refusal.into_problem()).await?,
                }
            }
        }
        sink.document(file, &sorted(items, identity)).await?;
    }
    Ok(())
}
