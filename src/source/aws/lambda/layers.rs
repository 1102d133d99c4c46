//! Layers: `lambda-layers/<name>/<version>/layer.zip` byte for byte, and beside it `config.json` with its policy.

use aws_sdk_lambda::Client;
use serde_json::Value;

use crate::source::aws::account::Account;
use crate::source::aws::call::{Calls, ask, list, or_absent, text, token};
use crate::source::aws::document::Document;
use crate::source::aws::lambda::{ABSENT, NAME, calls, send_code, take_location};
use crate::source::estate::{Discovery, EntrySink, Stopped, resource};

pub(super) const FOLDER: &str = "lambda-layers";

/// Adds the layers of a region to what was found.
pub(super) async fn discover(account: &Account, region: &str, found: &mut Discovery) {
    let (calls, client) = calls(account, region);
    let layers = list!(&calls, "ListLayers", token("/NextMarker"), "/Layers", |marker| {
        client.list_layers().set_marker(marker)
    });
    match layers.await {
        Ok(layers) => found.resources.extend(layers.iter().map(|layer| {
            let (name, arn) = (text(layer, "LayerName"), text(layer, "LayerArn"));
            let path = format!("{FOLDER}/{}", account.name(name, region));
            let id = account.id.as_str();
            resource(NAME, path, [("account", id), ("arn", arn), ("layer", name), ("region", region)])
        })),
        Err(refusal) => found.unknown.push((account.name(FOLDER, region), refusal.into_problem())),
    }
}

/// All versions of a layer: once published, none of them ever changes.
pub(super) async fn capture(name: &str, calls: &Calls<'_>, client: &Client, sink: &EntrySink) -> Result<(), Stopped> {
    let versions = list!(calls, "ListLayerVersions", token("/NextMarker"), "/LayerVersions", |marker| {
        client.list_layer_versions().layer_name(name).set_marker(marker)
    });
    for version in &versions.await? {
        capture_version(name, version, calls, client, sink).await?;
    }
    Ok(())
}

async fn capture_version(
    name: &str,
    version: &Value,
    calls: &Calls<'_>,
    client: &Client,
    sink: &EntrySink,
) -> Result<(), Stopped> {
    let number = version["Version"].as_i64().unwrap_or_default();
    let path = format!("{number}/config.json");
    let mut document = Document::new(sink, &path);
    let layer = client.get_layer_version().layer_name(name).version_number(number);
    let mut layer = ask!(calls, "GetLayerVersion", layer).await;
    let location = layer.as_mut().ok().and_then(|layer| take_location(layer, "Content"));
    let content = layer.as_ref().ok().map(|layer| layer["Content"].clone()).unwrap_or_default();
    if let Err(refusal) = &layer {
        sink.gap(&format!("{number}/layer.zip"), refusal.clone().into_problem()).await?;
    }
    document.part("Layer", layer).await?;
    let policy = client.get_layer_version_policy().layer_name(name).version_number(number);
    document.part("Policy", or_absent(ask!(calls, "GetLayerVersionPolicy", policy).await, ABSENT)).await?;
    document.send().await?;
    let Some(location) = location else { return Ok(()) };
    let code = (text(&content, "CodeSha256"), content["CodeSize"].as_u64());
    send_code(&format!("{number}/layer.zip"), &location, code, (calls, "lambda:GetLayerVersion"), sink).await
}
