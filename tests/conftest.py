"""What all suites share."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("EXAMPLES", "50"))
"""Examples of a property without a number of its own; `make properties` plays more."""

settings.register_profile(
    "no time limits",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("no time limits")
"""How long an example takes depends on what else the machine does, and proves nothing."""
