"""What S3 says of the account as a whole, by boto3 alone."""

from reading import all_of, answer, files, or_none, parts


def expected(client, account):
    control = client("s3control")

    def block():
        absent = ["NoSuchPublicAccessBlockConfiguration"]
        found = or_none(absent, control.get_public_access_block, AccountId=account)
        return found and found["PublicAccessBlockConfiguration"]

    def point(summary):
        told = {"AccountId": account, "Name": summary["Name"]}

        def policy():
            found = or_none(["NoSuchAccessPointPolicy"], control.get_access_point_policy, **told)
            return found and found["Policy"]

        return parts(
            AccessPoint=lambda: answer(control.get_access_point, **told), Policy=policy, Summary=lambda: summary
        )

    def points():
        return [point(one) for one in all_of(control, "list_access_points", "AccessPointList", AccountId=account)]

    return files("s3-account", access_points=points, public_access_block=block)
