"""What the dispatcher knows and decides: pure, without I/O, clock or third-party import."""
