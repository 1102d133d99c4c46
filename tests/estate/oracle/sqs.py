"""What SQS says, by boto3 alone."""


def expected(client, account):
    service = client("sqs")
    return {"sqs/queues.json": [
        {
            "Attributes": service.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"],
            "Queue": {"QueueUrl": url},
            "Tags": service.list_queue_tags(QueueUrl=url).get("Tags"),
        }
        for url in service.list_queues(MaxResults=1000).get("QueueUrls", [])
    ]}
