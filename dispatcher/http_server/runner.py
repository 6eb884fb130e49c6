"""The runner of all servers: a request that is not HTTP is answered, and is not logged."""

import logging

from aiohttp import web
from aiohttp.http import HttpProcessingError

_SHUTDOWN_SECONDS = 1.0
"""How long a stop waits for open connections."""


def make_runner(app: web.Application, *, auto_decompress: bool = True) -> web.AppRunner:
    """Return a runner that logs no request; ``auto_decompress`` is about bodies."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=_logger(),
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        auto_decompress=auto_decompress,
    )


def _logger() -> logging.Logger:
    logger = logging.getLogger("dispatcher.http_server")
    logger.addFilter(_is_defect)
    return logger


def _is_defect(record: logging.LogRecord) -> bool:
    """Return False for what a client sent wrong: the library's message has the header it is in."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, HttpProcessingError)
