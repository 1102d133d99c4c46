"""The parameters there are, by boto3 alone; no value."""

from reading import all_of, files, parts


def expected(client, account):
    ssm = client("ssm")

    def parameter(one):
        told = {"ResourceType": "Parameter", "ResourceId": one["Name"]}
        return parts(Parameter=lambda: one, Tags=lambda: ssm.list_tags_for_resource(**told)["TagList"])

    return files("parameters", parameters=lambda: [parameter(one) for one in all_of(ssm, "describe_parameters", "Parameters")])
