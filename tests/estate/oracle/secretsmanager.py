"""The secrets there are, by boto3 alone; no value."""


def expected(client, account):
    pages = client("secretsmanager").get_paginator("list_secrets").paginate()
    return {"secrets/secrets.json": [one for page in pages for one in page["SecretList"]]}
