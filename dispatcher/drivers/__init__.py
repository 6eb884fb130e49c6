"""Clients of servers that sources and sinks share: how they are opened."""
