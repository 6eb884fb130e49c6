"""Genesys Cloud, as the sandbox plays it."""
