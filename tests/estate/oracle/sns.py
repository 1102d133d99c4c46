"""What SNS says, by boto3 alone."""

from reading import all_of, files, or_none, parts


def expected(client, account):
    sns = client("sns")

    def subscription(one):
        told = {"SubscriptionArn": one["SubscriptionArn"]}

        def attributes():
            found = or_none(["InvalidParameter", "NotFound"], sns.get_subscription_attributes, **told)
            return found and found["Attributes"]

        return parts(Attributes=attributes, Subscription=lambda: one)

    def topic(one):
        arn = one["TopicArn"]
        listed = lambda: all_of(sns, "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
        return parts(
            Attributes=lambda: sns.get_topic_attributes(TopicArn=arn)["Attributes"],
            Subscriptions=lambda: [subscription(one) for one in listed()],
            Tags=lambda: sns.list_tags_for_resource(ResourceArn=arn)["Tags"],
            Topic=lambda: one,
        )

    return files(
        "sns",
        platform_applications=lambda: all_of(sns, "list_platform_applications", "PlatformApplications"),
        topics=lambda: [topic(one) for one in all_of(sns, "list_topics", "Topics")],
    )
