"""Datadog's assets, such as monitors and dashboard: how they are checked and applied."""
