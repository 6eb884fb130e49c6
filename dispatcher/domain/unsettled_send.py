"""A send in doubt, and what is assumed of the platform while it is looked for."""

from dataclasses import dataclass

from dispatcher.domain.status import Step

MIN_LOOK_BACK_SECONDS = 3600.0
"""At least so long before an intent others' sends are asked for: a request may leave late, too."""
MAX_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """What is assumed of the platform, and what the operator wants; times in seconds.

    A request may take effect until ``timeout`` and ``max_effect_delay`` after its intent, the
    look back shows it ``max_lag`` later at most, and what is taken for the platform's clock is
    off by ``clock_skew`` at most. With ``resend`` a message that is not found in that time is
    sent again without further proof (at least once).

    With ``tells_links`` the platform keeps a message into an open conversation there, and tells
    what a new one continues. Without ``names_people`` a send does not say whom it is for, and a
    conversation that it begins may not be found by its person.
    """

    resend: bool = False
    timeout: float = 10.0
    max_effect_delay: float = 60.0
    max_lag: float = 120.0
    clock_skew: float = 5.0
    look_seconds: float = 10.0
    give_up_seconds: float = 86_400.0
    reports_links: bool = True
    reports_people: bool = True

    def visible_by(self, intended: "UnsettledSend") -> float:
        """Return the moment after which a send has had its effect, if any, and it is shown."""
        return self.effective_by(intended) + self.max_lag

    def effective_by(self, intended: "UnsettledSend") -> float:
        """Return the moment after which a send has had its effect, if any."""
        ended = max(intended.at + self.timeout, intended.ended_at or 0.0)
        return ended + self.max_effect_delay + self.clock_skew

    def rivals_since(self, intended: "UnsettledSend") -> float:
        """Return the time before which no other send can have made a message that fits.

        A message that fits is not older than the intent; its own send was earlier by what a
        late effect takes, and an hour is more than that.
        """
        return intended.at - max(MIN_LOOK_BACK_SECONDS, self.visible_by(intended) - intended.at)

    def first_look(self, *, linked: bool) -> float:
        """Seconds until the first look; a send that names no conversation has none to wait for."""
        return self.look_seconds if linked or self.resend else 0.0

    def pause(self, waited: float) -> float:
        """Seconds until the next look; they grow with the time waited so far."""
        return max(self.look_seconds, min(waited / 2, MAX_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class UnsettledSend:
    """A send that nobody knows the end of; ``id`` is its contact's.

    ``conversation_id`` is the one that a notify went to, or the previous one that an open
    named; None for an unlinked open. ``external_contact_id`` is who it was for, where that is
    known. ``at`` is when it was intended, ``ended_at`` when its request came to an end, where that
    is known: seconds since the epoch by the platform's clock.
    """

    id: int
    step: Step
    conversation_id: str | None
    external_contact_id: str | None
    text_sha256: str
    at: float
    ended_at: float | None = None
