"""What Route 53 says, by boto3 alone."""


def all_of(client, operation, member, **arguments):
    pages = client.get_paginator(operation).paginate(**arguments)
    return [one for page in pages for one in page.get(member, [])]


def or_nothing(call, member=None, **arguments):
    """Nothing where the emulator does not know the call at all."""
    try:
        answer = call(**arguments)
    except Exception as error:  # noqa: BLE001 - the word decides
        status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (400, 404, 501):
            return None
        raise
    return answer[member] if member else answer


def expected(client, account):
    service, documents = client("route53", "us-east-1"), {}
    zones = all_of(service, "list_hosted_zones", "HostedZones")
    names = [zone["Name"].rstrip(".") for zone in zones]
    for zone in zones:
        identity, name = zone["Id"].removeprefix("/hostedzone/"), zone["Name"].rstrip(".")
        if names.count(name) > 1 or zone.get("Config", {}).get("PrivateZone"):
            name = f"{name}@{identity}"
        folder = f"route53-zones/{name}"
        tags = service.list_tags_for_resource(ResourceType="hostedzone", ResourceId=identity)
        documents[f"{folder}/records.json"] = all_of(
            service, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identity
        )
        documents[f"{folder}/zone.json"] = {
            "Zone": service.get_hosted_zone(Id=identity),
            "Tags": tags["ResourceTagSet"]["Tags"],
            "DNSSEC": or_nothing(service.get_dnssec, HostedZoneId=identity),
            "QueryLoggingConfigs": or_nothing(
                service.list_query_logging_configs, "QueryLoggingConfigs", HostedZoneId=identity
            ),
        }
    sets = or_nothing(service.list_reusable_delegation_sets, "DelegationSets")
    if sets is not None:
        documents["route53-zones/@account/delegation-sets.json"] = sets
    documents["route53-zones/@account/health-checks.json"] = all_of(service, "list_health_checks", "HealthChecks")
    return documents
