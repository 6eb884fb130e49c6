"""Where credentials are kept: one file for each kind of place."""
