//! Services that are tables: what tells of events, carries messages and watches.

use crate::source::aws::generic::{Protocol, Service};
use crate::source::aws::tail::services::NEXT;
use crate::source::aws::tail::{Table, ask};

const NEXT_SMALL: (&str, &str) = ("nextToken", "/nextToken");

pub(super) const EVENTS: Table = Table {
    name: "events",
    folder: "eventbridge",
    region: None,
    service: Service { host: "events", signing: "events", protocol: Protocol::Json("AWSEvents", "1.1") },
    withheld: "credentials of connections",
    files: &[
        (
            "api-destinations.json",
            ask("", "ListApiDestinations", &[], "/ApiDestinations")
                .list(NEXT, "Name")
                .each("Summary", &[ask("ApiDestination", "DescribeApiDestination", &[("Name", "=Name")], "")]),
        ),
        (
            "archives.json",
            ask("", "ListArchives", &[], "/Archives")
                .list(NEXT, "ArchiveName")
                .each("Summary", &[ask("Archive", "DescribeArchive", &[("ArchiveName", "=ArchiveName")], "")]),
        ),
        (
            "buses.json",
            ask("", "ListEventBuses", &[], "/EventBuses").list(NEXT, "Name").each(
                "Summary",
                &[
                    ask("Bus", "DescribeEventBus", &[("Name", "=Name")], ""),
                    ask("Tags", "ListTagsForResource", &[("ResourceARN", "=Arn")], "/Tags"),
                ],
            ),
        ),
        (
            "connections.json",
            ask("", "ListConnections", &[], "/Connections")
                .list(NEXT, "Name")
                .each("Summary", &[ask("Connection", "DescribeConnection", &[("Name", "=Name")], "")]),
        ),
        ("endpoints.json", ask("", "ListEndpoints", &[], "/Endpoints").list(NEXT, "Name")),
        (
            "rules.json",
            ask("", "ListEventBuses", &[], "/EventBuses").list(NEXT, "Name").each(
                "Bus",
                &[ask("Rules", "ListRules", &[("EventBusName", "=Name")], "/Rules").list(NEXT, "Name").each(
                    "Rule",
                    &[
                        ask(
                            "Targets",
                            "ListTargetsByRule",
                            &[("Rule", "=Name"), ("EventBusName", "=EventBusName")],
                            "/Targets",
                        )
                        .list(NEXT, "Id"),
                        ask("Tags", "ListTagsForResource", &[("ResourceARN", "=Arn")], "/Tags"),
                    ],
                )],
            ),
        ),
    ],
};

pub(super) const SCHEDULER: Table = Table {
    name: "scheduler",
    folder: "schedules",
    region: None,
    service: Service { host: "scheduler", signing: "scheduler", protocol: Protocol::Rest },
    withheld: "",
    files: &[
        (
            "groups.json",
            ask("", "ListScheduleGroups", &[], "/ScheduleGroups").at("/schedule-groups").list(NEXT, "Name").each(
                "Group",
                &[ask("Tags", "ListTagsForResource", &[("ResourceArn", "=Arn")], "/Tags").at("/tags/{ResourceArn}")],
            ),
        ),
        (
            "schedules.json",
            ask("", "ListSchedules", &[], "/Schedules").at("/schedules").list(NEXT, "Arn").each(
                "Summary",
                &[ask("Schedule", "GetSchedule", &[("Name", "=Name"), ("groupName", "=GroupName")], "")
                    .at("/schedules/{Name}")],
            ),
        ),
    ],
};

pub(super) const TOPICS: Table = Table {
    name: "sns",
    folder: "sns",
    region: None,
    service: Service { host: "sns", signing: "sns", protocol: Protocol::Query("2010-03-31") },
    withheld: "credentials of platform applications",
    files: &[
        (
            "platform-applications.json",
            ask("", "ListPlatformApplications", &[], "/PlatformApplications").list(NEXT, "PlatformApplicationArn"),
        ),
        (
            "topics.json",
            ask("", "ListTopics", &[], "/Topics").list(NEXT, "TopicArn").each(
                "Topic",
                &[
                    ask("Attributes", "GetTopicAttributes", &[("TopicArn", "=TopicArn")], "/Attributes"),
                    ask("Subscriptions", "ListSubscriptionsByTopic", &[("TopicArn", "=TopicArn")], "/Subscriptions")
                        .list(NEXT, "SubscriptionArn")
                        // One that nobody confirmed yet has no ARN, and so no attributes.
                        .each(
                            "Subscription",
                            &[ask(
                                "Attributes",
                                "GetSubscriptionAttributes",
                                &[("SubscriptionArn", "=SubscriptionArn")],
                                "/Attributes",
                            )
                            .absent(&["InvalidParameter", "NotFound"])],
                        ),
                    ask("Tags", "ListTagsForResource", &[("ResourceArn", "=TopicArn")], "/Tags"),
                ],
            ),
        ),
    ],
};

pub(super) const QUEUES: Table = Table {
    name: "sqs",
    folder: "sqs",
    region: None,
    service: Service { host: "sqs", signing: "sqs", protocol: Protocol::Json("AmazonSQS", "1.0") },
    withheld: "",
    files: &[(
        "queues.json",
        ask("", "ListQueues", &[("MaxResults", "1000")], "/QueueUrls").list(NEXT, "QueueUrl").each(
            "Queue",
            &[
                ask(
                    "Attributes",
                    "GetQueueAttributes",
                    &[("QueueUrl", "=QueueUrl"), ("AttributeNames", r#"["All"]"#)],
                    "/Attributes",
                ),
                ask("Tags", "ListQueueTags", &[("QueueUrl", "=QueueUrl")], "/Tags"),
            ],
        ),
    )],
};

pub(super) const ALARMS: Table = Table {
    name: "cloudwatch",
    folder: "cloudwatch",
    region: None,
    service: Service {
        host: "monitoring",
        signing: "monitoring",
        protocol: Protocol::Json("GraniteServiceVersion20100801", "1.0"),
    },
    withheld: "",
    files: &[
        (
            "anomaly-detectors.json",
            ask("", "DescribeAnomalyDetectors", &[], "/AnomalyDetectors").list(NEXT, "MetricName"),
        ),
        (
            "composite-alarms.json",
            ask("", "DescribeAlarms", &[("AlarmTypes", r#"["CompositeAlarm"]"#)], "/CompositeAlarms")
                .list(NEXT, "AlarmName"),
        ),
        (
            "dashboards.json",
            ask("", "ListDashboards", &[], "/DashboardEntries")
                .list(NEXT, "DashboardName")
                .each("Summary", &[ask("Dashboard", "GetDashboard", &[("DashboardName", "=DashboardName")], "")]),
        ),
        (
            "metric-alarms.json",
            ask("", "DescribeAlarms", &[("AlarmTypes", r#"["MetricAlarm"]"#)], "/MetricAlarms").list(NEXT, "AlarmName"),
        ),
        (
            "metric-streams.json",
            ask("", "ListMetricStreams", &[], "/Entries")
                .list(NEXT, "Name")
                .each("Summary", &[ask("Stream", "GetMetricStream", &[("Name", "=Name")], "")]),
        ),
    ],
};

pub(super) const LOGS: Table = Table {
    name: "logs",
    folder: "log-groups",
    region: None,
    service: Service { host: "logs", signing: "logs", protocol: Protocol::Json("Logs_20140328", "1.1") },
    withheld: "",
    files: &[
        (
            "destinations.json",
            ask("", "DescribeDestinations", &[], "/destinations").list(NEXT_SMALL, "destinationName"),
        ),
        (
            "groups.json",
            ask("", "DescribeLogGroups", &[], "/logGroups").list(NEXT_SMALL, "logGroupName").each(
                "Group",
                &[
                    ask(
                        "MetricFilters",
                        "DescribeMetricFilters",
                        &[("logGroupName", "=logGroupName")],
                        "/metricFilters",
                    )
                    .list(NEXT_SMALL, "filterName"),
                    ask(
                        "SubscriptionFilters",
                        "DescribeSubscriptionFilters",
                        &[("logGroupName", "=logGroupName")],
                        "/subscriptionFilters",
                    )
                    .list(NEXT_SMALL, "filterName"),
                    ask("Tags", "ListTagsForResource", &[("resourceArn", "?logGroupArn")], "/tags"),
                ],
            ),
        ),
        (
            "query-definitions.json",
            ask("", "DescribeQueryDefinitions", &[], "/queryDefinitions").list(NEXT_SMALL, "queryDefinitionId"),
        ),
        (
            "resource-policies.json",
            ask("", "DescribeResourcePolicies", &[], "/resourcePolicies").list(NEXT_SMALL, "policyName"),
        ),
    ],
};

pub(super) const STEPS: Table = Table {
    name: "states",
    folder: "step-functions",
    region: None,
    service: Service { host: "states", signing: "states", protocol: Protocol::Json("AWSStepFunctions", "1.0") },
    withheld: "",
    files: &[
        (
            "activities.json",
            ask("", "ListActivities", &[], "/activities")
                .list(NEXT_SMALL, "activityArn")
                .each("Activity", &[ask("Tags", "ListTagsForResource", &[("resourceArn", "=activityArn")], "/tags")]),
        ),
        (
            "state-machines.json",
            ask("", "ListStateMachines", &[], "/stateMachines").list(NEXT_SMALL, "stateMachineArn").each(
                "Summary",
                &[
                    ask("StateMachine", "DescribeStateMachine", &[("stateMachineArn", "=stateMachineArn")], ""),
                    ask("Aliases", "ListStateMachineAliases", &[("stateMachineArn", "=stateMachineArn")], ALIASES)
                        .list(NEXT_SMALL, "stateMachineAliasArn")
                        .each(
                            "Summary",
                            &[ask(
                                "Alias",
                                "DescribeStateMachineAlias",
                                &[("stateMachineAliasArn", "=stateMachineAliasArn")],
                                "",
                            )],
                        ),
                    ask("Versions", "ListStateMachineVersions", &[("stateMachineArn", "=stateMachineArn")], VERSIONS)
                        .list(NEXT_SMALL, "stateMachineVersionArn")
                        .each(
                            "Summary",
                            &[ask(
                                "Version",
                                "DescribeStateMachine",
                                &[("stateMachineArn", "=stateMachineVersionArn")],
                                "",
                            )],
                        ),
                    ask("Tags", "ListTagsForResource", &[("resourceArn", "=stateMachineArn")], "/tags"),
                ],
            ),
        ),
    ],
};

const ALIASES: &str = "/stateMachineAliases";
const VERSIONS: &str = "/stateMachineVersions";
