"""The dialect ``messaging`` of the sandbox."""
