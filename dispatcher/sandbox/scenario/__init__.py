"""Scenario files: what the sandbox plays, and when."""
