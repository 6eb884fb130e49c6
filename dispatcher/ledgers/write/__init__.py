"""Writes to the ledger, all in one thread and committed in groups."""
