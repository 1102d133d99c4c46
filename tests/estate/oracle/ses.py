"""What SES says, in its newer interface and, of what comes in, in the older one; by boto3 alone."""

from reading import all_of, answer, files, marked, parts


def expected(client, account):
    ses, older = client("sesv2"), client("ses")

    def every(operation, member, **arguments):
        return marked(getattr(ses, operation), member, "NextToken", "NextToken", **arguments)

    def set_of(name):
        told = {"ConfigurationSetName": name}
        return parts(
            ConfigurationSet=lambda: answer(ses.get_configuration_set, **told),
            EventDestinations=lambda: ses.get_configuration_set_event_destinations(**told)["EventDestinations"],
            Name=lambda: told,
        )

    def contacts(summary):
        name = summary["ContactListName"]
        return parts(
            ContactList=lambda: answer(ses.get_contact_list, ContactListName=name),
            Contacts=lambda: every("list_contacts", "Contacts", ContactListName=name),
            Summary=lambda: summary,
        )

    def verification(summary):
        name = summary["TemplateName"]
        template = lambda: answer(ses.get_custom_verification_email_template, TemplateName=name)
        return parts(Summary=lambda: summary, Template=template)

    def pool(name):
        told = lambda: ses.get_dedicated_ip_pool(PoolName=name)["DedicatedIpPool"]
        return parts(Name=lambda: {"PoolName": name}, Pool=told)

    def identity(summary):
        name = summary["IdentityName"]
        told = lambda: older.get_identity_notification_attributes(Identities=[name])["NotificationAttributes"]
        return parts(
            Identity=lambda: answer(ses.get_email_identity, EmailIdentity=name),
            Notifications=told,
            Summary=lambda: summary,
        )

    def rules(summary):
        told = lambda: answer(older.describe_receipt_rule_set, RuleSetName=summary["Name"])
        return parts(RuleSet=told, Summary=lambda: summary)

    def template(summary):
        told = lambda: answer(ses.get_email_template, TemplateName=summary["TemplateName"])
        return parts(Summary=lambda: summary, Template=told)

    listed = every
    return files(
        "ses",
        account=lambda: answer(ses.get_account),
        active_receipt_rule_set=lambda: older.describe_active_receipt_rule_set().get("Metadata"),
        configuration_sets=lambda: [set_of(one) for one in listed("list_configuration_sets", "ConfigurationSets")],
        contact_lists=lambda: [contacts(one) for one in listed("list_contact_lists", "ContactLists")],
        custom_verification_templates=lambda: [
            verification(one)
            for one in listed("list_custom_verification_email_templates", "CustomVerificationEmailTemplates")
        ],
        dedicated_ip_pools=lambda: [pool(one) for one in listed("list_dedicated_ip_pools", "DedicatedIpPools")],
        identities=lambda: [identity(one) for one in listed("list_email_identities", "EmailIdentities")],
        receipt_filters=lambda: older.list_receipt_filters()["Filters"],
        receipt_rule_sets=lambda: [rules(one) for one in all_of(older, "list_receipt_rule_sets", "RuleSets")],
        suppressed_destinations=lambda: listed("list_suppressed_destinations", "SuppressedDestinationSummaries"),
        templates=lambda: [template(one) for one in listed("list_email_templates", "TemplatesMetadata")],
    )
