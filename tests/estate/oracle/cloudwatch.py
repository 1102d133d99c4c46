"""The alarms, dashboards and streams there are, by boto3 alone."""

from reading import all_of, answer, files, parts


def expected(client, account):
    watch = client("cloudwatch")

    def alarms(kind, member):
        return lambda: all_of(watch, "describe_alarms", member, AlarmTypes=[kind])

    def dashboards():
        return [
            parts(
                Dashboard=lambda: answer(watch.get_dashboard, DashboardName=one["DashboardName"]), Summary=lambda: one
            )
            for one in all_of(watch, "list_dashboards", "DashboardEntries")
        ]

    def streams():
        return [
            parts(Stream=lambda: answer(watch.get_metric_stream, Name=one["Name"]), Summary=lambda: one)
            for one in all_of(watch, "list_metric_streams", "Entries")
        ]

    return files(
        "cloudwatch",
        anomaly_detectors=lambda: all_of(watch, "describe_anomaly_detectors", "AnomalyDetectors"),
        composite_alarms=alarms("CompositeAlarm", "CompositeAlarms"),
        dashboards=dashboards,
        metric_alarms=alarms("MetricAlarm", "MetricAlarms"),
        metric_streams=streams,
    )
