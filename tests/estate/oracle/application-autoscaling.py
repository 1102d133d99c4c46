"""What scales tables and functions, by boto3 alone."""

from reading import all_of, files


def expected(client, account):
    scaling = client("application-autoscaling")

    def of(namespace, operation, member):
        return lambda: all_of(scaling, operation, member, ServiceNamespace=namespace)

    return files(
        "autoscaling",
        dynamodb_policies=of("dynamodb", "describe_scaling_policies", "ScalingPolicies"),
        dynamodb_scheduled_actions=of("dynamodb", "describe_scheduled_actions", "ScheduledActions"),
        dynamodb_targets=of("dynamodb", "describe_scalable_targets", "ScalableTargets"),
        lambda_policies=of("lambda", "describe_scaling_policies", "ScalingPolicies"),
        lambda_scheduled_actions=of("lambda", "describe_scheduled_actions", "ScheduledActions"),
        lambda_targets=of("lambda", "describe_scalable_targets", "ScalableTargets"),
    )
