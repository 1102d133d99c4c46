"""What EventBridge Scheduler says, by boto3 alone."""

from reading import all_of, answer, files, parts


def expected(client, account):
    scheduler = client("scheduler")

    def group(one):
        tags = lambda: scheduler.list_tags_for_resource(ResourceArn=one["Arn"])["Tags"]
        return parts(Group=lambda: one, Tags=tags)

    def schedule(one):
        told = {"Name": one["Name"], "GroupName": one["GroupName"]}
        return parts(Schedule=lambda: answer(scheduler.get_schedule, **told), Summary=lambda: one)

    return files(
        "schedules",
        groups=lambda: [group(one) for one in all_of(scheduler, "list_schedule_groups", "ScheduleGroups")],
        schedules=lambda: [schedule(one) for one in all_of(scheduler, "list_schedules", "Schedules")],
    )
