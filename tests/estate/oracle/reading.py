"""What the oracles share: how boto3 is asked, and what counts as an answer. `compare.py` puts this folder on the path."""

from botocore.exceptions import ClientError


def answer(call, **arguments):
    """An answer without what only says how it came."""
    found = call(**arguments)
    found.pop("ResponseMetadata", None)
    return found


def refused(error):
    """Whether an error is an answer of the service, also one that is not in its language."""
    return isinstance(error, ClientError) or type(error).__name__ == "ResponseParserError"


def put(found, name, make):
    """Takes what `make` finds, unless the service refuses it: that is a gap, which others check."""
    try:
        found[name] = make()
    except Exception as error:
        if not refused(error):
            raise


def parts(**makers):
    """A document of what of its parts the service tells; none where it tells nothing."""
    document = {}
    for name, make in makers.items():
        put(document, name, make)
    return document or None


def files(folder, **makers):
    """Documents of a folder by the names of their files, `-` written as `_`; without those that are refused."""
    found = {}
    for name, make in makers.items():
        put(found, f"{folder}/{name.replace('_', '-')}.json", make)
    return found


def or_none(codes, call, **arguments):
    """An answer, or none where the service says with one of these words that there is none."""
    try:
        return answer(call, **arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in codes:
            return None
        raise


def all_of(client, operation, member, **arguments):
    """The items of all pages of a list."""
    if not client.can_paginate(operation):
        return getattr(client, operation)(**arguments).get(member, [])
    pages = client.get_paginator(operation).paginate(**arguments)
    return [one for page in pages for one in page.get(member, [])]


def marked(call, member, answered, asked, **arguments):
    """The same where boto3 has no paginator: `answered` is the token in an answer, `asked` the parameter for it."""
    items, more = [], {}
    while True:
        page = call(**arguments, **more)
        items += page.get(member, [])
        if not page.get(answered):
            return items
        more = {asked: page[answered]}
