"""What EventBridge says, by boto3 alone."""
BEYOND = ("CreatedBy",)


def expected(client, account):
    service = client("events")
    return {
        "eventbridge/buses.json": service.list_event_buses()["EventBuses"],
        "eventbridge/rules.json": [
            {
                "Rule": rule,
                "Tags": service.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"],
                "Targets": service.list_targets_by_rule(Rule=rule["Name"])["Targets"],
            }
            for rule in service.list_rules()["Rules"]
        ],
    }
