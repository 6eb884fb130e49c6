"""What differs between the dialects for a suite that plays all of them."""

from collections.abc import Mapping
from typing import Any, get_args

from dispatcher.settings.model import PlatformSettings

DIALECTS: tuple[str, ...] = get_args(PlatformSettings.model_fields["dialect"].annotation)
"""What the dispatcher speaks; the suites are parametrised by it."""
FREE = frozenset({"token", "me", "timeline"})
"""Endpoints that are asked about the client and the organisation, not about contacts."""


def settings_for(dialect: str, url: str) -> dict[str, Any]:
    """Return the settings with which the dispatcher speaks ``dialect`` to the sandbox at ``url``.

    Nobody talks with the guests of most kinds, so that customers alone may be barged in on.
    """
    if dialect == "messaging":
        return {}
    return {
        "platform.dialect": dialect,
        "platform.login_url": url,
        "platform.from_address": "deployment-1",
        "platform.barge_in": "customer-only",
    }


def reads_states_to_look_back(dialect: str) -> bool:
    """Return whether a look back makes the requests of state checks, too."""
    return dialect == "genesys"


def tells_texts(dialect: str) -> bool:
    """Return whether a look back shows texts, by which two campaigns' messages differ."""
    return dialect == "messaging"


def about_contacts(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the sandbox's counts that are about contacts."""
    return {endpoint: counted for endpoint, counted in answers.items() if endpoint not in FREE}
