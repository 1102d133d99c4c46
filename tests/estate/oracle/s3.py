"""What the layout must hold of S3, as boto3 reads it. Shares nothing with the program that is checked.

Parts that an emulator does not have are not in a document: they answer with the list of objects whatever they are asked.
Objects that cannot be read are not expected either: both are gaps, which others check.
"""
import hashlib
import json

from botocore.exceptions import ClientError

ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
# Part, operation, the service's own words for "not configured".
PARTS = [
    ("Location", "get_bucket_location", ()),
    ("Acl", "get_bucket_acl", ()),
    ("OwnershipControls", "get_bucket_ownership_controls", ("OwnershipControlsNotFoundError",)),
    ("PublicAccessBlock", "get_public_access_block", ("NoSuchPublicAccessBlockConfiguration",)),
    ("Versioning", "get_bucket_versioning", ()),
    ("Encryption", "get_bucket_encryption", ("ServerSideEncryptionConfigurationNotFoundError",)),
    ("LifecycleConfiguration", "get_bucket_lifecycle_configuration", ("NoSuchLifecycleConfiguration",)),
    ("ObjectLockConfiguration", "get_object_lock_configuration", ("ObjectLockConfigurationNotFoundError",)),
    ("Replication", "get_bucket_replication", ("ReplicationConfigurationNotFoundError",)),
    ("Tagging", "get_bucket_tagging", ("NoSuchTagSet",)),
    ("MetadataConfiguration", "get_bucket_metadata_configuration", ("MetadataConfigurationNotFound",)),
    ("Cors", "get_bucket_cors", ("NoSuchCORSConfiguration",)),
    ("Website", "get_bucket_website", ("NoSuchWebsiteConfiguration",)),
    ("Logging", "get_bucket_logging", ()),
    ("NotificationConfiguration", "get_bucket_notification_configuration", ()),
    ("AccelerateConfiguration", "get_bucket_accelerate_configuration", ("MethodNotAllowed", "UnsupportedArgument")),
    ("RequestPayment", "get_bucket_request_payment", ()),
    ("Policy", "get_bucket_policy", ("NoSuchBucketPolicy",)),
]
LISTS = [
    ("InventoryConfigurations", "list_bucket_inventory_configurations", "InventoryConfigurationList"),
    ("AnalyticsConfigurations", "list_bucket_analytics_configurations", "AnalyticsConfigurationList"),
    ("MetricsConfigurations", "list_bucket_metrics_configurations", "MetricsConfigurationList"),
    ("IntelligentTieringConfigurations", "list_bucket_intelligent_tiering_configurations", "IntelligentTieringConfigurationList"),
]


class NotAnswered(Exception):
    """The service has no such call."""


def watched(s3):
    """A way to call that refuses answers which are none."""
    bodies = []
    s3.meta.events.register("before-parse.s3", lambda response_dict, **_: bodies.append(response_dict["body"]))

    def call(operation, **arguments):
        bodies.clear()
        try:
            answer = getattr(s3, operation)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NotImplemented", "501"):
                raise NotAnswered(operation) from error
            raise
        if bodies and b"<ListBucketResult" in bodies[-1][:400]:
            raise NotAnswered(operation)
        answer.pop("ResponseMetadata", None)
        return answer

    return call


def part(call, operation, absent, bucket):
    try:
        return call(operation, Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] in absent:
            return None
        raise


def configurations(call, operation, member, bucket):
    items, more = [], {}
    while True:
        page = call(operation, Bucket=bucket, **more)
        items += page.get(member, [])
        if not page.get("NextContinuationToken"):
            return items
        more = {"ContinuationToken": page["NextContinuationToken"]}


def settings(call, bucket):
    document = {"Bucket": bucket}
    for name, operation, absent in PARTS:
        try:
            document[name] = part(call, operation, absent, bucket["Name"])
        except NotAnswered:
            pass
    if document["Policy"]:
        text = document["Policy"]["Policy"]
        document["Policy"] = {"Document": json.loads(text), "Text": text}
    for name, operation, member in LISTS:
        try:
            document[name] = configurations(call, operation, member, bucket["Name"])
        except NotAnswered:
            pass
    return document


def place(key, keys):
    """Where an object stands in a folder: names that no folder holds are spelled otherwise, and end with a mark."""
    *folders, name = key.split("/")
    yields = any(other.startswith(key + "/") for other in keys) and name
    spelled = [{"": "%~", ".": "%2E%~", "..": "%2E%2E%~"}.get(one, one) for one in folders + [name]]
    return "/".join(spelled) + ("%~" if yields else "")


def objects(s3, bucket):
    """The sums of all bodies that can be read, by key."""
    sums = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            sums[found["Key"]] = None
            if found.get("StorageClass") in ARCHIVES:
                continue
            try:
                body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            except ClientError:
                continue
            sums[found["Key"]] = {"sha256": hashlib.sha256(body).hexdigest()}
    return sums


def expected(client, account):
    documents = {}
    for bucket in client("s3").list_buckets()["Buckets"]:
        name = bucket["Name"]
        region = client("s3").get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1"
        s3 = client("s3", {"EU": "eu-west-1"}.get(region, region))
        documents[f"s3-buckets/{name}@settings.json"] = settings(watched(s3), bucket)
        sums = objects(s3, name)
        for key, found in sums.items():
            if found:
                documents[f"s3-buckets/{name}/{place(key, sums)}"] = found
    return documents
