"""What SNS says, by boto3 alone."""


def expected(client, account):
    service = client("sns")
    topics = [one for page in service.get_paginator("list_topics").paginate() for one in page["Topics"]]
    return {"sns/topics.json": [
        {
            "Attributes": service.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"],
            "Subscriptions": service.list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"],
            "Tags": service.list_tags_for_resource(ResourceArn=topic["TopicArn"])["Tags"],
            "Topic": topic,
        }
        for topic in topics
    ]}
