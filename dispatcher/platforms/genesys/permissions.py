"""What the calls of the `genesys` dialect need of the OAuth client."""

SCOPES = ("conversations", "messaging")
"""Either one permits sends (source: platform contract, 'at least messaging')."""
SEND = "conversation:message:create"
"""Source: platform contract, scopes and permissions."""
READ = "conversation:message:view"
"""For state checks; the maker's pages name it for the messages of a conversation."""
LOOK_BACK = "analytics:conversationDetail:view"
TAG = "conversation:externalTag:edit"
"""Source: platform contract, lineage on the platform's side."""


def permissions(*, tags: bool) -> tuple[str, ...]:
    """Return the permissions that the calls need; ``tags``: whether external tags are written."""
    return (SEND, READ, LOOK_BACK, TAG) if tags else (SEND, READ, LOOK_BACK)
