"""Asking a running dispatcher over its control socket, or doing it with the ledger's lock."""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher.ledgers.errors import CommandError
from dispatcher.ledgers.lock import LedgerLockedError, read_lock_holder
from dispatcher.ledgers.operator_commands import execute_exclusively

SECONDS = 60.0
"""How long an answer may take: an order over many contacts is one commit."""


class ControlError(Exception):
    """The running dispatcher did not answer, or could not carry the order out."""


class ControlUnavailableError(ControlError):
    """Nobody is at the socket, or nobody any more."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came of an order, and ``by`` whom, for people."""

    answer: Mapping[str, Any]
    by: str


def execute(ledger: Path, name: str, order: Mapping[str, Any]) -> CommandResult:
    """Let the running dispatcher carry an order out; where none runs, take the ledger's lock.

    Raises:
        OrderError: the order is wrong; nothing was done.
        CallError: a dispatcher holds the ledger and does not answer; the message says whether
            anything may have been done.
        LedgerError: the ledger cannot be used.

    """
    try:
        answer = execute_exclusively(ledger, name, order)
    except LedgerLockedError as held:
        if not held.socket:
            raise ControlError(f"{held}; it takes no orders yet, or no more: try again") from None
        return CommandResult(
            send_command(held.socket, name, order), f"by the running dispatcher (pid {held.holder})"
        )
    return CommandResult(answer, "in the ledger itself: no dispatcher runs on it")


def standing(ledger: Path, campaign: str | None) -> Mapping[str, Any] | None:
    """Return what the running dispatcher tells of itself; None where none answers."""
    _, where = read_lock_holder(ledger)
    try:
        return send_command(where, "status", {"campaign": campaign}) if where else None
    except ControlUnavailableError:  # the ledger itself tells as much
        return None


def send_command(where: str, name: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an order to the socket at ``where``.

    Raises:
        OrderError: the order is wrong; nothing was done.
        CallError: no answer came, or the order could not be carried out.

    """
    connection = _Connection(where)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise ControlUnavailableError(
            f"no dispatcher answers on {where} ({error.strerror or error}); nothing was done. It "
            "has ended, or is about to: try again"
        ) from None
    try:
        connection.request("POST", f"/{name}", json.dumps(order))
        answer = connection.getresponse()
        return _read(answer.status, answer.read())
    except TimeoutError:
        raise ControlError(
            f"the dispatcher on {where} does not answer; the order may still be carried out"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlUnavailableError(
            f"the dispatcher on {where} ended before it answered ({type(error).__name__}). The "
            "order was carried out as a whole or not at all; to give it again does no harm"
        ) from None
    finally:
        connection.close()


def _read(status: int, body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ControlError("what answers on the control socket is no dispatcher")
    if status == http.client.OK:
        return told
    words = str(told.get("error", "no reason was given"))
    raise CommandError(words) if status == http.client.BAD_REQUEST else ControlError(words)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, where: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._where = where

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fsencode(self._where))
