"""What the layout must hold of CloudFront, as boto3 reads it. Shares nothing with the program that is checked.

`client(service, region)` gives a client. What the service refuses is in no document: that is a gap, which others check.
"""

import hashlib

from botocore.exceptions import ClientError
from reading import answer, or_none, parts, put

FOLDER = "cloudfront-distributions"
SHARED = f"{FOLDER}/@account"


def everything(call, inner, member, **arguments):
    """The items of all pages of a list; `inner` is the structure around them, where there is one."""
    items, more = [], {}
    while True:
        page = call(**arguments, **more)
        page = page[inner] if inner else page
        items += page.get(member, [])
        if not page.get("NextMarker"):
            return items
        more = {"Marker": page["NextMarker"]}


def tags(cloudfront, arn):
    found = cloudfront.list_tags_for_resource(Resource=arn)["Tags"].get("Items", [])
    return sorted(found, key=lambda tag: tag["Key"])


def distribution(cloudfront, id, arn):
    absent = ["NoSuchMonitoringSubscription"]

    def monitoring():
        found = or_none(absent, cloudfront.get_monitoring_subscription, DistributionId=id)
        return found and found["MonitoringSubscription"]

    return parts(
        Distribution=lambda: answer(cloudfront.get_distribution, Id=id),
        Tags=lambda: tags(cloudfront, arn),
        MonitoringSubscription=monitoring,
    )


def policies(call, kind):
    def of(which):
        items = everything(call, f"{kind}List", "Items", Type=which)
        return sorted(items, key=lambda item: item[kind]["Id"])

    def managed():
        return [{"Id": item[kind]["Id"], "Name": item[kind][f"{kind}Config"]["Name"]} for item in of("managed")]

    return parts(Custom=lambda: of("custom"), Managed=managed)


def in_full(cloudfront, items, by, get, parameter, kind=None, arn="ARN"):
    """Each item as its own operation tells it, with its tags where `kind` says where its ARN stands."""
    found = []
    for key in sorted(item[by] for item in items):
        try:
            item = answer(get, **{parameter: key})
        except ClientError:
            continue
        if kind:
            try:
                item["Tags"] = tags(cloudfront, item[kind][arn])
            except ClientError:
                pass
        found.append(item)
    return found


def plain(items, *keys):
    def key(item):
        for name in keys:
            item = item[name]
        return item

    return sorted(items, key=key)


def functions(cloudfront, found):
    listed = {
        item["Name"]: item["FunctionMetadata"]["FunctionARN"]
        for item in everything(cloudfront.list_functions, "FunctionList", "Items")
    }
    absent = ["NoSuchFunctionExists"]
    for name, arn in listed.items():
        path = f"{SHARED}/functions/{name}"

        def stage(which):
            return or_none(absent, cloudfront.describe_function, Name=name, Stage=which)

        document = parts(
            DEVELOPMENT=lambda: stage("DEVELOPMENT"), LIVE=lambda: stage("LIVE"), Tags=lambda: tags(cloudfront, arn)
        )
        if document:
            found[f"{path}.json"] = document
        codes = {}
        for which in ("LIVE", "DEVELOPMENT"):
            try:
                code = or_none(absent, cloudfront.get_function, Name=name, Stage=which)
            except ClientError:
                continue
            if code:
                codes[which] = {"sha256": hashlib.sha256(code["FunctionCode"].read()).hexdigest()}
        if "LIVE" in codes:
            found[f"{path}.js"] = codes["LIVE"]
        if "DEVELOPMENT" in codes and codes["DEVELOPMENT"] != codes.get("LIVE"):
            found[f"{path}.development.js"] = codes["DEVELOPMENT"]


def shared(cloudfront, found):
    c = cloudfront
    lists = {
        "origin-access-controls.json": lambda: in_full(
            c,
            everything(c.list_origin_access_controls, "OriginAccessControlList", "Items"),
            "Id", c.get_origin_access_control, "Id",
        ),
        "origin-access-identities.json": lambda: in_full(
            c,
            everything(c.list_cloud_front_origin_access_identities, "CloudFrontOriginAccessIdentityList", "Items"),
            "Id", c.get_cloud_front_origin_access_identity, "Id",
        ),
        "key-groups.json": lambda: plain(everything(c.list_key_groups, "KeyGroupList", "Items"), "KeyGroup", "Id"),
        "public-keys.json": lambda: in_full(
            c, everything(c.list_public_keys, "PublicKeyList", "Items"), "Id", c.get_public_key, "Id"
        ),
        "trust-stores.json": lambda: in_full(
            c,
            everything(c.list_trust_stores, None, "TrustStoreList"),
            "Id", c.get_trust_store, "Identifier", "TrustStore", "Arn",
        ),
        "realtime-log-configs.json": lambda: plain(
            everything(c.list_realtime_log_configs, "RealtimeLogConfigs", "Items"), "ARN"
        ),
        "continuous-deployment-policies.json": lambda: plain(
            everything(c.list_continuous_deployment_policies, "ContinuousDeploymentPolicyList", "Items"),
            "ContinuousDeploymentPolicy", "Id",
        ),
        "streaming-distributions.json": lambda: in_full(
            c,
            everything(c.list_streaming_distributions, "StreamingDistributionList", "Items"),
            "Id", c.get_streaming_distribution, "Id", "StreamingDistribution",
        ),
        "vpc-origins.json": lambda: in_full(
            c, everything(c.list_vpc_origins, "VpcOriginList", "Items"), "Id", c.get_vpc_origin, "Id", "VpcOrigin", "Arn"
        ),
        "anycast-ip-lists.json": lambda: in_full(
            c,
            everything(c.list_anycast_ip_lists, "AnycastIpLists", "Items"),
            "Id", c.get_anycast_ip_list, "Id", "AnycastIpList", "Arn",
        ),
        "connection-groups.json": lambda: in_full(
            c,
            everything(c.list_connection_groups, None, "ConnectionGroups"),
            "Id", c.get_connection_group, "Identifier",
        ),
        "distribution-tenants.json": lambda: in_full(
            c,
            everything(c.list_distribution_tenants, None, "DistributionTenantList"),
            "Id", c.get_distribution_tenant, "Identifier",
        ),
        "key-value-stores.json": lambda: in_full(
            c,
            everything(c.list_key_value_stores, "KeyValueStoreList", "Items"),
            "Name", c.describe_key_value_store, "Name", "KeyValueStore",
        ),
    }
    for path, make in lists.items():
        put(found, f"{SHARED}/{path}", make)
    documents = {
        "cache-policies.json": policies(c.list_cache_policies, "CachePolicy"),
        "origin-request-policies.json": policies(c.list_origin_request_policies, "OriginRequestPolicy"),
        "response-headers-policies.json": policies(c.list_response_headers_policies, "ResponseHeadersPolicy"),
        "field-level-encryption.json": parts(
            Configs=lambda: in_full(
                c,
                everything(c.list_field_level_encryption_configs, "FieldLevelEncryptionList", "Items"),
                "Id", c.get_field_level_encryption, "Id",
            ),
            Profiles=lambda: in_full(
                c,
                everything(c.list_field_level_encryption_profiles, "FieldLevelEncryptionProfileList", "Items"),
                "Id", c.get_field_level_encryption_profile, "Id",
            ),
        ),
    }
    found.update({f"{SHARED}/{path}": document for path, document in documents.items() if document})


def expected(client, account):
    cloudfront = client("cloudfront", "us-east-1")
    found = {}
    for item in everything(cloudfront.list_distributions, "DistributionList", "Items"):
        found[f"{FOLDER}/{item['Id']}/config.json"] = distribution(cloudfront, item["Id"], item["ARN"])
    shared(cloudfront, found)
    functions(cloudfront, found)
    return found
