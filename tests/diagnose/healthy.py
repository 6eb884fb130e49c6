"""The healthy worlds that are played: no monitor may fire in them."""

from tests.diagnose.ledger_worlds import HEALTHY as LEDGER
from tests.diagnose.stage import BASE, SINK, SINK_FOLDER
from tests.diagnose.world import World, at

_PLAIN = """
seed = 1
[rate]
allowed = 300
window_seconds = 60.0
[latency.default]
kind = "lognormal"
ms = 40.0
sigma = 0.4
"""

_ROWS = "".join(f"ended-1-{number},Ada\n" for number in range(200))
_HEADER = "conversation_id,first_name\n"
_FOLDER = {"in/first.csv": _HEADER + _ROWS}
_MESSAGES = tuple(
    f'{{"conversation_id": "ended-{number}", "first_name": "Ada"}}' for number in range(1000)
)
_WATCHED = {"source.path": "{folder}/in", "source.watch": True}
_SOME_BAD_ROWS = _HEADER + "".join(
    f"{'1.23457E+15' if number % 5 == 0 else f'ended-3-{number}'},Ada\n" for number in range(500)
)
_OPT_OUTS = "external_contact_id\n" + "".join(
    f"x-ended-3-{number}\n" for number in range(0, 500, 2)
)

HEALTHY: tuple[World, ...] = (
    World(
        "start_and_end", "a run with --once, from its start to its end", 60,
        contacts=300, arguments=("--once",), silence=1200,
    ),
    World(
        "drain_and_restart", "a drain and a restart", 150, contacts=3000,
        actions=(at(40, "stop"), at(50, "start")),
    ),
    World(
        "several_restarts", "three drains and restarts within two minutes", 180, contacts=3000,
        actions=tuple(
            action for second in (30, 70, 110)
            for action in (at(second, "stop"), at(second + 8, "start"))
        ),
    ),
    World(
        "pause", "an operator pauses the campaign, and resumes it", 170,
        actions=(at(30, "command", name="pause"), at(110, "command", name="resume")),
    ),
    World(
        "quiet_hours", "it is quiet hours for everybody", 170, contacts=1000,
        settings={"rules.quiet_hours": "00:00-23:59"},
    ),
    World(
        "idle_folder", "a watched folder without new files", 200, files=_FOLDER,
        settings=_WATCHED,
    ),
    World(
        "some_bad_rows", "a fifth of the rows is damaged, half of the people have opted out", 150,
        settings={
            "source.path": "{folder}/damaged.csv",
            "rules.suppression_file": "{folder}/never.csv",
            "rules.suppression_any_shape": True,
        },
        files={"damaged.csv": _SOME_BAD_ROWS, "never.csv": _OPT_OUTS},
    ),
    World(
        "slow_upload", "a file of a watched folder is written for a minute and a half", 200,
        files=_FOLDER, settings=_WATCHED,
        actions=(
            at(20, "append", name="in/second.csv", text=_HEADER),
            *(
                at(second, "append", name="in/second.csv", text=f"ended-2-{second},Ben\n")
                for second in range(21, 110)
            ),
        ),
    ),
    World(
        "one_forbidden", "one contact of 300 is out of the client's reach", 150, contacts=300,
        scenario=BASE + "[world.shares]\nactive = 299\nforbidden = 1\n",
    ),
    World(
        "short_tokens", "tokens live a minute, as they say", 200,
        scenario=BASE + "[token]\nexpires_in = 60\n",
    ),
    World(
        "single_faults", "one state check in twenty fails", 200,
        scenario=BASE + '[[fault]]\nkind = "error_503_json"\n'
        'endpoints = ["check"]\nprobability = 0.05\n',
    ),
    World(
        "single_429", "429 now and then: limits are used up for seconds", 260,
        contacts=3000,
        scenario=BASE.replace("allowed = 40\n", "allowed = 38\nheaders = false\n")
        + '[[limit]]\nkey = "open.burst"\nendpoint = "open"\nvalue = 100\nretry_after = 8\n',
    ),
    World(
        "sink_catches_up", "a sink's database is not there for 15 seconds", 150,
        config=SINK, files=SINK_FOLDER,
        actions=(
            at(25, "move", name="share", to="away"), at(40, "move", name="away", to="share"),
        ),
    ),
    World(
        "source_comes_back", "the broker that the source reads from is silent for half a minute",
        200, messages=_MESSAGES,
        actions=(at(25, "broker", do="freeze"), at(55, "broker", do="thaw")),
    ),
    World(
        "full_windows", "every window of 300 requests a minute is used up", 260, contacts=800,
        scenario=_PLAIN,
        settings={"platform.requests_per_minute": 300, "platform.window_seconds": 60},
    ),
    *LEDGER,
)  # fmt: skip
