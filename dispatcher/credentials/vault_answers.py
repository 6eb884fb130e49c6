"""Reads parts of Vault's answers."""

from typing import Any

from dispatcher.ports import CredentialsUnavailableError


def subtable(answer: object, name: str) -> dict[str, Any]:
    """Return a table of Vault's answer.

    Raises:
        CredentialsUnavailableError: the answer has no such table, so it is not from Vault.

    """
    table = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(table, dict):
        raise CredentialsUnavailableError(
            "what answers at the address of Vault does not speak its API: check"
            " credentials.vault_address or VAULT_ADDR, and any proxy in between"
        )
    return table
