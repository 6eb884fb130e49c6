"""Rate limiting: when the next request to the platform may be made."""
