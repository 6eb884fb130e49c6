"""Validates all assets of a folder without a connection to Datadog."""

import re
from collections.abc import Iterator
from pathlib import Path

import dispatcher
from dispatcher.telemetry.datadog_assets.bundle import AssetsError, Bundle
from dispatcher.telemetry.datadog_assets.dashboard_checks import dashboard_findings
from dispatcher.telemetry.datadog_assets.log_checks import (
    pipeline_findings,
    saved_view_findings,
    service_check_findings,
)
from dispatcher.telemetry.datadog_assets.metadata_checks import (
    metadata_findings,
    percentile_findings,
)
from dispatcher.telemetry.datadog_assets.mistakes import AssetMistake
from dispatcher.telemetry.datadog_assets.monitor_checks import monitor_findings

RUNBOOK = Path(dispatcher.__file__).parents[1] / "docs" / "runbook.md"
"""The runbook in a clone of the project; a package has none."""

_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')


def validate(bundle: Bundle, runbook: Path | None = None) -> Iterator[AssetMistake]:
    """Yield what is wrong with the assets.

    ``runbook`` is the file whose anchors the monitors link to; by default the one of a clone.

    Raises:
        AssetsError: the runbook cannot be read.

    """
    yield from monitor_findings(bundle.monitors, read_anchors(runbook))
    yield from dashboard_findings(bundle.dashboard)
    yield from metadata_findings(bundle.metadata)
    yield from percentile_findings(bundle.percentiles)
    yield from pipeline_findings(bundle.pipeline)
    yield from saved_view_findings(bundle.saved_views)
    yield from service_check_findings(bundle.service_checks)


def read_anchors(runbook: Path | None = None) -> frozenset[str] | None:
    """Return the anchors of the runbook; None if there is none and none was asked for.

    Raises:
        AssetsError: the runbook that was asked for cannot be read.

    """
    if runbook is None and not RUNBOOK.is_file():
        return None
    file = runbook or RUNBOOK
    try:
        return frozenset(_ANCHOR.findall(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise AssetsError(f"the runbook {file} cannot be read: {error}") from error
