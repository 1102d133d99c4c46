"""The user pools there are with all that belongs to them but users, by boto3 alone."""

from reading import all_of, answer, files, marked, or_none, parts


def expected(client, account):
    cognito = client("cognito-idp")

    def app(one):
        told = {"UserPoolId": one["UserPoolId"], "ClientId": one["ClientId"]}
        return parts(
            Client=lambda: cognito.describe_user_pool_client(**told)["UserPoolClient"], Summary=lambda: one
        )

    def provider(pool, one):
        told = {"UserPoolId": pool, "ProviderName": one["ProviderName"]}
        return parts(
            IdentityProvider=lambda: cognito.describe_identity_provider(**told)["IdentityProvider"],
            Summary=lambda: one,
        )

    def domain(name):
        return cognito.describe_user_pool_domain(Domain=name)["DomainDescription"] if name else None

    def look(pool):
        absent = ["InvalidParameterException", "ResourceNotFoundException"]
        return (or_none(absent, cognito.get_ui_customization, UserPoolId=pool) or {}).get("UICustomization")

    def risks(pool):
        found = or_none(["UserPoolAddOnNotEnabledException"], cognito.describe_risk_configuration, UserPoolId=pool)
        return (found or {}).get("RiskConfiguration")

    def servers(pool):
        call = cognito.list_resource_servers
        return marked(call, "ResourceServers", "NextToken", "NextToken", UserPoolId=pool, MaxResults=50)

    def document(summary):
        pool = summary["Id"]
        told = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]
        clients = lambda: all_of(cognito, "list_user_pool_clients", "UserPoolClients", UserPoolId=pool)
        providers = lambda: all_of(cognito, "list_identity_providers", "Providers", UserPoolId=pool)
        return parts(
            Clients=lambda: [app(one) for one in clients()],
            CustomDomain=lambda: domain(told.get("CustomDomain")),
            Domain=lambda: domain(told.get("Domain")),
            Groups=lambda: all_of(cognito, "list_groups", "Groups", UserPoolId=pool),
            IdentityProviders=lambda: [provider(pool, one) for one in providers()],
            LogDelivery=lambda: cognito.get_log_delivery_configuration(UserPoolId=pool).get("LogDeliveryConfiguration"),
            MfaConfig=lambda: answer(cognito.get_user_pool_mfa_config, UserPoolId=pool),
            ResourceServers=lambda: servers(pool),
            RiskConfiguration=lambda: risks(pool),
            Summary=lambda: summary,
            UICustomization=lambda: look(pool),
            UserPool=lambda: told,
        )

    def pools():
        return [document(one) for one in all_of(cognito, "list_user_pools", "UserPools", MaxResults=60)]

    return files("cognito", user_pools=pools)
