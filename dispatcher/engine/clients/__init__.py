"""OAuth clients: the pool that requests are made through, and the circuit breaker of each."""
