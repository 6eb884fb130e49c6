"""Traces of a run, if they are on: only then are they imported."""

from contextlib import AsyncExitStack

from dispatcher.ports import Tracing
from dispatcher.settings import Settings, SettingsError, SettingsProblem
from dispatcher.telemetry.service_tags import read_service_tags
from dispatcher.telemetry.traces.endpoint import find_endpoint, is_disabled

EXPORTER = "OTEL_EXPORTER_OTLP_*"
"""The variables that the exporter reads by itself."""


def trace_endpoint(settings: Settings) -> str | None:
    """Return where traces are sent; None if they are off.

    Raises:
        SettingsError: an OTEL_ variable, or the setting that it overrides, is not usable.

    """
    telemetry = settings.telemetry
    if telemetry.trace_share == 0 or is_disabled():
        return None
    try:
        return find_endpoint(telemetry.trace_endpoint)
    except ValueError as error:
        key, _, problem = str(error).partition(" ")
        where = (
            "environment" if key.startswith("OTEL_") else str(settings.origin(key) or "defaults")
        )
        raise SettingsError([SettingsProblem(where, key, problem)]) from None


def open_tracing(settings: Settings, stack: AsyncExitStack) -> Tracing | None:
    """Return the traces of a run, which the stack closes; None if they are off.

    Raises:
        SettingsError: as for `trace_endpoint`, or the exporter refuses its variables.

    """
    endpoint = trace_endpoint(settings)
    if endpoint is None:
        return None
    # a run without traces imports nothing of OpenTelemetry, which may not be installed
    from dispatcher.telemetry.traces.span_queue import otlp_queue  # noqa: PLC0415
    from dispatcher.telemetry.traces.tracing import RunTraces  # noqa: PLC0415

    tags = read_service_tags()
    resource = {
        "service.name": tags.service,
        "service.version": tags.version,
        # the name of today, and the one that older agents read
        "deployment.environment.name": tags.env,
        "deployment.environment": tags.env,
    }
    try:
        queue = otlp_queue(endpoint)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        problem = f"do not suit OpenTelemetry's exporter: {type(error).__name__} when it was made"
        raise SettingsError([SettingsProblem("environment", EXPORTER, problem)]) from error
    tracing = RunTraces(queue, resource, settings.telemetry.trace_share)
    stack.callback(tracing.close)
    return tracing
