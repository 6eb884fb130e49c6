"""Every source against its real server: resuming, memory, speed, absence, bad rows."""
