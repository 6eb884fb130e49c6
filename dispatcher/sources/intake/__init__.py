"""Contacts that clients post over HTTP."""
