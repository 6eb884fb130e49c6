"""The two OAuth clients of a sandbox with ``[[clients]]``, as a dispatcher's settings."""

from pathlib import Path

NORTH, SOUTH = "north", "south"
SECOND_ID = "second-client"
"""The client of the sandbox whose alias is ``south``."""
ENVIRONMENT = {
    "DISPATCHER_CLIENT_ID__NORTH": "sandbox-client",
    "DISPATCHER_CLIENT_SECRET__NORTH": "sandbox-secret",
    "DISPATCHER_CLIENT_ID__SOUTH": SECOND_ID,
    "DISPATCHER_CLIENT_SECRET__SOUTH": "second-secret",
}
SCENARIO = f'[[clients]]\nclient_id = "{SECOND_ID}"\nclient_secret = "second-secret"\n'
"""What a scenario adds for the second one."""


def use_two_clients(played):
    """Let a dispatcher have both clients."""
    config = Path(played.folder) / "clients.toml"
    config.write_text(f'[[clients]]\nname = "{NORTH}"\n\n[[clients]]\nname = "{SOUTH}"\n')
    played.config, played.environment = config, dict(ENVIRONMENT)
    return played
