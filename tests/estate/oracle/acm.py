"""What ACM says, by boto3 alone."""

from reading import all_of, answer, files, or_none, parts

KEYS = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
ABSENT = ["RequestInProgressException", "ResourceNotFoundException"]


def expected(client, account):
    acm = client("acm")

    def certificate(summary):
        arn = summary["CertificateArn"]
        return parts(
            Certificate=lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"],
            Chain=lambda: or_none(ABSENT, acm.get_certificate, CertificateArn=arn),
            Summary=lambda: summary,
            Tags=lambda: acm.list_tags_for_certificate(CertificateArn=arn)["Tags"],
        )

    def certificates():
        listed = all_of(acm, "list_certificates", "CertificateSummaryList", Includes={"keyTypes": KEYS})
        return [certificate(summary) for summary in listed]

    return files("acm", account=lambda: answer(acm.get_account_configuration), certificates=certificates)
