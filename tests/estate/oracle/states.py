"""What Step Functions says, by boto3 alone."""

from reading import all_of, answer, files, marked, parts


def expected(client, account):
    steps = client("stepfunctions")

    def tags(arn):
        return lambda: steps.list_tags_for_resource(resourceArn=arn)["tags"]

    def every(operation, member, arn):
        return marked(getattr(steps, operation), member, "nextToken", "nextToken", stateMachineArn=arn)

    def alias(one):
        told = {"stateMachineAliasArn": one["stateMachineAliasArn"]}
        return parts(Alias=lambda: answer(steps.describe_state_machine_alias, **told), Summary=lambda: one)

    def version(one):
        told = {"stateMachineArn": one["stateMachineVersionArn"]}
        return parts(Summary=lambda: one, Version=lambda: answer(steps.describe_state_machine, **told))

    def machine(one):
        arn = one["stateMachineArn"]
        aliases = lambda: every("list_state_machine_aliases", "stateMachineAliases", arn)
        versions = lambda: every("list_state_machine_versions", "stateMachineVersions", arn)
        return parts(
            Aliases=lambda: [alias(one) for one in aliases()],
            StateMachine=lambda: answer(steps.describe_state_machine, stateMachineArn=arn),
            Summary=lambda: one,
            Tags=tags(arn),
            Versions=lambda: [version(one) for one in versions()],
        )

    def activity(one):
        return parts(Activity=lambda: one, Tags=tags(one["activityArn"]))

    return files(
        "step-functions",
        activities=lambda: [activity(one) for one in all_of(steps, "list_activities", "activities")],
        state_machines=lambda: [machine(one) for one in all_of(steps, "list_state_machines", "stateMachines")],
    )
