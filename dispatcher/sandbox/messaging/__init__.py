"""The plain messaging dialect, as the sandbox plays it."""
