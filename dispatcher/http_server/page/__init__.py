"""The page of a run: HTML that the server writes, for people who look before they read."""
