"""Checks of the files, folders and libraries that settings name or need."""

import os
import ssl
from pathlib import Path

from dispatcher.ledgers.file_system import network_file_system
from dispatcher.settings.campaigns import STDIN
from dispatcher.settings.credentials import is_installed
from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.ledger import LedgerSettings
from dispatcher.settings.model import Settings

TRACE_LIBRARIES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
"""What the extra ``otel`` installs."""


def _source(s: Settings) -> Finding | None:
    path = s.source.path
    if s.source.kind != "files" or not path.strip():
        return None
    if path == STDIN or (any(sign in path for sign in "*?[") and not s.source.watch):
        return None
    here = Path(path)
    if s.source.watch and not here.is_dir():
        return f'must be a folder that exists, not "{path}"', "source.watch = true watches a folder"
    if not here.exists():
        return f'does not exist: "{path}"', "relative paths start where the command runs"
    if here.is_dir() and not s.source.watch:
        return f'is a folder: "{path}"', f'set source.watch = true, or write "{path}/*.csv"'
    return None


def _bundle(s: Settings) -> Finding | None:
    path, hint = s.platform.ca_bundle, "a file of PEM certificates"
    if not path:
        return None
    if not Path(path).is_file():
        return f'is not a file: "{path}"', hint
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        return f'has no certificates that can be read: "{path}" ({reason})', hint
    return None


def _suppression(s: Settings) -> Finding | None:
    path, hint = s.rules.suppression_file, "a file with one value per line, or CSV; empty for none"
    if path and not Path(path).is_file():
        return f'is not a file: "{path}"', hint
    if path and not os.access(path, os.R_OK):
        return f'cannot be read: "{path}"', hint
    return None


def _log_file(s: Settings) -> Finding | None:
    return _writable(Path(s.telemetry.log_file)) if s.telemetry.log_file else None


def _trace_library(s: Settings) -> Finding | None:
    if not s.telemetry.trace_share or all(map(is_installed, TRACE_LIBRARIES)):
        return None
    return "needs the library OpenTelemetry", "pip install 'dispatcher[otel]', or set it to 0"


def _ledger(ledger: LedgerSettings) -> Finding | None:
    return None if ledger.url else _writable(ledger.path)


def _network(s: Settings) -> Finding | None:
    if s.ledger.url or s.ledger.allow_network_filesystem or not s.ledger.path.parent.is_dir():
        return None
    name = network_file_system(s.ledger.path)
    if name is None:
        return None
    hint = "name a local disk, or set ledger.allow_network_filesystem = true; see docs/ledger.md"
    return f"is on a network file system ({name})", hint


def _writable(path: Path) -> Finding | None:
    if path.is_dir():
        return f'is a folder: "{path}"', "name a file; it is created if it does not exist"
    if not path.parent.is_dir():
        return f'is in a folder that does not exist: "{path.parent}"', "create the folder first"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f'cannot be written to: "{path}"', ""
    return None


FILES = (
    Check(("source.path", "source.watch", "source.kind"), _source),
    Check(("platform.ca_bundle",), _bundle),
    Check(("rules.suppression_file",), _suppression),
    Check(("telemetry.log_file",), _log_file),
    Check(("telemetry.trace_share",), _trace_library),
)
"""Files and libraries that a run needs."""

LEDGER = (
    Check(("ledger.path", "ledger.url"), lambda s: _ledger(s.ledger)),
    Check(("ledger.path", "ledger.url", "ledger.allow_network_filesystem"), _network),
)
"""What opening the ledger would report, checked before."""
