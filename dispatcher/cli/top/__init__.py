"""`dispatcher top`: what it knows of a run, what it shows, and its keys."""
