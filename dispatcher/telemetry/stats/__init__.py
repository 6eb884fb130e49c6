"""Statistics of a run, kept in memory for the status, the summary and the progress."""
