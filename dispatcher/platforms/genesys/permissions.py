"""Scopes and permissions that the OAuth client needs in the `genesys` dialect."""

SCOPES = ("conversations", "messaging")
"""Each of them permits sends (source: platform contract, 'at least messaging')."""
SEND = "conversation:message:create"
"""Source: platform contract, scopes and permissions."""
READ = "conversation:message:view"
"""For state checks; the vendor's pages name it for the messages of a conversation."""
LOOK_BACK = "analytics:conversationDetail:view"
TAG = "conversation:externalTag:edit"
"""Source: platform contract, lineage on the platform's side."""


def permissions(*, tags: bool) -> tuple[str, ...]:
    """Return the permissions that the calls need; ``tags``: external tags are written, too."""
    return (SEND, READ, LOOK_BACK, TAG) if tags else (SEND, READ, LOOK_BACK)
