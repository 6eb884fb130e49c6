"""The durable record of every contact's progress."""
