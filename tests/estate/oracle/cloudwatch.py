"""The alarms there are, by boto3 alone."""


def expected(client, account):
    service = client("cloudwatch")
    alarms = service.describe_alarms(AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    return {"cloudwatch/metric-alarms.json": alarms}
