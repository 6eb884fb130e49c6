"""Columns of a contact that say whether the person wants messages, and what their values mean."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_YES = frozenset(
    {
        "1", "1.0", "true", "t", "yes", "y", "on", "x", "ja", "j", "oui", "si", "sí", "sim",
        "wahr", "vrai", "verdadero", "✓", "✔",
    }
)  # fmt: skip
_NO = frozenset(
    {
        "0", "0.0", "false", "f", "no", "n", "off", "nein", "non", "nao", "não", "falsch", "faux",
        "falso",
    }
)  # fmt: skip
_OUT = frozenset(
    {
        "optout", "optedout", "out", "unsubscribe", "unsubscribed", "donotcontact", "donotcall",
        "donotmail", "donotemail", "donotsms", "donottext", "dnc", "dnd", "stop", "stopped",
        "blocked", "blacklisted", "suppressed", "withdrawn", "revoked", "denied", "declined",
        "refused", "rejected", "objected", "notgiven", "notgranted", "notsubscribed", "noconsent",
        "notconsented",
    }
)  # fmt: skip
"""Words that mean no message, whatever the column's kind is."""
_IN = frozenset({"optin", "optedin", "subscribed", "consented"})
"""Words that mean that messages are wanted, whatever the column's kind is."""
_CONSENTS = frozenset(
    {"in", "granted", "given", "accepted", "allowed", "confirmed", "agreed", "ok"}
)
"""Words that mean it in a consent column; an opt-out may be confirmed, too."""
_SEPARATORS = re.compile(r"[\s_-]+")
_DATE = re.compile(
    r"(19[89]\d|20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])([ T].*)?"
    r"|\d{1,2}[./]\d{1,2}[./](19[89]\d|20\d\d)([ ,].*)?|1\d{9}|1\d{12}|1\d{15}|1\d{18}"
)


def opts_out(value: str) -> bool | None:
    """Return whether a value of an opt-out column opts out; None if that is not known.

    The date of an opt-out is one.
    """
    value = value.strip().casefold()
    word = _SEPARATORS.sub("", value)
    if value in _YES or word in _OUT or _DATE.fullmatch(value.upper()):
        return True
    return False if value in _NO or word in _IN else None


def consents(value: str) -> bool | None:
    """Return whether a value of a consent column is a consent; None if that is not known.

    A date is not known to be one: it may be the end of a consent.
    """
    value = value.strip().casefold()
    word = _SEPARATORS.sub("", value)
    if value in _YES or word in _IN or word in _CONSENTS:
        return True
    return False if value in _NO or word in _OUT else None


@dataclass(frozen=True, slots=True)
class OptOutColumns:
    """The columns by which people are left out; no names mean that there are none.

    A contact is left out by a yes in one of ``opt_out``, and by anything but a yes in one of
    ``consent``. An empty cell is no opt-out, and no consent.
    """

    opt_out: Collection[str] = ()
    consent: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.opt_out or self.consent)

    def declines(self, attributes: Mapping[str, str]) -> bool:
        """Return True if a contact with these attributes must get no message.

        A value whose meaning is not known counts as such: contacts that were admitted before the
        columns were set may have one.
        """
        for name in self.opt_out:
            cell = _cell(attributes, name)
            if cell and opts_out(cell) is not False:
                return True
        return any(not consents(_cell(attributes, name)) for name in self.consent)

    def unclear(self, attributes: Mapping[str, str]) -> str | None:
        """Return the column whose value is neither a yes nor a no; None if there is none.

        ``attributes`` have the names of these columns as they are here, or do not have them.
        """
        for names, read in ((self.opt_out, opts_out), (self.consent, consents)):
            for name in names:
                cell = attributes.get(name, "").strip()
                if cell and read(cell) is None:
                    return name
        return None


def _cell(attributes: Mapping[str, str], name: str) -> str:
    """Return a column's cell without blanks around it; the name may be spelled in another way."""
    cell = attributes.get(name)
    if cell is None:
        wanted = _plain(name)
        cell = next((cell for other, cell in attributes.items() if _plain(other) == wanted), "")
    return cell.strip()


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()
