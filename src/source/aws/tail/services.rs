//! The services that are tables: all of them, and those of certificates, mail and capacity. The others stand in `messages`
//! and `access`.

use crate::source::aws::generic::{Protocol, Service};
use crate::source::aws::tail::access::{
    ACCESS_POINTS, COGNITO, IDENTITY_POOLS, PARAMETERS, SECRETS, WAF, WAF_OF_CLOUDFRONT,
};
use crate::source::aws::tail::messages::{ALARMS, EVENTS, LOGS, QUEUES, SCHEDULER, STEPS, TOPICS};
use crate::source::aws::tail::{Table, ask};

/// All of them.
pub(in crate::source::aws) const TABLES: &[Table] = &[
    ACCESS_POINTS,
    ACM,
    ALARMS,
    CAPACITY,
    COGNITO,
    EVENTS,
    IDENTITY_POOLS,
    LOGS,
    PARAMETERS,
    QUEUES,
    SCHEDULER,
    SECRETS,
    SES,
    STEPS,
    TOPICS,
    WAF,
    WAF_OF_CLOUDFRONT,
];

pub(super) const NEXT: (&str, &str) = ("NextToken", "/NextToken");
const ALL_KEY_TYPES: &str =
    r#"{"keyTypes":["RSA_1024","RSA_2048","RSA_3072","RSA_4096","EC_prime256v1","EC_secp384r1","EC_secp521r1"]}"#;

const ACM: Table = Table {
    name: "acm",
    folder: "acm",
    region: None,
    service: Service { host: "acm", signing: "acm", protocol: Protocol::Json("CertificateManager", "1.1") },
    withheld: "private keys of certificates",
    files: &[
        ("account.json", ask("", "GetAccountConfiguration", &[], "")),
        (
            "certificates.json",
            ask("", "ListCertificates", &[("Includes", ALL_KEY_TYPES)], "/CertificateSummaryList")
                .list(NEXT, "CertificateArn")
                .each(
                    "Summary",
                    &[
                        ask(
                            "Certificate",
                            "DescribeCertificate",
                            &[("CertificateArn", "=CertificateArn")],
                            "/Certificate",
                        ),
                        ask("Chain", "GetCertificate", &[("CertificateArn", "=CertificateArn")], "")
                            .absent(&["RequestInProgressException", "ResourceNotFoundException"]),
                        ask("Tags", "ListTagsForCertificate", &[("CertificateArn", "=CertificateArn")], "/Tags"),
                    ],
                ),
        ),
    ],
};

/// What only the older interface of SES tells.
const SES_OLDER: Service = Service { host: "email", signing: "ses", protocol: Protocol::Query("2010-12-01") };

/// Identities come with their DKIM, policies and tags.
const SES: Table = Table {
    name: "ses",
    folder: "ses",
    region: None,
    service: Service { host: "email", signing: "ses", protocol: Protocol::Rest },
    withheld: "passwords of SMTP, private keys of DKIM",
    files: &[
        ("account.json", ask("", "GetAccount", &[], "").at("/v2/email/account")),
        ("active-receipt-rule-set.json", ask("", "DescribeActiveReceiptRuleSet", &[], "/Metadata").of(SES_OLDER)),
        (
            "configuration-sets.json",
            ask("", "ListConfigurationSets", &[], "/ConfigurationSets")
                .at("POST /v2/email/list-configuration-sets")
                .list(NEXT, "ConfigurationSetName")
                .each(
                    "Name",
                    &[
                        ask("ConfigurationSet", "GetConfigurationSet", &[("Name", "=ConfigurationSetName")], "")
                            .at("/v2/email/configuration-sets/{Name}"),
                        ask(
                            "EventDestinations",
                            "GetConfigurationSetEventDestinations",
                            &[("Name", "=ConfigurationSetName")],
                            "/EventDestinations",
                        )
                        .at("/v2/email/configuration-sets/{Name}/event-destinations"),
                    ],
                ),
        ),
        (
            "contact-lists.json",
            ask("", "ListContactLists", &[], "/ContactLists")
                .at("/v2/email/contact-lists")
                .list(NEXT, "ContactListName")
                .each(
                    "Summary",
                    &[
                        ask("ContactList", "GetContactList", &[("Name", "=ContactListName")], "")
                            .at("/v2/email/contact-lists/{Name}"),
                        ask("Contacts", "ListContacts", &[("Name", "=ContactListName")], "/Contacts")
                            .at("POST /v2/email/contact-lists/{Name}/contacts/list")
                            .list(NEXT, "EmailAddress"),
                    ],
                ),
        ),
        (
            "custom-verification-templates.json",
            ask("", "ListCustomVerificationEmailTemplates", &[], "/CustomVerificationEmailTemplates")
                .at("/v2/email/custom-verification-email-templates")
                .list(NEXT, "TemplateName")
                .each(
                    "Summary",
                    &[ask("Template", "GetCustomVerificationEmailTemplate", &[("Name", "=TemplateName")], "")
                        .at("/v2/email/custom-verification-email-templates/{Name}")],
                ),
        ),
        (
            "dedicated-ip-pools.json",
            ask("", "ListDedicatedIpPools", &[], "/DedicatedIpPools")
                .at("/v2/email/dedicated-ip-pools")
                .list(NEXT, "PoolName")
                .each(
                    "Name",
                    &[ask("Pool", "GetDedicatedIpPool", &[("Name", "=PoolName")], "/DedicatedIpPool")
                        .at("/v2/email/dedicated-ip-pools/{Name}")],
                ),
        ),
        (
            "identities.json",
            ask("", "ListEmailIdentities", &[], "/EmailIdentities")
                .at("POST /v2/email/list-identities")
                .list(NEXT, "IdentityName")
                .each(
                    "Summary",
                    &[
                        ask("Identity", "GetEmailIdentity", &[("Name", "=IdentityName")], "")
                            .at("/v2/email/identities/{Name}"),
                        ask(
                            "Notifications",
                            "GetIdentityNotificationAttributes",
                            &[("Identities", r#"["=IdentityName"]"#)],
                            "/NotificationAttributes",
                        )
                        .of(SES_OLDER),
                    ],
                ),
        ),
        ("receipt-filters.json", ask("", "ListReceiptFilters", &[], "/Filters").of(SES_OLDER).list(("", ""), "Name")),
        (
            "receipt-rule-sets.json",
            ask("", "ListReceiptRuleSets", &[], "/RuleSets").of(SES_OLDER).list(NEXT, "Name").each(
                "Summary",
                &[ask("RuleSet", "DescribeReceiptRuleSet", &[("RuleSetName", "=Name")], "").of(SES_OLDER)],
            ),
        ),
        (
            "suppressed-destinations.json",
            ask("", "ListSuppressedDestinations", &[], "/SuppressedDestinationSummaries")
                .at("/v2/email/suppression/addresses")
                .list(NEXT, "EmailAddress"),
        ),
        (
            "templates.json",
            ask("", "ListEmailTemplates", &[], "/TemplatesMetadata")
                .at("/v2/email/templates")
                .list(NEXT, "TemplateName")
                .each(
                    "Summary",
                    &[ask("Template", "GetEmailTemplate", &[("Name", "=TemplateName")], "")
                        .at("/v2/email/templates/{Name}")],
                ),
        ),
    ],
};

/// What scales the capacity of tables and functions.
const CAPACITY: Table = Table {
    name: "application-autoscaling",
    folder: "autoscaling",
    region: None,
    service: Service {
        host: "application-autoscaling",
        signing: "application-autoscaling",
        protocol: Protocol::Json("AnyScaleFrontendService", "1.1"),
    },
    withheld: "",
    files: &[
        (
            "dynamodb-policies.json",
            ask("", "DescribeScalingPolicies", TABLES_SCALED, "/ScalingPolicies").list(NEXT, "PolicyARN"),
        ),
        (
            "dynamodb-scheduled-actions.json",
            ask("", "DescribeScheduledActions", TABLES_SCALED, "/ScheduledActions").list(NEXT, "ScheduledActionARN"),
        ),
        (
            "dynamodb-targets.json",
            ask("", "DescribeScalableTargets", TABLES_SCALED, "/ScalableTargets").list(NEXT, "ResourceId"),
        ),
        (
            "lambda-policies.json",
            ask("", "DescribeScalingPolicies", FUNCTIONS_SCALED, "/ScalingPolicies").list(NEXT, "PolicyARN"),
        ),
        (
            "lambda-scheduled-actions.json",
            ask("", "DescribeScheduledActions", FUNCTIONS_SCALED, "/ScheduledActions").list(NEXT, "ScheduledActionARN"),
        ),
        (
            "lambda-targets.json",
            ask("", "DescribeScalableTargets", FUNCTIONS_SCALED, "/ScalableTargets").list(NEXT, "ResourceId"),
        ),
    ],
};

const TABLES_SCALED: &[(&str, &str)] = &[("ServiceNamespace", "dynamodb")];
const FUNCTIONS_SCALED: &[(&str, &str)] = &[("ServiceNamespace", "lambda")];
