"""Checks of the page's port: elsewhere than on this machine it needs a token."""

from dispatcher.domain.loopback import is_loopback
from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings
from dispatcher.settings.post_checks import token_file_problem


def _token(s: Settings) -> Finding | None:
    telemetry = s.telemetry
    if telemetry.page_token_file and telemetry.page_token_variable:
        return "and telemetry.page_token_variable are both set", "remove one of the two"
    token = telemetry.page_token_file or telemetry.page_token_variable
    if not telemetry.page_port or token or is_loopback(telemetry.page_host):
        return None
    problem = (
        f'is empty, and telemetry.page_host "{telemetry.page_host}" is not loopback: everybody who '
        "reaches the port could look at the run"
    )
    hint = "name a file with the token that readers need, or set telemetry.page_token_variable"
    return problem, hint


PAGE = (
    Check(
        ("telemetry.page_token_file", "telemetry.page_host", "telemetry.page_token_variable"),
        _token,
    ),
)
"""The token of the page."""

PAGE_FILES = (
    Check(
        ("telemetry.page_token_file",), lambda s: token_file_problem(s.telemetry.page_token_file)
    ),
)
"""The file that the page needs."""
