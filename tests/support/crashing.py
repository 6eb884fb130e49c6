"""Start the real command line in a process that kills itself at a named point.

`python -m tests.support.crashing POINT[:N][@SETTLES] [--broken BUILD] [--power-cut] -- run ...`
dies when POINT is reached for the N-th time after SETTLES contacts were settled; `none` never
does. With `--serve` it forks one such run for each line of JSON on standard input, which saves
the time that imports take.
"""

import sys
from collections.abc import Sequence
from typing import Any

import dispatcher.app.run
import dispatcher.cli.commands.run
import dispatcher.sources.files.stream_source  # noqa: F401 - loaded once, before the forks
from dispatcher.cli import main
from tests.support.broken_builds import BROKEN, cut_power
from tests.support.crash_points import Killer
from tests.support.crash_server import serve
from tests.support.crash_wraps import install


def killer_of(spec: str, stopped_seconds: float = 0.0, *, freezes: bool = False) -> Killer:
    """Read ``POINT[:N][@SETTLES]``; with ``freezes`` the process stops there and may go on."""
    place, _, settles = spec.partition("@")
    point, _, nth = place.partition(":")
    point = "" if point == "none" else point
    return Killer(point, int(nth or 1), int(settles or 0), stopped_seconds, freezes=freezes)


def run(
    spec: str, argv: Sequence[str], broken: str = "", *, power_cut: bool = False,
    stopped_seconds: float = 0.0, freezes: bool = False, ledger: str = "file",
) -> None:  # fmt: skip
    """Run the command line in this process, as it is or broken, until the point or its end."""
    killer = killer_of(spec, stopped_seconds, freezes=freezes)
    if broken:
        BROKEN[broken](killer)
    elif power_cut:
        cut_power(killer)
    install(killer, ledger)
    sys.argv = ["dispatcher", *argv]
    main()


def start(request: dict[str, Any]) -> None:
    """Run what a request says."""
    run(
        request["spec"],
        request["argv"],
        request.get("broken", ""),
        power_cut=request.get("power_cut", False),
        stopped_seconds=request.get("stopped_seconds", 0.0),
        freezes=request.get("freezes", False),
        ledger=request.get("ledger", "file"),
    )


def _main(arguments: Sequence[str]) -> None:
    if "--serve" in arguments:
        serve(start, ("aiokafka.admin", "psycopg", "sqlalchemy"))  # whose import takes long
        return
    place = arguments.index("--")
    ours, argv = arguments[:place], arguments[place + 1 :]
    broken = ours[ours.index("--broken") + 1] if "--broken" in ours else ""
    run(ours[0], argv, broken, power_cut="--power-cut" in ours)


if __name__ == "__main__":
    _main(sys.argv[1:])
