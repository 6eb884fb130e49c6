"""The comparison at the end: the sandbox's log of what took effect, against the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatcher.domain.status import Reason, Relation, Status
from tests.support.crash_ledgers import Link, WorldLedger
from tests.support.crash_platform import LATE_SECONDS, STALL_SECONDS

DELIVERED = (Status.NOTIFIED, Status.OPENED)
_IN_PLACE = (Relation.NOTIFIED, Relation.THREADED)
"""A message that did not make a conversation of its own."""
_SHOWN = 5
"""Cases of one problem that are named."""


@dataclass
class Verdict:
    """What the comparison found; the lists name conversations."""

    contacts: int = 0
    effects: int = 0
    twice: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """In the source and not in the ledger."""
    unfinished: list[str] = field(default_factory=list)
    """In the ledger and not final."""
    denied: list[str] = field(default_factory=list)
    """A message took effect, and the ledger says that none was sent."""
    imagined: list[str] = field(default_factory=list)
    """The ledger has a message that never took effect, or in another conversation."""
    in_doubt: list[str] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    """Conversations with a message that took effect when the sandbox stalled, or shortly after."""
    stalled_seconds: float = 0.0
    """The longest stall of the sandbox: its event loop did not run."""

    @property
    def is_of_a_stall(self) -> bool:
        """Whether stalls of the sandbox explain everything that is wrong.

        What took effect too late may be sent twice, or denied. A contact may be in doubt, or not
        final, where a run waited in vain. No stall loses a row, or invents a message.
        """
        if self.stalled_seconds <= STALL_SECONDS or self.missing or self.imagined:
            return False
        return self.late.issuperset(self.twice + self.denied)

    @property
    def lost(self) -> list[str]:
        """The conversations about which the ledger is wrong."""
        return [*self.missing, *self.unfinished, *self.denied, *self.imagined]

    def problems(self, *, doubt_allowed: bool = False) -> list[str]:
        """Say what is wrong, one line for each kind of problem."""
        found = {
            "twice": self.twice,
            "missing": self.missing,
            "unfinished": self.unfinished,
            "denied": self.denied,
            "imagined": self.imagined,
            "in doubt": [] if doubt_allowed else self.in_doubt,
        }
        return [
            f"{len(who)} {name}: {', '.join(who[:_SHOWN])}" for name, who in found.items() if who
        ]

    def add(self, other: "Verdict") -> None:
        """Add another world's findings."""
        for name, value in vars(other).items():
            if name not in ("stalled_seconds", "late"):
                setattr(self, name, getattr(self, name) + value)
        self.stalled_seconds = max(self.stalled_seconds, other.stalled_seconds)

    def note_stalls(
        self, stalls: Sequence[tuple[float, float]], effects: Iterable[Mapping[str, Any]]
    ) -> None:
        """Note the stalls of the sandbox (seconds since the epoch), and what came late by them."""
        long = [(start, end) for start, end in stalls if end - start > STALL_SECONDS]
        self.stalled_seconds = max((end - start for start, end in stalls), default=0.0)
        for effect in effects:
            at = effect["time"]
            if any(start <= at <= end + LATE_SECONDS + STALL_SECONDS for start, end in long):
                self.late.add(recipient(effect))

    def per_million(self) -> str:
        """Give the counts for a million contacts."""
        counts = {"twice": self.twice, "lost": self.lost, "in doubt": self.in_doubt}
        share = 1_000_000 / max(1, self.contacts)
        shown = [f"{name} {len(who) * share:,.0f}" for name, who in counts.items()]
        return f"per million contacts: {', '.join(shown)}"


def compare(
    ledger: WorldLedger, campaigns: Sequence[str], rows: Iterable[str], effects: Sequence[Mapping]
) -> Verdict:
    """Compare ``effects`` with the ledger; ``rows`` are the conversations of the source.

    Every campaign had the same rows. A message belongs to the contact whose lineage has its id;
    one that is in nobody's lineage must be of a contact in doubt.
    """
    verdict, wanted = Verdict(effects=len(effects)), set(rows)
    lineage: list[Link] = []
    doubts: Counter[str] = Counter()
    for campaign in campaigns:
        found = ledger.contacts(campaign)
        lineage += ledger.lineage(campaign)
        verdict.contacts += len(found)
        verdict.missing += sorted(wanted - {row.conversation_id for row in found})
        for row in found:
            if row.status is Status.IN_DOUBT or row.reason is Reason.IN_DOUBT:
                doubts[row.conversation_id] += 1
            elif row.reason is None:
                verdict.unfinished.append(f"{row.conversation_id} ({row.status})")
        delivered = {row.conversation_id for row in found if row.status in DELIVERED}
        traced = {row.previous_conversation_id for row in lineage if row.campaign == campaign}
        verdict.imagined += sorted(delivered ^ traced)
    verdict.in_doubt = sorted(doubts.elements())
    traces = _traces(lineage, effects)
    _attribute(verdict, lineage, traces, effects)
    _account(verdict, doubts, effects, set(traces), len(campaigns))
    return verdict


def _attribute(
    verdict: Verdict,
    lineage: Iterable[Link],
    traces: Iterable[str | None],
    effects: Iterable[Mapping[str, Any]],
) -> None:
    """Each message of the lineage took effect, once, in the conversation that it names."""
    happened = {effect["messageId"]: effect for effect in effects}
    for row, trace in zip(lineage, traces, strict=True):
        effect = happened.pop(trace, None)
        if effect is None or not _same(row, effect):
            verdict.imagined.append(row.previous_conversation_id)


def _traces(lineage: Iterable[Link], effects: Iterable[Mapping[str, Any]]) -> list[str | None]:
    """Return the message of each row.

    Where the platform's answer named no message, it is the one that made the conversation.
    """
    began = {
        effect["conversationId"]: effect["messageId"]
        for effect in effects
        if effect["kind"] not in _IN_PLACE
    }
    return [row.message_id or began.get(row.conversation_id) for row in lineage]


def _same(row: Link, effect: Mapping[str, Any]) -> bool:
    if effect["conversationId"] != row.conversation_id or effect["kind"] != row.relation:
        return False
    if effect["kind"] in _IN_PLACE:
        return effect["conversationId"] == row.previous_conversation_id
    identity = effect["externalContactId"] == row.external_contact_id
    return identity and effect["previousConversationId"] == row.previous_conversation_id


def recipient(effect: Mapping[str, Any]) -> str:
    """Return the conversation of the contact that a message is for."""
    return str(effect["previousConversationId"] or effect["conversationId"])


def _account(
    verdict: Verdict,
    doubts: Mapping[str, int],
    effects: Iterable[Mapping[str, Any]],
    traced: set[str | None],
    most: int,
) -> None:
    """Nobody was reached twice in one campaign; who was reached is delivered or in doubt."""
    reached: defaultdict[str, list[bool]] = defaultdict(list)
    for effect in effects:
        who = recipient(effect)
        reached[who].append(effect["messageId"] in traced)
    for who, known in reached.items():
        unknown = known.count(False)
        if len(known) > most:
            verdict.twice.append(who)
        elif unknown > doubts.get(who, 0):
            verdict.denied.append(who)
