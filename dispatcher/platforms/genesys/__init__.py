"""Dialect of Genesys Cloud."""
