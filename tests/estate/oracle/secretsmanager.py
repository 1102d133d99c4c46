"""The secrets there are, by boto3 alone; no value."""

from reading import all_of, answer, files, parts


def expected(client, account):
    manager = client("secretsmanager")

    def secret(one):
        told = {"SecretId": one["ARN"]}
        return parts(
            Policy=lambda: manager.get_resource_policy(**told).get("ResourcePolicy"),
            Secret=lambda: answer(manager.describe_secret, **told),
            Summary=lambda: one,
        )

    return files("secrets", secrets=lambda: [secret(one) for one in all_of(manager, "list_secrets", "SecretList")])
