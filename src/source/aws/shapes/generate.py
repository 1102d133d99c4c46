#!/usr/bin/env python3
"""Cuts the answers of the operations that `snap` reads as XML out of botocore's service models (Apache-2.0, Amazon.com):
`generate.py > shapes.json`, with botocore installed. Run it again where an operation is added.

A shape is {"t": type} and, for structures, "m": {member: {"s": shape, "n": element or header if other than the member,
"h": 1 for a header, "a": 1 for an attribute, "f": 1 for a list without an element of its own, "x": 1 for a secret}}; for
lists "i": shape and "n": element; for maps "k", "v": elements and "i": shape of the values.
"""
import json

import botocore.session

OPERATIONS = {
    "cloudfront": """GetDistribution ListTagsForResource ListDistributions ListOriginAccessControls GetOriginAccessControl
        ListCloudFrontOriginAccessIdentities GetCloudFrontOriginAccessIdentity ListCachePolicies GetCachePolicy
        ListOriginRequestPolicies GetOriginRequestPolicy ListResponseHeadersPolicies GetResponseHeadersPolicy ListFunctions
        DescribeFunction ListKeyValueStores DescribeKeyValueStore ListKeyGroups ListPublicKeys ListRealtimeLogConfigs
        ListFieldLevelEncryptionConfigs ListFieldLevelEncryptionProfiles GetMonitoringSubscription
        ListContinuousDeploymentPolicies GetContinuousDeploymentPolicy GetPublicKey GetFieldLevelEncryption
        GetFieldLevelEncryptionProfile ListStreamingDistributions GetStreamingDistribution ListVpcOrigins GetVpcOrigin
        ListAnycastIpLists GetAnycastIpList ListTrustStores GetTrustStore ListDistributionTenants GetDistributionTenant
        ListConnectionGroups GetConnectionGroup ListConnectionFunctions DescribeConnectionFunction""",
    "iam": """GetAccountAuthorizationDetails ListRoleTags ListUserTags ListPolicyTags ListAccessKeys GetLoginProfile
        ListMFADevices ListInstanceProfiles ListInstanceProfileTags ListOpenIDConnectProviders GetOpenIDConnectProvider
        ListSAMLProviders GetSAMLProvider GetAccountPasswordPolicy ListAccountAliases GetAccountSummary
        ListServerCertificates GetServerCertificate ListVirtualMFADevices ListSSHPublicKeys ListServiceSpecificCredentials
        ListSigningCertificates GetUser GetRole ListPolicies ListPolicyVersions GetPolicyVersion ListRoles ListUsers GetPolicy
        GetInstanceProfile GetSSHPublicKey ListMFADeviceTags""",
    "route53": """ListHostedZones GetHostedZone ListResourceRecordSets ListTagsForResource ListHealthChecks
        ListReusableDelegationSets GetDNSSEC ListQueryLoggingConfigs ListTrafficPolicies ListTrafficPolicyInstances
        GetTrafficPolicy ListTrafficPolicyVersions ListVPCAssociationAuthorizations ListCidrCollections ListCidrBlocks""",
    "s3": """ListBuckets GetBucketLocation GetBucketVersioning GetBucketAcl GetBucketOwnershipControls GetPublicAccessBlock
        GetBucketTagging GetBucketEncryption GetBucketLifecycleConfiguration GetBucketCors GetBucketWebsite
        GetBucketLogging GetBucketNotificationConfiguration GetBucketReplication GetBucketAccelerateConfiguration
        GetBucketRequestPayment GetBucketMetadataConfiguration GetObjectLockConfiguration ListBucketInventoryConfigurations
        ListBucketAnalyticsConfigurations ListBucketMetricsConfigurations ListBucketIntelligentTieringConfigurations
        GetObjectTagging GetObjectAcl""",
    "s3control": "GetPublicAccessBlock ListAccessPoints GetAccessPoint GetAccessPointPolicy",
    "ses": """ListReceiptRuleSets DescribeReceiptRuleSet DescribeActiveReceiptRuleSet ListReceiptFilters
        GetIdentityNotificationAttributes""",
    "sns": """ListTopics GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource GetSubscriptionAttributes
        ListPlatformApplications""",
    "sts": "GetCallerIdentity",
}


def shapes_of(model, roots):
    found = {}

    def visit(name):
        if name in found:
            return
        shape = model["shapes"][name]
        kind = shape["type"]
        entry = found[name] = {"t": kind}
        if kind == "structure":
            entry["m"] = {key: member(key, value) for key, value in shape["members"].items()}
        elif kind == "list":
            entry |= {"i": shape["member"]["shape"], "n": shape["member"].get("locationName", "member")}
            visit(entry["i"])
        elif kind == "map":
            entry |= {"k": shape["key"].get("locationName", "key"), "v": shape["value"].get("locationName", "value")}
            entry["i"] = shape["value"]["shape"]
            visit(entry["i"])

    def member(key, value):
        target = model["shapes"][value["shape"]]
        entry = {"s": value["shape"]}
        if value.get("locationName", key) != key:
            entry["n"] = value["locationName"]
        for flag, is_set in (
            ("h", value.get("location") == "header"),
            ("a", value.get("xmlAttribute")),
            ("f", value.get("flattened") or target.get("flattened")),
            ("x", value.get("sensitive") or target.get("sensitive")),
        ):
            if is_set:
                entry[flag] = 1
        visit(value["shape"])
        return entry

    for root in roots:
        visit(root)
    return found


def service(session, name, operations):
    model = session.get_service_model(name)._service_description
    answers = {}
    for operation in operations:
        output = model["operations"][operation]["output"]
        answers[operation] = {"s": output["shape"]}
        if "resultWrapper" in output:
            answers[operation]["w"] = output["resultWrapper"]
        payload = model["shapes"][output["shape"]].get("payload")
        if payload:
            answers[operation]["p"] = payload
    return {"answers": answers, "shapes": shapes_of(model, [answer["s"] for answer in answers.values()])}


def main():
    session = botocore.session.get_session()
    services = {name: service(session, name, sorted(text.split())) for name, text in OPERATIONS.items()}
    print(json.dumps(services, separators=(",", ":"), sort_keys=True))


main()
