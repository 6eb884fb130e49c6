"""What became of the contacts: their outcomes, the three failures, and the rows of the source."""

from rich.text import Text

from dispatcher.cli import formatting
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import field
from dispatcher.cli.top.view import CARE, count_words
from dispatcher.domain.status import Status
from dispatcher.ports.snapshot import CampaignSnapshot, FailureSnapshot

_STATUSES = (Status.NOTIFIED, Status.OPENED, Status.SKIPPED, Status.REJECTED, Status.PARKED)


def outcome_lines(campaign: CampaignSnapshot, width: int) -> list[Text]:
    """Return the numbers of final contacts, by status and reason."""
    text = Text()
    for status in _STATUSES:
        reasons = campaign.outcomes.get(status, {})
        total = sum(reasons.values())
        text.append("   " if text else "")
        text.append(f"{formatting.status_name(status)} ").append(f"{total:,}", style="bold")
        if reasons and list(reasons) != ["delivered"]:
            text.append(f" ({count_words(reasons)})")
    return field("outcomes", text, width, 4)


def failure_lines(failures: FailureSnapshot, width: int) -> list[Text]:
    """Return the three failures that are counted apart."""
    text = Text()
    for name, counts in (
        ("scope errors", failures.scope_errors),
        ("closed-session conflicts", failures.closed_session_conflicts),
        ("retry loops", failures.retry_loops),
    ):
        total = sum(counts.values())
        text.append("   " if text else "").append(f"{name} ")
        text.append(f"{total:,}", style=CARE if total else "bold")
        if total:
            text.append(f" ({count_words(counts)})")
    return field("failures", text, width, 3)


def row_lines(campaign: CampaignSnapshot, width: int) -> list[Text]:
    """Return what became of the rows of the source."""
    if not campaign.rows:
        return []
    words = ", ".join(f"{printable(word)} {number:,}" for word, number in campaign.rows.items())
    return field("rows", Text(words), width, 1)
