"""What the layout must hold of DynamoDB, as boto3 reads it. Shares nothing with the program that is checked.

`client(service, region)` gives a client. Tables of the first region have plain names, those of others `name@region`.
"""

import base64
import hashlib
import json
from decimal import Decimal

from botocore.exceptions import ClientError
from reading import answer, marked, or_none

REGIONS = ["us-east-1"]


def policy(dynamodb, arn):
    return or_none(["PolicyNotFoundException"], dynamodb.get_resource_policy, ResourceArn=arn)


def schema(dynamodb, name):
    """The document of a table. A part that the service refuses is not in it: that is a gap, which others check."""
    document = answer(dynamodb.describe_table, TableName=name)
    table = document["Table"]
    arn, stream = table["TableArn"], table.get("LatestStreamArn")
    indexes = [index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])]
    insights = dynamodb.describe_contributor_insights

    def tags():
        found = marked(dynamodb.list_tags_of_resource, "Tags", "NextToken", "NextToken", ResourceArn=arn)
        return {"Tags": sorted(found, key=lambda tag: tag["Key"])}

    def streaming():
        found = answer(dynamodb.describe_kinesis_streaming_destination, TableName=name)
        found["KinesisDataStreamDestinations"].sort(key=lambda destination: destination["StreamArn"])
        return {"KinesisStreamingDestination": found}

    def backups():
        names = ("BackupSummaries", "LastEvaluatedBackupArn", "ExclusiveStartBackupArn")
        found = marked(dynamodb.list_backups, *names, TableName=name, BackupType="ALL")
        return {"Backups": sorted(found, key=lambda backup: backup["BackupArn"])}

    def index_insights():
        return {"IndexContributorInsights": {index: answer(insights, TableName=name, IndexName=index) for index in indexes}}

    for part in (
        lambda: answer(dynamodb.describe_time_to_live, TableName=name),
        lambda: answer(dynamodb.describe_continuous_backups, TableName=name),
        tags,
        lambda: {"ResourcePolicy": policy(dynamodb, arn)},
        lambda: {"StreamResourcePolicy": policy(dynamodb, stream)} if stream else {},
        lambda: {"ContributorInsights": answer(insights, TableName=name)},
        index_insights,
        streaming,
        backups,
    ):
        try:
            document.update(part())
        except ClientError:
            pass
    return document


def written(value):
    """A value of an attribute as it is written: sets in order, binaries in base64."""
    (kind, value), = value.items()
    if kind == "M":
        value = {name: written(inner) for name, inner in value.items()}
    elif kind == "L":
        value = [written(inner) for inner in value]
    elif kind == "SS":
        value = sorted(value, key=lambda text: text.encode())
    elif kind == "NS":
        value = sorted(value, key=lambda text: (Decimal(text), text))
    elif kind == "BS":
        value = [base64.b64encode(element).decode() for element in sorted(value)]
    elif kind == "B":
        value = base64.b64encode(value).decode()
    return {kind: value}


def comparable(value):
    (kind, value), = value.items()
    return {"S": str.encode, "N": Decimal, "B": bytes}[kind](value)


def lines(dynamodb, table):
    """The items as lines, in the order of their keys."""
    of_kind = {element["KeyType"]: element["AttributeName"] for element in table["KeySchema"]}
    key = [of_kind[kind] for kind in ("HASH", "RANGE") if kind in of_kind]
    items = marked(
        dynamodb.scan, "Items", "LastEvaluatedKey", "ExclusiveStartKey", TableName=table["TableName"], ConsistentRead=True,
    )
    items.sort(key=lambda item: [comparable(item[name]) for name in key])
    for item in items:
        line = {name: written(value) for name, value in item.items()}
        yield json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


def expected(client, account):
    found = {}
    for region in REGIONS:
        dynamodb = client("dynamodb", region)
        for name in marked(dynamodb.list_tables, "TableNames", "LastEvaluatedTableName", "ExclusiveStartTableName"):
            folder = f"dynamodb-tables/{name}" + ("" if region == REGIONS[0] else f"@{region}")
            described = schema(dynamodb, name)
            body = "".join(lines(dynamodb, described["Table"])).encode()
            found[f"{folder}/table-schema.json"] = described
            found[f"{folder}/items.jsonl"] = {"sha256": hashlib.sha256(body).hexdigest()}
    return found
