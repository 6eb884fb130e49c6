"""``dispatcher status``: how a campaign stands, read from its ledger."""
