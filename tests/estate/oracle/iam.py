"""What the layout must hold of IAM, as boto3 reads it. Shares nothing with the program that is checked.

`client(service, region)` gives a client. What the service refuses is in no document: that is a gap, which others check.
boto3 gives policy documents as objects, however they came.
"""

import base64

from botocore.exceptions import ClientError
from reading import answer, put

FOLDER = "iam-config"
OWN = ["User", "Role", "Group", "LocalManagedPolicy"]


def pages(call, **arguments):
    more = {}
    while True:
        page = answer(call, **arguments, **more)
        yield page
        if not page.get("IsTruncated"):
            return
        more = {"Marker": page["Marker"]}


def everything(call, member, **arguments):
    return [item for page in pages(call, **arguments) for item in page.get(member, [])]


def by(name, items):
    return sorted(items, key=lambda item: item[name])


def complete(items, name, others):
    """Adds what others tell of the items of the same name, and these do not."""
    known = {other[name]: other for other in others}
    return [known.get(item[name], {}) | item for item in items]


def login_profile(iam, name):
    try:
        return iam.get_login_profile(UserName=name)["LoginProfile"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise


def ssh_keys(iam, name):
    listed = by("SSHPublicKeyId", everything(iam.list_ssh_public_keys, "SSHPublicKeys", UserName=name))
    return [
        iam.get_ssh_public_key(UserName=name, SSHPublicKeyId=key["SSHPublicKeyId"], Encoding="SSH")["SSHPublicKey"]
        for key in listed
    ]


def user(iam, known):
    name = known["UserName"]

    def of(call, member, key):
        return lambda: by(key, everything(call, member, UserName=name))

    put(known, "AccessKeys", of(iam.list_access_keys, "AccessKeyMetadata", "AccessKeyId"))
    put(known, "LoginProfile", lambda: login_profile(iam, name))
    put(known, "MFADevices", of(iam.list_mfa_devices, "MFADevices", "SerialNumber"))
    put(known, "SSHPublicKeys", lambda: ssh_keys(iam, name))
    credentials = of(iam.list_service_specific_credentials, "ServiceSpecificCredentials", "ServiceSpecificCredentialId")
    put(known, "ServiceSpecificCredentials", credentials)
    put(known, "SigningCertificates", of(iam.list_signing_certificates, "Certificates", "CertificateId"))
    return known


def authorization(iam, found):
    lists = {}
    for page in pages(iam.get_account_authorization_details, Filter=OWN):
        for name in ("UserDetailList", "RoleDetailList", "GroupDetailList", "Policies"):
            lists.setdefault(name, []).extend(page.get(name, []))
    roles = complete(by("RoleName", lists["RoleDetailList"]), "RoleName", everything(iam.list_roles, "Roles"))
    users = complete(by("UserName", lists["UserDetailList"]), "UserName", everything(iam.list_users, "Users"))
    policies = by("Arn", lists["Policies"])
    told = [iam.get_policy(PolicyArn=policy["Arn"])["Policy"] for policy in policies]
    found["roles.json"] = roles
    found["trust-relationships.json"] = {role["RoleName"]: role["AssumeRolePolicyDocument"] for role in roles}
    found["policies.json"] = complete(policies, "Arn", told)
    found["users.json"] = [user(iam, known) for known in users]
    found["groups.json"] = by("GroupName", lists["GroupDetailList"])


def instance_profiles(iam):
    listed = by("InstanceProfileName", everything(iam.list_instance_profiles, "InstanceProfiles"))
    names = [profile["InstanceProfileName"] for profile in listed]
    return [iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"] for name in names]


def oidc_providers(iam):
    arns = sorted(item["Arn"] for item in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"])
    get = iam.get_open_id_connect_provider
    return [answer(get, OpenIDConnectProviderArn=arn) | {"Arn": arn} for arn in arns]


def saml_providers(iam):
    arns = sorted(item["Arn"] for item in iam.list_saml_providers()["SAMLProviderList"])
    return [answer(iam.get_saml_provider, SAMLProviderArn=arn) | {"Arn": arn} for arn in arns]


def server_certificates(iam):
    listed = everything(iam.list_server_certificates, "ServerCertificateMetadataList")
    names = sorted(item["ServerCertificateName"] for item in listed)
    return [iam.get_server_certificate(ServerCertificateName=name)["ServerCertificate"] for name in names]


def password_policy(iam):
    try:
        return iam.get_account_password_policy()["PasswordPolicy"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise


def mfa_devices(iam):
    devices = by("SerialNumber", everything(iam.list_virtual_mfa_devices, "VirtualMFADevices"))
    for device in devices:
        serial = device["SerialNumber"]
        for name, value in device.items():
            if isinstance(value, bytes):
                device[name] = base64.b64encode(value).decode()
        put(device, "Tags", lambda: by("Key", everything(iam.list_mfa_device_tags, "Tags", SerialNumber=serial)))
    return devices


def expected(client, account):
    iam = client("iam", "us-east-1")
    found = {}
    authorization(iam, found)
    put(found, "instance-profiles.json", lambda: instance_profiles(iam))
    put(found, "oidc-providers.json", lambda: oidc_providers(iam))
    put(found, "saml-providers.json", lambda: saml_providers(iam))
    put(found, "server-certificates.json", lambda: server_certificates(iam))
    document = found["account.json"] = {}
    put(document, "AccountAliases", lambda: everything(iam.list_account_aliases, "AccountAliases"))
    put(document, "PasswordPolicy", lambda: password_policy(iam))
    put(document, "SummaryMap", lambda: iam.get_account_summary()["SummaryMap"])
    put(document, "VirtualMFADevices", lambda: mfa_devices(iam))
    return {f"{FOLDER}/{path}": document for path, document in found.items()}
