"""What Lambda says of functions, layers and the account, by boto3 alone."""

import base64
import hashlib
import urllib.request

from reading import all_of, answer, or_none, parts

ABSENT = ["ResourceNotFoundException"]


def code(location, stated):
    """What is at an address, unless the emulator gives one of the real world."""
    if not location.startswith(("http://127.0.0.1", "http://localhost")):
        return None
    with urllib.request.urlopen(location) as answered:
        body = answered.read()
    stated = base64.b64decode(stated).hex()
    assert hashlib.sha256(body).hexdigest() == stated
    return {"sha256": stated}


def function(service, name):
    told = answer(service.get_function, FunctionName=name)
    location = told["Code"].pop("Location", "")
    named = {"FunctionName": name}

    def every(operation, member):
        return lambda: all_of(service, operation, member, **named)

    def policies():
        found = {}
        for qualifier in [None, *(alias["Name"] for alias in all_of(service, "list_aliases", "Aliases", **named))]:
            arguments = {"Qualifier": qualifier} if qualifier else {}
            policy = or_none(ABSENT, service.get_policy, **named, **arguments)
            if policy:
                found[qualifier or "$LATEST"] = policy
        return found

    config = parts(
        Aliases=every("list_aliases", "Aliases"),
        CodeSigningConfig=lambda: or_none(ABSENT, service.get_function_code_signing_config, **named),
        EventInvokeConfigs=every("list_function_event_invoke_configs", "FunctionEventInvokeConfigs"),
        EventSourceMappings=every("list_event_source_mappings", "EventSourceMappings"),
        Function=lambda: told,
        Policies=policies,
        ProvisionedConcurrencyConfigs=every("list_provisioned_concurrency_configs", "ProvisionedConcurrencyConfigs"),
        RecursionConfig=lambda: or_none(ABSENT, service.get_function_recursion_config, **named),
        RuntimeManagementConfig=lambda: or_none(ABSENT, service.get_runtime_management_config, **named),
        UrlConfigs=every("list_function_url_configs", "FunctionUrlConfigs"),
        Versions=every("list_versions_by_function", "Versions"),
    )
    return {"config.json": config, "function.zip": code(location, told["Configuration"]["CodeSha256"])}


def layer(service, name):
    found = {}
    for number in [one["Version"] for one in all_of(service, "list_layer_versions", "LayerVersions", LayerName=name)]:
        named = {"LayerName": name, "VersionNumber": number}
        told = answer(service.get_layer_version, **named)
        location = told["Content"].pop("Location", "")
        found[f"{number}/config.json"] = parts(
            Layer=lambda: told, Policy=lambda: or_none(ABSENT, service.get_layer_version_policy, **named)
        )
        found[f"{number}/layer.zip"] = code(location, told["Content"]["CodeSha256"])
    return found


def expected(client, account):
    service, found = client("lambda"), {}
    for name in [one["FunctionName"] for one in all_of(service, "list_functions", "Functions")]:
        found |= {f"lambda-functions/{name}/{path}": one for path, one in function(service, name).items()}
    for name in [one["LayerName"] for one in all_of(service, "list_layers", "Layers")]:
        found |= {f"lambda-layers/{name}/{path}": one for path, one in layer(service, name).items()}
    found["lambda-functions/@account/settings.json"] = parts(
        AccountSettings=lambda: answer(service.get_account_settings),
        CodeSigningConfigs=lambda: all_of(service, "list_code_signing_configs", "CodeSigningConfigs"),
    )
    return {path: one for path, one in found.items() if one is not None}
