"""Datadog's assets (monitors, dashboard, log pipeline and more): how they are checked and applied."""
