"""What CloudWatch Logs says of groups and who may write to them, by boto3 alone."""

from reading import all_of, files, marked, parts


def expected(client, account):
    logs = client("logs")

    def group(one):
        name = one["logGroupName"]
        return parts(
            Group=lambda: one,
            MetricFilters=lambda: all_of(logs, "describe_metric_filters", "metricFilters", logGroupName=name),
            SubscriptionFilters=lambda: all_of(
                logs, "describe_subscription_filters", "subscriptionFilters", logGroupName=name
            ),
            Tags=lambda: one.get("logGroupArn") and logs.list_tags_for_resource(resourceArn=one["logGroupArn"])["tags"],
        )

    def definitions():
        return marked(logs.describe_query_definitions, "queryDefinitions", "nextToken", "nextToken")

    return files(
        "log-groups",
        destinations=lambda: all_of(logs, "describe_destinations", "destinations"),
        groups=lambda: [group(one) for one in all_of(logs, "describe_log_groups", "logGroups")],
        query_definitions=definitions,
        resource_policies=lambda: all_of(logs, "describe_resource_policies", "resourcePolicies"),
    )
