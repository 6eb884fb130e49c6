"""Looking after a ledger: pruning, verifying, copying, and forgetting a person."""
