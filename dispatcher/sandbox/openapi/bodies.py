"""The bodies of requests and answers: what both dialects have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAYBE: Any = Field(default=None)
"""The default of a field that may be missing, and that is never null."""
FilledText = Annotated[str, Field(min_length=1)]


class Body(BaseModel):
    """A JSON object; names are in camel case, and docstrings of fields are their descriptions."""

    model_config = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


class PlainBody(Body):
    """A JSON object whose names are those of OAuth."""

    model_config = ConfigDict(alias_generator=None)


class UsedUpLimit(Body):
    """The limit that is used up."""

    key: str
    namespace: str
    value: int


class Address(Body):
    """An address of a guest or of a deployment."""

    address: str


class MessageParams(Body):
    """The parameters of ``messageWithParams``."""

    missing: str


class ApiError(Body):
    """The body of every refusal. A 409 does not say which of its causes it has."""

    message: str
    code: str
    """Such as ``conflict`` or ``not.authorized``."""
    status: int
    context_id: str
    """The same as the header ``ININ-Correlation-Id``."""
    details: list[object]
    errors: list[object]
    limit: UsedUpLimit = MAYBE
    """In a 429 of a limit of its own beside the quota."""
    from_: Address | None = Field(default=None, alias="from")
    """In the 400 of a closed session: the address of its guest, if the platform has it."""
    message_with_params: str = MAYBE
    message_params: MessageParams = MAYBE


class TokenRequest(PlainBody):
    """A request of OAuth for client credentials."""

    grant_type: Annotated[str, Field(pattern="^client_credentials$")]
    scope: str = MAYBE
    """Scopes with blanks between them; without it all that the client has."""


class Token(PlainBody):
    """A bearer token."""

    access_token: str
    token_type: str
    expires_in: int
    """Seconds."""
    scope: str = MAYBE
    """The scopes of the token, with blanks between them; only in the dialect ``messaging``."""


class TokenError(PlainBody):
    """Why there is no token."""

    error: str
    description: str = MAYBE
    error_description: str = MAYBE
