"""What Route 53 says, by boto3 alone."""

from reading import all_of, answer, files, marked, parts

FOLDER = "route53-zones"


def zone(service, listed):
    identity, told = listed["Id"].removeprefix("/hostedzone/"), {"HostedZoneId": listed["Id"]}

    def every(operation, member):
        return marked(getattr(service, operation), member, "NextToken", "NextToken", **told)

    tags = lambda: service.list_tags_for_resource(ResourceType="hostedzone", ResourceId=identity)
    found = {
        "Zone": lambda: answer(service.get_hosted_zone, Id=identity),
        "Tags": lambda: tags()["ResourceTagSet"]["Tags"],
        "QueryLoggingConfigs": lambda: every("list_query_logging_configs", "QueryLoggingConfigs"),
    }
    if listed.get("Config", {}).get("PrivateZone"):
        found["VPCAssociationAuthorizations"] = lambda: every("list_vpc_association_authorizations", "VPCs")
    else:
        found["DNSSEC"] = lambda: answer(service.get_dnssec, HostedZoneId=identity)
    return parts(**found)


def shared(service):
    def checks():
        found = all_of(service, "list_health_checks", "HealthChecks")
        for check in found:
            tags = service.list_tags_for_resource(ResourceType="healthcheck", ResourceId=check["Id"])
            check["Tags"] = tags["ResourceTagSet"]["Tags"]
        return found

    def collections():
        found = all_of(service, "list_cidr_collections", "CidrCollections")
        for collection in found:
            collection["CidrBlocks"] = all_of(service, "list_cidr_blocks", "CidrBlocks", CollectionId=collection["Id"])
        return found

    def policies():
        listed = service.list_traffic_policies()["TrafficPolicySummaries"]
        versions = lambda one: service.list_traffic_policy_versions(Id=one["Id"])["TrafficPolicies"]
        return [{"Id": one["Id"], "Versions": versions(one)} for one in listed]

    def sets():
        return marked(service.list_reusable_delegation_sets, "DelegationSets", "NextMarker", "Marker")

    return files(
        f"{FOLDER}/@account",
        cidr_collections=collections,
        delegation_sets=sets,
        health_checks=checks,
        traffic_policies=policies,
        traffic_policy_instances=lambda: service.list_traffic_policy_instances()["TrafficPolicyInstances"],
    )


def expected(client, account):
    service = client("route53", "us-east-1")
    found = shared(service)
    zones = all_of(service, "list_hosted_zones", "HostedZones")
    names = [zone["Name"].rstrip(".") for zone in zones]
    for listed in zones:
        identity, name = listed["Id"].removeprefix("/hostedzone/"), listed["Name"].rstrip(".")
        if names.count(name) > 1 or listed.get("Config", {}).get("PrivateZone"):
            name = f"{name}@{identity}"
        records = all_of(service, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identity)
        found[f"{FOLDER}/{name}/records.json"] = records
        found[f"{FOLDER}/{name}/zone.json"] = zone(service, listed)
    return found
