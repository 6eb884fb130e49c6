"""The platforms' dialects over HTTP."""
