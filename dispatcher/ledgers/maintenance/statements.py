"""The SQL of the ledger's care, by name."""

from dispatcher.ledgers.statements import by_name, script

CARE = by_name(script("maintenance.sql"))
"""Statements that prune, forget and copy."""

CHECKS = by_name(script("integrity.sql"))
"""Statements that count what ought not to be there."""
