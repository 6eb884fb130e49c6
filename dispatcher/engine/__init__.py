"""The heart: intake, claim, workers, pacing, halts and drain."""
