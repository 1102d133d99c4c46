"""What EventBridge Scheduler says, by boto3 alone."""


def expected(client, account):
    service = client("scheduler")
    schedules = [one for page in service.get_paginator("list_schedules").paginate() for one in page["Schedules"]]
    return {"schedules/schedules.json": [
        {"Schedule": service.get_schedule(Name=one["Name"], GroupName=one["GroupName"]), "Summary": one}
        for one in schedules
    ]}
