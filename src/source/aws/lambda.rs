//! Lambda: `lambda-functions/<name>/function.zip` byte for byte, `config.json` with all that belongs to the function, and
//! `lambda-layers/<name>/<version>.zip`.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use serde_json::{Value, json};

use crate::entry::{ChangeToken, Content, Entry, EntryKind, EntryPath, Metadata};
use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Refusal, ask, list, or_absent, text, token};
use crate::source::aws::document::Document;
use crate::source::aws::download::Download;
use crate::source::aws::listing::sorted;
use crate::source::aws::verified::Verified;
use crate::source::estate::{Body, Discovery, EntrySink, Problem, Source, Stopped, resource};

const NAME: &str = "lambda";
const FOLDER: &str = "lambda-functions";
/// The word for "there is none of this".
const ABSENT: &[&str] = &["ResourceNotFoundException"];

/// The functions of an account.
pub(super) struct Lambda {
    connection: Arc<Connection>,
}

impl Lambda {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }
}

fn calls<'a>(account: &'a Account, region: &'a str) -> (Calls<'a>, Client) {
    (Calls { account, service: NAME, region }, Client::new(account.config(region)))
}

pub(super) async fn functions(account: &Account, region: &str) -> Result<Vec<Value>, Refusal> {
    let (calls, client) = calls(account, region);
    let next = token("/NextMarker");
    list!(&calls, "ListFunctions", next, "/Functions", |marker| client.list_functions().set_marker(marker)).await
}

#[async_trait]
impl Source for Lambda {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let mut found = Discovery::default();
        let account = self.connection.account().await?;
        for region in &account.regions {
            match functions(account, region).await {
                Ok(functions) => found.resources.extend(functions.iter().map(|function| {
                    let (name, arn) = (text(function, "FunctionName"), text(function, "FunctionArn"));
                    let path = format!("{FOLDER}/{}", account.name(name, region));
                    let id = account.id.as_str();
                    resource(NAME, path, [("account", id), ("arn", arn), ("name", name), ("region", region)])
                })),
                Err(refusal) => {
                    found.unknown.push((account.name(FOLDER, region), refusal.into_problem()));
                }
            }
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let of = |name: &str| resource.attributes.get(name).map(String::as_str).unwrap_or_default();
        let account = self.connection.account().await?;
        let (calls, client) = calls(account, of("region"));
        let name = of("name");
        let mut function = ask!(calls, "GetFunction", client.get_function().function_name(name))
            .await
            .map_err(Refusal::into_problem)?;
        // An address that holds for minutes is no part of the function.
        let location = function.pointer_mut("/Code/Location").map(Value::take);
        if let Some(code) = function.get_mut("Code").and_then(Value::as_object_mut) {
            code.remove("Location");
        }
        let mut document = Document::new(sink, "config.json");
        self.describe(name, &calls, &client, &mut document).await?;
        document.part("Function", Ok(function.clone())).await?;
        document.send().await?;
        let configuration = &function["Configuration"];
        if let Some(location) = location.as_ref().and_then(Value::as_str) {
            let sha = text(configuration, "CodeSha256");
            let size = configuration["CodeSize"].as_u64();
            let download = Download::new(location, size, "lambda:GetFunction", account.endpoint.as_deref());
            let entry = Entry {
                path: EntryPath::from("function.zip"),
                kind: EntryKind::Object,
                metadata: Metadata::None,
                token: (!sha.is_empty()).then(|| ChangeToken::Opaque(sha.as_bytes().to_vec())),
                content: Content::Empty,
            };
            sink.found(entry, Body::Remote(Box::new(Verified::new(download, sha)))).await?;
        }
        Ok(())
    }

    fn at_once(&self) -> usize {
        16
    }
}

impl Lambda {
    /// All that belongs to a function beside its configuration.
    async fn describe(
        &self,
        name: &str,
        calls: &Calls<'_>,
        client: &Client,
        document: &mut Document<'_>,
    ) -> Result<(), Stopped> {
        let versions = list!(calls, "ListVersionsByFunction", token("/NextMarker"), "/Versions", |marker| {
            client.list_versions_by_function().function_name(name).set_marker(marker)
        });
        document.part("Versions", versions.await.map(|versions| sorted(versions, "/Version"))).await?;
        let aliases = list!(calls, "ListAliases", token("/NextMarker"), "/Aliases", |marker| {
            client.list_aliases().function_name(name).set_marker(marker)
        });
        let aliases = aliases.await;
        let mut qualifiers: Vec<Option<String>> = vec![None];
        qualifiers.extend(aliases.iter().flatten().map(|alias| Some(text(alias, "Name").to_owned())));
        document.part("Aliases", aliases.map(|aliases| sorted(aliases, "/Name"))).await?;
        document.part("Policies", policies(name, &qualifiers, calls, client).await).await?;
        let mappings =
            list!(calls, "ListEventSourceMappings", token("/NextMarker"), "/EventSourceMappings", |marker| {
                client.list_event_source_mappings().function_name(name).set_marker(marker)
            });
        document.part("EventSourceMappings", mappings.await.map(|mappings| sorted(mappings, "/UUID"))).await?;
        let next = token("/NextMarker");
        let invokes = list!(calls, "ListFunctionEventInvokeConfigs", next, "/FunctionEventInvokeConfigs", |marker| {
            client.list_function_event_invoke_configs().function_name(name).set_marker(marker)
        });
        document.part("EventInvokeConfigs", invokes.await.map(|invokes| sorted(invokes, "/FunctionArn"))).await?;
        let urls = list!(calls, "ListFunctionUrlConfigs", token("/NextMarker"), "/FunctionUrlConfigs", |marker| {
            client.list_function_url_configs().function_name(name).set_marker(marker)
        });
        document.part("UrlConfigs", urls.await.map(|urls| sorted(urls, "/FunctionArn"))).await?;
        let next = token("/NextMarker");
        let reserved =
            list!(calls, "ListProvisionedConcurrencyConfigs", next, "/ProvisionedConcurrencyConfigs", |marker| {
                client.list_provisioned_concurrency_configs().function_name(name).set_marker(marker)
            });
        document.part("ProvisionedConcurrencyConfigs", reserved.await.map(|of| sorted(of, "/FunctionArn"))).await?;
        let signing = client.get_function_code_signing_config().function_name(name);
        let signing = or_absent(ask!(calls, "GetFunctionCodeSigningConfig", signing).await, ABSENT);
        document.part("CodeSigningConfig", signing).await?;
        let runtime = client.get_runtime_management_config().function_name(name);
        let runtime = or_absent(ask!(calls, "GetRuntimeManagementConfig", runtime).await, ABSENT);
        document.part("RuntimeManagementConfig", runtime).await?;
        let recursion = client.get_function_recursion_config().function_name(name);
        let recursion = or_absent(ask!(calls, "GetFunctionRecursionConfig", recursion).await, ABSENT);
        document.part("RecursionConfig", recursion).await
    }
}

/// The resource policies of the function and of its aliases, by qualifier; what has none is not listed.
async fn policies(
    name: &str,
    qualifiers: &[Option<String>],
    calls: &Calls<'_>,
    client: &Client,
) -> Result<Value, Refusal> {
    let mut policies = json!({});
    for qualifier in qualifiers {
        let request = client.get_policy().function_name(name).set_qualifier(qualifier.clone());
        let policy = or_absent(ask!(calls, "GetPolicy", request).await, ABSENT)?;
        if !policy.is_null() {
            policies[qualifier.as_deref().unwrap_or("$LATEST")] = policy;
        }
    }
    Ok(policies)
}
