"""The settings without which nothing is loaded, for tests of all the others."""

import pytest

from dispatcher.settings import SettingsError, load

SECRETS = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
NEEDED = {"campaign": "c1", "source.path": "-", "platform.base_url": "https://api.example.com"}


def settings(*sets):
    """Load these settings beside the needed ones, each as ``section.key=value``."""
    return load(None, env=SECRETS, sets=sets, flags=NEEDED)


def only_mistake(*sets):
    """Return the one mistake that these settings have."""
    with pytest.raises(SettingsError) as caught:
        settings(*sets)
    (mistake,) = caught.value.mistakes
    return mistake
