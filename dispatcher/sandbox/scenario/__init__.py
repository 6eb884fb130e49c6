"""Scenario files: the settings of the sandbox and its events."""
