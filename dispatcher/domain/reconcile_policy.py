"""The assumptions of reconciliation: when a send has taken effect, and when that is visible."""

from dataclasses import dataclass
from enum import StrEnum

from dispatcher.domain.unsettled_send import UnsettledSend

MIN_LOOK_BACK_SECONDS = 3600.0
"""How far before an intent other sends are considered, at least: a request may leave late."""
MAX_PAUSE_SECONDS = 600.0
"""The longest pause between two look backs for one send."""


class EvidenceKind(StrEnum):
    """What shows up to when the platform's records are complete.

    ``OWN``: a later message of ours. ``RECORDS``: any later record of any conversation.
    ``AVAILABILITY``: the platform's own statement.
    """

    OWN = "own"
    RECORDS = "records"
    AVAILABILITY = "availability"


ALL_EVIDENCE = frozenset(EvidenceKind)


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """Assumptions about the platform, and the operator's choices; times in seconds.

    A request takes effect at most ``timeout`` + ``max_effect_delay`` after its intent. A look
    back shows the effect at most ``max_lag`` later. The estimate of the platform's clock is wrong
    by ``clock_skew`` at most. With ``resend`` (at-least-once delivery) a message that was not
    found by then is sent again without proof that it is absent.

    ``reports_links`` is true if the platform keeps a message to an open conversation in that
    conversation, and reports which conversation a new one continues. ``reports_people`` is true
    if the platform records the recipient of every send, so that a new conversation can be found
    by its person.

    ``evidence`` is what may show that the records have caught up. ``finds_newest`` is true if the
    platform can be asked for its newest record; else conversations are asked for by their ids.
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
    evidence: frozenset[EvidenceKind] = ALL_EVIDENCE
    finds_newest: bool = False

    @property
    def visible_within(self) -> float:
        """Seconds from an intent until its effect is visible, if its request ended in time."""
        return self.timeout + self.max_effect_delay + self.clock_skew + self.max_lag

    @property
    def proved_within(self) -> float:
        """Seconds within which a send is settled if records lag by at most the bounds.

        A record from after the bound is shown ``max_lag`` after it at most, and look backs are made
        at pauses of about that length.
        """
        return self.visible_within + 2 * self.max_lag

    def effective_by(self, send: UnsettledSend) -> float:
        """Return the latest time at which ``send`` can take effect."""
        return self._effective_by(send.at, send.ended_at)

    def visible_by(self, send: UnsettledSend) -> float:
        """Return the time by which a look back shows the effect of ``send``, if there is one."""
        return self.effective_by(send) + self.max_lag

    def all_visible_by(self, last_at: float, last_ended_at: float | None) -> float:
        """Return the time by which look backs show the effects of several sends.

        ``last_at`` and ``last_ended_at`` are the last of their times.
        """
        return self._effective_by(last_at, last_ended_at) + self.max_lag

    def _effective_by(self, at: float, ended_at: float | None) -> float:
        ended = max(at + self.timeout, ended_at or 0.0)
        return ended + self.max_effect_delay + self.clock_skew

    def rivals_since(self, send: UnsettledSend) -> float:
        """Return the time before which no other send can have made a message that matches.

        A matching message is not older than the intent of ``send``, and the send that made it
        is older than the message by at most the delay of an effect. An hour covers that delay;
        if the settings permit a longer one, that one counts.
        """
        return send.at - max(MIN_LOOK_BACK_SECONDS, self.visible_by(send) - send.at)

    def first_look(self, *, linked: bool) -> float:
        """Return seconds until the first look; 0 for a send that no look back can find."""
        return self.look_seconds if linked or self.resend else 0.0

    def pause(self, waited: float) -> float:
        """Return seconds until the next look; they grow with the time waited so far."""
        return max(self.look_seconds, min(waited, MAX_PAUSE_SECONDS))
