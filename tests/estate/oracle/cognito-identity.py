"""The identity pools there are, by boto3 alone."""

from reading import all_of, answer, files, parts


def expected(client, account):
    cognito = client("cognito-identity")

    def pool(summary):
        identity = summary["IdentityPoolId"]
        return parts(
            IdentityPool=lambda: answer(cognito.describe_identity_pool, IdentityPoolId=identity),
            Roles=lambda: answer(cognito.get_identity_pool_roles, IdentityPoolId=identity),
            Summary=lambda: summary,
        )

    def pools():
        return [pool(one) for one in all_of(cognito, "list_identity_pools", "IdentityPools", MaxResults=60)]

    return files("cognito-identity", identity_pools=pools)
