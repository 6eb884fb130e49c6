"""Worlds whose ledger is on a server of PostgreSQL, as plain data."""

from tests.diagnose.world import World, at

_BEGIN = 25
"""When a fault begins that comes in mid-run, in seconds."""
_AWAY_WITHIN = 150.0
"""Half a minute until the daemon names the cause, a bucket, and a minute."""
_NO_LEADER_WITHIN = 210.0
"""The window of the monitor, a bucket, and a minute."""
_NO_STANDBY_WITHIN = 390.0
"""The window of the monitor, a bucket, and a minute."""
_NOBODY_LEADS = frozenset({"no_leader"})
"""A leader that cannot renew its leases does not lead any more."""

FAULTS = (
    World(
        "ledger_away", "the server of the ledger ends", 260,
        monitor="ledger_away", cause="ledger_away", within=_AWAY_WITHIN, fault_at=_BEGIN,
        also=_NOBODY_LEADS, server="up", actions=(at(_BEGIN, "server", do="kill"),),
    ),
    World(
        "ledger_away_at_start", "the server of the ledger is not there at the start", 240,
        monitor="ledger_away", cause="ledger_away", within=_AWAY_WITHIN, also=_NOBODY_LEADS,
        server="down",
    ),
    World(
        "no_leader", "a dispatcher of another campaign has the client, and two daemons wait", 260,
        monitor="no_leader", within=_NO_LEADER_WITHIN, fault_at=_BEGIN, server="up",
        actions=(
            at(_BEGIN, "stop"), at(_BEGIN + 2, "start_other"),
            at(_BEGIN + 12, "start"), at(_BEGIN + 12, "start_second"),
        ),
    ),
    World(
        "no_standby", "the leader is killed, its standby leads, and no other one comes", 480,
        monitor="no_standby", within=_NO_STANDBY_WITHIN, fault_at=60, server="up",
        actions=(at(10, "start_second"), at(60, "kill")),
    ),
)  # fmt: skip

HEALTHY = (
    World(
        "ledger_comes_back", "the server of the ledger starts again, with a leader and a standby",
        200, server="up",
        actions=(
            at(10, "start_second"), at(40, "server", do="kill"), at(55, "server", do="start"),
        ),
    ),
    World(
        "leader_replaced", "the leader is killed, and its standby takes over", 200, server="up",
        actions=(at(10, "start_second"), at(40, "kill")),
    ),
)  # fmt: skip
