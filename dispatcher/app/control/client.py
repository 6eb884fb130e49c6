"""Executes an operator's command in the ledger itself, or in the run that has it for itself."""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.ports import SOCKET_OFF, CommandError, LedgerLockedError, OperatorStore
from dispatcher.ports.orders import Order

ANSWER_SECONDS = 60.0
"""How long an answer may take: a command over many contacts is one commit."""


class ControlError(DispatcherError):
    """The running dispatcher did not answer, or could not execute the command."""

    exit_code = ExitCode.LEDGER


class ControlUnavailableError(ControlError):
    """No dispatcher listens on the socket, or it ended before it answered."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer to a command; ``by`` says in words where it was executed."""

    answer: Mapping[str, Any]
    by: str


def execute(store: OperatorStore, order: Order) -> CommandResult:
    """Carry out an order in the store, or let the run do it if the store is locked for the run.

    A run has the lock of a ledger in a file. With a ledger on a server a run carries out what only
    it can do, if it is the only one, and on this machine.

    Raises:
        CommandError: the command is wrong; nothing was done.
        ControlError: a dispatcher holds the ledger and does not answer; the message says whether
            anything may have been done.
        LedgerError: the ledger cannot be used.

    """
    try:
        answer = store.order(order)
    except LedgerLockedError as locked:
        if locked.socket == SOCKET_OFF:
            raise ControlError(
                f"ledger {store.name}: the running dispatcher (pid {locked.holder}) takes no "
                "commands: its control.socket is off. Nothing was done; stop it, and repeat the "
                "command"
            ) from None
        if not locked.socket:
            raise ControlError(f"{locked}; it takes no commands at present: try again") from None
        reply = send_command(locked.socket, order.name, order.arguments())
        return CommandResult(reply, f"by the running dispatcher (pid {locked.holder})")
    return CommandResult(answer, f"in the ledger itself: {_who_looks(store)}")


def _who_looks(store: OperatorStore) -> str:
    """Return in words which runs look for an order that was carried out in the ledger."""
    runs = store.runs_beside()
    if not runs:
        return "no dispatcher is running on it"
    return f"the running dispatcher looks for it within seconds ({', '.join(runs)})"


def running_status(store: OperatorStore, campaign: str | None) -> Mapping[str, Any] | None:
    """Return the status of the running dispatcher; None if none answers."""
    path = store.socket()
    if path in ("", SOCKET_OFF):
        return None
    try:
        return send_command(path, "status", {"campaign": campaign})
    except ControlUnavailableError:  # the ledger is read instead
        return None


def send_command(
    path: str, name: str, arguments: Mapping[str, Any], seconds: float = ANSWER_SECONDS
) -> Mapping[str, Any]:
    """Send a command to the control socket of a running dispatcher; wait that long at most.

    Raises:
        CommandError: the command is wrong; nothing was done.
        ControlError: no answer came, or the command could not be executed.

    """
    connection = _UnixConnection(path, seconds)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise ControlUnavailableError(
            f"no dispatcher answers on {path} ({error.strerror or error}); nothing was done. It "
            "has ended, or is ending: try again"
        ) from None
    try:
        connection.request("POST", f"/{name}", json.dumps(arguments))
        answer = connection.getresponse()
        return _read(answer.status, answer.read())
    except TimeoutError:
        raise ControlError(
            f"the dispatcher on {path} does not answer; the command may still be executed"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlUnavailableError(
            f"the dispatcher on {path} ended before it answered ({type(error).__name__}). The "
            "command was executed as a whole or not at all; it is safe to repeat it"
        ) from None
    finally:
        connection.close()


def _read(status: int, body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ControlError("the program that answers on the control socket is not a dispatcher")
    if status == http.client.OK:
        return answer
    reason = str(answer.get("error", "no reason was given"))
    raise CommandError(reason) if status == http.client.BAD_REQUEST else ControlError(reason)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, socket_path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._socket_path = socket_path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fsencode(self._socket_path))
