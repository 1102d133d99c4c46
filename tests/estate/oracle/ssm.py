"""The parameters there are, by boto3 alone; no value."""


def expected(client, account):
    pages = client("ssm").get_paginator("describe_parameters").paginate()
    return {"parameters/parameters.json": [one for page in pages for one in page["Parameters"]]}
