"""Checks of a campaign's text for SMS: its alphabet and its parts."""

import re

from dispatcher.domain.sms import UCS_2, foreign_characters, parts_of
from dispatcher.platforms.genesys.requests import MAX_SMS_PARTS

_BRACES = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
_SHOWN = 5
"""Characters of another alphabet that a warning names at most."""


def too_many_parts(template: str) -> str:
    """Return what is wrong if the text between the placeholders has too many parts; else ""."""
    parts = parts_of(_literal(template))
    if parts <= MAX_SMS_PARTS:
        return ""
    return f"has {parts} parts as SMS, of which at most {MAX_SMS_PARTS} can be sent"


def alphabet_warning(template: str) -> str:
    """Return a warning if the text between the placeholders is not of the 7-bit alphabet."""
    foreign = foreign_characters(_literal(template))
    if not foreign:
        return ""
    shown = ", ".join(f"U+{ord(character):04X}" for character in foreign[:_SHOWN])
    more = ", and others" if len(foreign) > _SHOWN else ""
    return (
        f"message.text has characters that SMS sends in {UCS_2.name} only ({shown}{more}): the "
        f"whole message has parts of {UCS_2.single} or {UCS_2.per_part} characters instead "
        "of 160 or 153"
    )


def _literal(template: str) -> str:
    """Return the text without its placeholders."""
    return _BRACES.sub(lambda match: match[0][0] if match[0] in ("{{", "}}") else "", template)
