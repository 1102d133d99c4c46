#!/usr/bin/env python3
"""Holds a restored snapshot against what boto3 reads of the same account:
`compare.py ENDPOINT REGION RESTORED SERVICE…`. Prints every difference as a line of JSON; ends with 1 if there is one.

What each service must hold says `oracle/<service>.py`: a function `expected(client, account)` that returns a dict from the
path in the layout to the JSON of the document there, or to {"sha256": hex} of a body. Lists are compared as sets, absent
members as nulls, times as moments, and what says when it was asked not at all. Nothing is forgiven but what stands in
`BEYOND` and `LIES`.
"""
import base64
import datetime
import fnmatch
import hashlib
import importlib.util
import json
import pathlib
import re
import sys

import boto3
from botocore.config import Config

ORACLES = pathlib.Path(__file__).parent / "oracle"
MISSING = object()
# What an emulator says and AWS does not: boto3's model does not know it and drops it, snap keeps it. Ends of places, from the
# document's path on; `*` is any part of one.
BEYOND = {
    # moto puts the tags of a certificate into its description.
    "acm": ("Certificate/Tags",),
    # moto says in a mapping of which domain it is, and in a deployment of which stage; ministack empty lists of scopes.
    "apigateway": (
        "Deployments/stageName",
        "apiSummary/*/authorizationScopes",
        "apiMappings/domainName",
        "basePathMappings/domain_name",
    ),
    # moto describes pools where they are only listed.
    "cognito-identity": ("Summary/AllowUnauthenticatedIdentities", "Summary/IdentityPoolTags"),
    # ministack says in pools what belongs to GetUserPoolMfaConfig.
    "cognito-idp": ("UserPool/SoftwareTokenMfaConfiguration",),
    # Both tell the value of a key, which AWS tells nobody; ministack says in lists who made a rule.
    "events": ("ApiKeyAuthParameters/ApiKeyValue", "Rule/CreatedBy"),
    # moto says the tags of mappings in lists.
    "lambda": ("EventSourceMappings/Tags",),
    # moto says in lists what belongs to GetSchedule.
    "scheduler": ("Summary/FlexibleTimeWindow", "Summary/ScheduleExpression", "Summary/ScheduleExpressionTimezone"),
    # moto says the same twice, by both its names.
    "secretsmanager": ("Secret/SecretVersionsToStages", "Summary/VersionIdsToStages"),
    # moto gives contacts and lists in full where they are only listed; ministack names an identity within itself.
    "ses": (
        "Contacts/ContactListName",
        "Contacts/CreatedTimestamp",
        "Identity/CreatedTimestamp",
        "Identity/EmailIdentity",
        "contact-lists.json/Summary/CreatedTimestamp",
        "contact-lists.json/Summary/Topics",
    ),
    # ministack says the scope within, moto the token by which a change is told from another.
    "wafv2": ("IPSet/Scope", "RegexPatternSet/Scope", "RuleGroup/Scope", "WebACL/WebACL/LockToken", "WebACL/Scope"),
}
# What an emulator says otherwise each time it is asked, or not in the form of its service.
LIES = {
    # The time of an export is its version, also at AWS.
    "apigateway": ("info/version",),
    # moto draws the account of a domain anew.
    "cognito-idp": ("Domain/AWSAccountId",),
    # moto says an empty object where a truth value belongs.
    "ses": ("SendingOptions/SendingEnabled",),
}
# Members that say when the answer was given: no two answers agree.
MOVING = ("EarliestRestorableDateTime", "LatestRestorableDateTime")


def clients(endpoint, home):
    made = {}

    def client(service, region=None):
        key = service, region or home
        if key not in made:
            config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
            if service == "cloudfront-keyvaluestore":
                # Signatures for many regions take a library that is not here, and no emulator looks at them.
                config = config.merge(Config(signature_version="v4"))
            made[key] = boto3.client(
                service, endpoint_url=endpoint, region_name=key[1], config=config,
                aws_access_key_id="testing", aws_secret_access_key="testing",
            )
            made[key].meta.events.register("before-send", without_account)
        return made[key]

    return client


def without_account(request, **_):
    """boto3 puts the account before some hosts, also before an address."""
    request.url = re.sub(r"^(\w+://)\d{12}\.", r"\1", request.url)


def moment(value):
    """A time as seconds since the epoch, if it is one."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return None
    return None


def timeless(value):
    """Without moments, which boto3 writes otherwise: nothing to sort by."""
    if isinstance(value, dict):
        return {key: timeless(one) for key, one in value.items()}
    if isinstance(value, list):
        return [timeless(one) for one in value]
    is_moment = moment(value) is not None and (not isinstance(value, (int, float)) or value > 1e9)
    return None if is_moment else value


def plain(value, left_out, place):
    """Without nulls, metadata of the answer and what is left out; lists in an order of their own."""
    if isinstance(value, dict):
        is_kept = lambda key: key not in (*MOVING, "ResponseMetadata") and not is_at(f"{place}/{key}", left_out)
        return {key: plain(one, left_out, f"{place}/{key}") for key, one in value.items() if one is not None and is_kept(key)}
    if isinstance(value, (list, tuple, set)):
        items = (plain(one, left_out, place) for one in value)
        return sorted(items, key=lambda one: json.dumps(timeless(one), sort_keys=True))
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value


def is_at(place, patterns):
    return any(fnmatch.fnmatchcase(place, f"*/{pattern}") for pattern in patterns)


def differences(path, expected, found):
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            yield from differences(f"{path}/{key}", expected.get(key, MISSING), found.get(key, MISSING))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for at, (one, other) in enumerate(zip(expected, found)):
            yield from differences(f"{path}[{at}]", one, other)
    elif isinstance(expected, datetime.datetime) and moment(found) is not None:
        if abs(moment(expected) - moment(found)) > 1:
            yield path, expected, found
    elif expected != found:
        yield path, expected, found


def oracle(service):
    place = ORACLES / f"{service}.py"
    spec = importlib.util.spec_from_file_location(f"oracle_{service}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(folder, path, left_out):
    place = folder / path
    return plain(json.loads(place.read_bytes()), left_out, path) if place.is_file() else MISSING


def compare(client, account, folder, service):
    lies = LIES.get(service, ())
    beyond = (*lies, *BEYOND.get(service, ()))
    for path, expected in sorted(oracle(service).expected(client, account).items()):
        if isinstance(expected, dict) and set(expected) == {"sha256"}:
            place = folder / path
            found = hashlib.sha256(place.read_bytes()).hexdigest() if place.is_file() else MISSING
            yield from differences(path, expected["sha256"], found)
        else:
            yield from differences(path, plain(expected, lies, path), document(folder, path, beyond))


def main():
    endpoint, region, folder, *services = sys.argv[1:]
    sys.path.append(str(ORACLES))
    client = clients(endpoint, region)
    account = client("sts").get_caller_identity()["Account"]
    found = 0
    for service in services:
        for path, expected, there in compare(client, account, pathlib.Path(folder), service):
            found += 1
            told = {"at": path, "expected": expected, "found": there}
            print(json.dumps({key: "absent" if one is MISSING else one for key, one in told.items()}, default=str))
    return 1 if found else 0


sys.exit(main())
