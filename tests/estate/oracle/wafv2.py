"""What WAF says of both of its scopes, by boto3 alone."""

from reading import answer, files, marked, or_none, parts

GONE = ["WAFNonexistentItemException"]
GUARDED = {
    "Amplify": "AMPLIFY",
    "ApiGateway": "API_GATEWAY",
    "AppRunner": "APP_RUNNER_SERVICE",
    "AppSync": "APPSYNC",
    "LoadBalancers": "APPLICATION_LOAD_BALANCER",
    "UserPools": "COGNITO_USER_POOL",
    "VerifiedAccess": "VERIFIED_ACCESS_INSTANCE",
}


def of_scope(waf, folder, scope):
    def told(listing, member, get, part, more):
        def one(summary):
            arn, name = summary["ARN"], {"Name": summary["Name"], "Id": summary["Id"], "Scope": scope}
            tags = lambda: waf.list_tags_for_resource(ResourceARN=arn)["TagInfoForResource"]["TagList"]
            found = {part: lambda: answer(getattr(waf, get), **name), "Summary": lambda: summary, "Tags": tags}
            return parts(**found, **more(arn))

        listed = lambda: marked(getattr(waf, listing), member, "NextMarker", "NextMarker", Scope=scope)
        return lambda: [one(summary) for summary in listed()]

    def policy(arn):
        return {"Policy": lambda: (or_none(GONE, waf.get_permission_policy, ResourceArn=arn) or {}).get("Policy")}

    def guarded(arn, kind):
        return lambda: waf.list_resources_for_web_acl(WebACLArn=arn, ResourceType=kind)["ResourceArns"]

    def guards(arn):
        logging = lambda: (or_none(GONE, waf.get_logging_configuration, ResourceArn=arn) or {}).get("LoggingConfiguration")
        kinds = GUARDED if scope == "REGIONAL" else {}
        return {"Logging": logging} | {part: guarded(arn, kind) for part, kind in kinds.items()}

    nothing = lambda arn: {}
    return files(
        folder,
        ip_sets=told("list_ip_sets", "IPSets", "get_ip_set", "IPSet", nothing),
        regex_pattern_sets=told(
            "list_regex_pattern_sets", "RegexPatternSets", "get_regex_pattern_set", "RegexPatternSet", nothing
        ),
        rule_groups=told("list_rule_groups", "RuleGroups", "get_rule_group", "RuleGroup", policy),
        web_acls=told("list_web_acls", "WebACLs", "get_web_acl", "WebACL", guards),
    )


def expected(client, account):
    return of_scope(client("wafv2"), "waf", "REGIONAL") | of_scope(
        client("wafv2", "us-east-1"), "waf-cloudfront", "CLOUDFRONT"
    )
