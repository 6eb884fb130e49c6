"""What `dispatcher top` shows of a run, as lines: the most important first.

Every text that comes from outside is made printable, so that no name can control a terminal. Words
carry the meaning, and colours repeat it.
"""

import time

from rich.text import Text

from dispatcher.app.control.sums import sum_campaigns
from dispatcher.app.control.watcher import Sight
from dispatcher.cli import formatting
from dispatcher.cli.top.campaign_table import ALL, campaign_section
from dispatcher.cli.top.condition_section import (
    condition_lines,
    halt_lines,
    known_now,
    trouble_lines,
)
from dispatcher.cli.top.connection_section import (
    lease_lines,
    ledger_lines,
    sink_lines,
    source_lines,
)
from dispatcher.cli.top.course_chart import course_lines
from dispatcher.cli.top.layout import Section, field
from dispatcher.cli.top.outcome_section import failure_lines, outcome_lines, row_lines
from dispatcher.cli.top.request_section import client_lines, quota_lines
from dispatcher.cli.top.view import CARE, View
from dispatcher.cli.top.wait_section import wait_lines
from dispatcher.ports.snapshot import (
    DRAINING,
    STANDBY,
    STARTING,
    CampaignSnapshot,
    RunSnapshot,
)

_PHASES = frozenset({STARTING, STANDBY, DRAINING})


def sections(sight: Sight, view: View) -> list[Section]:
    """Return all that is known of the run; the last ones are left out first."""
    snapshot = known_now(sight)
    if snapshot is None or (sight.ended and not snapshot.campaigns):
        return _nothing_yet(sight, view)
    campaigns, width = snapshot.campaigns, view.width
    shown = _selected(snapshot, view)
    whole = sum_campaigns(ALL, campaigns) if len(campaigns) != 1 else campaigns[0]
    chosen = whole if shown is None else shown
    condition = snapshot.condition if shown is None else shown.condition
    halts = snapshot.halts if shown is None else {**snapshot.halts, **shown.halts}
    failures = snapshot.failures if shown is None else shown.failures
    return [
        Section([_title(sight, view)]),
        Section(trouble_lines(sight, view), least=4),
        Section(condition_lines(condition, view) if not sight.ended else [], least=4),
        Section(halt_lines(halts, view), least=2),
        campaign_section(campaigns, width, view.selected),
        Section(outcome_lines(chosen, width)),
        Section(failure_lines(failures, width) if snapshot.pid else [], least=2),
        Section(quota_lines(snapshot.quota, view, snapshot) if not sight.ended else [], least=2),
        Section(wait_lines(chosen, view, ended=sight.ended), least=1),
        Section(client_lines(snapshot.clients, view) if not sight.ended else [], least=1),
        Section(source_lines(campaigns if shown is None else [shown], view), least=1),
        Section(sink_lines(snapshot, width) if not sight.ended else [], least=1),
        Section(ledger_lines(snapshot, view), least=1),
        Section(lease_lines(sight, snapshot, view), least=1),
        Section(row_lines(chosen, width), least=0),
        Section(course_lines(view), least=0),
    ]


def _nothing_yet(sight: Sight, view: View) -> list[Section]:
    """Return what there is before the first answer of a run, and without a ledger."""
    looking = [] if sight.trouble else field("", Text("Looking for the run ..."), view.width)
    snapshot = sight.snapshot
    leases = lease_lines(sight, snapshot, view) if snapshot is not None else []
    trouble = trouble_lines(sight, view)
    return [Section([_title(sight, view)]), Section(trouble or looking, least=4), Section(leases)]


def _selected(snapshot: RunSnapshot, view: View) -> CampaignSnapshot | None:
    """Return the campaign that is selected; None if all are."""
    if len(snapshot.campaigns) == 1:
        return snapshot.campaigns[0]
    row = view.selected or 0
    return snapshot.campaigns[row - 1] if 0 < row <= len(snapshot.campaigns) else None


def _title(sight: Sight, view: View) -> Text:
    left, snapshot = Text().append("dispatcher top", style="bold"), sight.snapshot
    if snapshot is not None and snapshot.pid and not sight.ended:
        lasting = formatting.since(snapshot.started_at, view.now)
        phase = Text(snapshot.phase, style=CARE if snapshot.phase in _PHASES else "")
        left.append("  pid ").append(str(snapshot.pid)).append(", ").append_text(phase)
        left.append(f" for {lasting}")
        if sight.earlier_pid is not None:
            left.append(f"; before it pid {sight.earlier_pid}")
    clock = time.strftime("%H:%M:%S UTC", time.gmtime(view.now))
    left.truncate(max(0, view.width - len(clock) - 1), overflow="ellipsis")
    return left.append(" " * (view.width - left.cell_len - len(clock))).append(clock)
