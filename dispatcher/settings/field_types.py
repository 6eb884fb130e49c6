"""The base class of sections, and the types of values, each with its check."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.domain.loopback import is_loopback
from dispatcher.domain.quiet_hours import QuietHours, parse_holiday
from dispatcher.engine.time_zones import find_zone
from dispatcher.platforms.genesys.regions import (
    REGIONS,
    closest_region,
    find_region,
    may_be_newer,
)
from dispatcher.ports import MAX_STATES_PER_CALL, StatesPerCall
from dispatcher.settings.errors import WrongValueError
from dispatcher.sources.options import is_delimiter
from dispatcher.sources.rows.dates import check_date_format
from dispatcher.sources.rows.template import Template

_ALIAS = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CAMPAIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SettingsSection(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        hide_input_in_errors=True,
    )


def without_userinfo(url: str) -> str:
    """Return ``url`` with its user name and password replaced by asterisks."""
    return re.sub(r"//[^/]*@", "//***@", url)


def _campaign(value: str) -> str:
    if not _CAMPAIGN.fullmatch(value):
        raise WrongValueError(
            "must be 1 to 100 letters, digits, dots, dashes and underscores",
            'for example campaign = "cart-2026-11"',
        )
    return value


def _alias(value: str) -> str:
    if not _ALIAS.fullmatch(value):
        raise WrongValueError(
            "must be 1 to 32 lower-case letters, digits and underscores, a letter first",
            'for example name = "main"',
        )
    return value


def _some_evidence(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if not kinds:
        raise WrongValueError(
            "must name at least one kind", 'without one nothing is ever proved: evidence = ["own"]'
        )
    return kinds


def _or_empty(check: Callable[[str], str]) -> AfterValidator:
    """Return a validator that accepts an empty string and checks any other one."""
    return AfterValidator(lambda value: check(value) if value else value)


def _template(value: str) -> str:
    try:
        template = Template(value)
    except ValueError as error:
        problem = str(error).removeprefix("template, ")
        raise WrongValueError(
            f"is wrong at {problem}",
            "write {column} for a column's value, {column|fallback} where it may be empty, "
            "{{ and }} for braces",
        ) from error
    if template.literal_length > TEXT_LIMIT:
        raise WrongValueError(f"is longer than the {TEXT_LIMIT} characters that a message may have")
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise WrongValueError(f"is not a URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WrongValueError(
            "must be a URL that starts with https://", "for example https://api.example.com"
        )
    return parts


def _region(value: str) -> str:
    """Return the domain of a region; a domain that is not in the list may be a newer region."""
    found = find_region(value)
    if found is not None and (found in REGIONS or may_be_newer(found)):
        return found
    close = found and closest_region(found)
    own = "for other hosts set platform.base_url and platform.login_url instead"
    hint = f'did you mean "{close}"?' if close else f"there are: {', '.join(REGIONS)}"
    raise WrongValueError(f'is not a region: "{value}"', f"{hint}; {own}")


def base_url(value: str) -> str:
    """Return the scheme, host and port of a URL.

    Raises:
        WrongValueError: it has other parts, or requests to it would not be encrypted.

    """
    parts = _split(value)
    if "@" in parts.netloc:
        raise WrongValueError(
            "must not contain a name or a password",
            "credentials come from DISPATCHER_CLIENT_ID and DISPATCHER_CLIENT_SECRET",
        )
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise WrongValueError(
            "must end after the host and port, without path, query or fragment",
            f"{parts.scheme}://{parts.netloc}",
        )
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise WrongValueError(
            "must start with https:// because the host is not this machine",
            "without encryption others can read the token",
        )
    return f"{parts.scheme}://{parts.netloc}"


def _proxy(value: str) -> str:
    _split(value)
    return value


def _delimiter(value: str) -> str:
    if is_delimiter(value):
        return value
    raise WrongValueError('must be "auto" or a single ASCII character', r'for example ";" or "\t"')


def _timezone(value: str) -> str:
    if find_zone(value) is None:
        raise WrongValueError(
            "is not a valid time zone",
            'for example "Europe/Berlin", "W. Europe Standard Time", "+02:00" or "UTC"',
        )
    return value


def _holiday(value: str) -> str:
    try:
        parse_holiday(value)
    except ValueError as error:
        raise WrongValueError(str(error)) from error
    return value


def _dates_as_text(value: object) -> object:
    """Return a list with TOML's own dates as text."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(day.isoformat() if type(day) is date else day for day in value)


def _date_format(value: str) -> str:
    try:
        check_date_format(value)
    except ValueError as error:
        raise WrongValueError(str(error), 'for example "%d.%m.%Y %H:%M"') from error
    return value


def _quiet(value: str) -> str:
    try:
        QuietHours.parse(value)
    except ValueError as error:
        raise WrongValueError(str(error), "leave it empty for none") from error
    return value


def _states_per_call(value: object) -> object:
    if value == "auto" or (type(value) is int and 1 <= value <= MAX_STATES_PER_CALL):
        return value
    raise WrongValueError(
        f'must be "auto" or a whole number from 1 to {MAX_STATES_PER_CALL}',
        'write states_per_call = "auto" or states_per_call = 20',
    )


def _one_or_many(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {k: (v,) if isinstance(v, str) else v for k, v in value.items()}


def _not_blank(value: str) -> str:
    if not value.strip():
        raise WrongValueError("must not be empty")
    return value


def text_schema(pattern: str, **more: object) -> WithJsonSchema:
    """Return what the JSON Schema of the settings says of a text; the validators decide."""
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


_NO_SCHEME_BUT_HTTPS = r"^$|^https://[^/?#@]+/?$|^http://(localhost|127\.[0-9.]+|\[::1\])(:\d+)?/?$"

Alias = Annotated[str, AfterValidator(_alias), text_schema(f"^{_ALIAS.pattern}$")]
"""A client's name; it is used as a metric's tag and in the names of variables."""
Campaign = Annotated[str, AfterValidator(_campaign), text_schema(f"^{_CAMPAIGN.pattern}$")]
TemplateText = Annotated[str, AfterValidator(_template)]
BaseUrl = Annotated[str, _or_empty(base_url), text_schema(_NO_SCHEME_BUT_HTTPS)]
Region = Annotated[str, _or_empty(_region)]
Proxy = Annotated[str, _or_empty(_proxy), text_schema("^$|^https?://[^/]")]
Delimiter = Annotated[str, AfterValidator(_delimiter), text_schema(r"^(auto|[\x00-\x7f])$")]
DateFormat = Annotated[str, _or_empty(_date_format)]
Quiet = Annotated[str, _or_empty(_quiet)]
Timezone = Annotated[str, AfterValidator(_timezone)]
BoundedStates = Annotated[
    StatesPerCall,
    BeforeValidator(_states_per_call),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_STATES_PER_CALL},
                   {"const": "auto"}]}
    ),
]  # fmt: skip
Text = Annotated[str, AfterValidator(_not_blank), text_schema(r"\S")]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
EvidenceKinds = Annotated[
    tuple[Literal["own", "records", "availability"], ...],
    Field(strict=False),
    AfterValidator(_some_evidence),
]
"""What shows up to when the platform's records are complete."""
AttributeFilter = Annotated[
    dict[str, Texts],
    BeforeValidator(_one_or_many),
    WithJsonSchema(
        {"type": "object", "additionalProperties": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}}
    ),
]  # fmt: skip
Holidays = Annotated[
    tuple[Annotated[str, AfterValidator(_holiday)], ...],
    BeforeValidator(_dates_as_text),
    Field(strict=False),
]
Header = Annotated[tuple[str, ...], Field(strict=False)]
"""Names of columns; one that is empty has no name."""
Port = Annotated[int, Field(ge=1, le=65535)]
