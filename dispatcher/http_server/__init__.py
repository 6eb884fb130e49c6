"""HTTP servers of the daemon: health, and JSON over a Unix socket."""
