"""Datadog's assets: monitors, dashboard, metadata, log pipeline; how they are checked and applied."""
