"""What Step Functions says, by boto3 alone."""


def expected(client, account):
    service = client("stepfunctions")
    machines = [one for page in service.get_paginator("list_state_machines").paginate() for one in page["stateMachines"]]
    return {"step-functions/state-machines.json": [
        {
            "StateMachine": service.describe_state_machine(stateMachineArn=machine["stateMachineArn"]),
            "Summary": machine,
            "Tags": service.list_tags_for_resource(resourceArn=machine["stateMachineArn"])["tags"],
        }
        for machine in machines
    ]}
