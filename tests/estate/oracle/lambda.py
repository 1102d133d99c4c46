"""What Lambda says, by boto3 alone."""
import base64
import urllib.request

ABSENT = "ResourceNotFoundException"


def all_of(client, operation, member, **arguments):
    pages = client.get_paginator(operation).paginate(**arguments)
    return [one for page in pages for one in page.get(member, [])]


def or_none(call, **arguments):
    try:
        return call(**arguments)
    except Exception as error:  # noqa: BLE001 - the word decides
        if getattr(error, "response", {}).get("Error", {}).get("Code") == ABSENT:
            return None
        raise


def expected(client, account):
    service, documents = client("lambda"), {}
    for function in all_of(service, "list_functions", "Functions"):
        name = function["FunctionName"]
        folder = f"lambda-functions/{name}"
        told = service.get_function(FunctionName=name)
        location = told["Code"].pop("Location", None)
        aliases = all_of(service, "list_aliases", "Aliases", FunctionName=name)
        policies = {}
        for qualifier in [None, *(alias["Name"] for alias in aliases)]:
            arguments = {"Qualifier": qualifier} if qualifier else {}
            policy = or_none(service.get_policy, FunctionName=name, **arguments)
            if policy:
                policies[qualifier or "$LATEST"] = policy
        documents[f"{folder}/config.json"] = {
            "Aliases": aliases,
            "CodeSigningConfig": or_none(service.get_function_code_signing_config, FunctionName=name),
            "EventInvokeConfigs": all_of(service, "list_function_event_invoke_configs", "FunctionEventInvokeConfigs", FunctionName=name),
            "EventSourceMappings": all_of(service, "list_event_source_mappings", "EventSourceMappings", FunctionName=name),
            "Function": told,
            "Policies": policies,
            "RecursionConfig": or_none(service.get_function_recursion_config, FunctionName=name),
            "RuntimeManagementConfig": or_none(service.get_runtime_management_config, FunctionName=name),
            "UrlConfigs": all_of(service, "list_function_url_configs", "FunctionUrlConfigs", FunctionName=name),
            "Versions": all_of(service, "list_versions_by_function", "Versions", FunctionName=name),
        }
        if location:
            with urllib.request.urlopen(location) as answer:
                body = answer.read()
            stated = base64.b64decode(told["Configuration"]["CodeSha256"]).hex()
            import hashlib

            assert hashlib.sha256(body).hexdigest() == stated
            documents[f"{folder}/function.zip"] = {"sha256": stated}
    return documents
