"""Writes once to every person whose web-messaging session ended, at the platform's pace."""

__version__ = "0.1.0"
