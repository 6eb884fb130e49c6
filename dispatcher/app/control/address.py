"""Where a run takes commands."""

import os
from pathlib import Path

from dispatcher.http_server.unix_socket import ControlSocket, open_private_socket, open_socket
from dispatcher.settings import LedgerPlace


def open_control_socket(ledger: LedgerPlace, configured: str) -> ControlSocket:
    """Listen at the configured path, else beside a ledger's file.

    A ledger in a database may have several runs on this machine, so each has a path of its own in
    a private directory of this user.

    Raises:
        ControlAddressError: no socket can be made there.

    """
    if ledger.file is None and not configured:
        return open_private_socket(f"{ledger.whole} {os.getpid()}")
    return open_socket(ledger.file or Path(), configured)
