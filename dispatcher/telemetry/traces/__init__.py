"""Spans of contacts by OpenTelemetry; nothing here is imported while traces are off."""
