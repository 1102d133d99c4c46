//! The services that are tables.

use crate::source::aws::generic::{Protocol, Service};
use crate::source::aws::tail::{List, Table, ask};

/// All of them.
pub(in crate::source::aws) const TABLES: &[Table] =
    &[ACM, SES, EVENTS, SCHEDULER, SNS, SQS, ALARMS, LOGS, STEPS, SECRETS, SSM, COGNITO];

const NEXT: (&str, &str) = ("NextToken", "/NextToken");
const ALL_KEY_TYPES: &str =
    r#"{"keyTypes":["RSA_1024","RSA_2048","RSA_3072","RSA_4096","EC_prime256v1","EC_secp384r1","EC_secp521r1"]}"#;

const ACM: Table = Table {
    name: "acm",
    folder: "acm",
    region: None,
    service: Service { host: "acm", signing: "acm", protocol: Protocol::Json("CertificateManager", "1.1") },
    lists: &[List {
        file: "certificates.json",
        ask: ask("Summary", "ListCertificates", &[("Includes", ALL_KEY_TYPES)], ""),
        next: NEXT,
        items: "/CertificateSummaryList",
        identity: "CertificateArn",
        each: &[
            ask("Certificate", "DescribeCertificate", &[("CertificateArn", "=CertificateArn")], "/Certificate"),
            ask("Chain", "GetCertificate", &[("CertificateArn", "=CertificateArn")], "")
                .absent(&["RequestInProgressException", "ResourceNotFoundException"]),
            ask("Tags", "ListTagsForCertificate", &[("CertificateArn", "=CertificateArn")], "/Tags"),
        ],
    }],
};

const SES: Table = Table {
    name: "ses",
    folder: "ses",
    region: None,
    service: Service { host: "email", signing: "ses", protocol: Protocol::Rest },
    lists: &[
        List {
            file: "identities.json",
            ask: ask("Summary", "ListEmailIdentities", &[], "").at("/v2/email/identities"),
            next: NEXT,
            items: "/EmailIdentities",
            identity: "IdentityName",
            each: &[
                ask("Identity", "GetEmailIdentity", &[("Name", "=IdentityName")], "").at("/v2/email/identities/{Name}"),
                ask("Policies", "GetEmailIdentityPolicies", &[("Name", "=IdentityName")], "/Policies")
                    .at("/v2/email/identities/{Name}/policies"),
            ],
        },
        List {
            file: "configuration-sets.json",
            ask: ask("Name", "ListConfigurationSets", &[], "").at("/v2/email/configuration-sets"),
            next: NEXT,
            items: "/ConfigurationSets",
            identity: "ConfigurationSetName",
            each: &[
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
        },
        List {
            file: "templates.json",
            ask: ask("Summary", "ListEmailTemplates", &[], "").at("/v2/email/templates"),
            next: NEXT,
            items: "/TemplatesMetadata",
            identity: "TemplateName",
            each: &[
                ask("Template", "GetEmailTemplate", &[("Name", "=TemplateName")], "").at("/v2/email/templates/{Name}")
            ],
        },
        List {
            file: "suppressed-destinations.json",
            ask: ask("", "ListSuppressedDestinations", &[], "").at("/v2/email/suppression/addresses"),
            next: NEXT,
            items: "/SuppressedDestinationSummaries",
            identity: "EmailAddress",
            each: &[],
        },
    ],
};

const EVENTS: Table = Table {
    name: "events",
    folder: "eventbridge",
    region: None,
    service: Service { host: "events", signing: "events", protocol: Protocol::Json("AWSEvents", "1.1") },
    lists: &[
        List {
            file: "buses.json",
            ask: ask("", "ListEventBuses", &[], ""),
            next: NEXT,
            items: "/EventBuses",
            identity: "Name",
            each: &[],
        },
        List {
            file: "rules.json",
            ask: ask("Rule", "ListRules", &[], ""),
            next: NEXT,
            items: "/Rules",
            identity: "Name",
            each: &[
                ask("Targets", "ListTargetsByRule", &[("Rule", "=Name")], "/Targets"),
                ask("Tags", "ListTagsForResource", &[("ResourceARN", "=Arn")], "/Tags"),
            ],
        },
    ],
};

const SCHEDULER: Table = Table {
    name: "scheduler",
    folder: "schedules",
    region: None,
    service: Service { host: "scheduler", signing: "scheduler", protocol: Protocol::Rest },
    lists: &[List {
        file: "schedules.json",
        ask: ask("Summary", "ListSchedules", &[], "").at("/schedules"),
        next: NEXT,
        items: "/Schedules",
        identity: "Arn",
        each: &[ask("Schedule", "GetSchedule", &[("Name", "=Name"), ("groupName", "=GroupName")], "")
            .at("/schedules/{Name}")],
    }],
};

const SNS: Table = Table {
    name: "sns",
    folder: "sns",
    region: None,
    service: Service { host: "sns", signing: "sns", protocol: Protocol::Query("2010-03-31") },
    lists: &[List {
        file: "topics.json",
        ask: ask("Topic", "ListTopics", &[], ""),
        next: NEXT,
        items: "/Topics",
        identity: "TopicArn",
        each: &[
            ask("Attributes", "GetTopicAttributes", &[("TopicArn", "=TopicArn")], "/Attributes"),
            ask("Subscriptions", "ListSubscriptionsByTopic", &[("TopicArn", "=TopicArn")], "/Subscriptions"),
            ask("Tags", "ListTagsForResource", &[("ResourceArn", "=TopicArn")], "/Tags"),
        ],
    }],
};

const SQS: Table = Table {
    name: "sqs",
    folder: "sqs",
    region: None,
    service: Service { host: "sqs", signing: "sqs", protocol: Protocol::Json("AmazonSQS", "1.0") },
    lists: &[List {
        file: "queues.json",
        ask: ask("Queue", "ListQueues", &[("MaxResults", "1000")], ""),
        next: NEXT,
        items: "/QueueUrls",
        identity: "QueueUrl",
        each: &[
            ask(
                "Attributes",
                "GetQueueAttributes",
                &[("QueueUrl", "=QueueUrl"), ("AttributeNames", r#"["All"]"#)],
                "/Attributes",
            ),
            ask("Tags", "ListQueueTags", &[("QueueUrl", "=QueueUrl")], "/Tags"),
        ],
    }],
};

const ALARMS: Table = Table {
    name: "cloudwatch",
    folder: "cloudwatch",
    region: None,
    service: Service {
        host: "monitoring",
        signing: "monitoring",
        protocol: Protocol::Json("GraniteServiceVersion20100801", "1.0"),
    },
    lists: &[
        List {
            file: "metric-alarms.json",
            ask: ask("", "DescribeAlarms", &[("AlarmTypes", r#"["MetricAlarm"]"#)], ""),
            next: NEXT,
            items: "/MetricAlarms",
            identity: "AlarmName",
            each: &[],
        },
        List {
            file: "composite-alarms.json",
            ask: ask("", "DescribeAlarms", &[("AlarmTypes", r#"["CompositeAlarm"]"#)], ""),
            next: NEXT,
            items: "/CompositeAlarms",
            identity: "AlarmName",
            each: &[],
        },
    ],
};

const LOGS: Table = Table {
    name: "logs",
    folder: "log-groups",
    region: None,
    service: Service { host: "logs", signing: "logs", protocol: Protocol::Json("Logs_20140328", "1.1") },
    lists: &[List {
        file: "groups.json",
        ask: ask("Group", "DescribeLogGroups", &[], ""),
        next: ("nextToken", "/nextToken"),
        items: "/logGroups",
        identity: "logGroupName",
        each: &[
            ask("MetricFilters", "DescribeMetricFilters", &[("logGroupName", "=logGroupName")], "/metricFilters"),
            ask(
                "SubscriptionFilters",
                "DescribeSubscriptionFilters",
                &[("logGroupName", "=logGroupName")],
                "/subscriptionFilters",
            ),
        ],
    }],
};

const STEPS: Table = Table {
    name: "states",
    folder: "step-functions",
    region: None,
    service: Service { host: "states", signing: "states", protocol: Protocol::Json("AWSStepFunctions", "1.0") },
    lists: &[List {
        file: "state-machines.json",
        ask: ask("Summary", "ListStateMachines", &[], ""),
        next: ("nextToken", "/nextToken"),
        items: "/stateMachines",
        identity: "stateMachineArn",
        each: &[
            ask("StateMachine", "DescribeStateMachine", &[("stateMachineArn", "=stateMachineArn")], ""),
            ask("Tags", "ListTagsForResource", &[("resourceArn", "=stateMachineArn")], "/tags"),
        ],
    }],
};

/// Names and versions only: values are never asked for.
const SECRETS: Table = Table {
    name: "secretsmanager",
    folder: "secrets",
    region: None,
    service: Service {
        host: "secretsmanager",
        signing: "secretsmanager",
        protocol: Protocol::Json("secretsmanager", "1.1"),
    },
    lists: &[List {
        file: "secrets.json",
        ask: ask("", "ListSecrets", &[], ""),
        next: NEXT,
        items: "/SecretList",
        identity: "Name",
        each: &[],
    }],
};

/// Names and versions only: values are never asked for.
const SSM: Table = Table {
    name: "ssm",
    folder: "parameters",
    region: None,
    service: Service { host: "ssm", signing: "ssm", protocol: Protocol::Json("AmazonSSM", "1.1") },
    lists: &[List {
        file: "parameters.json",
        ask: ask("", "DescribeParameters", &[], ""),
        next: NEXT,
        items: "/Parameters",
        identity: "Name",
        each: &[],
    }],
};

const COGNITO: Table = Table {
    name: "cognito-idp",
    folder: "cognito",
    region: None,
    service: Service {
        host: "cognito-idp",
        signing: "cognito-idp",
        protocol: Protocol::Json("AWSCognitoIdentityProviderService", "1.1"),
    },
    lists: &[List {
        file: "user-pools.json",
        ask: ask("Summary", "ListUserPools", &[("MaxResults", "60")], ""),
        next: NEXT,
        items: "/UserPools",
        identity: "Id",
        each: &[
            ask("UserPool", "DescribeUserPool", &[("UserPoolId", "=Id")], "/UserPool"),
            ask("Clients", "ListUserPoolClients", &[("UserPoolId", "=Id"), ("MaxResults", "60")], "/UserPoolClients"),
            ask("Groups", "ListGroups", &[("UserPoolId", "=Id")], "/Groups"),
        ],
    }],
};
