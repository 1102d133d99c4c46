//! `s3-buckets/<bucket>@settings.json`: what each call says of a bucket, one part each; null where it is not configured.

use aws_sdk_s3::Client;
use serde_json::{Value, json};

use crate::source::aws::call::{Calls, Refusal, ask, list, or_absent, token};
use crate::source::aws::document::Document;
use crate::source::aws::listing::sorted;
use crate::source::estate::{EntrySink, Stopped};

/// The document is all of its resource.
const ROOT: &str = "";
/// Words of regions that do not have a thing at all.
const NOT_HERE: &[&str] = &["MethodNotAllowed", "UnsupportedArgument"];

/// One call, one part; the service's own words for "not configured".
macro_rules! part {
    ($document:ident, $calls:ident, $request:expr, $name:literal, $action:literal, $absent:expr) => {
        let answer = or_absent(ask!($calls, $action, $request).await, $absent);
        $document.part($name, answer).await?;
    };
}

/// A list of configurations, in the order of their names.
macro_rules! configurations {
    ($document:ident, $calls:ident, $name:literal, $action:literal, $member:literal, |$token:ident| $request:expr) => {
        let next = token("/NextContinuationToken");
        let items = list!($calls, $action, next, $member, |$token| $request).await;
        $document.part($name, items.map(|items| sorted(items, "/Id"))).await?;
    };
}

/// Asks everything of a bucket; `known` is what is known already.
pub(super) async fn capture<const N: usize>(
    bucket: &str,
    known: [(&str, Result<Value, Refusal>); N],
    (calls, client): (&Calls<'_>, &Client),
    sink: &EntrySink,
) -> Result<(), Stopped> {
    let mut document = Document::new(sink, ROOT);
    for (name, answer) in known {
        document.part(name, answer).await?;
    }
    access(bucket, calls, client, &mut document).await?;
    contents(bucket, calls, client, &mut document).await?;
    delivery(bucket, calls, client, &mut document).await?;
    lists(bucket, calls, client, &mut document).await?;
    document.send().await
}

/// Who may do what.
async fn access(bucket: &str, calls: &Calls<'_>, client: &Client, document: &mut Document<'_>) -> Result<(), Stopped> {
    let policy = match policy(bucket, calls, client).await {
        Err(refusal) if refusal.code == "NoSuchBucketPolicy" => Ok(Value::Null),
        policy => policy,
    };
    document.part("Policy", policy).await?;
    part!(document, calls, client.get_bucket_acl().bucket(bucket), "Acl", "GetBucketAcl", &[]);
    let request = client.get_bucket_ownership_controls().bucket(bucket);
    let absent = &["OwnershipControlsNotFoundError"];
    part!(document, calls, request, "OwnershipControls", "GetBucketOwnershipControls", absent);
    let request = client.get_public_access_block().bucket(bucket);
    let absent = &["NoSuchPublicAccessBlockConfiguration"];
    part!(document, calls, request, "PublicAccessBlock", "GetPublicAccessBlock", absent);
    Ok(())
}

/// The policy as JSON and, as spelling and order may matter to whoever wrote it, as it came.
async fn policy(bucket: &str, calls: &Calls<'_>, client: &Client) -> Result<Value, Refusal> {
    let request = client.get_bucket_policy().bucket(bucket);
    let answer = calls.typed("GetBucketPolicy", || request.clone().send()).await?;
    let text = answer.policy().unwrap_or_default();
    let unreadable = |error: serde_json::Error| {
        calls.refusal("GetBucketPolicy", "UnreadableAnswer", format!("it is no JSON: {error}"), Some(200))
    };
    let document: Value = serde_json::from_str(text).map_err(unreadable)?;
    Ok(json!({ "Document": document, "Text": text }))
}

/// What happens to objects.
async fn contents(
    bucket: &str,
    calls: &Calls<'_>,
    client: &Client,
    document: &mut Document<'_>,
) -> Result<(), Stopped> {
    let request = client.get_bucket_versioning().bucket(bucket);
    part!(document, calls, request, "Versioning", "GetBucketVersioning", &[]);
    let request = client.get_bucket_encryption().bucket(bucket);
    let absent = &["ServerSideEncryptionConfigurationNotFoundError"];
    part!(document, calls, request, "Encryption", "GetBucketEncryption", absent);
    let request = client.get_bucket_lifecycle_configuration().bucket(bucket);
    let absent = &["NoSuchLifecycleConfiguration"];
    part!(document, calls, request, "LifecycleConfiguration", "GetBucketLifecycleConfiguration", absent);
    let request = client.get_object_lock_configuration().bucket(bucket);
    let absent = &["ObjectLockConfigurationNotFoundError"];
    part!(document, calls, request, "ObjectLockConfiguration", "GetObjectLockConfiguration", absent);
    let request = client.get_bucket_replication().bucket(bucket);
    let absent = &["ReplicationConfigurationNotFoundError"];
    part!(document, calls, request, "Replication", "GetBucketReplication", absent);
    let request = client.get_bucket_tagging().bucket(bucket);
    let tags = or_absent(ask!(calls, "GetBucketTagging", request).await, &["NoSuchTagSet"]);
    let tags = tags.map(|mut tags| {
        if let Some(Value::Array(set)) = tags.get_mut("TagSet").map(Value::take) {
            tags["TagSet"] = sorted(set, "/Key");
        }
        tags
    });
    document.part("Tagging", tags).await?;
    let request = client.get_bucket_metadata_configuration().bucket(bucket);
    let absent = &["MetadataConfigurationNotFound"];
    part!(document, calls, request, "MetadataConfiguration", "GetBucketMetadataConfiguration", absent);
    Ok(())
}

/// How objects are given out, and who is told.
async fn delivery(
    bucket: &str,
    calls: &Calls<'_>,
    client: &Client,
    document: &mut Document<'_>,
) -> Result<(), Stopped> {
    let request = client.get_bucket_cors().bucket(bucket);
    part!(document, calls, request, "Cors", "GetBucketCors", &["NoSuchCORSConfiguration"]);
    let request = client.get_bucket_website().bucket(bucket);
    part!(document, calls, request, "Website", "GetBucketWebsite", &["NoSuchWebsiteConfiguration"]);
    part!(document, calls, client.get_bucket_logging().bucket(bucket), "Logging", "GetBucketLogging", &[]);
    let request = client.get_bucket_notification_configuration().bucket(bucket);
    part!(document, calls, request, "NotificationConfiguration", "GetBucketNotificationConfiguration", &[]);
    let request = client.get_bucket_accelerate_configuration().bucket(bucket);
    part!(document, calls, request, "AccelerateConfiguration", "GetBucketAccelerateConfiguration", NOT_HERE);
    let request = client.get_bucket_request_payment().bucket(bucket);
    part!(document, calls, request, "RequestPayment", "GetBucketRequestPayment", &[]);
    Ok(())
}

/// What there may be many of.
async fn lists(bucket: &str, calls: &Calls<'_>, client: &Client, document: &mut Document<'_>) -> Result<(), Stopped> {
    configurations!(
        document,
        calls,
        "InventoryConfigurations",
        "ListBucketInventoryConfigurations",
        "/InventoryConfigurationList",
        |token| client.list_bucket_inventory_configurations().bucket(bucket).set_continuation_token(token)
    );
    configurations!(
        document,
        calls,
        "AnalyticsConfigurations",
        "ListBucketAnalyticsConfigurations",
        "/AnalyticsConfigurationList",
        |token| client.list_bucket_analytics_configurations().bucket(bucket).set_continuation_token(token)
    );
    configurations!(
        document,
        calls,
        "MetricsConfigurations",
        "ListBucketMetricsConfigurations",
        "/MetricsConfigurationList",
        |token| client.list_bucket_metrics_configurations().bucket(bucket).set_continuation_token(token)
    );
    configurations!(
        document,
        calls,
        "IntelligentTieringConfigurations",
        "ListBucketIntelligentTieringConfigurations",
        "/IntelligentTieringConfigurationList",
        |token| client.list_bucket_intelligent_tiering_configurations().bucket(bucket).set_continuation_token(token)
    );
    Ok(())
}

/// Whether the bucket's owner owns every object, so that there are no access control lists. Where nobody says, lists are
/// asked for.
pub(super) async fn is_owner_enforced(bucket: &str, calls: &Calls<'_>, client: &Client) -> bool {
    let controls =
        ask!(calls, "GetBucketOwnershipControls", client.get_bucket_ownership_controls().bucket(bucket)).await;
    controls.is_ok_and(|controls| controls["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced")
}
