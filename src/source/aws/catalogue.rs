//! Every call that the sources make: what a policy must allow, and how many there will be.
//!
//! A call that is not listed here fails in a debug build, so nothing is asked that the printed policy does not allow.

use std::time::Duration;

use crate::source::aws::pace::rate_of;
use crate::source::aws::permission::permission_of;
use crate::source::aws::s3::{Detail, S3Scope, Versions};
use crate::source::aws::tail::services::TABLES;

/// Of what there is one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// Each region, or each page of a list there.
    Region,
    /// Each thing that the region's list names: a function, a bucket, a role.
    Thing,
    /// Each object or page of items; only those that changed since the snapshot before.
    Item,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name (`ListFunctions`).
    pub action: &'static str,
    /// How often it is made.
    pub per: Per,
}

/// A service, what is called for each region, each thing and each item.
type Calls = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const CALLS: &[Calls] = &[
    (
        "apigateway",
        &[
            "GetAccount",
            "GetApiKeys",
            "GetApis",
            "GetClientCertificates",
            "GetDomainNames",
            "GetRestApis",
            "GetUsagePlans",
            "GetVpcLinks",
        ],
        &[
            "ExportApi",
            "GetApi",
            "GetApiMappings",
            "GetAuthorizers",
            "GetBasePathMappings",
            "GetDeployments",
            "GetDocumentationParts",
            "GetDocumentationVersions",
            "GetExport",
            "GetGatewayResponses",
            "GetIntegrationResponses",
            "GetIntegrations",
            "GetModels",
            "GetRequestValidators",
            "GetResources",
            "GetRestApi",
            "GetRouteResponses",
            "GetRoutes",
            "GetStages",
            "GetUsagePlanKeys",
        ],
        &[],
    ),
    (
        "cloudfront",
        &[
            "ListAnycastIpLists",
            "ListCachePolicies",
            "ListCloudFrontOriginAccessIdentities",
            "ListConnectionFunctions",
            "ListConnectionGroups",
            "ListContinuousDeploymentPolicies",
            "ListDistributionTenants",
            "ListDistributions",
            "ListFieldLevelEncryptionConfigs",
            "ListFieldLevelEncryptionProfiles",
            "ListFunctions",
            "ListKeyGroups",
            "ListKeyValueStores",
            "ListOriginAccessControls",
            "ListOriginRequestPolicies",
            "ListPublicKeys",
            "ListRealtimeLogConfigs",
            "ListResponseHeadersPolicies",
            "ListStreamingDistributions",
            "ListTrustStores",
            "ListVpcOrigins",
        ],
        &["GetDistribution", "GetMonitoringSubscription", "ListTagsForResource"],
        &[
            "DescribeConnectionFunction",
            "DescribeFunction",
            "DescribeKeyValueStore",
            "GetAnycastIpList",
            "GetCloudFrontOriginAccessIdentity",
            "GetConnectionFunction",
            "GetConnectionGroup",
            "GetDistributionTenant",
            "GetFieldLevelEncryption",
            "GetFieldLevelEncryptionProfile",
            "GetFunction",
            "GetOriginAccessControl",
            "GetPublicKey",
            "GetStreamingDistribution",
            "GetTrustStore",
            "GetVpcOrigin",
        ],
    ),
    (
        "dynamodb",
        &["ListTables"],
        &[
            "DescribeContinuousBackups",
            "DescribeContributorInsights",
            "DescribeKinesisStreamingDestination",
            "DescribeTable",
            "DescribeTimeToLive",
            "GetResourcePolicy",
            "ListBackups",
            "ListTagsOfResource",
        ],
        &["Scan"],
    ),
    (
        "iam",
        &[
            "GetAccountAuthorizationDetails",
            "GetAccountPasswordPolicy",
            "GetAccountSummary",
            "ListAccountAliases",
            "ListInstanceProfiles",
            "ListOpenIDConnectProviders",
            "ListRoles",
            "ListSAMLProviders",
            "ListServerCertificates",
            "ListUsers",
            "ListVirtualMFADevices",
        ],
        &[],
        &[
            "GetInstanceProfile",
            "GetLoginProfile",
            "GetOpenIDConnectProvider",
            "GetPolicy",
            "GetSAMLProvider",
            "GetSSHPublicKey",
            "GetServerCertificate",
            "ListAccessKeys",
            "ListMFADeviceTags",
            "ListMFADevices",
            "ListSSHPublicKeys",
            "ListServiceSpecificCredentials",
            "ListSigningCertificates",
        ],
    ),
    (
        "lambda",
        &["GetAccountSettings", "ListCodeSigningConfigs", "ListFunctions", "ListLayers"],
        &[
            "GetFunction",
            "GetFunctionCodeSigningConfig",
            "GetFunctionRecursionConfig",
            "GetLayerVersion",
            "GetLayerVersionPolicy",
            "GetPolicy",
            "GetRuntimeManagementConfig",
            "ListAliases",
            "ListEventSourceMappings",
            "ListFunctionEventInvokeConfigs",
            "ListFunctionUrlConfigs",
            "ListLayerVersions",
            "ListProvisionedConcurrencyConfigs",
            "ListVersionsByFunction",
        ],
        &[],
    ),
    (
        "route53",
        &[
            "ListCidrCollections",
            "ListHealthChecks",
            "ListHostedZones",
            "ListReusableDelegationSets",
            "ListTrafficPolicies",
            "ListTrafficPolicyInstances",
        ],
        &[
            "GetDNSSEC",
            "GetHostedZone",
            "ListQueryLoggingConfigs",
            "ListResourceRecordSets",
            "ListTagsForResource",
            "ListVPCAssociationAuthorizations",
        ],
        &["ListCidrBlocks", "ListTrafficPolicyVersions"],
    ),
    (
        "s3",
        &["ListBuckets"],
        &[
            "GetBucketAccelerateConfiguration",
            "GetBucketAcl",
            "GetBucketCors",
            "GetBucketEncryption",
            "GetBucketLifecycleConfiguration",
            "GetBucketLocation",
            "GetBucketLogging",
            "GetBucketMetadataConfiguration",
            "GetBucketNotificationConfiguration",
            "GetBucketOwnershipControls",
            "GetBucketPolicy",
            "GetBucketReplication",
            "GetBucketRequestPayment",
            "GetBucketTagging",
            "GetBucketVersioning",
            "GetBucketWebsite",
            "GetObjectLockConfiguration",
            "GetPublicAccessBlock",
            "HeadBucket",
            "ListBucketAnalyticsConfigurations",
            "ListBucketIntelligentTieringConfigurations",
            "ListBucketInventoryConfigurations",
            "ListBucketMetricsConfigurations",
        ],
        &["GetObject", "GetObjectAcl", "GetObjectTagging", "HeadObject", "ListObjectVersions", "ListObjectsV2"],
    ),
    ("sts", &["GetCallerIdentity"], &[], &[]),
    ("tagging", &["GetResources"], &[], &[]),
];

/// The calls of a service.
pub fn calls_of(service: &str) -> Vec<Call> {
    let mut all = Vec::new();
    for (_, regions, things, items) in CALLS.iter().filter(|(name, ..)| *name == service) {
        for (per, actions) in [(Per::Region, regions), (Per::Thing, things), (Per::Item, items)] {
            all.extend(actions.iter().map(|action| Call { action, per }));
        }
    }
    for table in TABLES.iter().filter(|table| table.name == service) {
        let (of_regions, of_things) = table.actions();
        all.extend(of_regions.into_iter().map(|action| Call { action, per: Per::Region }));
        all.extend(of_things.into_iter().map(|action| Call { action, per: Per::Item }));
    }
    all
}

/// What a policy must allow for a service, sorted; of S3 what is wanted of objects.
pub fn permissions(service: &str, scope: S3Scope) -> Vec<String> {
    let is_wanted = |call: &Call| match call.action {
        "ListObjectVersions" => scope.versions == Versions::All,
        "GetObjectAcl" => scope.detail == Detail::Full,
        _ => true,
    };
    let calls = calls_of(service).into_iter().filter(is_wanted);
    let mut all: Vec<String> =
        calls.map(|call| permission_of(&format!("{service}:{}", call.action)).to_owned()).collect();
    if service == "s3" && scope.versions == Versions::All {
        all.extend(["s3:GetObjectVersion", "s3:GetObjectVersionTagging"].map(str::to_owned));
        all.extend((scope.detail == Detail::Full).then(|| "s3:GetObjectVersionAcl".to_owned()));
    }
    all.sort();
    all.dedup();
    all
}

/// How long the calls of a service take at least, at the rates it is asked at.
pub fn time_of(service: &str, things: u64, regions: u64) -> Duration {
    let calls = calls_of(service);
    let count = |call: &Call| match call.per {
        Per::Region => regions,
        Per::Thing => things,
        Per::Item => 0,
    };
    let mut classes: Vec<(usize, f64, f64)> = Vec::new();
    for call in &calls {
        let (class, rate) = rate_of(service, call.action);
        match classes.iter_mut().find(|(known, ..)| *known == class) {
            Some((_, _, all)) => *all += count(call) as f64,
            None => classes.push((class, rate, count(call) as f64)),
        }
    }
    Duration::from_secs_f64(classes.iter().map(|(_, rate, count)| count / rate).fold(0.0, f64::max))
}

/// Whether a call is listed.
pub(super) fn knows(service: &str, action: &str) -> bool {
    calls_of(service).iter().any(|call| call.action == action)
}
