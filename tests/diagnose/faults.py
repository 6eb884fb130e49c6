"""The faults that are played, as plain data."""

from tests.diagnose.ledger_worlds import FAULTS as LEDGER
from tests.diagnose.stage import BASE, READ_SCOPES, SINK, SINK_FOLDER, WRITE_SCOPES
from tests.diagnose.world import World, at
from tests.support import two_clients

_READ_ONLY = list(READ_SCOPES)
_ALL = [*READ_SCOPES, *WRITE_SCOPES]
_SENDS = ["notify", "open"]
_CALLS = ["check", *_SENDS]
_BEGIN = 25
"""When a fault begins that comes in mid-run, in seconds."""
_AT_ONCE = 150.0
"""For verdicts that the daemon reaches as soon as it is refused: two minutes and a half."""
_AFTER_A_MINUTE = 210.0
"""For verdicts that need a minute of answers."""
_NOT_STARTED_AGAIN = frozenset({"heartbeat"})
"""Ten minutes after an exit of a run that nothing starts again there is no heartbeat, either."""
_EXIT = 90.0
"""For what an exit shows: a bucket, and a minute."""

_DAMAGED = "conversation_id,first_name\n" + "".join(
    f"{'1.23457E+15' if number % 10 < 6 else f'ended-{number}'},Ada\n" for number in range(1000)
)
"""Three of five ids are numbers of a spreadsheet."""


def _fault(kind: str, endpoints: list[str], **more: object) -> dict[str, object]:
    return {"kind": kind, "endpoints": endpoints, **more}


def _sharing(more: str = "", rate: str = "") -> str:
    """The platform of all worlds with another program that takes half of the quota."""
    window = "window_seconds = 2.0\n"
    return BASE.replace(window, f"{window}{rate}\n[rate.other]\nper_window = 20\n{more}\n")


def _unseen() -> str:
    """The platform of all worlds, without rate headers."""
    return BASE.replace("window_seconds = 2.0\n", "window_seconds = 2.0\nheaders = false\n")


def _limit(endpoint: str, value: int, retry_after: int) -> str:
    """A limit of an endpoint beside the quota."""
    return (
        f'[[limit]]\nkey = "{endpoint}.per.day"\nendpoint = "{endpoint}"\n'
        f"value = {value}\nretry_after = {retry_after}\n"
    )


AUTHORITY = (
    World(
        "scope_missing_at_start", "the write scope is missing from the start", 150,
        monitor="scope_missing", cause="scope_missing", within=_AT_ONCE,
        scenario=BASE + f"[token]\ngranted = {_READ_ONLY}\n",
    ),
    World(
        "scope_revoked", "the write scope is revoked: 403", 170,
        monitor="scope_missing", cause="scope_missing", within=_AT_ONCE, fault_at=_BEGIN,
        actions=(at(_BEGIN, "control", path="scopes", granted=_READ_ONLY),),
    ),
    World(
        "scope_masked", "the write scope is revoked: 409 without a cause", 170,
        monitor="scope_missing", cause="scope_missing", within=_AT_ONCE, fault_at=_BEGIN,
        scenario=BASE + "[world.shares]\nended = 1\n",
        actions=(at(_BEGIN, "control", path="scopes", granted=_READ_ONLY, mask=True),),
    ),
    World(
        "scope_revoked_401", "the write scope is revoked: 401, which a new token explains", 170,
        monitor="scope_missing", cause="scope_missing", within=_AT_ONCE, fault_at=_BEGIN,
        also=frozenset({"unauthorized"}), scenario=BASE + "[token]\nunauthorized = true\n",
        actions=(at(_BEGIN, "control", path="scopes", granted=_READ_ONLY),),
    ),
    World(
        "unauthorized", "the platform answers 401 although the token is new and has the scopes",
        150, monitor="unauthorized", cause="unauthorized", within=_AT_ONCE,
        scenario=BASE + "[token]\nexpires_in = 3600\nlives = 0.001\n",
    ),
    World(
        "read_scope_missing", "the scope to read states is revoked", 170,
        monitor="scope_missing", cause="scope_missing", within=_AT_ONCE, fault_at=_BEGIN,
        settings={"platform.read_scopes_any_of": str(_READ_ONLY).replace("'", '"')},
        actions=(at(_BEGIN, "control", path="scopes", granted=list(WRITE_SCOPES)),),
    ),
    World(
        "permission_missing", "the permission to send is taken away", 170,
        monitor="permission", cause="permission", within=_AT_ONCE, fault_at=_BEGIN,
        actions=(at(_BEGIN, "control", path="denial", lack="permission"),),
    ),
    World(
        "division_missing", "the division is not in the role any more", 170,
        monitor="division", cause="division", within=_AT_ONCE, fault_at=_BEGIN,
        actions=(at(_BEGIN, "control", path="denial", lack="division"),),
    ),
    World(
        "forbidden", "every send is refused with a 403 that names no cause", 150,
        monitor="forbidden", cause="forbidden", within=_AT_ONCE,
        scenario=BASE + "[world.shares]\nforbidden = 1\n",
    ),
    World(
        "wrong_secret_at_start", "the client's secret is wrong at the start: exit code 5", 20,
        monitor="exit_credentials", within=_EXIT, silence=900,
        environment={"DISPATCHER_CLIENT_SECRET": "wrong"},
    ),
    World(
        "wrong_secret_in_mid_run", "the client's secret is changed", 170,
        monitor="credentials", cause="credentials", within=_AT_ONCE, fault_at=_BEGIN,
        actions=(
            at(_BEGIN, "control", path="client_secret", client_secret="another"),
            at(_BEGIN, "control", path="expire_tokens"),
        ),
    ),
    World(
        "token_storm", "tokens are valid for three seconds and claim an hour", 210,
        monitor="token_unstable", cause="token_unstable", within=_AFTER_A_MINUTE,
        scenario=BASE + "[token]\nexpires_in = 3600\nlives = 3.0\n", contacts=3000,
    ),
    World(
        "client_halted", "one of two clients loses its scope", 170,
        monitor="client_halted", cause="client_halted", within=_AT_ONCE, fault_at=_BEGIN,
        clients=True, contacts=4000,
        scenario=BASE + two_clients.SCENARIO,
        actions=(
            at(_BEGIN, "control", path="scopes", granted=_READ_ONLY, client="second-client"),
        ),
    ),
)  # fmt: skip
"""Credentials, scopes, permissions."""

PLATFORM = (
    World(
        "sessions_closing", "three sessions in ten close between the check and the send", 210,
        monitor="sessions_closing", cause="sessions_closing", within=_AFTER_A_MINUTE,
        scenario=BASE + "[world]\nended_after = 1.0\n"
        "[world.shares]\nclosing = 30\nactive = 40\nended = 30\n", contacts=3000,
    ),
    World(
        "retry_loop", "some contacts are refused although their state permits the send", 210,
        monitor="retry_loop", cause="retry_loop", within=_AFTER_A_MINUTE, contacts=3000,
        scenario=BASE + "[world.shares]\nloop = 5\nstubborn = 5\nactive = 40\nended = 50\n",
        settings={"retry.not_ended_seconds": 1},
    ),
    World(
        "platform_away", "nothing listens at the platform's address", 170,
        monitor="platform_down", cause="platform_down", within=_AT_ONCE, fault_at=_BEGIN,
        actions=(at(_BEGIN, "control", path="down", seconds=300),),
    ),
    World(
        "platform_503", "the platform answers 503 to everything", 240,
        monitor="platform_down", cause="platform_down", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        actions=(
            at(_BEGIN, "control", path="faults", faults=[_fault("error_503_json", _CALLS)]),
        ),
    ),
    World(
        "platform_errors", "three in ten answers of the platform are 5xx", 240,
        monitor="platform_errors", cause="platform_errors", within=_AFTER_A_MINUTE,
        fault_at=_BEGIN, contacts=3000,
        actions=(
            at(_BEGIN, "control", path="faults", faults=[
                _fault("error_500", ["check"], probability=0.3),
                _fault("error_503_json", _SENDS, probability=0.3),
            ]),
        ),
    ),
    World(
        "platform_slow", "every answer takes six seconds", 240,
        monitor="platform_slow", cause="platform_slow", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        actions=(
            at(_BEGIN, "control", path="faults",
               faults=[_fault("slow", _CALLS, delay={"ms": 6000})]),
        ),
    ),
    World(
        "platform_timeouts", "one state check in five has no answer", 240,
        monitor="platform_slow", cause="platform_slow", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        settings={"platform.timeout_seconds": 2}, contacts=3000,
        actions=(
            at(_BEGIN, "control", path="faults",
               faults=[_fault("no_answer", ["check"], probability=0.2)]),
        ),
    ),
    World(
        "quota_shared", "another program takes half of the quota", 240,
        monitor="quota_shared", cause="quota_shared", within=_AFTER_A_MINUTE,
        scenario=_sharing(), contacts=3000,
    ),
    World(
        "quota_shared_in_bursts", "another program takes half of the quota in bursts", 240,
        monitor="quota_shared", cause="quota_shared", within=_AFTER_A_MINUTE,
        scenario=_sharing('mode = "burst"'), contacts=3000,
    ),
    World(
        "quota_shared_unseen", "the same, and the platform sends no rate headers", 240,
        monitor="quota_shared", cause="quota_shared", within=_AFTER_A_MINUTE,
        scenario=_sharing('mode = "burst"', "headers = false"), contacts=3000,
    ),
    World(
        "throttled", "every request is answered 429 for minutes, without rate headers", 270,
        monitor="throttled", cause="throttled", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        scenario=_unseen(),
        actions=(at(_BEGIN, "control", path="rate", allowed=1, window_seconds=600),),
    ),
    World(
        "throttled_sends", "the daily limits of the sends are used up", 270,
        monitor="throttled", cause="throttled", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        scenario=BASE + _limit("notify", 80, 3600) + _limit("open", 80, 3600), contacts=4000,
    ),
    World(
        "login_503", "the token endpoint answers 503", 210,
        monitor="platform_down", cause="platform_down", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        actions=(
            at(_BEGIN, "control", path="faults", faults=[_fault("error_503_json", ["token"])]),
            at(_BEGIN, "control", path="expire_tokens"),
        ),
    ),
    World(
        "sends_500", "every send is answered with a 500", 240,
        monitor="platform_down", cause="platform_down", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        actions=(at(_BEGIN, "control", path="faults", faults=[_fault("error_500", _SENDS)]),),
    ),
    World(
        "no_answers", "no request has an answer", 240,
        monitor="platform_down", cause="platform_down", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        settings={"platform.timeout_seconds": 3},
        actions=(at(_BEGIN, "control", path="faults", faults=[_fault("no_answer", _CALLS)]),),
    ),
    World(
        "sends_in_doubt", "one send in ten gets no answer", 240,
        monitor="doubts_pending", cause="doubts_pending", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        scenario=BASE + "[analytics]\nlag_seconds = 600\n", contacts=1500,
        actions=(
            at(_BEGIN, "control", path="faults",
               faults=[_fault("reset_after", _SENDS, nth=list(range(1, 400, 10)))]),
        ),
    ),
    World(
        "suspicious", "the platform refuses most contacts alike: a wrong sender", 150,
        monitor="suspicious", cause="suspicious", within=_AT_ONCE,
        scenario=BASE + "[world.shares]\nrefused = 1\n",
    ),
    World(
        "contacts_parked", "in a third of the rows is another person than on the platform",
        240, monitor="contacts_parked", cause="contacts_parked", within=_AFTER_A_MINUTE,
        scenario=BASE + "[world.shares]\nswapped = 35\nactive = 65\n", contacts=3000,
    ),
)  # fmt: skip
"""What the platform does."""

MACHINE = (
    World(
        "agent_dead", "the agent dies and does not come back", 60,
        monitor="heartbeat", cause="telemetry_lossy", within=10 * 60 + 90, fault_at=_BEGIN,
        silence=900, actions=(at(_BEGIN, "stop_agent"),),
    ),
    World(
        "agent_restarted", "the agent is away for half a minute: values of gauges are lost", 150,
        monitor="telemetry_lossy", cause="telemetry_lossy", within=_AT_ONCE, fault_at=_BEGIN,
        actions=(at(_BEGIN, "stop_agent"), at(_BEGIN + 30, "start_agent")),
    ),
    World(
        "daemon_killed", "the daemon is killed and nothing starts it again", 40,
        monitor="heartbeat", within=10 * 60 + 90, fault_at=_BEGIN, silence=900,
        actions=(at(_BEGIN, "kill"),),
    ),
    World(
        "crash_loop", "the daemon is killed again and again, and started again", 180,
        monitor="crash_loop", within=_EXIT, fault_at=45, contacts=4000,
        actions=tuple(
            action for second in (20, 40, 60, 80)
            for action in (at(second, "kill"), at(second + 5, "start"))
        ),
    ),
    World(
        "disk_filling", "another program fills the ledger's disk", 200,
        monitor="ledger_disk", cause="ledger_disk", within=_AT_ONCE, fault_at=_BEGIN,
        small_disk=256, actions=(at(_BEGIN, "fill_disk", leave=60),),
    ),
    World(
        "disk_full", "the ledger's disk is full: exit code 4", 120,
        monitor="exit_ledger", within=_AT_ONCE, fault_at=_BEGIN,
        also=_NOT_STARTED_AGAIN | {"ledger_disk"}, silence=900, small_disk=256, contacts=4000,
        actions=(at(_BEGIN, "fill_disk", leave=0),),
    ),
    World(
        "source_stalled", "a file in a watched folder cannot be read", 150,
        monitor="source_stalled", cause="source_stalled", within=_AT_ONCE, fault_at=_BEGIN,
        settings={"source.path": "{folder}/in", "source.watch": True},
        files={"in/first.csv": "conversation_id,first_name\nended-1,Ada\n"},
        actions=(at(_BEGIN, "write", name="in/second.csv", text="a,b\n1,2\n"),),
    ),
    World(
        "source_away", "the broker that the source reads from ends", 170,
        monitor="source_stalled", cause="source_stalled", within=_AT_ONCE, fault_at=_BEGIN,
        messages=tuple(
            f'{{"conversation_id": "ended-{number}", "first_name": "Ada"}}' for number in range(100)
        ),
        actions=(at(_BEGIN, "broker", do="kill"),),
    ),
    World(
        "rows_rejected", "a spreadsheet has changed six of ten ids in the source", 150,
        monitor="rows_rejected", cause="rows_rejected", within=_AT_ONCE,
        settings={"source.path": "{folder}/damaged.csv"}, files={"damaged.csv": _DAMAGED},
    ),
    World(
        "source_missing", "the file of the source does not exist: exit code 2", 20,
        monitor="exit_configuration", within=_EXIT, silence=900,
        settings={"source.path": "{folder}/nothing.csv"},
    ),
    World(
        "source_unreadable", "the file of the source is not what it says: exit code 3", 20,
        monitor="exit_source", within=_EXIT, silence=900, also=_NOT_STARTED_AGAIN,
        settings={"source.path": "{folder}/broken.csv"},
        files={"broken.csv": "neither,of,these\n1,2,3\n"},
    ),
    World(
        "suppression_list", "the opt-out list is damaged in mid-run", 180,
        monitor="suppression_list", cause="suppression_list", within=_AT_ONCE, fault_at=_BEGIN,
        settings={"rules.suppression_file": "{folder}/never.csv",
                  "rules.suppression_any_shape": True},
        files={"never.csv": "external_contact_id\nx-ended-1\nx-ended-2\n"},
        actions=(at(_BEGIN, "remove", name="never.csv"),),
    ),
    World(
        "sink_away", "the folder of a sink's database is not there any more", 180,
        monitor="sink_behind", cause="sink_behind", within=_AT_ONCE, fault_at=_BEGIN,
        config=SINK, files=SINK_FOLDER, actions=(at(_BEGIN, "move", name="share", to="away"),),
    ),
    World(
        "sink_silent", "the database of a sink is locked, and the driver waits for it", 210,
        monitor="sink_behind", cause="sink_behind", within=_AFTER_A_MINUTE, fault_at=_BEGIN,
        config=SINK.replace(".db", ".db?timeout=600"), files=SINK_FOLDER,
        actions=(at(_BEGIN, "lock", name="share/lineage.db"),),
    ),
    World(
        "too_many_failures", "too many contacts fail: exit code 14", 120,
        monitor="exit_failures", cause="failures", within=_AT_ONCE,
        silence=900, also=_NOT_STARTED_AGAIN,
        scenario=BASE + "[world.shares]\ngone = 1\n",
        settings={"rules.stop_failed_share": 0.5, "rules.halt_suspicious": False},
    ),
)  # fmt: skip
"""Credentials of the process, disk, files, agent."""

FAULTS: tuple[World, ...] = (*AUTHORITY, *PLATFORM, *MACHINE, *LEDGER)
