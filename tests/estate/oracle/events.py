"""What EventBridge says, by boto3 alone."""

from reading import answer, files, marked, parts


def expected(client, account):
    events = client("events")

    def every(operation, member, **arguments):
        return marked(getattr(events, operation), member, "NextToken", "NextToken", **arguments)

    def tags(arn):
        return events.list_tags_for_resource(ResourceARN=arn)["Tags"]

    def told(operation, member, part, describe, parameter, name):
        def one(summary):
            arguments = {parameter: summary[name]}
            return parts(**{part: lambda: answer(getattr(events, describe), **arguments)}, Summary=lambda: summary)

        return lambda: [one(summary) for summary in every(operation, member)]

    def bus(summary):
        return parts(
            Bus=lambda: answer(events.describe_event_bus, Name=summary["Name"]),
            Summary=lambda: summary,
            Tags=lambda: tags(summary["Arn"]),
        )

    def rule(one):
        targets = {"Rule": one["Name"], "EventBusName": one["EventBusName"]}
        return parts(
            Rule=lambda: one,
            Tags=lambda: tags(one["Arn"]),
            Targets=lambda: every("list_targets_by_rule", "Targets", **targets),
        )

    def rules_of(bus):
        listed = lambda: every("list_rules", "Rules", EventBusName=bus["Name"])
        return parts(Bus=lambda: bus, Rules=lambda: [rule(one) for one in listed()])

    return files(
        "eventbridge",
        api_destinations=told(
            "list_api_destinations", "ApiDestinations", "ApiDestination", "describe_api_destination", "Name", "Name"
        ),
        archives=told("list_archives", "Archives", "Archive", "describe_archive", "ArchiveName", "ArchiveName"),
        buses=lambda: [bus(one) for one in every("list_event_buses", "EventBuses")],
        connections=told("list_connections", "Connections", "Connection", "describe_connection", "Name", "Name"),
        endpoints=lambda: every("list_endpoints", "Endpoints"),
        rules=lambda: [rules_of(one) for one in every("list_event_buses", "EventBuses")],
    )
