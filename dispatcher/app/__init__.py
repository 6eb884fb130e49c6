"""Builds the dispatcher from its settings, and runs it for the command line."""

from dispatcher.app.authorization_report import OnlineFinding
from dispatcher.app.exit_report import report_exit
from dispatcher.app.online_check import check_online
from dispatcher.app.progress_view import ProgressView
from dispatcher.app.run import run
from dispatcher.app.run_end import RunResult
from dispatcher.app.suppression import describe_lists
from dispatcher.app.traces import trace_endpoint
from dispatcher.app.wiring import make_agent
from dispatcher.engine.run_options import RunOutcome

__all__ = [
    "OnlineFinding",
    "ProgressView",
    "RunOutcome",
    "RunResult",
    "check_online",
    "describe_lists",
    "make_agent",
    "report_exit",
    "run",
    "trace_endpoint",
]
