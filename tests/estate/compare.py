#!/usr/bin/env python3
"""Holds a restored snapshot against what boto3 reads of the same account:
`compare.py ENDPOINT REGION RESTORED SERVICE…`. Prints every difference as a line of JSON; ends with 1 if there is one.

What each service must hold says `oracle/<service>.py`: a function `expected(client, account)` that returns a dict from the
path in the layout to the JSON of the document there, or to {"sha256": hex} of a body. Lists are compared as sets, absent
members as nulls, times as moments, and what says when it was asked not at all. An
oracle may name members in `BEYOND` that an emulator says and boto3's model does not know, so that boto3 drops them and
snap does not. Nothing else is forgiven.
"""
import base64
import datetime
import hashlib
import importlib.util
import json
import pathlib
import sys

import boto3
from botocore.config import Config

MISSING = object()
# Members that say when the answer was given: no two answers agree.
MOVING = ("EarliestRestorableDateTime", "LatestRestorableDateTime")


def clients(endpoint, home):
    made = {}

    def client(service, region=None):
        key = service, region or home
        if key not in made:
            config = Config(retries={"max_attempts": 3}, s3={"addressing_style": "path"})
            made[key] = boto3.client(
                service, endpoint_url=endpoint, region_name=key[1], config=config,
                aws_access_key_id="testing", aws_secret_access_key="testing",
            )
        return made[key]

    return client


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


def plain(value):
    """Without nulls and metadata of the answer; lists in an order of their own."""
    if isinstance(value, dict):
        left_out = (*MOVING, "ResponseMetadata")
        return {key: plain(one) for key, one in value.items() if one is not None and key not in left_out}
    if isinstance(value, (list, tuple, set)):
        return sorted((plain(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True, default=str))
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value


def differences(path, expected, found, beyond=()):
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key in beyond and key not in expected:
                continue
            yield from differences(f"{path}/{key}", expected.get(key, MISSING), found.get(key, MISSING), beyond)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for at, (one, other) in enumerate(zip(expected, found)):
            yield from differences(f"{path}[{at}]", one, other, beyond)
    elif isinstance(expected, datetime.datetime) and moment(found) is not None:
        if abs(moment(expected) - moment(found)) > 1:
            yield path, expected, found
    elif expected != found:
        yield path, expected, found


def oracle(service):
    place = pathlib.Path(__file__).parent / "oracle" / f"{service}.py"
    spec = importlib.util.spec_from_file_location(f"oracle_{service}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(folder, path):
    place = folder / path
    return plain(json.loads(place.read_bytes())) if place.is_file() else MISSING


def compare(client, account, folder, service):
    module = oracle(service)
    beyond = getattr(module, "BEYOND", ())
    for path, expected in sorted(module.expected(client, account).items()):
        if isinstance(expected, dict) and set(expected) == {"sha256"}:
            place = folder / path
            found = hashlib.sha256(place.read_bytes()).hexdigest() if place.is_file() else MISSING
            yield from differences(path, expected["sha256"], found)
        else:
            yield from differences(path, plain(expected), document(folder, path), beyond)


def main():
    endpoint, region, folder, *services = sys.argv[1:]
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
