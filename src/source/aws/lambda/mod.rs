//! Lambda: `lambda-functions/<name>/function.zip` byte for byte, `config.json` with all that belongs to the function, by choice
//! `versions/<version>.zip`; what belongs to no function in `lambda-functions/@account`; and layers (`layers`).

use std::collections::BTreeSet;
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

mod layers;

const NAME: &str = "lambda";
const FOLDER: &str = "lambda-functions";
const CODE: &str = "function.zip";
/// The word for "there is none of this".
const ABSENT: &[&str] = &["ResourceNotFoundException"];

/// What of functions is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionScope {
    /// Which versions of their code.
    pub versions: FunctionVersions,
}

/// Which versions of a function's code are captured; what is known of each stands in its configuration anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunctionVersions {
    /// What runs where nobody names a version.
    #[default]
    Latest,
    /// Those that were published too, each code once, and their resource policies.
    All,
}

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
        vec![FOLDER.to_owned(), layers::FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let mut found = Discovery::default();
        let account = self.connection.account().await?;
        for region in &account.regions {
            let id = account.id.as_str();
            let path = format!("{FOLDER}/{}", account.name("@account", region));
            found.resources.push(resource(NAME, path, [("account", id), ("region", region)]));
            match functions(account, region).await {
                Ok(functions) => found.resources.extend(functions.iter().map(|function| {
                    let (name, arn) = (text(function, "FunctionName"), text(function, "FunctionArn"));
                    let path = format!("{FOLDER}/{}", account.name(name, region));
                    resource(NAME, path, [("account", id), ("arn", arn), ("name", name), ("region", region)])
                })),
                Err(refusal) => found.unknown.push((account.name(FOLDER, region), refusal.into_problem())),
            }
            layers::discover(account, region, &mut found).await;
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let of = |name: &str| resource.attributes.get(name).map(String::as_str).unwrap_or_default();
        let account = self.connection.account().await?;
        let (calls, client) = calls(account, of("region"));
        match (of("name"), of("layer")) {
            ("", "") => capture_account(&calls, &client, sink).await,
            ("", layer) => layers::capture(layer, &calls, &client, sink).await,
            (name, _) => self.capture_function(name, &calls, &client, sink).await,
        }
    }

    fn at_once(&self) -> usize {
        16
    }
}

/// The account's limits and by whose signatures code is trusted.
async fn capture_account(calls: &Calls<'_>, client: &Client, sink: &EntrySink) -> Result<(), Stopped> {
    let mut document = Document::new(sink, "settings.json");
    let settings = ask!(calls, "GetAccountSettings", client.get_account_settings()).await;
    document.part("AccountSettings", settings).await?;
    let signing = list!(calls, "ListCodeSigningConfigs", token("/NextMarker"), "/CodeSigningConfigs", |marker| {
        client.list_code_signing_configs().set_marker(marker)
    });
    document.part("CodeSigningConfigs", signing.await.map(|of| sorted(of, "/CodeSigningConfigArn"))).await?;
    document.send().await
}

/// Takes the address of a download out of an answer: it holds for minutes, and is no part of what was asked for.
fn take_location(answer: &mut Value, place: &str) -> Option<String> {
    let location = answer.get_mut(place)?.as_object_mut()?.remove("Location")?;
    location.as_str().map(str::to_owned)
}

/// Sends code under a path; it is fetched unless the snapshot before has code of this hash there.
async fn send_code(
    path: &str,
    location: &str,
    (sha, size): (&str, Option<u64>),
    (calls, action): (&Calls<'_>, &str),
    sink: &EntrySink,
) -> Result<(), Stopped> {
    let download = Download::new(location, size, action, calls.account.endpoint.as_deref());
    let entry = Entry {
        path: EntryPath::from(path),
        kind: EntryKind::Object,
        metadata: Metadata::None,
        token: (!sha.is_empty()).then(|| ChangeToken::Opaque(sha.as_bytes().to_vec())),
        content: Content::Empty,
    };
    sink.found(entry, Body::Remote(Box::new(Verified::new(download, sha)))).await
}

impl Lambda {
    async fn capture_function(
        &self,
        name: &str,
        calls: &Calls<'_>,
        client: &Client,
        sink: &EntrySink,
    ) -> Result<(), Stopped> {
        let mut function = match ask!(calls, "GetFunction", client.get_function().function_name(name)).await {
            Err(refusal) if ABSENT.contains(&refusal.code.as_str()) => return Err(Stopped::Gone(refusal.into())),
            function => function,
        };
        let location = function.as_mut().ok().and_then(|function| take_location(function, "Code"));
        let mut document = Document::new(sink, "config.json");
        let versions = list!(calls, "ListVersionsByFunction", token("/NextMarker"), "/Versions", |marker| {
            client.list_versions_by_function().function_name(name).set_marker(marker)
        });
        let versions = versions.await;
        let mut published: Vec<Value> = match self.connection.settings().lambda.versions {
            FunctionVersions::Latest => Vec::new(),
            FunctionVersions::All => versions.iter().flatten().cloned().collect(),
        };
        published.retain(|version| text(version, "Version") != "$LATEST");
        document.part("Versions", versions.map(|versions| sorted(versions, "/Version"))).await?;
        self.describe(name, &published, calls, client, &mut document).await?;
        document.part("Function", function.clone()).await?;
        document.send().await?;
        let function = match function {
            Ok(function) => function,
            Err(refusal) => return sink.gap(CODE, refusal.into_problem()).await,
        };
        let configuration = &function["Configuration"];
        let sha = text(configuration, "CodeSha256");
        if let Some(location) = location {
            let code = (sha, configuration["CodeSize"].as_u64());
            send_code(CODE, &location, code, (calls, "lambda:GetFunction"), sink).await?;
        }
        let mut known = BTreeSet::from([sha.to_owned()]);
        published.sort_by_key(|version| text(version, "Version").parse::<u64>().ok());
        for version in published {
            if known.insert(text(&version, "CodeSha256").to_owned()) {
                self.capture_version(name, &version, calls, client, sink).await?;
            }
        }
        Ok(())
    }

    /// The code of a version, where no other that was captured has the same.
    async fn capture_version(
        &self,
        name: &str,
        version: &Value,
        calls: &Calls<'_>,
        client: &Client,
        sink: &EntrySink,
    ) -> Result<(), Stopped> {
        let number = text(version, "Version");
        let path = format!("versions/{number}.zip");
        let request = client.get_function().function_name(name).qualifier(number);
        let mut function = match ask!(calls, "GetFunction", request).await {
            Ok(function) => function,
            Err(refusal) => return sink.gap(&path, refusal.into_problem()).await,
        };
        let Some(location) = take_location(&mut function, "Code") else { return Ok(()) };
        let code = (text(version, "CodeSha256"), version["CodeSize"].as_u64());
        send_code(&path, &location, code, (calls, "lambda:GetFunction"), sink).await
    }

    /// All that belongs to a function beside its configuration.
    async fn describe(
        &self,
        name: &str,
        published: &[Value],
        calls: &Calls<'_>,
        client: &Client,
        document: &mut Document<'_>,
    ) -> Result<(), Stopped> {
        let aliases = list!(calls, "ListAliases", token("/NextMarker"), "/Aliases", |marker| {
            client.list_aliases().function_name(name).set_marker(marker)
        });
        let aliases = aliases.await;
        let mut qualifiers: Vec<Option<String>> = vec![None];
        qualifiers.extend(aliases.iter().flatten().map(|alias| Some(text(alias, "Name").to_owned())));
        qualifiers.extend(published.iter().map(|version| Some(text(version, "Version").to_owned())));
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

/// The resource policies of the function and of what else is named, by qualifier; what has none is not listed.
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
