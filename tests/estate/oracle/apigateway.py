"""What API Gateway says of REST, HTTP and WebSocket APIs and of what they share, by boto3 alone."""

import json

from reading import all_of, answer, marked, or_none, parts, put

FOLDER = "api-gateway"
EXTENSIONS = {"extensions": "apigateway,authorizers,documentation"}


def wired(value):
    """boto3 renames members of the newer interface; what goes over the wire begins with a small letter."""
    if isinstance(value, list):
        return [wired(one) for one in value]
    return {key[0].lower() + key[1:]: plain(key, one) for key, one in value.items()} if isinstance(value, dict) else value


def plain(key, value):
    """Maps whose keys are the user's stay."""
    if key in ("Tags", "StageVariables", "RequestParameters", "ResponseParameters", "RequestTemplates", "ResponseTemplates"):
        return value
    if key in ("RequestModels", "ResponseModels"):
        return value
    if key in ("RouteSettings",):
        return {name: wired(one) for name, one in value.items()}
    return wired(value)


def rest(service, found):
    for api in all_of(service, "get_rest_apis", "items"):
        told, folder = {"restApiId": api["id"]}, f"{FOLDER}/{api['id']}"

        def every(operation, **arguments):
            return lambda: marked(getattr(service, operation), "items", "position", "position", **told, **arguments)

        found[f"{folder}/api.json"] = parts(
            Api=lambda: answer(service.get_rest_api, **told),
            Authorizers=every("get_authorizers"),
            Deployments=every("get_deployments"),
            DocumentationParts=every("get_documentation_parts"),
            DocumentationVersions=every("get_documentation_versions"),
            GatewayResponses=every("get_gateway_responses"),
            Models=every("get_models"),
            RequestValidators=every("get_request_validators"),
            Resources=every("get_resources", embed=["methods"]),
        )
        for stage in service.get_stages(**told)["item"]:
            name = stage["stageName"]
            found[f"{folder}/stages/{name}/stage.json"] = stage

            def export():
                exported = service.get_export(**told, stageName=name, exportType="oas30", parameters=EXTENSIONS)
                return json.loads(exported["body"].read())

            put(found, f"{folder}/stages/{name}/openapi.json", export)


def http(service, found):
    for api in service.get_apis()["Items"]:
        told, folder = {"ApiId": api["ApiId"]}, f"{FOLDER}/{api['ApiId']}"

        def every(operation, **arguments):
            return marked(getattr(service, operation), "Items", "NextToken", "NextToken", **told, **arguments)

        def with_responses(operation, identity, part, beneath):
            items = wired(every(operation))
            for item, one in zip(items, every(operation)):
                put(item, part, lambda: wired(every(beneath, **{identity: one[identity]})))
            return items

        found[f"{folder}/api.json"] = parts(
            Api=lambda: wired(answer(service.get_api, **told)),
            Authorizers=lambda: wired(every("get_authorizers")),
            Deployments=lambda: wired(every("get_deployments")),
            Integrations=lambda: with_responses(
                "get_integrations", "IntegrationId", "integrationResponses", "get_integration_responses"
            ),
            Models=lambda: wired(every("get_models")),
            Routes=lambda: with_responses("get_routes", "RouteId", "routeResponses", "get_route_responses"),
        )
        for stage in every("get_stages"):
            name = stage["StageName"]
            found[f"{folder}/stages/{name}/stage.json"] = wired(stage)

            def export():
                asked = {"Specification": "OAS30", "OutputType": "JSON", "StageName": name, "IncludeExtensions": True}
                return json.loads(service.export_api(**told, **asked)["body"].read())

            if api["ProtocolType"] == "HTTP":
                put(found, f"{folder}/stages/{name}/openapi.json", export)


def shared(service, newer, found):
    def every(operation, **arguments):
        return marked(getattr(service, operation), "items", "position", "position", **arguments)

    def domains():
        items = every("get_domain_names")
        for item in items:
            put(item, "basePathMappings", lambda: every("get_base_path_mappings", domainName=item["domainName"]))
        return items

    def plans():
        items = every("get_usage_plans")
        for item in items:
            put(item, "keys", lambda: every("get_usage_plan_keys", usagePlanId=item["id"]))
        return items

    def http_domains():
        items = newer.get_domain_names()["Items"]
        for item in items:
            put(item, "ApiMappings", lambda: newer.get_api_mappings(DomainName=item["DomainName"])["Items"])
        return wired(items)

    folder = f"{FOLDER}/@account"
    put(found, f"{folder}/account.json", lambda: or_none(["NotFoundException"], service.get_account))
    put(found, f"{folder}/api-keys.json", lambda: every("get_api_keys", includeValues=True))
    put(found, f"{folder}/client-certificates.json", lambda: every("get_client_certificates"))
    put(found, f"{folder}/domain-names.json", domains)
    put(found, f"{folder}/http-domain-names.json", http_domains)
    put(found, f"{folder}/http-vpc-links.json", lambda: wired(newer.get_vpc_links()["Items"]))
    put(found, f"{folder}/usage-plans.json", plans)
    put(found, f"{folder}/vpc-links.json", lambda: every("get_vpc_links"))


def expected(client, account):
    found = {}
    rest(client("apigateway"), found)
    http(client("apigatewayv2"), found)
    shared(client("apigateway"), client("apigatewayv2"), found)
    return found
