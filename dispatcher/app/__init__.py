"""The program as a whole: where settings become objects, and what a command line can ask for."""

from dispatcher.app.online_check import OnlineFinding, check_online
from dispatcher.app.run import ProgressView, RunOptions, RunResult, run
from dispatcher.app.wiring import make_agent
from dispatcher.engine.run_options import RunOutcome

__all__ = [
    "OnlineFinding",
    "ProgressView",
    "RunOptions",
    "RunOutcome",
    "RunResult",
    "check_online",
    "make_agent",
    "run",
]
