"""Maintenance of a ledger: pruning, erasure, integrity checks and backups."""
