"""What CloudWatch Logs says of groups, by boto3 alone."""


def expected(client, account):
    service = client("logs")
    groups = [one for page in service.get_paginator("describe_log_groups").paginate() for one in page["logGroups"]]
    return {"log-groups/groups.json": [
        {
            "Group": group,
            "MetricFilters": service.describe_metric_filters(logGroupName=group["logGroupName"])["metricFilters"],
            "SubscriptionFilters": service.describe_subscription_filters(logGroupName=group["logGroupName"])["subscriptionFilters"],
        }
        for group in groups
    ]}
