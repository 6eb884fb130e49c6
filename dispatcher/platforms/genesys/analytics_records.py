"""Reads conversations as the analytics of the `genesys` dialect show them: times, no messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dispatcher.platforms.genesys.responses import customers
from dispatcher.platforms.response_parsing import id_text, is_path_part, listed, moment, text

_WITHOUT_MESSAGES = frozenset(
    {"callback", "cobrowse", "email", "screenmonitoring", "screenshare", "video", "voice"}
)
"""Media of sessions that hold no message of a messenger (source: the SDK's model of a session)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A conversation in analytics; ``until`` is the newest time in its record.

    Without ``messaging`` it is a call, or another kind without messages.
    """

    until: float
    person: str | None
    messaging: bool


def read_traces(rows: Sequence[object]) -> Iterator[tuple[str, Trace]]:
    """Yield the conversations of a page, each with its id."""
    for row in rows:
        id_ = id_text(row, "conversationId")
        if id_ is not None and is_path_part(id_):
            until = max(_moments(row), default=float("-inf"))
            yield id_, Trace(until, _person(row), _is_messaging(row))


def newest_moment(rows: Sequence[object], until: float) -> float | None:
    """Return the newest time of conversations that may have messages; None if there is none.

    Times after ``until`` are left out. Calls prove nothing about messages.
    """
    messaging = (row for row in rows if _is_messaging(row))
    return max((at for row in messaging for at in _moments(row) if at <= until), default=None)


def _is_messaging(row: object) -> bool:
    """Return True if a conversation may have messages: at least one of its media can, if known."""
    media = {
        text(session, "mediaType")
        for participant in listed(row, "participants")
        for session in listed(participant, "sessions")
    }
    return not media or not media <= _WITHOUT_MESSAGES


def _moments(row: object) -> Iterator[float]:
    """Yield every moment that analytics show in a conversation."""
    yield from _those(row, "conversationStart", "conversationEnd")
    for participant in listed(row, "participants"):
        for session in listed(participant, "sessions"):
            for segment in listed(session, "segments"):
                yield from _those(segment, "segmentStart", "segmentEnd")
            for metric in listed(session, "metrics"):
                yield from _those(metric, "emitDate")


def _those(value: object, *keys: str) -> Iterator[float]:
    for key in keys:
        at = moment(value, key)
        if at is not None:
            yield at


def _person(row: object) -> str | None:
    people = (id_text(part, "externalContactId") for part in customers(listed(row, "participants")))
    return next((person for person in people if person is not None), None)
