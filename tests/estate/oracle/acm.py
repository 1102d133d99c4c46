"""What ACM says, by boto3 alone."""
BEYOND = ("Tags",)
KEYS = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]


def chain(service, arn):
    try:
        return service.get_certificate(CertificateArn=arn)
    except service.exceptions.RequestInProgressException:
        return None


def expected(client, account):
    service, documents = client("acm"), []
    pages = service.get_paginator("list_certificates").paginate(Includes={"keyTypes": KEYS})
    for summary in (one for page in pages for one in page["CertificateSummaryList"]):
        arn = summary["CertificateArn"]
        documents.append({
            "Certificate": service.describe_certificate(CertificateArn=arn)["Certificate"],
            "Chain": chain(service, arn),
            "Summary": summary,
            "Tags": service.list_tags_for_certificate(CertificateArn=arn)["Tags"],
        })
    return {"acm/certificates.json": documents}
