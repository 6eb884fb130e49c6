"""Read-only views of a ledger, on connections of their own."""
