//! Services that are tables: who may come in, and the names of what nobody should read.

use crate::source::aws::generic::{Protocol, Service};
use crate::source::aws::tail::services::NEXT;
use crate::source::aws::tail::{Ask, Table, ask};

/// Names and versions only: values are never asked for.
pub(super) const SECRETS: Table = Table {
    name: "secretsmanager",
    folder: "secrets",
    region: None,
    service: Service {
        host: "secretsmanager",
        signing: "secretsmanager",
        protocol: Protocol::Json("secretsmanager", "1.1"),
    },
    withheld: "",
    files: &[(
        "secrets.json",
        ask("", "ListSecrets", &[], "/SecretList").list(NEXT, "Name").each(
            "Summary",
            &[
                ask("Secret", "DescribeSecret", &[("SecretId", "=ARN")], ""),
                ask("Policy", "GetResourcePolicy", &[("SecretId", "=ARN")], "/ResourcePolicy"),
            ],
        ),
    )],
};

/// Names and versions only: values are never asked for.
pub(super) const PARAMETERS: Table = Table {
    name: "ssm",
    folder: "parameters",
    region: None,
    service: Service { host: "ssm", signing: "ssm", protocol: Protocol::Json("AmazonSSM", "1.1") },
    withheld: "",
    files: &[(
        "parameters.json",
        ask("", "DescribeParameters", &[("MaxResults", "50")], "/Parameters").list(NEXT, "Name").each(
            "Parameter",
            &[ask(
                "Tags",
                "ListTagsForResource",
                &[("ResourceType", "Parameter"), ("ResourceId", "=Name")],
                "/TagList",
            )],
        ),
    )],
};

/// User pools without their users.
pub(super) const COGNITO: Table = Table {
    name: "cognito-idp",
    folder: "cognito",
    region: None,
    service: Service {
        host: "cognito-idp",
        signing: "cognito-idp",
        protocol: Protocol::Json("AWSCognitoIdentityProviderService", "1.1"),
    },
    withheld: "passwords of users",
    files: &[(
        "user-pools.json",
        ask("", "ListUserPools", &[("MaxResults", "60")], "/UserPools").list(NEXT, "Id").each(
            "Summary",
            &[
                ask("UserPool", "DescribeUserPool", POOL, "/UserPool"),
                ask("Clients", "ListUserPoolClients", POOL_BY_60, "/UserPoolClients").list(NEXT, "ClientId").each(
                    "Summary",
                    &[ask(
                        "Client",
                        "DescribeUserPoolClient",
                        &[("UserPoolId", "=UserPoolId"), ("ClientId", "=ClientId")],
                        "/UserPoolClient",
                    )],
                ),
                ask("Groups", "ListGroups", POOL, "/Groups").list(NEXT, "GroupName"),
                ask("IdentityProviders", "ListIdentityProviders", POOL_BY_60, "/Providers")
                    .list(NEXT, "ProviderName")
                    .each(
                        "Summary",
                        &[ask(
                            "IdentityProvider",
                            "DescribeIdentityProvider",
                            &[("UserPoolId", "=Id"), ("ProviderName", "=ProviderName")],
                            "/IdentityProvider",
                        )],
                    ),
                ask("ResourceServers", "ListResourceServers", &[("UserPoolId", "=Id"), ("MaxResults", "50")], SERVERS)
                    .list(NEXT, "Identifier"),
                ask("Domain", "DescribeUserPoolDomain", &[("Domain", "?UserPool/Domain")], "/DomainDescription"),
                ask(
                    "CustomDomain",
                    "DescribeUserPoolDomain",
                    &[("Domain", "?UserPool/CustomDomain")],
                    "/DomainDescription",
                ),
                ask("MfaConfig", "GetUserPoolMfaConfig", POOL, ""),
                // A pool without a domain has no pages to be customised.
                ask("UICustomization", "GetUICustomization", POOL, "/UICustomization")
                    .absent(&["InvalidParameterException", "ResourceNotFoundException"]),
                ask("RiskConfiguration", "DescribeRiskConfiguration", POOL, "/RiskConfiguration")
                    .absent(&["UserPoolAddOnNotEnabledException"]),
                ask("LogDelivery", "GetLogDeliveryConfiguration", POOL, "/LogDeliveryConfiguration"),
            ],
        ),
    )],
};

const POOL: &[(&str, &str)] = &[("UserPoolId", "=Id")];
const POOL_BY_60: &[(&str, &str)] = &[("UserPoolId", "=Id"), ("MaxResults", "60")];
const SERVERS: &str = "/ResourceServers";

pub(super) const IDENTITY_POOLS: Table = Table {
    name: "cognito-identity",
    folder: "cognito-identity",
    region: None,
    service: Service {
        host: "cognito-identity",
        signing: "cognito-identity",
        protocol: Protocol::Json("AWSCognitoIdentityService", "1.1"),
    },
    withheld: "",
    files: &[(
        "identity-pools.json",
        ask("", "ListIdentityPools", &[("MaxResults", "60")], "/IdentityPools").list(NEXT, "IdentityPoolId").each(
            "Summary",
            &[
                ask("IdentityPool", "DescribeIdentityPool", &[("IdentityPoolId", "=IdentityPoolId")], ""),
                ask("Roles", "GetIdentityPoolRoles", &[("IdentityPoolId", "=IdentityPoolId")], ""),
            ],
        ),
    )],
};

const WAF_SERVICE: Service =
    Service { host: "wafv2", signing: "wafv2", protocol: Protocol::Json("AWSWAF_20190729", "1.1") };
const NEXT_MARKER: (&str, &str) = ("NextMarker", "/NextMarker");
const GONE: &[&str] = &["WAFNonexistentItemException"];
const TAGS: Ask = ask("Tags", "ListTagsForResource", &[("ResourceARN", "=ARN")], "/TagInfoForResource/TagList");
const LOGGING: Ask =
    ask("Logging", "GetLoggingConfiguration", &[("ResourceArn", "=ARN")], "/LoggingConfiguration").absent(GONE);
const SHARING: Ask = ask("Policy", "GetPermissionPolicy", &[("ResourceArn", "=ARN")], "/Policy").absent(GONE);

/// The documents of a scope, whose name is given twice: as a parameter, and as one beside the identity of a thing.
macro_rules! waf_files {
    ($scope:literal, $guarded:expr) => {
        &[
            (
                "ip-sets.json",
                ask("", "ListIPSets", &[("Scope", $scope)], "/IPSets").list(NEXT_MARKER, "Name").each(
                    "Summary",
                    &[ask("IPSet", "GetIPSet", &[("Name", "=Name"), ("Id", "=Id"), ("Scope", $scope)], ""), TAGS],
                ),
            ),
            (
                "regex-pattern-sets.json",
                ask("", "ListRegexPatternSets", &[("Scope", $scope)], "/RegexPatternSets")
                    .list(NEXT_MARKER, "Name")
                    .each(
                        "Summary",
                        &[
                            ask(
                                "RegexPatternSet",
                                "GetRegexPatternSet",
                                &[("Name", "=Name"), ("Id", "=Id"), ("Scope", $scope)],
                                "",
                            ),
                            TAGS,
                        ],
                    ),
            ),
            (
                "rule-groups.json",
                ask("", "ListRuleGroups", &[("Scope", $scope)], "/RuleGroups").list(NEXT_MARKER, "Name").each(
                    "Summary",
                    &[
                        ask("RuleGroup", "GetRuleGroup", &[("Name", "=Name"), ("Id", "=Id"), ("Scope", $scope)], ""),
                        SHARING,
                        TAGS,
                    ],
                ),
            ),
            (
                "web-acls.json",
                ask("", "ListWebACLs", &[("Scope", $scope)], "/WebACLs")
                    .list(NEXT_MARKER, "Name")
                    .each("Summary", $guarded),
            ),
        ]
    };
}

/// Regional access control lists, with what each guards.
pub(super) const WAF: Table = Table {
    name: "wafv2",
    folder: "waf",
    region: None,
    service: WAF_SERVICE,
    withheld: "",
    files: waf_files!(
        "REGIONAL",
        &[
            ask("WebACL", "GetWebACL", &[("Name", "=Name"), ("Id", "=Id"), ("Scope", "REGIONAL")], ""),
            LOGGING,
            TAGS,
            guarded("Amplify", &[("WebACLArn", "=ARN"), ("ResourceType", "AMPLIFY")]),
            guarded("ApiGateway", &[("WebACLArn", "=ARN"), ("ResourceType", "API_GATEWAY")]),
            guarded("AppRunner", &[("WebACLArn", "=ARN"), ("ResourceType", "APP_RUNNER_SERVICE")]),
            guarded("AppSync", &[("WebACLArn", "=ARN"), ("ResourceType", "APPSYNC")]),
            guarded("LoadBalancers", &[("WebACLArn", "=ARN"), ("ResourceType", "APPLICATION_LOAD_BALANCER")]),
            guarded("UserPools", &[("WebACLArn", "=ARN"), ("ResourceType", "COGNITO_USER_POOL")]),
            guarded("VerifiedAccess", &[("WebACLArn", "=ARN"), ("ResourceType", "VERIFIED_ACCESS_INSTANCE")]),
        ]
    ),
};

/// The resources of a kind that a list guards.
const fn guarded(part: &'static str, parameters: &'static [(&'static str, &'static str)]) -> Ask {
    ask(part, "ListResourcesForWebACL", parameters, "/ResourceArns")
}

/// Those of distributions, which say themselves by which they are guarded.
pub(super) const WAF_OF_CLOUDFRONT: Table = Table {
    name: "wafv2",
    folder: "waf-cloudfront",
    region: Some("us-east-1"),
    service: WAF_SERVICE,
    withheld: "",
    files: waf_files!(
        "CLOUDFRONT",
        &[ask("WebACL", "GetWebACL", &[("Name", "=Name"), ("Id", "=Id"), ("Scope", "CLOUDFRONT")], ""), LOGGING, TAGS,]
    ),
};

/// What S3 says of the account as a whole.
pub(super) const ACCESS_POINTS: Table = Table {
    name: "s3control",
    folder: "s3-account",
    region: None,
    service: Service { host: "{account}.s3-control", signing: "s3", protocol: Protocol::Rest },
    withheld: "",
    files: &[
        (
            "access-points.json",
            ask("", "ListAccessPoints", ACCOUNT, "/AccessPointList")
                .at("/v20180820/accesspoint")
                .list(("nextToken", "/NextToken"), "Name")
                .each(
                    "Summary",
                    &[
                        ask("AccessPoint", "GetAccessPoint", POINT, "").at("/v20180820/accesspoint/{Name}"),
                        ask("Policy", "GetAccessPointPolicy", POINT, "/Policy")
                            .at("/v20180820/accesspoint/{Name}/policy")
                            .absent(&["NoSuchAccessPointPolicy"]),
                    ],
                ),
        ),
        (
            "public-access-block.json",
            ask("", "GetPublicAccessBlock", ACCOUNT, "/PublicAccessBlockConfiguration")
                .at("/v20180820/configuration/publicAccessBlock")
                .absent(&["NoSuchPublicAccessBlockConfiguration"]),
        ),
    ],
};

const ACCOUNT: &[(&str, &str)] = &[("x-amz-account-id", "@account")];
const POINT: &[(&str, &str)] = &[("x-amz-account-id", "@account"), ("Name", "=Name")];
