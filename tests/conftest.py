"""What all suites share."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "no time limits", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no time limits")
"""How long an example takes depends on what else the machine does, and proves nothing."""
