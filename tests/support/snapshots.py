"""Snapshots of runs for tests, as small or as full as they need."""

from dispatcher.ports.snapshot import (
    CampaignSnapshot,
    ConditionSnapshot,
    DoubtSnapshot,
    FailureSnapshot,
    FindingSnapshot,
    LedgerSnapshot,
    OAuthClientSnapshot,
    QuotaSnapshot,
    RatesSnapshot,
    RunSnapshot,
    SinkSnapshot,
    SourceSnapshot,
    WaitSnapshot,
)

NOW = 1_795_983_977.0
"""2026-11-29 20:26:17 UTC."""
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\n\r\u202egpj [bold]x[/bold]"
"""A name that clears the screen, sets the title, and turns the direction of writing."""

FAILURES = FailureSnapshot({"forbidden": 1}, {"notify 400": 12, "open 409": 7}, {"open": 2})


def condition(name: str = "") -> ConditionSnapshot:
    """A grave condition with evidence and steps."""
    return ConditionSnapshot(
        "ledger_away", "The server of the ledger does not answer", "P1", "nobody is written to",
        NOW - 300, f"no answer for 300 s{name}", {"seconds": 300},
        ("Look at the server: does it run, and can this machine reach it?", "Second.", "Third."),
        "docs/runbook.md", (FindingSnapshot("quota_shared", f"others use 30%{name}"),),
    )  # fmt: skip


def campaign(name: str = "cart-2026-11", **more: object) -> CampaignSnapshot:
    """A campaign with some of everything."""
    values: dict[str, object] = {
        "condition": condition(),
        "rows": {"read": 2_000_000, "rejected": 12},
        "outcomes": {
            "notified": {"delivered": 400_000},
            "opened": {"delivered": 812_345},
            "skipped": {"same_person": 1200, "suppressed": 30},
            "parked": {"retry_loop": 2, "in_doubt": 1},
        },
        "due": 120,
        "later": 4500,
        "busy": 64,
        "oldest_due": NOW - 12,
        "next_due": NOW + 3,
        "waits": [
            WaitSnapshot("not_ended", 4000, NOW + 3, NOW + 3600),
            WaitSnapshot("quiet_hours", 500, NOW + 36_000, NOW + 86_400),
        ],
        "in_doubt": DoubtSnapshot(3, NOW + 20, NOW - 60, NOW + 3000),
        "rates": RatesSnapshot(2.5, 2.4, 4.9, 4.8),
        "failures": FAILURES,
        "source": SourceSnapshot("kafka", 2000, 1.2, watched=True, lag=12_345),
        "read_at": NOW - 1,
    }
    return CampaignSnapshot(name, **{**values, **more})  # type: ignore[arg-type]  # of a dict


def run(*campaigns: CampaignSnapshot, name: str = "", **more: object) -> RunSnapshot:
    """A run with some of everything; ``name`` is at the end of its texts."""
    values: dict[str, object] = {
        "pid": 4711,
        "taken_at": NOW,
        "started_at": NOW - 8000,
        "condition": condition(name),
        "campaigns": campaigns or [campaign()],
        "rates": RatesSnapshot(2.5, 2.4, 4.9, 4.8),
        "quota": QuotaSnapshot(300, 240, 45, 4.9),
        "requests": {"check": {"200": 10_000}},
        "requests_per_contact": 2.1,
        "throttled": 9,
        "failures": FAILURES,
        "halts": {"scope": NOW - 500},
        "clients": [
            OAuthClientSnapshot(f"first{name}", 1000, 2, 1, QuotaSnapshot(300, 250, 10, 4.8)),
            OAuthClientSnapshot(f"second{name}", 900, halts={"scope": NOW - 30}),
        ],
        "sinks": [SinkSnapshot(f"warehouse{name}", 120), SinkSnapshot("s3", 4, f"denied{name}")],
        "ledger": LedgerSnapshot("postgresql://host/db", on_server=True, away_since=NOW - 300),
    }
    return RunSnapshot(**{**values, **more})  # type: ignore[arg-type]  # of a dict
