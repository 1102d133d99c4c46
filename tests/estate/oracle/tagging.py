"""The tagged resources that nobody captures, by boto3 alone: all whose ARN is of none of these kinds."""

import re

from reading import all_of, files

COVERED = (
    r"(apigateway|application-autoscaling|cloudfront|iam|s3|ses|sns|sqs|wafv2):"
    r"|acm:[^:]*:[^:]*:certificate/|cloudwatch:[^:]*:[^:]*:(alarm:|dashboard/|metric-stream/)"
    r"|cognito-identity:[^:]*:[^:]*:identitypool/|cognito-idp:[^:]*:[^:]*:userpool/|dynamodb:[^:]*:[^:]*:table/"
    r"|events:[^:]*:[^:]*:(event-bus|rule)/|lambda:[^:]*:[^:]*:(function|layer|event-source-mapping|code-signing-config):"
    r"|logs:[^:]*:[^:]*:(log-group|destination):|route53:::(hostedzone|healthcheck)/"
    r"|scheduler:[^:]*:[^:]*:schedule-group/|secretsmanager:[^:]*:[^:]*:secret:|ssm:[^:]*:[^:]*:parameter/"
    r"|states:[^:]*:[^:]*:(stateMachine|activity):"
)


def expected(client, account):
    tagging = client("resourcegroupstaggingapi")

    def uncovered():
        every = all_of(tagging, "get_resources", "ResourceTagMappingList")
        return [one for one in every if not re.match(f"arn:[^:]*:({COVERED})", one["ResourceARN"])]

    return files("tagged-resources", uncovered=uncovered)
