"""The settings that a kind of refusal makes suspicious, in words for people."""

import re

from dispatcher.domain.status import Reason, Step
from dispatcher.domain.suspicion import DECIDED, RefusalKind

SENDER = "the sender (platform.from_address)"
ORGANISATION = "the organisation of the OAuth client (credentials)"
REGION = "the region (platform.region or platform.base_url)"
LIST = "the list (source.path: it may be old, or from another organisation)"
PERSON = "the list's external contact ids (source.columns.external_contact_id)"
MERGED = "which id counts (rules.identity), if the platform has merged contacts"
ADDRESS = "the list's addresses (source.columns.address)"
TEXT = "the message (message.text)"
TEMPLATE = "the template (platform.template)"
SUPPRESSION = "the suppression list (rules.suppression_file: it may be the source itself)"
OPT_OUT = "the columns that leave people out (rules.opt_out_columns, rules.consent_columns)"
EXPIRY = (
    "the expiry (source.columns.expires_at, source.timezone, source.date_format; or the campaign "
    "was halted or stopped until its contacts expired)"
)
ZONE = "the time zones (rules.timezone_column, rules.unknown_timezone)"
CHANNEL = "the messenger (platform.messenger), or the sender's channel"

_BY_WORDS = (
    (re.compile(r"template"), TEMPLATE),
    (re.compile(r"from.?address|sender|deployment|integration|recipient.?id"), SENDER),
    (re.compile(r"external.?contact"), PERSON),
    (re.compile(r"to.?address|phone"), ADDRESS),
    (re.compile(r"text|body|too long|empty"), TEXT),
    (re.compile(r"messenger|channel|proactive"), CHANNEL),
    (re.compile(r"region|organi[sz]ation"), REGION),
)
"""What the platform's words are about; the first that matches is the most likely."""

_BY_REASON = {
    Reason.NO_IDENTITY: (PERSON,),
    Reason.IDENTITY: (MERGED, PERSON, LIST),
    Reason.NO_ADDRESS: (ADDRESS,),
    Reason.CHANNEL: (CHANNEL, LIST),
    Reason.SUPPRESSED: (SUPPRESSION, OPT_OUT),
    Reason.EXPIRED: (EXPIRY,),
    Reason.UNKNOWN_TIMEZONE: (ZONE,),
}


def suspects(kind: RefusalKind) -> tuple[str, ...]:
    """Return the settings that may cause such refusals, the most likely first."""
    if kind.status == DECIDED:
        return _BY_REASON.get(Reason(kind.words), (LIST,))
    if kind.step is Step.CHECK:
        return LIST, ORGANISATION, REGION
    named = tuple(setting for pattern, setting in _BY_WORDS if pattern.search(kind.words))
    return named or (SENDER, LIST)


def describe(kind: RefusalKind) -> str:
    """Return in one line what was refused, and which settings to look at."""
    return (
        f"most contacts are refused for the same reason ({kind}); the cause may be "
        f"{', or '.join(suspects(kind))}. Correct it and run again. {how_to_accept(kind)}"
    )


def how_to_accept(kind: RefusalKind) -> str:
    """Return how an operator confirms that such refusals are correct."""
    return (
        f"If these refusals are correct: dispatcher run --accept-suspicious {kind.key}, for this "
        "cause in that run; or dispatcher resume --suspicious during a run"
    )
