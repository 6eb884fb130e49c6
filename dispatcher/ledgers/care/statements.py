"""The SQL of the ledger's care, by name."""

from dispatcher.ledgers.named import by_name, script

CARE = by_name(script("care/care.sql"))
"""Statements that prune, forget and copy."""

CHECKS = by_name(script("care/checks.sql"))
"""Statements that count what ought not to be there."""
